package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/token"
)

// forge makes a token of any header and claims, signed with the secret.
func forge(header, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return text + "." + b64(h.Sum(nil))
}

// A13: whatever is wrong with a token, it is 401 in a handshake, and an error
// for who is connected, that says so and repeats nothing of it. What is wrong is
// counted. The shapes themselves are those of package token.
func TestA13(t *testing.T) {
	policy := guarded(t)
	v, err := token.New(token.Options{Secret: secret, Issuer: "https://issuer.example", Audience: "jetway"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	policy.Verifier, policy.Anonymous = v, everything
	o := stockOptions(policy)
	o.AdminListen = "127.0.0.1:0"
	s, _ := serve(t, o)
	const hs256 = `{"alg":"HS256"}`
	claims := func(more string) string {
		return fmt.Sprintf(`{"sub":"ann","iss":"https://issuer.example","aud":"jetway"%s}`, more)
	}
	exp := fmt.Sprintf(`,"exp":%d`, time.Now().Add(time.Hour).Unix())
	good := claims(exp)
	anonymous, _ := dialRaw(t, url(s), nil)
	readText(t, anonymous) // hi
	if _, r := dialRaw(t, url(s), field("Authorization", "Bearer "+forge(hs256, good))); r.StatusCode != 101 {
		t.Fatalf("a good one: %d", r.StatusCode)
	}
	for reason, raws := range map[token.Reason][]string{
		token.BadAlgorithm: {forge(`{"alg":"none"}`, good), forge(`{"alg":"None"}`, good), forge(`{"alg":"nOnE"}`, good), forge(`{"alg":"RS256"}`, good), forge(`{"alg":"ES256"}`, good), forge(`{"alg":"HS384"}`, good)},
		token.BadSignature: {unsigned(forge(hs256, good)), unsigned(forge(`{"alg":"HS256","kid":"../../dev/null"}`, good)), unsigned(forge(`{"alg":"HS256","kid":"' OR 1=1 --"}`, good))},
		token.BadHeader: {forge(`{"alg":"HS256","crit":["exp"]}`, good), forge(`{"alg":"HS256","kid":"`+strings.Repeat("k", 7_000)+`"}`, good),
			forge(`{"alg":"HS256","typ":"logout+jwt"}`, good)},
		token.BadClaims: {forge(hs256, claims("")), forge(hs256, claims(`,"exp":"9000000000"`)), forge(hs256, claims(`,"exp":1e400`)), forge(hs256, claims(`,"exp":-1`)),
			forge(hs256, strings.Replace(good, `"ann"`, `""`, 1)), forge(hs256, strings.Replace(good, `"ann"`, `["ann"]`, 1)), forge(hs256, strings.Replace(good, `"ann"`, `"anonymous"`, 1))},
		token.Expired:       {forge(hs256, claims(`,"exp":1`))},
		token.NotYetValid:   {forge(hs256, claims(exp+`,"nbf":9000000000`))},
		token.WrongIssuer:   {forge(hs256, strings.Replace(good, "issuer", "evil", 1))},
		token.WrongAudience: {forge(hs256, strings.Replace(good, `"jetway"`, `["other"]`, 1))},
		token.Malformed: {forge(hs256, `{"sub":"root",`+good[1:]), forge(`{"alg":"none",`+hs256[1:], good), forge(`{"alg":"dir","enc":"A256GCM"}`, good) + ".AA.AA",
			"a.b.c.d.e", "x"},
	} {
		counter := `jetway_auth_refused_total{reason="` + string(reason) + `"}`
		for i, raw := range raws {
			status, body := bearer(t, s, raw)
			if status != http.StatusUnauthorized || !strings.Contains(body, `"code":"unauthenticated"`) {
				t.Errorf("%s, number %d, in a handshake: %d %s", reason, i, status, body)
			}
			if err := anonymous.WriteMessage(websocket.TextMessage, []byte(`{"auth":"`+raw+`","id":1}`)); err != nil {
				t.Fatal(err)
			}
			answer := readText(t, anonymous)
			if !strings.HasPrefix(answer, `{"err":1,"code":"unauthenticated",`) {
				t.Errorf("%s, number %d, in a frame: %s", reason, i, answer)
			}
			for _, part := range strings.Split(raw, ".") {
				if len(part) > 8 && strings.Contains(answer+body, part) {
					t.Errorf("%s, number %d, is repeated: %s %s", reason, i, answer, body)
				}
			}
			c := dialStock(t, s, nil)
			c.send(`40{"token":"` + raw + `"}`)
			if got := c.want("44"); !strings.Contains(got, `"code":"unauthenticated"`) {
				t.Errorf("%s, number %d, of a socket: %s", reason, i, got)
			}
		}
		if got, want := metric(t, s, counter), fmt.Sprint(3*len(raws)); got != want {
			t.Errorf("%s: counted %s, want %s", reason, got, want)
		}
	}
	// 64 KiB: more than net/http takes in a header, and no work where it fits.
	huge := forge(hs256, claims(exp+`,"pad":"`+strings.Repeat("x", 48<<10)+`"`))
	if status, _ := bearer(t, s, huge); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB in a handshake: %d", status)
	}
	if err := anonymous.WriteMessage(websocket.TextMessage, []byte(`{"auth":"`+huge+`","id":2}`)); err != nil {
		t.Fatal(err)
	}
	if got := readText(t, anonymous); !strings.HasPrefix(got, `{"err":2,"code":"unauthenticated","msg":"the token is larger than 16 KiB"`) {
		t.Errorf("64 KiB in a frame: %s", got)
	}
}

// unsigned is a token with a signature of nobody's.
func unsigned(raw string) string {
	return raw[:strings.LastIndexByte(raw, '.')+1] + strings.Repeat("A", 43)
}

// bearer is the answer to a handshake with a token.
func bearer(t *testing.T, s *gateway.Server, raw string) (int, string) {
	t.Helper()
	return get(t, "http://"+s.Addr().String()+"/ws", field("Authorization", "Bearer "+raw))
}
