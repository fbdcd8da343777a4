package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// everything is a verifier with each kind of key.
func everything(t testing.TB) (*token.Verifier, *issuer) {
	s := &issuer{body: keySet(jwkOf("set", rsaKey))}
	return newVerifier(t, token.Options{Secret: secret, PublicKey: publicPEM(p256, edKey), JWKSURL: issuerURL, Transport: s}), s
}

// TestA13Algorithm: the token says how it is to be verified, and is not asked.
func TestA13Algorithm(t *testing.T) {
	v, _ := everything(t)
	checks := token.CountChecks(v)
	for _, alg := range []string{"none", "None", "nOnE", "NONE", " none", "none ", "", "hs256", "HS256 ", "HS1", "RS1", "HS384", "HS512", "ES256K", "EdDSA2", "dir", "A128KW"} {
		for name, sign := range map[string]func([]byte) []byte{"empty": bytesOf(nil), "zero": bytesOf([]byte{0}), "hmac": hs256(secret)} {
			raw := forge(fmt.Sprintf(`{"alg":%q}`, alg), good, sign)
			want := token.BadAlgorithm
			if name == "empty" {
				want = token.Malformed
			}
			expect(t, v, raw, want)
		}
	}
	for _, header := range []string{`{}`, `{"alg":null}`, `{"alg":1}`, `{"alg":["HS256"]}`, `{"ALG":"HS256"}`} {
		expect(t, v, forge(header, good, hs256(secret)), token.BadHeader)
	}
	if n := checks.Load(); n != 0 {
		t.Errorf("%d signatures were checked", n)
	}
}

// TestA13Confusion: a public key, which everybody has, as the secret of an
// HMAC.
func TestA13Confusion(t *testing.T) {
	file := publicPEM(rsaKey)
	only := newVerifier(t, token.Options{PublicKey: file})
	both := newVerifier(t, token.Options{PublicKey: file, Secret: secret})
	for name, key := range map[string][]byte{"file": file, "trimmed": bytes.TrimSpace(file), "modulus": rsaKey.N.Bytes(), "empty": {}} {
		raw := forge(`{"alg":"HS256"}`, good, hs256(key))
		t.Log(name)
		expect(t, only, raw, token.BadAlgorithm)
		expect(t, both, raw, token.BadSignature)
	}
	// And the other way around: the secret's token as one of a public key.
	expect(t, both, forge(`{"alg":"RS256"}`, good, hs256(secret)), token.BadSignature)
	// Another algorithm of the right key is no help either.
	expect(t, only, forge(`{"alg":"PS256"}`, good, rs256(rsaKey)), token.BadSignature)
	expect(t, only, forge(`{"alg":"ES256"}`, good, rs256(rsaKey)), token.BadAlgorithm)
}

// TestA13SecretIsPublic: an operator who takes the wrong file has not opened
// the door.
func TestA13SecretIsPublic(t *testing.T) {
	if _, err := token.New(token.Options{Secret: publicPEM(rsaKey)}); err == nil || !strings.Contains(err.Error(), "public key") {
		t.Error(err)
	}
}

// TestA13ZeroSignature: r = s = 0 verified anything in Java (CVE-2022-21449).
func TestA13ZeroSignature(t *testing.T) {
	v := newVerifier(t, token.Options{PublicKey: publicPEM(p256, p384, p521)})
	order := elliptic.P256().Params().N.Bytes()
	for _, tt := range []struct {
		alg       string
		signature []byte
	}{
		{"ES256", make([]byte, 64)},
		{"ES384", make([]byte, 96)},
		{"ES512", make([]byte, 132)},
		{"ES256", make([]byte, 1)},
		{"ES256", make([]byte, 63)},
		{"ES256", make([]byte, 65)},
		{"ES256", append(bytes.Clone(order), order...)},                      // both are 0 modulo the order
		{"ES256", append(make([]byte, 32), bytes.Repeat([]byte{1}, 32)...)},  // r = 0
		{"ES256", append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)},  // s = 0
		{"ES256", bytes.Repeat([]byte{0xff}, 64)},                            // beyond the order
		{"ES256", must(ecdsa.SignASN1(rand.Reader, p256, make([]byte, 32)))}, // DER, not the form of RFC 7518
		{"ES384", must(ecdsa.SignASN1(rand.Reader, p256, make([]byte, 48)))}, // another curve
	} {
		expect(t, v, forge(fmt.Sprintf(`{"alg":%q}`, tt.alg), good, bytesOf(tt.signature)), token.BadSignature)
	}
	expect(t, v, forge(`{"alg":"ES256"}`, good, es256(p256)), "")
}

func es256(k *ecdsa.PrivateKey) func([]byte) []byte {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

// TestA13KeyID: "kid" as a path, a query, a flood of bytes. It is compared and
// nothing else.
func TestA13KeyID(t *testing.T) {
	v, s := everything(t)
	for _, kid := range []string{"../../dev/null", "/etc/passwd", "' OR 1=1 --", "x' UNION SELECT 'key", "http://169.254.169.254/", "\x00", "\r\n", "%00", "$(id)", strings.Repeat("k", 256)} {
		expect(t, v, rsaToken(otherRSA, kid), token.UnknownKey)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	for _, kid := range []string{`"` + strings.Repeat("k", 257) + `"`, `"` + strings.Repeat("k", 10_000) + `"`, `""`, `1`, `null`, `["set"]`, `{}`} {
		expect(t, v, forge(`{"alg":"RS256","kid":`+kid+`}`, good, rs256(rsaKey)), token.BadHeader)
	}
	// With an HMAC there is one key; an empty file is not another one.
	expect(t, v, forge(`{"alg":"HS256","kid":"../../dev/null"}`, good, hs256(nil)), token.BadSignature)
	expect(t, v, forge(`{"alg":"HS256","kid":"../../dev/null"}`, good, hs256(secret)), "")
}

// TestA13EmbeddedKey: a token that brings its key, or says where to fetch it.
func TestA13EmbeddedKey(t *testing.T) {
	var asked sync.Map
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.Path, true) }))
	defer trap.Close()
	v, s := everything(t)
	for name, member := range map[string]string{
		"jku":         fmt.Sprintf(`"jku":"%s/jku"`, trap.URL),
		"x5u":         fmt.Sprintf(`"x5u":"%s/x5u"`, trap.URL),
		"jku and kid": fmt.Sprintf(`"jku":"%s/jku","kid":"set"`, trap.URL),
		"jwk":         `"kid":"set","jwk":` + strings.TrimSuffix(strings.TrimPrefix(keySet(jwkOf("set", otherRSA)), `{"keys":[`), `]}`),
		"x5c":         `"kid":"set","x5c":["` + b64(otherRSA.N.Bytes()) + `"]`,
	} {
		// Signed with the key that it brings: refused.
		raw := forge(`{"alg":"RS256",`+member+`}`, good, rs256(otherRSA))
		expect(t, v, raw, token.BadSignature)
		if strings.Contains(member, `"kid":"set"`) { // signed with the real key: the member does not matter
			expect(t, v, forge(`{"alg":"RS256",`+member+`}`, good, rs256(rsaKey)), "")
		}
		t.Log(name)
	}
	asked.Range(func(path, _ any) bool { t.Errorf("fetched %v", path); return true })
	if n := s.count(); n != 1 {
		t.Errorf("%d fetches of the set", n)
	}
}

// TestA13Critical: an extension that must be understood, and is not.
func TestA13Critical(t *testing.T) {
	v, _ := everything(t)
	for _, crit := range []string{`["b64"],"b64":false`, `["exp"]`, `["alg"]`, `[]`, `null`, `"x"`} {
		expect(t, v, forge(`{"alg":"HS256","crit":`+crit+`}`, good, hs256(secret)), token.BadHeader)
	}
}

// TestA13Purpose: a token that the same issuer made for something else.
func TestA13Purpose(t *testing.T) {
	v, _ := everything(t)
	for typ, want := range map[string]token.Reason{
		`"JWT"`: "", `"jwt"`: "", `"at+jwt"`: "", `"application/at+jwt"`: "",
		`"logout+jwt"`: token.BadHeader, `"dpop+jwt"`: token.BadHeader, `"secevent+jwt"`: token.BadHeader, `1`: token.BadHeader, `null`: token.BadHeader,
	} {
		expect(t, v, forge(`{"alg":"HS256","typ":`+typ+`}`, good, hs256(secret)), want)
	}
}

// TestA13Expiry: no end, an end that is no number, and numbers of all sizes.
func TestA13Expiry(t *testing.T) {
	v, _ := everything(t)
	for exp, want := range map[string]token.Reason{
		`1893553745`: "", `1893553745.5`: "", `1.893553745e9`: "", `253402300799`: "",
		`1893553445`: token.Expired, `1893553445.999`: "", `1893553444`: token.Expired, `0`: token.Expired, `-0`: token.Expired, `1`: token.Expired,
		`-1`: token.BadClaims, `"1893553745"`: token.BadClaims, `1e400`: token.BadClaims, `-1e400`: token.BadClaims, `1e308`: token.BadClaims,
		`253402300800`: token.BadClaims, `9223372036854775808`: token.BadClaims, `null`: token.BadClaims, `true`: token.BadClaims,
		`[1893553745]`: token.BadClaims, `{}`: token.BadClaims, strings.Repeat("9", 5000): token.BadClaims,
		`1893553745x`: token.Malformed, `NaN`: token.Malformed, `Infinity`: token.Malformed, `0x7fffffff`: token.Malformed,
	} {
		expect(t, v, signed(`{"sub":"ann","exp":`+exp+`}`), want)
	}
	expect(t, v, signed(`{"sub":"ann"}`), token.BadClaims)
	expect(t, v, signed(`{"sub":"ann","Exp":1893553745}`), token.BadClaims)
}

// TestA13NotYet: tokens from the future, give or take the leeway.
func TestA13NotYet(t *testing.T) {
	usual, exact := newVerifier(t, token.Options{Secret: secret}), newVerifier(t, token.Options{Secret: secret, Leeway: -1})
	at := now.Unix()
	for _, claim := range []string{"nbf", "iat"} {
		for offset, want := range map[int64][2]token.Reason{
			-1: {"", ""}, 0: {"", ""}, 1: {"", token.NotYetValid}, 30: {"", token.NotYetValid}, 31: {token.NotYetValid, token.NotYetValid},
			1 << 30: {token.NotYetValid, token.NotYetValid},
		} {
			raw := signed(fmt.Sprintf(`{"sub":"ann","exp":9000000000,"%s":%d}`, claim, at+offset))
			expect(t, usual, raw, want[0])
			expect(t, exact, raw, want[1])
		}
		for _, bad := range []string{`"0"`, `null`, `1e400`, `-5`, `[]`} {
			expect(t, usual, signed(`{"sub":"ann","exp":9000000000,"`+claim+`":`+bad+`}`), token.BadClaims)
		}
	}
}

// TestA13Parties: a good token of, or for, somebody else.
func TestA13Parties(t *testing.T) {
	v := newVerifier(t, token.Options{Secret: secret, Issuer: "https://issuer.example", Audience: "jetway"})
	for _, tt := range []struct {
		iss, aud string
		want     token.Reason
	}{
		{`"https://issuer.example"`, `"jetway"`, ""},
		{`"https://issuer.example"`, `["other","jetway"]`, ""},
		{`"https://issuer.example/"`, `"jetway"`, token.WrongIssuer},
		{`"https://ISSUER.example"`, `"jetway"`, token.WrongIssuer},
		{`"https://issuer.example.evil"`, `"jetway"`, token.WrongIssuer},
		{`""`, `"jetway"`, token.WrongIssuer},
		{`null`, `"jetway"`, token.WrongIssuer},
		{`["https://issuer.example"]`, `"jetway"`, token.BadClaims},
		{`"https://issuer.example"`, `"jetway2"`, token.WrongAudience},
		{`"https://issuer.example"`, `"Jetway"`, token.WrongAudience},
		{`"https://issuer.example"`, `"other jetway"`, token.WrongAudience},
		{`"https://issuer.example"`, `""`, token.WrongAudience},
		{`"https://issuer.example"`, `[]`, token.WrongAudience},
		{`"https://issuer.example"`, `["other"]`, token.WrongAudience},
		{`"https://issuer.example"`, `["jetway",1]`, token.BadClaims},
		{`"https://issuer.example"`, `[["jetway"]]`, token.BadClaims},
		{`"https://issuer.example"`, `{"jetway":true}`, token.BadClaims},
		{`"https://issuer.example"`, `null`, token.BadClaims},
	} {
		expect(t, v, signed(fmt.Sprintf(`{"sub":"ann","exp":9000000000,"iss":%s,"aud":%s}`, tt.iss, tt.aud)), tt.want)
	}
	expect(t, v, signed(`{"sub":"ann","exp":9000000000,"iss":"https://issuer.example"}`), token.WrongAudience)
	expect(t, v, signed(`{"sub":"ann","exp":9000000000,"aud":"jetway"}`), token.WrongIssuer)
}

// TestA13Duplicates: a name that comes twice is read differently by whom it
// passes.
func TestA13Duplicates(t *testing.T) {
	v, _ := everything(t)
	for _, claims := range []string{
		`{"sub":"ann","sub":"root","exp":1893553745}`,
		`{"sub":"ann","\u0073ub":"root","exp":1893553745}`,
		`{"sub":"ann","exp":1893553745,"exp":1893553746}`,
		`{"sub":"ann","exp":1893553745,"jetway":{"pub":[],"pub":[">"]}}`,
		`{"sub":"ann","exp":1893553745,"x":[{"a":1,"a":1}]}`,
		`{"sub":"ann","exp":1893553745,"\ud800":1,"\ud801":2}`,
	} {
		expect(t, v, signed(claims), token.Malformed)
	}
	for _, header := range []string{`{"alg":"HS256","alg":"none"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","kid":"a","kid":"b"}`} {
		expect(t, v, forge(header, good, hs256(secret)), token.Malformed)
	}
	// Other names in the eyes of JSON, and ours: no claims of ours.
	expect(t, v, signed(`{"sub":"ann","SUB":"root","exp":1893553745}`), "")
}

// TestA13Shape: what is no token at all.
func TestA13Shape(t *testing.T) {
	v, _ := everything(t)
	checks := token.CountChecks(v)
	token64k := signed(`{"sub":"ann","exp":1893553745,"pad":"` + strings.Repeat("x", 48<<10) + `"}`)
	if len(token64k) < 64<<10 {
		t.Fatal("too short")
	}
	expect(t, v, token64k, token.TooBig)
	raw := signed(good)
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, _ := strings.Cut(rest, ".")
	for _, bad := range []string{
		"", ".", "..", "...", "a", "a.b", "a.b.c", head + "." + body, head + "." + body + ".", "." + body + "." + signature,
		raw + ".", "." + raw, raw + ".x.y",
		// Five parts: encrypted, with a key of its own, and with the secret itself.
		b64([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM"}`)) + "." + b64(make([]byte, 256)) + "." + b64(make([]byte, 12)) + "." + body + "." + b64(make([]byte, 16)),
		b64([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + ".." + b64(make([]byte, 12)) + "." + body + "." + b64(make([]byte, 16)),
		head + "." + body + "." + signature + ".", "Bearer " + raw, " " + raw, raw + "\n", raw + "=",
		head[:4] + "\r\n" + head[4:] + "." + body + "." + signature, // encoding/base64 skips line breaks
		head + "." + body + "." + signature[:len(signature)-1] + "\n" + signature[len(signature)-1:],
		head + "." + body + "." + strings.Repeat("+/", 22),
		head + "." + body + "." + signature + "==", raw + "\x00", "\xff\xfe", strings.Repeat(".", 16<<10), strings.Repeat("a", 16<<10),
		b64([]byte(`[]`)) + "." + body + "." + signature, b64([]byte(`null`)) + "." + body + "." + signature, b64([]byte(`{"alg":"HS256"} x`)) + "." + body + "." + signature,
		b64([]byte("\xef\xbb\xbf"+`{"alg":"HS256"}`)) + "." + body + "." + signature, b64([]byte(`{"alg":"HS256","x":"`+"\xff"+`"}`)) + "." + body + "." + signature,
		b64([]byte(`{"alg":"HS256","x":`+strings.Repeat("[", 4000)+strings.Repeat("]", 4000)+`}`)) + "." + body + "." + signature,
	} {
		expect(t, v, bad, token.Malformed)
	}
	if n := checks.Load(); n != 0 {
		t.Errorf("%d signatures were checked", n)
	}
	// The last character has bits that no byte is made of: another spelling of
	// the same signature.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", signature[len(signature)-1])
	expect(t, v, raw[:len(raw)-1]+string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last+1]), token.Malformed)
	for _, claims := range []string{``, `[]`, `null`, `"x"`, `{`, good + good, good + "x", strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)} {
		if claims == "" {
			continue // an empty part is refused above
		}
		expect(t, v, signed(claims), token.Malformed)
	}
}

// TestA13User: names that nobody may have.
func TestA13User(t *testing.T) {
	v, _ := everything(t)
	for sub, want := range map[string]token.Reason{
		`"ann"`: "", `"größe"`: "", `"a.b"`: "", `"*"`: "", `" "`: "", `"` + strings.Repeat("u", 256) + `"`: "", // templates refuse what they must
		`""`: token.BadClaims, `"` + strings.Repeat("u", 257) + `"`: token.BadClaims, `"a\nb"`: token.BadClaims, `"\u0000"`: token.BadClaims,
		`"\u007f"`: token.BadClaims, `"\u0085"`: token.BadClaims, `"\u001b[31m"`: token.BadClaims, `"\ud800"`: token.BadClaims,
		`1`: token.BadClaims, `null`: token.BadClaims, `["ann"]`: token.BadClaims, `{}`: token.BadClaims,
	} {
		expect(t, v, signed(`{"exp":1893553745,"sub":`+sub+`}`), want)
	}
	expect(t, v, signed(`{"exp":1893553745}`), token.BadClaims)
}

// TestA13ConstantWork: whatever is sent, one signature is checked at most.
func TestA13ConstantWork(t *testing.T) {
	s := &issuer{}
	var keys []map[string]any
	for i := range 100 {
		keys = append(keys, jwkOf(fmt.Sprint(i), otherRSA))
	}
	s.serve(keySet(append(keys[:50:50], jwkOf("same", rsaKey))...))
	for name, v := range map[string]*token.Verifier{
		"set":   newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s}),
		"files": newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey, otherRSA)}),
	} {
		checks := token.CountChecks(v)
		for _, kid := range []string{"", "0", "same", "x"} {
			before := checks.Load()
			_, _ = v.Verify(context.Background(), forge(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, kid), good, bytesOf(make([]byte, 256))))
			_, _ = v.Verify(context.Background(), forge(`{"alg":"RS256"}`, good, bytesOf(make([]byte, 256))))
			if n := checks.Load() - before; n > 2 {
				t.Errorf("%s: %d checks for two tokens", name, n)
			}
		}
	}
}

// TestA13NoSecretsLogged: neither the token nor any key is in the log.
func TestA13NoSecretsLogged(t *testing.T) {
	log := new(logBuffer)
	s := &issuer{status: 500}
	v := newVerifier(t, token.Options{Secret: secret, JWKSURL: "https://user:pa55word@issuer.example/keys", Transport: s, Logger: log.logger()})
	raws := []string{signed(good), rsaToken(rsaKey, "k1"), rsaToken(otherRSA, "k2")}
	for _, raw := range raws {
		_, _ = v.Verify(context.Background(), raw)
	}
	for _, part := range strings.Split(strings.Join(raws, "."), ".") {
		if strings.Contains(log.String(), part) {
			t.Errorf("the log has %q:\n%s", part, log)
		}
	}
	if text := log.String(); !strings.Contains(text, "500") || strings.Contains(text, "pa55word") || strings.Contains(text, string(secret)) {
		t.Error(text)
	}
}

// TestA14Flood: 10,000 tokens with invented keys cost one fetch.
func TestA14Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{body: keySet(jwkOf("set", rsaKey)), delay: time.Second}
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now})
		flood := func() {
			var all sync.WaitGroup
			for i := range 10_000 {
				all.Go(func() {
					raw := forge(fmt.Sprintf(`{"alg":"RS256","kid":"%d-%d"}`, s.count(), i), good, bytesOf(make([]byte, 256)))
					expect(t, v, raw, token.UnknownKey)
				})
			}
			all.Wait()
		}
		for i := range 3 {
			flood() // at once: they share a fetch
			flood() // in the cool-down: none
			if n := s.count(); n != i+1 {
				t.Fatalf("%d fetches after %d cool-downs", n, i)
			}
			time.Sleep(time.Minute)
		}
		expect(t, v, rsaToken(rsaKey, "set"), "")
	})
}

// TestA14Rotation: a new key is found, the old one is good until it is gone.
func TestA14Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{body: keySet(jwkOf("old", rsaKey))}
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now})
		older, newer := rsaToken(rsaKey, "old"), rsaToken(otherRSA, "new")
		expect(t, v, older, "")

		s.serve(keySet(jwkOf("old", rsaKey), jwkOf("new", otherRSA)))
		err := expect(t, v, newer, token.UnknownKey) // cooling down
		var wire *bridge.Error
		if !errors.As(err, &wire) || wire.Retry != time.Minute {
			t.Errorf("try again after %v", wire.Retry)
		}
		time.Sleep(time.Minute)
		expect(t, v, newer, "")
		expect(t, v, older, "")

		// The issuer withdraws the old key: nothing but age makes us look.
		s.serve(keySet(jwkOf("new", otherRSA)))
		time.Sleep(15 * time.Minute)
		expect(t, v, older, "") // does not wait for the fetch that it starts
		synctest.Wait()
		expect(t, v, older, token.UnknownKey)
		expect(t, v, newer, "")
		if n := s.count(); n != 3 {
			t.Errorf("%d fetches", n)
		}

		// Another key under the same name: the bad signature makes us look.
		s.serve(keySet(jwkOf("new", rsaKey)))
		time.Sleep(time.Minute)
		expect(t, v, rsaToken(rsaKey, "new"), token.BadSignature)
		synctest.Wait()
		expect(t, v, rsaToken(rsaKey, "new"), "")
	})
}

// TestA14Broken: what an issuer in trouble answers leaves the keys as they
// are, for a day.
func TestA14Broken(t *testing.T) {
	set := keySet(jwkOf("set", rsaKey))
	for name, breakIt := range map[string]func(s *issuer){
		"500":       func(s *issuer) { s.status = 500 },
		"204":       func(s *issuer) { s.status = 204 },
		"redirect":  func(s *issuer) { s.status = 302 },
		"5 MB":      func(s *issuer) { s.body = `{"keys":[],"pad":"` + strings.Repeat("x", 5<<20) + `"}` },
		"1 MiB + 1": func(s *issuer) { s.body = set + strings.Repeat(" ", 1<<20+1-len(set)) },
		"slow":      func(s *issuer) { s.delay = time.Hour },
		"empty":     func(s *issuer) { s.body = "" },
		"html":      func(s *issuer) { s.body = "<html>" },
		"cut off":   func(s *issuer) { s.body = set[:len(set)-3] },
		"no keys":   func(s *issuer) { s.body = `{"keys":[]}` },
		"no list":   func(s *issuer) { s.body = `{"keys":{}}` },
		"no member": func(s *issuer) { s.body = `{}` },
		"twice":     func(s *issuer) { s.body = `{"keys":[],` + set[1:] },
		"only bad":  func(s *issuer) { s.body = `{"keys":[{"kty":"oct","k":"AAAA"}]}` },
		"deep": func(s *issuer) {
			s.body = `{"keys":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &issuer{body: set}
				log := new(logBuffer)
				v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now, Logger: log.logger()})
				mine, foreign := rsaToken(rsaKey, "set"), rsaToken(otherRSA, "x")
				expect(t, v, mine, "")
				time.Sleep(time.Minute)
				s.mu.Lock()
				breakIt(s)
				s.mu.Unlock()
				began := time.Now()
				expect(t, v, foreign, token.KeysUnavailable) // it may be good: nobody knows
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				for range 100 {
					expect(t, v, foreign, token.KeysUnavailable)
				}
				if n := s.count(); n != 2 {
					t.Errorf("%d fetches: a failed one cools down, too", n)
				}
				time.Sleep(23 * time.Hour)
				expect(t, v, mine, "")
				time.Sleep(time.Hour)
				expect(t, v, mine, token.KeysUnavailable)
				if !strings.Contains(log.String(), "cannot be had") {
					t.Error("not logged")
				}
			})
		})
	}
}

// TestA14Redirect: an issuer that sends us to the metadata of the machine.
func TestA14Redirect(t *testing.T) {
	var inner int
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, server.URL+"/latest/meta-data", http.StatusFound)
	})
	mux.HandleFunc("/latest/meta-data", func(w http.ResponseWriter, _ *http.Request) {
		inner++
		fmt.Fprint(w, keySet(jwkOf("set", rsaKey)))
	})
	v := newVerifier(t, token.Options{JWKSURL: server.URL + "/keys"})
	expect(t, v, rsaToken(rsaKey, "set"), token.KeysUnavailable)
	if inner != 0 {
		t.Error("the redirect was followed")
	}
}

// TestA14Impatient: a client that leaves does not take the fetch with it.
func TestA14Impatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{body: keySet(jwkOf("set", rsaKey)), delay: 2 * time.Second}
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now})
		raw := rsaToken(rsaKey, "set")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := v.Verify(ctx, raw); token.ReasonOf(err) != token.KeysUnavailable {
			t.Error(err)
		}
		time.Sleep(time.Second)
		expect(t, v, raw, "")
		if n := s.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestA14Close: closing ends a fetch and those who wait for it.
func TestA14Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{body: keySet(jwkOf("set", rsaKey)), delay: 4 * time.Second}
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now})
		began := time.Now()
		go expect(t, v, rsaToken(rsaKey, "set"), token.KeysUnavailable)
		synctest.Wait()
		v.Close()
		synctest.Wait()
		if time.Since(began) != 0 {
			t.Error("waited")
		}
		time.Sleep(time.Hour)
		expect(t, v, rsaToken(rsaKey, "set"), token.KeysUnavailable)
		if n := s.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestA15 has a key that must be ignored in a set with a good one.
func TestA15(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	number := func(bits int) string {
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits))))
		n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
		return b64(n.Bytes())
	}
	even := new(big.Int).Sub(rsaKey.N, big.NewInt(1))
	point := func(j map[string]any) map[string]any { return with(j, "y", j["x"]) }
	for name, bad := range map[string]map[string]any{
		"RSA of 1024 bits":      jwkOf("bad", small),
		"RSA of 2047 bits":      with(jwkOf("bad", rsaKey), "n", number(2047)),
		"RSA of 8193 bits":      with(jwkOf("bad", rsaKey), "n", number(8193)),
		"RSA of 16,384 bits":    with(jwkOf("bad", rsaKey), "n", number(16384)),
		"e = 0":                 with(jwkOf("bad", rsaKey), "e", "AA"),
		"e = 1":                 with(jwkOf("bad", rsaKey), "e", "AQ"),
		"e = 2":                 with(jwkOf("bad", rsaKey), "e", "Ag"),
		"e is even":             with(jwkOf("bad", rsaKey), "e", "AQAC"),
		"e has 64 bits":         with(jwkOf("bad", rsaKey), "e", "AQAAAAAAAAE"),
		"e has 32 bits":         with(jwkOf("bad", rsaKey), "e", "_____w"),
		"no e":                  with(jwkOf("bad", rsaKey), "e", nil),
		"n is even":             with(jwkOf("bad", rsaKey), "n", b64(even.Bytes())),
		"n is no text":          with(jwkOf("bad", rsaKey), "n", 7),
		"a private key":         with(jwkOf("bad", rsaKey), "d", b64(rsaKey.D.Bytes())),
		"a secret":              {"kid": "bad", "kty": "oct", "k": b64(secret), "alg": "HS256"},
		"P-224":                 with(jwkOf("bad", p256), "crv", "P-224"),
		"secp256k1":             with(jwkOf("bad", p256), "crv", "secp256k1"),
		"the wrong curve":       with(jwkOf("bad", p256), "crv", "P-384"),
		"not on the curve":      point(jwkOf("bad", p256)),
		"the point at infinity": with(with(jwkOf("bad", p256), "x", b64(make([]byte, 32))), "y", b64(make([]byte, 32))),
		"x is short":            with(jwkOf("bad", p256), "x", "AA"),
		"Ed448":                 with(jwkOf("bad", edKey), "crv", "Ed448"),
		"X25519":                with(jwkOf("bad", edKey), "crv", "X25519"),
		"Ed25519 of 31 bytes":   with(jwkOf("bad", edKey), "x", b64(make([]byte, 31))),
		"Ed25519 of order 1":    with(jwkOf("bad", edKey), "x", b64(append([]byte{1}, make([]byte, 31)...))),
		"no kty":                with(jwkOf("bad", rsaKey), "kty", nil),
		"no object":             nil,
		"alg of another key":    with(jwkOf("bad", rsaKey), "alg", "ES256"),
		"alg none":              with(jwkOf("bad", rsaKey), "alg", "none"),
		"alg HS256":             with(jwkOf("bad", rsaKey), "alg", "HS256"),
		"kid is a number":       with(jwkOf("bad", rsaKey), "kid", 1),
		"kid is long":           with(jwkOf("bad", rsaKey), "kid", strings.Repeat("k", 257)),
		"a second good":         jwkOf("good", otherRSA),
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logBuffer)
			s := &issuer{body: keySet(jwkOf("good", rsaKey), bad)}
			v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Logger: log.logger()})
			expect(t, v, rsaToken(rsaKey, "good"), "")
			for _, alg := range []string{"RS256", "ES256", "ES384", "EdDSA"} {
				expect(t, v, forge(fmt.Sprintf(`{"alg":%q,"kid":"bad"}`, alg), good, bytesOf(make([]byte, 64))), token.UnknownKey)
			}
			if strings.Count(log.String(), "is ignored") != 1 || !strings.Contains(log.String(), "index=1") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// TestA15Exponent: with e = 1 anybody can make signatures, were the key taken.
func TestA15Exponent(t *testing.T) {
	s := &issuer{body: keySet(with(jwkOf("bad", rsaKey), "e", "AQ"), jwkOf("good", otherRSA))}
	v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s})
	forged := forge(`{"alg":"RS256","kid":"bad"}`, good, func(text []byte) []byte {
		sum := sha256.Sum256(text)
		// The padded text is its own signature: PKCS #1, version 1.5.
		prefix := must(hex.DecodeString("3031300d060960864801650304020105000420"))
		out := bytes.Repeat([]byte{0xff}, 256)
		out[0], out[1], out[255-len(prefix)-32] = 0, 1, 0
		copy(out[256-len(prefix)-32:], prefix)
		copy(out[256-32:], sum[:])
		return out
	})
	expect(t, v, forged, token.UnknownKey)
}

// TestA15SmallOrder: each of these keys has signatures that anybody can make.
func TestA15SmallOrder(t *testing.T) {
	for _, point := range token.SmallOrders {
		key := must(hex.DecodeString(point))
		j := with(jwkOf("bad", edKey), "x", b64(key))
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: &issuer{body: keySet(j, jwkOf("good", rsaKey))}})
		neutral := append([]byte{1}, make([]byte, 63)...) // R is the neutral point, S is 0
		forged := 0
		for i := range 100 {
			raw := forge(fmt.Sprintf(`{"alg":"EdDSA","kid":"bad","n":%d}`, i), good, bytesOf(neutral))
			expect(t, v, raw, token.UnknownKey)
			if ed25519.Verify(key, []byte(raw[:strings.LastIndexByte(raw, '.')]), neutral) {
				forged++
			}
		}
		if forged == 0 {
			t.Errorf("%s: no text could be signed: it is a key like others", point)
		}
	}
}

// TestA15File: an operator's own weak key is an error, not a surprise.
func TestA15File(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, file := range map[string][]byte{"RSA of 1024 bits": publicPEM(small), "P-224": publicPEM(p224), "a good one and a bad one": publicPEM(rsaKey, small)} {
		if _, err := token.New(token.Options{PublicKey: file}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
