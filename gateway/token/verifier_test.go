package token_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

func ExampleVerifier() {
	secret := []byte("at least 32 random bytes, in truth")
	v, err := token.New(token.Options{Secret: secret, Audience: "jetway"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()

	raw, _ := token.Sign(token.SignOptions{Secret: secret, User: "ann", Roles: []string{"user"}, Audience: "jetway", Expires: time.Now().Add(time.Hour)})
	id, err := v.Verify(context.Background(), raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	roles := map[string]bridge.Permissions{"user": {Sub: []string{"events.users.{user}.>"}}}
	fmt.Println(id.User, id.Permissions(roles, nil).Sub)

	raw, _ = token.Sign(token.SignOptions{Secret: secret, User: "ann", Audience: "another", Expires: time.Now().Add(time.Hour)})
	_, err = v.Verify(context.Background(), raw)
	var wire *bridge.Error
	fmt.Println(token.ReasonOf(err), errors.As(err, &wire), wire)
	// Output:
	// ann [events.users.ann.>]
	// wrong_audience true unauthenticated: the token is for another audience
}

func TestNew(t *testing.T) {
	rsaPublic := x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)
	for name, tt := range map[string]struct {
		opts token.Options
		ok   bool
	}{
		"nothing":          {token.Options{}, false},
		"only an issuer":   {token.Options{Issuer: "x"}, false},
		"short secret":     {token.Options{Secret: secret[:31]}, false},
		"secret":           {token.Options{Secret: secret}, true},
		"keys":             {token.Options{PublicKey: publicPEM(rsaKey, otherRSA, p256, edKey)}, true},
		"PKCS #1":          {token.Options{PublicKey: block("RSA PUBLIC KEY", rsaPublic)}, true},
		"no PEM":           {token.Options{PublicKey: []byte("ssh-rsa AAAA")}, false},
		"no DER":           {token.Options{PublicKey: block("PUBLIC KEY", []byte("x"))}, false},
		"private key":      {token.Options{PublicKey: privatePEM(rsaKey)}, false},
		"certificate":      {token.Options{PublicKey: block("CERTIFICATE", []byte("x"))}, false},
		"something":        {token.Options{PublicKey: block("SOMETHING", []byte("x"))}, false},
		"twice":            {token.Options{PublicKey: publicPEM(rsaKey, rsaKey)}, false},
		"second is cut":    {token.Options{PublicKey: append(publicPEM(rsaKey), publicPEM(p256)[:60]...)}, false},
		"key set":          {token.Options{JWKSURL: "https://issuer.example/keys"}, true},
		"key set by http":  {token.Options{JWKSURL: "http://127.0.0.1:9/keys"}, true},
		"key set in file":  {token.Options{JWKSURL: "file:///etc/passwd"}, false},
		"key set gopher":   {token.Options{JWKSURL: "gopher://issuer.example/"}, false},
		"key set relative": {token.Options{JWKSURL: "/keys"}, false},
		"key set no host":  {token.Options{JWKSURL: "https:///keys"}, false},
		"key set bad":      {token.Options{JWKSURL: "https://user:pa55word@%zz"}, false},
	} {
		v, err := token.New(tt.opts)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "pa55word") {
			t.Error(err)
		}
		if v != nil {
			v.Close()
		}
	}
}

func TestPlainHTTPWarns(t *testing.T) {
	for url, warned := range map[string]bool{"http://issuer.example/": true, "https://issuer.example/": false, "http://localhost:80/": false, "http://[::1]/": false} {
		log := new(logBuffer)
		newVerifier(t, token.Options{JWKSURL: url, Logger: log.logger()})
		if strings.Contains(log.String(), "use https") != warned {
			t.Errorf("%s: %s", url, log)
		}
	}
}

// TestSecretLengths: an HMAC needs as many bytes as its hash has.
func TestSecretLengths(t *testing.T) {
	for n, algs := range map[int]string{32: "HS256", 47: "HS256", 48: "HS256 HS384", 63: "HS256 HS384", 64: "HS256 HS384 HS512"} {
		v := newVerifier(t, token.Options{Secret: slices.Repeat([]byte{7}, n)})
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			want := token.BadAlgorithm
			if strings.Contains(algs, alg) {
				want = token.BadSignature
			}
			expect(t, v, forge(fmt.Sprintf(`{"alg":%q}`, alg), good, bytesOf([]byte{1})), want)
		}
	}
}

// TestKeyChoice: which key a token is verified with, where there are several.
func TestKeyChoice(t *testing.T) {
	several := newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey, otherRSA, p256)})
	ids := token.Thumbprints(several)
	one := newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey, p256)})
	expect(t, one, rsaToken(rsaKey, ""), "")
	expect(t, one, rsaToken(rsaKey, "whatever"), "") // there is no other
	expect(t, one, rsaToken(otherRSA, ""), token.BadSignature)
	expect(t, several, rsaToken(rsaKey, ""), token.UnknownKey)
	expect(t, several, rsaToken(rsaKey, "whatever"), token.UnknownKey)
	expect(t, several, rsaToken(rsaKey, ids[0]), "")
	expect(t, several, rsaToken(otherRSA, ids[1]), "")
	expect(t, several, rsaToken(otherRSA, ids[0]), token.BadSignature)
	expect(t, several, rsaToken(otherRSA, ids[2]), token.UnknownKey) // of another kind

	set := &issuer{body: keySet(jwkOf("set", otherRSA), jwkOf("ec", p256))}
	both := newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey), JWKSURL: issuerURL, Transport: set})
	expect(t, both, rsaToken(rsaKey, ids[0]), "")
	if set.count() != 0 {
		t.Error("fetched for a key that was there")
	}
	expect(t, both, rsaToken(otherRSA, "set"), "")
	expect(t, both, rsaToken(rsaKey, "set"), token.BadSignature)
	expect(t, both, rsaToken(rsaKey, ""), token.UnknownKey)
	expect(t, both, forge(`{"alg":"ES256"}`, good, es256(p256)), "") // the only one

	alone := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: &issuer{body: keySet(jwkOf("", rsaKey))}})
	expect(t, alone, rsaToken(rsaKey, ""), "")
	expect(t, alone, rsaToken(rsaKey, "x"), token.UnknownKey)
	crowd := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: &issuer{body: keySet(jwkOf("a", rsaKey), jwkOf("b", otherRSA))}})
	expect(t, crowd, rsaToken(rsaKey, "a"), "")
	expect(t, crowd, rsaToken(rsaKey, ""), token.UnknownKey)
}

// TestKeySetMembers: what else a key of a set may say.
func TestKeySetMembers(t *testing.T) {
	log := new(logBuffer)
	var many []map[string]any
	for i := range 120 {
		many = append(many, jwkOf(fmt.Sprint("n", i), p256))
	}
	for name, tt := range map[string]struct {
		set  string
		want token.Reason
	}{
		"plain":       {keySet(jwkOf("k", rsaKey)), ""},
		"no use":      {`{"keys":[` + strings.Replace(keySet(jwkOf("k", rsaKey)), `,"use":"sig"`, "", 1)[9:], ""},
		"alg of it":   {keySet(with(jwkOf("k", rsaKey), "alg", "RS256")), ""},
		"another alg": {keySet(with(jwkOf("k", rsaKey), "alg", "PS256")), token.UnknownKey},
		"use enc":     {keySet(with(jwkOf("k", rsaKey), "use", "enc"), jwkOf("other", p256)), token.UnknownKey},
		"key_ops":     {keySet(with(jwkOf("k", rsaKey), "key_ops", []string{"sign", "verify"})), ""},
		"other ops":   {keySet(with(jwkOf("k", rsaKey), "key_ops", []string{"encrypt"}), jwkOf("other", p256)), token.UnknownKey},
		"many":        {keySet(append(many[:99:99], jwkOf("k", rsaKey))...), ""},
		"too many":    {keySet(append(many[:100:100], jwkOf("k", rsaKey))...), token.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: &issuer{body: tt.set}, Logger: log.logger()})
			expect(t, v, rsaToken(rsaKey, "k"), tt.want)
		})
	}
	if n := strings.Count(log.String(), "is ignored"); n != 1 { // those after the 100th, in one line
		t.Errorf("%d lines:\n%s", n, log)
	}
}

// TestEdDSANames: RFC 9864 gives EdDSA with this curve another name.
func TestEdDSANames(t *testing.T) {
	raw := must(token.Sign(token.SignOptions{PrivateKey: privatePEM(edKey), User: "ann", Issued: now, Expires: now.Add(time.Minute), KeyID: "ed"}))
	for _, alg := range []any{nil, "EdDSA", "Ed25519"} {
		set := &issuer{body: keySet(with(jwkOf("ed", edKey), "alg", alg))}
		expect(t, newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: set}), raw, "")
	}
}

func TestIdentity(t *testing.T) {
	v := newVerifier(t, token.Options{Secret: secret})
	id, err := v.Verify(context.Background(), signed(`{"sub":"ann","exp":1893553745.25,"roles":["user","a.b",""],"tenant":"acme","n":-17,"big":18446744073709551615,
		"ok":true,"no":false,"float":1.5,"exponent":1e3,"minus":-0,"null":null,"list":["x"],"object":{"a":1},"empty":"","user":"root",
		"long":"`+strings.Repeat("x", 65)+`","`+strings.Repeat("n", 65)+`":"x","jetway":{"sub":["events.{tenant}.>"],"work":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &token.Identity{
		User: "ann", Roles: []string{"user", "a.b", ""}, Grants: bridge.Permissions{Sub: []string{"events.{tenant}.>"}},
		Expires: time.Unix(1893553745, 250e6).UTC(),
		Claims:  map[string]string{"sub": "ann", "tenant": "acme", "n": "-17", "big": "18446744073709551615", "ok": "true", "no": "false", "user": "root"},
	}
	if !reflect.DeepEqual(id, want) {
		t.Errorf("%+v", id)
	}
	if user, ok := id.Value("user"); user != "ann" || !ok {
		t.Errorf("{user} is %q: a claim has taken its place", user)
	}
	roles := map[string]bridge.Permissions{"user": {Pub: []string{"a.{user}", "b.{float}"}, Sub: []string{"c"}}, "admin": {Pub: []string{">"}}}
	var skipped []string
	got := id.Permissions(roles, func(template string, _ error) { skipped = append(skipped, template) })
	if want := (bridge.Permissions{Pub: []string{"a.ann"}, Sub: []string{"c", "events.acme.>"}}); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(skipped, []string{"b.{float}"}) {
		t.Errorf("%+v, without %q", got, skipped)
	}
}

// When a token was issued is for revocations: to the second, however it is
// written.
func TestIssued(t *testing.T) {
	v := newVerifier(t, token.Options{Secret: secret})
	second := time.Unix(1893553440, 0)
	for iat, want := range map[string]time.Time{
		`,"iat":1893553440`: second, `,"iat":1893553440.0`: second, `,"iat":1893553440.999`: second, `,"iat":1.89355344e9`: second,
		`,"iat":1893553439.999`: second.Add(-time.Second), `,"iat":0`: time.Unix(0, 0), ``: {},
	} {
		id, err := v.Verify(context.Background(), signed(`{"sub":"ann","exp":1893553745`+iat+`}`))
		if err != nil || !id.Issued.Equal(want) {
			t.Errorf("%s: %v, %v", iat, id, err)
		}
	}
}

func TestGrants(t *testing.T) {
	v := newVerifier(t, token.Options{Secret: secret})
	hundred := `["a"` + strings.Repeat(`,"a"`, 99) + `]`
	for claim, want := range map[string]token.Reason{
		`"jetway":{}`: "", `"jetway":{"pub":["a.*.>"],"sub":[],"work":["q"],"req":["svc.{user}"]}`: "", `"jetway":{"pub":` + hundred + `}`: "",
		`"jetway":{"pub":[">"]}`: "", `"roles":[]`: "",
		`"jetway":{"pub":["a",` + hundred[1:] + `}`: token.BadClaims,
		`"jetway":[]`: token.BadClaims, `"jetway":"x"`: token.BadClaims, `"jetway":{"publish":[]}`: token.BadClaims, `"jetway":{"pub":"a"}`: token.BadClaims,
		`"jetway":{"pub":[1]}`: token.BadClaims, `"jetway":{"pub":null}`: token.BadClaims, `"jetway":{"pub":["a..b"]}`: token.BadClaims,
		`"jetway":{"pub":["a b"]}`: token.BadClaims, `"jetway":{"pub":[""]}`: token.BadClaims, `"jetway":{"pub":["a.x{user}"]}`: token.BadClaims,
		`"jetway":{"pub":["$SYS.>"]}`: token.BadClaims, `"jetway":{"sub":["_INBOX.>"]}`: token.BadClaims, `"jetway":{"req":["jetway.ctl.>"]}`: token.BadClaims,
		`"roles":"user"`: token.BadClaims, `"roles":[1]`: token.BadClaims, `"roles":{}`: token.BadClaims, `"roles":null`: token.BadClaims,
	} {
		expect(t, v, signed(`{"sub":"ann","exp":1893553745,`+claim+`}`), want)
	}
}

// TestErrors: the contract of errors, bare and wrapped.
func TestErrors(t *testing.T) {
	v := newVerifier(t, token.Options{Secret: secret})
	_, err := v.Verify(context.Background(), signed(`{"sub":"ann","exp":1}`))
	for _, err := range []error{err, fmt.Errorf("wrapped: %w", err)} {
		if !errors.Is(err, &token.Error{Reason: token.Expired}) || errors.Is(err, &token.Error{Reason: token.Malformed}) {
			t.Errorf("%v is not expired", err)
		}
		if !errors.Is(err, &bridge.Error{Code: bridge.CodeUnauthenticated}) || bridge.ErrorOf(err).Code != bridge.CodeUnauthenticated {
			t.Errorf("%v is not for the wire", err)
		}
		if token.ReasonOf(err) != token.Expired {
			t.Error(token.ReasonOf(err))
		}
	}
	if token.ReasonOf(nil) != "" || token.ReasonOf(errors.New("x")) != "" {
		t.Error("a reason from nowhere")
	}
	if r := token.Reasons(); len(r) != 12 || slices.Contains(r, "") {
		t.Error(r)
	}
}

func (s *issuer) fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// TestFailedFetchIsRetried: the issuer was not up yet.
func TestFailedFetchIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{status: 503, body: keySet(jwkOf("k", rsaKey))}
		v := newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s, Clock: time.Now, JWKSCoolDown: 10 * time.Second})
		err := expect(t, v, rsaToken(rsaKey, "k"), token.KeysUnavailable)
		if retry := bridge.ErrorOf(err).Retry; retry != 10*time.Second {
			t.Errorf("try again after %v", retry)
		}
		s.fail(0)
		time.Sleep(9 * time.Second)
		expect(t, v, rsaToken(rsaKey, "k"), token.KeysUnavailable)
		time.Sleep(time.Second)
		expect(t, v, rsaToken(rsaKey, "k"), "")
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	s := &issuer{body: keySet(jwkOf("k", rsaKey))}
	v := newVerifier(t, token.Options{Secret: secret, JWKSURL: issuerURL, Transport: s, JWKSCoolDown: 1, JWKSRefresh: 1, Clock: time.Now})
	raws := []string{rsaToken(rsaKey, "k"), rsaToken(rsaKey, "x"), signed(good), "x"}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 200 {
				_, _ = v.Verify(context.Background(), raws[i%len(raws)])
			}
		})
	}
	all.Wait()
}

// FuzzVerify: no input panics, and what is accepted was signed by the secret,
// byte for byte, has an end that is not reached, and one reading of its user.
func FuzzVerify(f *testing.F) {
	v, _ := everything(f)
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"RS256","kid":"set"}`, `{"alg":"ES256"}`, `{"alg":"EdDSA","typ":"JWT"}`, `{"alg":"HS256","crit":[]}`} {
		for _, claims := range []string{good, `{"sub":"a","sub":"b","exp":1}`, `{"sub":"ann","exp":1e10,"jetway":{"pub":[">"]},"roles":["x"],"aud":["a"]}`, `{`, `{"exp":"1"}`} {
			f.Add(header, claims, []byte("signature"), "")
		}
	}
	f.Add("", "", []byte{}, signed(good))
	f.Add("", "", []byte{}, "a.b.c")
	f.Fuzz(func(t *testing.T, header, claims string, signature []byte, raw string) {
		for _, raw := range []string{raw, forge(header, claims, bytesOf(signature)), forge(header, claims, hs256(secret))} {
			id, err := v.Verify(context.Background(), raw)
			if err != nil {
				if id != nil || token.ReasonOf(err) == "" || bridge.ErrorOf(err).Code == bridge.CodeInternal {
					t.Fatalf("%q: %v, %v", raw, id, err)
				}
				continue
			}
			dot := strings.LastIndexByte(raw, '.')
			if raw[dot+1:] != b64(hs256(secret)([]byte(raw[:dot]))) {
				t.Fatalf("%q is accepted and was not signed", raw)
			}
			if id.User == "" || len(id.User) > 256 || !id.Expires.After(now) || len(raw) > token.MaxBytes {
				t.Fatalf("%q: %+v", raw, id)
			}
			for _, filter := range slices.Concat(id.Permissions(nil, nil).Pub, id.Permissions(nil, nil).Sub) {
				if bridge.ValidFilter(filter) != nil {
					t.Fatalf("%q: %q is no filter", raw, filter)
				}
			}
		}
	})
}

// BenchmarkVerify is what a connection costs, and a token that is not good.
func BenchmarkVerify(b *testing.B) {
	v, _ := everything(b)
	raws := map[string]string{
		"HS256": signed(good), "RS256_2048": rsaToken(rsaKey, "set"), "ES256": forge(`{"alg":"ES256","kid":"`+token.Thumbprints(v)[0]+`"}`, good, es256(p256)),
		"unknown_key": rsaToken(rsaKey, "x"), "malformed_16KiB": strings.Repeat("a", token.MaxBytes),
	}
	for name, raw := range raws {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(context.Background(), raw)
			}
		})
	}
}

// TestThumbprint: thumbprints are those of RFC 7638 section 3: the example of RFC 8037
// appendix A.3, and the forms of the others.
func TestThumbprint(t *testing.T) {
	j := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	raw := must(x509.ParsePKIXPublicKey(append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, unb64(j["x"].(string))...)))
	v := newVerifier(t, token.Options{PublicKey: block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(raw)))})
	if got := token.Thumbprints(v); got[0] != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Error(got)
	}
	rsaForm := fmt.Sprintf(`{"e":"AQAB","kty":"RSA","n":"%s"}`, b64(rsaKey.N.Bytes()))
	ecForm := fmt.Sprintf(`{"crv":"P-521","kty":"EC","x":"%s","y":"%s"}`, jwkOf("", p521)["x"], jwkOf("", p521)["y"])
	v = newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey, p521)})
	for i, form := range []string{rsaForm, ecForm} {
		sum := sha256.Sum256([]byte(form))
		if got := token.Thumbprints(v)[i]; got != b64(sum[:]) {
			t.Errorf("%s: %s", form, got)
		}
	}
}

func unb64(s string) []byte { return must(base64.RawURLEncoding.DecodeString(s)) }
