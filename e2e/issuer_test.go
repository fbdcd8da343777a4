package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/token"
	"github.com/jetway-io/jetway/gateway/websock"
)

// issuer is whoever signs tokens, somewhere else: it has a configuration to be
// discovered, and a set of keys.
type issuer struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	keys    []issuerKey // those in the set
	fetches int
	down    bool
}

type issuerKey struct {
	id     string
	method jwt.SigningMethod
	signer crypto.Signer
}

func newIssuer(t *testing.T) *issuer {
	s := &issuer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.server.URL, "jwks_uri": s.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"}})
	})
	mux.HandleFunc("GET /keys", s.serveKeys)
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches++
	if s.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	set := []map[string]any{}
	for _, k := range s.keys {
		set = append(set, k.public())
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": set}) // who asks may be gone
}

// jwksURL is where the configuration says that the keys are.
func (s *issuer) jwksURL() string {
	s.t.Helper()
	r, err := http.Get(s.server.URL + "/.well-known/openid-configuration")
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	var c struct {
		URI string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.URI == "" {
		s.t.Fatalf("%+v: %v", c, err)
	}
	return c.URI
}

// add makes a new key, and has it in the set.
func (s *issuer) add(id string, method jwt.SigningMethod) issuerKey {
	s.t.Helper()
	k := issuerKey{id: id, method: method}
	var err error
	switch method {
	case jwt.SigningMethodRS256:
		k.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwt.SigningMethodES256:
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	return k
}

// remove takes the first key out of the set.
func (s *issuer) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = s.keys[1:]
}

func (s *issuer) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// fetched is how often the keys were asked for.
func (s *issuer) fetched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// public is the key as a member of the set (RFC 7517, RFC 8037).
func (k issuerKey) public() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	j := map[string]any{"kid": k.id, "use": "sig", "alg": k.method.Alg()}
	switch pub := k.signer.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil {
			panic(err) // it is on the curve
		}
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(pub)
	}
	return j
}

// sign makes a token that ends then.
func (s *issuer) sign(k issuerKey, user string, expires time.Time) string {
	s.t.Helper()
	return s.signAs(k, k.id, user, expires)
}

// signAs names another key in the token.
func (s *issuer) signAs(k issuerKey, id, user string, expires time.Time) string {
	s.t.Helper()
	t := jwt.NewWithClaims(k.method, jwt.MapClaims{"iss": s.server.URL, "aud": "jetway", "sub": user, "roles": []string{"all"},
		"exp": float64(expires.UnixMilli()) / 1000, "iat": time.Now().Add(-time.Minute).Unix()})
	t.Header["kid"] = id
	raw, err := t.SignedString(k.signer)
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// clock is the time as the gateway has it, for keys: cool-downs do not pass by
// themselves in a test.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time               { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration)     { c.ahead.Add(int64(by)) }
func (c *clock) at(d time.Duration) time.Time { return c.now().Add(d) }

// coolDown is so long that a test is over before, unless it has its clock go on.
const coolDown = time.Hour

// trusting is a node that takes the tokens of an issuer, as the policy does.
func trusting(t *testing.T, s *issuer, c *clock) (*node, *auth.Policy) {
	t.Helper()
	v, err := token.New(token.Options{JWKSURL: s.jwksURL(), Issuer: s.server.URL, Audience: "jetway", Clock: c.now,
		JWKSCoolDown: coolDown, JWKSRefresh: 2 * coolDown, JWKSMaxStale: 100 * coolDown})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	t.Cleanup(asker.CloseIdleConnections)
	policy := &auth.Policy{Verifier: v, Roles: map[string]bridge.Permissions{"all": anyone}}
	return startNode(t, nodeOptions{strict: true, gateway: gateway.Options{Auth: policy, SocketIO: gateway.SocketIO{Path: "/socket.io/"}}}), policy
}

// asker keeps enough connections for a flood.
var asker = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

// status is that of a handshake with a token, which goes no further.
func status(t testing.TB, n *node, raw string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http"+strings.TrimPrefix(n.url, "ws"), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+raw)
	answer, err := asker.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// What [status] is for a token: a good one is let in, but this is no WebSocket.
const (
	taken   = http.StatusBadRequest
	refused = http.StatusUnauthorized
)

// emits has a stock client say something, and returns the answer.
func emits(t *testing.T, c *websocket.Conn, event string) string {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte("427"+event)); err != nil {
		t.Fatal(err)
	}
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("%s: %v", event, err)
		}
		if rest, ok := strings.CutPrefix(string(b), "437"); ok {
			return rest
		}
	}
}

// A14: an issuer of OpenID Connect that changes its keys while clients of all
// kinds are connected. They stay; the new key is known after one look at the
// set, and the old one unknown after the next.
func TestA14Rotation(t *testing.T) {
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodES256, jwt.SigningMethodEdDSA} {
		t.Run(method.Alg(), func(t *testing.T) {
			s, c := newIssuer(t), new(clock)
			older := s.add("older", method)
			n, _ := trusting(t, s, c)
			fetched := func(when string, want int) {
				t.Helper()
				if got := s.fetched(); got != want {
					t.Errorf("%s: %d fetches, want %d", when, got, want)
				}
			}
			long := s.sign(older, "ann", c.at(10*coolDown))
			native := dial(t, n, client.Options{Token: long})
			socket := stock(t, n, long)
			ending := dial(t, n, client.Options{Token: s.sign(older, "bob", time.Now().Add(5*time.Second))})
			fetched("connected", 1)

			newer := s.add("newer", method)
			next := s.sign(newer, "ann", c.at(10*coolDown))
			if err := native.Auth(t.Context(), next); err == nil {
				t.Error("a key was taken that nobody knows before the cool-down is over")
			}
			fetched("cooling down", 1)
			c.advance(coolDown)
			if err := native.Auth(t.Context(), next); err != nil {
				t.Errorf("native refresh: %v", err)
			}
			if got := emits(t, socket, `["jetway:auth",{"auth":"`+next+`"}]`); !strings.HasPrefix(got, `[{"ok":true,"user":"ann"`) {
				t.Errorf("refresh of a socket: %s", got)
			}
			if got := status(t, n, long); got != taken {
				t.Errorf("with both keys in the set, the older token: %d", got)
			}
			fetched("refreshed", 2)

			s.remove()
			if got := status(t, n, long); got != taken {
				t.Errorf("before anybody has looked, the older token: %d", got)
			}
			c.advance(2 * coolDown)
			if got := status(t, n, next); got != taken { // has the set looked at again, and does not wait for that
				t.Errorf("the newer token: %d", got)
			}
			for soon := testContext(t); status(t, n, long) != refused; {
				if soon.Err() != nil {
					t.Fatal("the older token is still taken")
				}
			}
			if got := status(t, n, next); got != taken {
				t.Errorf("the newer token: %d", got)
			}
			fetched("removed", 3)

			// Who came by the old key is there until the token ends.
			if err := native.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if got := emits(t, socket, `["events.a",1]`); !strings.HasPrefix(got, `[{"ok":true`) {
				t.Error(got)
			}
			<-ending.Done()
			var e *client.ClosedError
			if !errors.As(ending.Err(), &e) || e.Code != websock.CodeUnauthenticated || e.Why != "the token has expired" {
				t.Errorf("closed with %v", ending.Err())
			}
		})
	}
}

// A14: tokens with 10,000 invented keys, at once, cost one fetch in a
// cool-down, whether they come in handshakes or otherwise; whoever has a good one
// comes in meanwhile.
func TestA14Flood(t *testing.T) {
	s, c := newIssuer(t), new(clock)
	key := s.add("key", jwt.SigningMethodEdDSA)
	n, policy := trusting(t, s, c)
	good := s.sign(key, "ann", c.at(10*coolDown))
	const goroutines = 20
	for flood, each := range []int{10_000 / goroutines, 50} {
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for i := range each {
					raw := s.signAs(key, fmt.Sprintf("%d-%d-%d", flood, g, i), "ann", c.at(coolDown))
					if _, err := policy.Authenticate(t.Context(), auth.Credentials{Token: raw, Source: auth.Frame}); auth.ReasonOf(err) != "unknown_key" {
						t.Errorf("an invented key: %v", err)
					}
					if i%20 == 0 {
						if got := status(t, n, raw); got != refused {
							t.Errorf("an invented key in a handshake: %d", got)
						}
					}
				}
				if got := status(t, n, good); got != taken {
					t.Errorf("a good one: %d", got)
				}
			})
		}
		all.Wait()
		if got := s.fetched(); got != flood+1 {
			t.Errorf("%d fetches in %d cool-downs", got, flood+1)
		}
		c.advance(coolDown)
	}
}

// A14: an issuer that is away leaves its keys known; who comes with another one
// is told to come back, at one fetch in a cool-down.
func TestA14Down(t *testing.T) {
	s, c := newIssuer(t), new(clock)
	key := s.add("key", jwt.SigningMethodES256)
	n, _ := trusting(t, s, c)
	token := func() string { return s.sign(key, "ann", c.at(coolDown)) }
	if got := status(t, n, token()); got != taken {
		t.Fatal(got)
	}
	later := s.add("later", jwt.SigningMethodES256)
	s.setDown(true)
	for down := range 3 {
		c.advance(coolDown)
		for range 100 {
			if got := status(t, n, s.sign(later, "ann", c.at(coolDown))); got != http.StatusServiceUnavailable {
				t.Errorf("an unknown key: %d", got)
			}
			if got := status(t, n, token()); got != taken {
				t.Errorf("a known key: %d", got)
			}
		}
		if got := s.fetched(); got != down+2 {
			t.Errorf("%d fetches in %d cool-downs", got, down+2)
		}
	}
	native := dial(t, n, client.Options{Token: token()})
	socket := stock(t, n, token())
	if err := native.Auth(t.Context(), token()); err != nil {
		t.Error(err)
	}
	if got := emits(t, socket, `["jetway:auth",{"auth":"`+token()+`"}]`); !strings.HasPrefix(got, `[{"ok":true`) {
		t.Error(got)
	}
	s.setDown(false)
	c.advance(coolDown)
	if got := status(t, n, s.sign(later, "ann", c.at(coolDown))); got != taken {
		t.Errorf("back again: %d", got)
	}
}
