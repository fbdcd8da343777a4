package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/token"
	"github.com/jetway-io/jetway/gateway/websock"
)

// The cases are those of the list of attacks, A01 to A12, as far as a gateway
// sees them; what is wrong with a token itself is in package token.

var secret = []byte("0123456789abcdef0123456789abcdef")

// sign makes a token for an hour.
func sign(t *testing.T, user string, roles ...string) string {
	t.Helper()
	raw, err := token.Sign(token.SignOptions{Secret: secret, User: user, Roles: roles, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// guarded is a policy that takes tokens; nobody is let in without.
func guarded(t *testing.T) *auth.Policy {
	t.Helper()
	v, err := token.New(token.Options{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return &auth.Policy{Verifier: v, Roles: map[string]bridge.Permissions{
		"chat": {Pub: []string{"events.chat.>"}, Sub: []string{"events.chat.>", "events.users.{user}.>"}},
	}}
}

// dialRaw opens a WebSocket with these header fields. The answer to a handshake
// that is refused is returned.
func dialRaw(t *testing.T, url string, header http.Header) (*websocket.Conn, *http.Response) {
	t.Helper()
	c, r, err := websocket.DefaultDialer.DialContext(t.Context(), url, header)
	if err != nil && r == nil {
		t.Fatal(err)
	}
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, r
}

func field(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// readText returns the next frame.
func readText(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	_, b, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// closeCode reads to the end.
func closeCode(c *websocket.Conn) int {
	for {
		_, _, err := c.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			return 0
		}
	}
}

// metric is the value of one line of /metrics.
func metric(t *testing.T, s *gateway.Server, name string) string {
	t.Helper()
	_, body := get(t, "http://"+s.AdminAddr().String()+"/metrics", nil)
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// A01, A02, A03: who may use a cookie. A browser sends it with the requests of
// any page, so the page must be one of the server's own, or be listed by name.
func TestA02CookieOrigins(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t), TokenSources: auth.Sources{Cookie: "session"}, AdminListen: "127.0.0.1:0",
		AllowedOrigins: []string{"https://good.example"}})
	own := "http://" + s.Addr().String()
	cookie := "session=" + sign(t, "ann", "chat")
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"own page", field("Cookie", cookie, "Origin", own), 101},
		{"listed page", field("Cookie", cookie, "Origin", "https://good.example"), 101},
		{"own page, GET without Origin", field("Cookie", cookie, "Sec-Fetch-Site", "same-origin"), 101},
		{"A01 another page", field("Cookie", cookie, "Origin", "https://evil.example"), 403},
		{"A02 no page", field("Cookie", cookie), 403},
		{"A02 no page, other site", field("Cookie", cookie, "Sec-Fetch-Site", "same-site"), 403},
		{"A02 no page, but a bearer token", field("Cookie", cookie, "Authorization", "Bearer "+sign(t, "ann")), 101},
		{"A03 null", field("Cookie", cookie, "Origin", "null"), 403},
		{"A03 suffix", field("Cookie", cookie, "Origin", "https://good.example.evil.com"), 403},
		{"A03 prefix", field("Cookie", cookie, "Origin", "https://evilgood.example"), 403},
		{"A03 port", field("Cookie", cookie, "Origin", "https://good.example:8443"), 403},
		{"A03 case", field("Cookie", cookie, "Origin", "https://GOOD.example"), 403},
		{"A03 dot", field("Cookie", cookie, "Origin", "https://good.example."), 403},
		{"A03 scheme", field("Cookie", cookie, "Origin", "http://good.example"), 403},
		{"A03 two", field("Cookie", cookie, "Origin", "https://good.example", "Origin", "https://good.example"), 403},
		{"two cookies", field("Cookie", cookie+"; session=x", "Origin", own), 401},
		{"another cookie", field("Cookie", "other="+sign(t, "ann"), "Origin", own), 101}, // nobody yet
	} {
		if _, r := dialRaw(t, url(s), tt.header); r.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, r.StatusCode, tt.status)
		}
	}
	if got := metric(t, s, `jetway_auth_refused_total{reason="cookie_page"}`); got != "2" {
		t.Errorf("counted %s of cookie_page", got)
	}
	if got := metric(t, s, `jetway_connections_refused_total{reason="origin"}`); got != "9" {
		t.Errorf("counted %s of origin", got)
	}
	if n := metric(t, s, "jetway_subscriptions"); n != "0" {
		t.Errorf("%s subscriptions", n)
	}
}

// A02: with "*" for those who send tokens themselves, no cookie is taken from
// other pages all the same.
func TestA02AnyOrigin(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t), TokenSources: auth.Sources{Cookie: "session"}, AllowedOrigins: []string{"*"}})
	raw := sign(t, "ann", "chat")
	if _, r := dialRaw(t, url(s), field("Cookie", "session="+raw, "Origin", "https://evil.example")); r.StatusCode != 403 {
		t.Errorf("cookie: %d", r.StatusCode)
	}
	if _, r := dialRaw(t, url(s), field("Authorization", "bearer "+raw, "Origin", "https://any.example")); r.StatusCode != 101 {
		t.Errorf("bearer: %d", r.StatusCode)
	}
}

// A05: no answer to polling gives a page of another origin credentials.
func TestA05(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t), AllowedOrigins: []string{"https://good.example"}, SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	for origin, want := range map[string]string{"https://evil.example": "", "null": "", "https://good.example": "https://good.example"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", origin, got)
		}
		if credentials := answer.Header.Get("Access-Control-Allow-Credentials") != ""; credentials != (want != "") {
			t.Errorf("%s: credentials %t", origin, credentials)
		}
	}
}

// syncBuffer is a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A06: a token in the URL is taken only if that is asked for, and no token is
// in the log, in what clients are told, or in a metric, good or not.
func TestA06(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	closed, _ := serve(t, gateway.Options{Auth: guarded(t)})
	good := sign(t, "ann", "chat")
	if c, _ := dialRaw(t, url(closed)+"?access_token="+good, nil); c == nil || !strings.Contains(readText(t, c), `"user":""`) {
		t.Error("a parameter was taken, though none is configured")
	}
	policy := guarded(t)
	policy.Logger = logger
	s, _ := serve(t, gateway.Options{Auth: policy, Logger: logger, TokenSources: auth.Sources{Query: "access_token", Cookie: "session"},
		AdminListen: "127.0.0.1:0", SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	if c, _ := dialRaw(t, url(s)+"?access_token="+good, nil); c == nil || !strings.Contains(readText(t, c), `"user":"ann"`) {
		t.Error("the parameter was not taken")
	}
	head, claims, _ := strings.Cut(good, ".")
	bad := head + "." + claims + "x"
	var told strings.Builder
	note := func(c *websocket.Conn, r *http.Response) {
		fmt.Fprintln(&told, r.Header)
		if c == nil {
			_, _ = io.Copy(&told, r.Body)
			return
		}
		for {
			_, b, err := c.ReadMessage()
			fmt.Fprintln(&told, string(b), err)
			if err != nil {
				return
			}
		}
	}
	note(dialRaw(t, url(s)+"?access_token="+bad, nil))
	note(dialRaw(t, url(s), field("Authorization", "Bearer "+bad)))
	note(dialRaw(t, url(s), field("Cookie", "session="+bad, "Origin", "http://"+s.Addr().String())))
	note(dialRaw(t, url(s)+"?access_token="+bad+"&access_token="+good, nil))
	c, _ := dialRaw(t, url(s), nil)
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"auth":"`+bad+`"}`)); err != nil {
		t.Fatal(err)
	}
	note(c, &http.Response{})
	_, answer := get(t, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling&access_token="+bad+"&access_token="+good, nil)
	told.WriteString(answer)
	_, metrics := get(t, "http://"+s.AdminAddr().String()+"/metrics", nil)
	for name, text := range map[string]string{"log": log.String(), "clients": told.String(), "metrics": metrics} {
		for _, part := range strings.Split(bad, ".") {
			if strings.Contains(text, part[:20]) {
				t.Errorf("%s: has a part of the token: %.2000s", name, text)
			}
		}
	}
	if got := metric(t, s, `jetway_auth_refused_total{reason="bad_signature"}`); got == "0" || got == "" {
		t.Errorf("counted %q", got)
	}
}

// A07: what a client offers as sub-protocols is not echoed, but the one of
// ours, and is no token.
func TestA07(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t)})
	raw := sign(t, "ann", "chat")
	c, r := dialRaw(t, url(s), field("Sec-WebSocket-Protocol", "bearer, "+raw+", jetway.v1"))
	if got := r.Header.Get("Sec-WebSocket-Protocol"); got != "jetway.v1" {
		t.Errorf("echoed %q", got)
	}
	if hi := readText(t, c); !strings.Contains(hi, `"user":""`) {
		t.Errorf("got %s", hi)
	}
}

// A13, as a gateway answers it: a bad bearer token is 401 before the WebSocket,
// and so is one beside another; a page is let in to be told.
func TestA13Handshake(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t), TokenSources: auth.Sources{Cookie: "session"}, Anonymous: everything})
	good := sign(t, "ann", "chat")
	for _, bad := range []string{"x", "", good + "x", "a.b.c.d.e", strings.Repeat("x", 12<<10)} {
		_, r := dialRaw(t, url(s), field("Authorization", "Bearer "+bad))
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != 401 || !strings.Contains(string(body), `"code":"unauthenticated"`) || r.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%.20q: %d %s", bad, r.StatusCode, body)
		}
	}
	if _, r := dialRaw(t, url(s), field("Authorization", "Bearer "+good, "Authorization", "Bearer "+good)); r.StatusCode != 401 {
		t.Errorf("two tokens: %d", r.StatusCode)
	}
	c, _ := dialRaw(t, url(s), field("Cookie", "session=old", "Origin", "http://"+s.Addr().String()))
	if code := closeCode(c); code != int(websock.CodeUnauthenticated) {
		t.Errorf("a page with a bad cookie: %d", code)
	}
}

// A refused token is no way to be anonymous.
func TestRefusedIsNotAnonymous(t *testing.T) {
	policy := guarded(t)
	policy.Anonymous = everything
	s, _ := serve(t, gateway.Options{Auth: policy})
	if _, r := dialRaw(t, url(s), field("Authorization", "Bearer x")); r.StatusCode != 401 {
		t.Errorf("let in: %d", r.StatusCode)
	}
	c, _ := dialRaw(t, url(s), nil)
	if hi := readText(t, c); !strings.Contains(hi, `"user":"anonymous"`) {
		t.Errorf("got %s", hi)
	}
}

// Roles, with the user's name in them, decide; the user is in what is stored.
func TestRolesOfATokens(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t)})
	c, err := client.Dial(t.Context(), url(s), client.Options{Token: sign(t, "ann", "chat", "unknown")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.User() != "ann" {
		t.Errorf("is %q", c.User())
	}
	for subject, ok := range map[string]bool{"events.chat.1": true, "events.users.ann.1": false, "events.other": false} {
		if _, err := c.Publish(t.Context(), subject, []byte("1"), client.PubOptions{}); (err == nil) != ok {
			t.Errorf("publish to %s: %v", subject, err)
		}
	}
	for filter, ok := range map[string]bool{"events.users.ann.>": true, "events.users.bob.>": false, "events.users.*.x": false, "events.>": false} {
		_, err := c.Subscribe(t.Context(), filter, client.SubOptions{})
		if (err == nil) != ok || !ok && !errors.Is(err, &bridge.Error{Code: bridge.CodeForbidden}) {
			t.Errorf("subscribe to %s: %v", filter, err)
		}
	}
}

// W12, W15: connections of nobody count, too, and by where they really come
// from: what a client says about that is not believed, and neither is what a
// proxy passes on in the name of others.
func TestW15(t *testing.T) {
	lies := func(i int) http.Header {
		return field("X-Forwarded-For", fmt.Sprint("192.0.2.", i), "X-Real-IP", fmt.Sprint("10.0.1.", i), "Forwarded", fmt.Sprint("for=10.0.2.", i))
	}
	for name, trusted := range map[string][]netip.Prefix{"nobody is trusted": nil, "others are": networks("10.0.0.0/8", "::1/128")} {
		t.Run(name, func(t *testing.T) {
			s, _ := serve(t, gateway.Options{Auth: guarded(t), MaxPerAddress: 2, TrustedProxies: trusted})
			for i := range 4 {
				_, r := dialRaw(t, url(s), lies(i))
				if want := map[bool]int{true: 101, false: 429}[i < 2]; r.StatusCode != want {
					t.Errorf("connection %d: %d, want %d", i, r.StatusCode, want)
				}
			}
		})
	}
	t.Run("behind a proxy", func(t *testing.T) {
		o := stockOptions(guarded(t))
		o.MaxPerAddress = 2
		s, _ := serve(t, o)
		s.Reload(gateway.Rules{Auth: o.Auth, MaxPerAddress: 2, TrustedProxies: networks("127.0.0.0/8", "10.0.0.0/8")})
		stock := "ws://" + s.Addr().String() + "/socket.io/?EIO=4&transport=websocket"
		for client := range 3 {
			for i, where := range []string{url(s), stock, url(s), stock} {
				said := lies(i) // on the left of what the proxy says
				said.Add("X-Forwarded-For", fmt.Sprintf("198.51.100.%d, 10.0.0.%d", client, i))
				_, r := dialRaw(t, where, said)
				if in := i < 2; in != (r.StatusCode == 101) {
					t.Errorf("client %d, connection %d: %d", client, i, r.StatusCode)
				}
			}
		}
	})
}

// A refused token leaves no place taken.
func TestRefusedMakesRoom(t *testing.T) {
	s, _ := serve(t, gateway.Options{Auth: guarded(t), MaxClients: 1})
	for range 3 {
		if _, r := dialRaw(t, url(s), field("Authorization", "Bearer x")); r.StatusCode != 401 {
			t.Fatalf("refused with %d", r.StatusCode)
		}
	}
	if _, r := dialRaw(t, url(s), field("Authorization", "Bearer "+sign(t, "ann"))); r.StatusCode != 101 {
		t.Errorf("no room for a good one: %d", r.StatusCode)
	}
}

// H02: what a client calls itself forges no line of the log.
func TestH02(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, _ := serve(t, gateway.Options{Logger: logger, Auth: &scripted{users: map[string]*auth.Identity{
		"x": {User: "ann\nlevel=ERROR msg=forged \x1b[2J %s"},
	}}})
	c, _ := dialRaw(t, url(s), field("Authorization", "Bearer x", "User-Agent", "a %n %s"))
	readText(t, c)
	c.Close()
	if err := s.Stop(t.Context()); err != nil { // waits for the client's end
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "client left") {
		t.Fatalf("the end of the client was not logged: %s", log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.HasPrefix(line, "level=ERROR") || strings.Contains(line, "\x1b") {
			t.Errorf("forged: %q", line)
		}
	}
}
