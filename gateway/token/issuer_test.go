package token_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// The keys of the tests, made once.
var (
	secret      = []byte("0123456789abcdef0123456789abcdef")
	rsaKey      = must(rsa.GenerateKey(rand.Reader, 2048))
	otherRSA    = must(rsa.GenerateKey(rand.Reader, 2048))
	p256        = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384        = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521        = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
)

// now is when the tests without a bubble take place.
var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func clock() time.Time { return now }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func publicPEM(keys ...crypto.Signer) []byte {
	var out []byte
	for _, k := range keys {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(k.Public()))})...)
	}
	return out
}

// good are the claims of a token that is good at now.
const good = `{"sub":"ann","exp":1893553745}` // 2030-01-02T03:09:05Z, five minutes later

// forge makes a token of any texts. sign makes the signature of the first two
// parts.
func forge(header, claims string, sign func(text []byte) []byte) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	return text + "." + b64(sign([]byte(text)))
}

func hs256(key []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(text)
		return h.Sum(nil)
	}
}

func rs256(k *rsa.PrivateKey) func([]byte) []byte {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		return must(rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:]))
	}
}

func bytesOf(b []byte) func([]byte) []byte { return func([]byte) []byte { return b } }

// signed is a token of the secret.
func signed(claims string) string { return forge(`{"alg":"HS256"}`, claims, hs256(secret)) }

// rsaToken is a good token of a key of the issuer.
func rsaToken(k *rsa.PrivateKey, kid string) string {
	header := `{"alg":"RS256"}`
	if kid != "" {
		header = `{"alg":"RS256","kid":` + string(must(json.Marshal(kid))) + `}`
	}
	return forge(header, good, rs256(k))
}

func newVerifier(t testing.TB, o token.Options) *token.Verifier {
	t.Helper()
	if o.Clock == nil {
		o.Clock = clock
	}
	v, err := token.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// expect verifies a token; reason "" means that it is good. It returns the
// error, which never repeats any of the token.
func expect(t testing.TB, v *token.Verifier, raw string, reason token.Reason) error {
	t.Helper()
	id, err := v.Verify(context.Background(), raw)
	if token.ReasonOf(err) != reason || (err == nil) != (id != nil) {
		t.Errorf("%.100q: %v, want %q", raw, err, reason)
	}
	if err == nil {
		return nil
	}
	checkError(t, err, raw)
	return err
}

func checkError(t testing.TB, err error, raw string) {
	t.Helper()
	var wire *bridge.Error
	want := bridge.CodeUnauthenticated
	if token.ReasonOf(err) == token.KeysUnavailable {
		want = bridge.CodeUnavailable
	}
	if !errors.As(err, &wire) || wire.Code != want || wire.Msg == "" || wire.Hint == "" {
		t.Errorf("%v: not for a client: %+v", err, wire)
	}
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("%v repeats the token", err)
		}
	}
}

// jwkOf is a public key as a member of a set.
func jwkOf(kid string, k crypto.Signer) map[string]any {
	j := map[string]any{"use": "sig"}
	if kid != "" {
		j["kid"] = kid
	}
	switch pub := k.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(pub.Bytes())
		n := len(point) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", pub.Params().Name, b64(point[1:1+n]), b64(point[1+n:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(pub)
	}
	return j
}

func with(j map[string]any, name string, v any) map[string]any {
	j[name] = v
	return j
}

func keySet(keys ...map[string]any) string {
	return string(must(json.Marshal(map[string]any{"keys": keys})))
}

// issuer serves a key set without a network, so that it works in a bubble.
type issuer struct {
	mu      sync.Mutex
	fetches int
	status  int           // 0 means 200
	delay   time.Duration // before it answers
	body    string
}

const issuerURL = "https://issuer.example/keys"

func (s *issuer) serve(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

func (s *issuer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func (s *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.fetches++
	status, body, delay := s.status, s.body, s.delay
	s.mu.Unlock()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(delay):
	}
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
