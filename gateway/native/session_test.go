package native_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// site is a gateway's bridge with one way in, over pipes: it works on fake time.
type site struct {
	t      *testing.T
	bridge *bridge.Bridge
	opts   native.Options
	users  map[string]*auth.Identity // by token

	mu       sync.Mutex
	refused  []auth.Reason
	sessions sync.WaitGroup
}

func newSite(t *testing.T) *site {
	t.Helper()
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, bridge: bridge.New(broker, bridge.Options{}), users: map[string]*auth.Identity{}}
	if err := s.bridge.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.opts = native.Options{
		Bridge: s.bridge, Logger: slog.New(slog.DiscardHandler), MaxMessageBytes: 1 << 20, MaxSubscriptions: 10,
		PingInterval: time.Hour, AuthTimeout: 10 * time.Second, Authenticate: s.authenticate, AuthRefused: s.count,
	}
	t.Cleanup(func() {
		s.sessions.Wait()
		if err := s.bridge.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		broker.Close()
	})
	return s
}

func (s *site) authenticate(_ context.Context, token, _ string) (*auth.Identity, error) {
	if token == "unavailable" {
		return nil, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "later", Retry: 2 * time.Second}
	}
	if id := s.users[token]; id != nil {
		return id, nil
	}
	return nil, auth.Refuse("bad_signature", "the token is no good", "get another")
}

func (s *site) count(why auth.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, why)
}

func (s *site) counted() []auth.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]auth.Reason(nil), s.refused...)
}

// connect lets one client in as who it is said to be; nil is nobody yet.
func (s *site) connect(who *auth.Identity) *client.Client {
	s.t.Helper()
	here := s.serve(who)
	c, err := client.Dial(s.t.Context(), "ws://gateway/ws", client.Options{Raw: true, Timeout: time.Hour,
		Dial: func(context.Context, string, string) (net.Conn, error) { return here, nil }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if hi := next(s.t, c); !strings.HasPrefix(hi, `{"hi":"jetway/1",`) {
		s.t.Fatalf("the first frame is %s", hi)
	}
	return c
}

// serve waits for a handshake on a connection, of which it returns the client's
// end.
func (s *site) serve(who *auth.Identity) net.Conn {
	here, there := rawws.Pipe()
	o := s.opts
	s.sessions.Go(func() {
		r, err := http.ReadRequest(bufio.NewReader(there))
		if err != nil {
			s.t.Error(err)
			return
		}
		conn, err := websock.Upgrade(&hijackable{httptest.NewRecorder(), there}, r, websock.Options{MaxMessageBytes: o.MaxMessageBytes, IdleTimeout: 100 * time.Hour})
		if err != nil {
			s.t.Error(err)
			return
		}
		native.New(conn, &o, native.Handshake{Identity: who}).Run()
	})
	return here
}

type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// ask sends a frame and returns the next one of the server.
func ask(t *testing.T, c *client.Client, frame string) string {
	t.Helper()
	if err := c.Send(frame); err != nil {
		t.Fatal(err)
	}
	return next(t, c)
}

func next(t *testing.T, c *client.Client) string {
	t.Helper()
	b, err := c.Recv(t.Context())
	if err != nil {
		t.Fatalf("no frame: %v", err)
	}
	return string(b)
}

// closedWith waits for the end, and fails if the code is another one.
func closedWith(t *testing.T, c *client.Client, code websock.Code) *client.ClosedError {
	t.Helper()
	for {
		_, err := c.Recv(t.Context())
		if err == nil {
			continue
		}
		var closed *client.ClosedError
		if !errors.As(err, &closed) || closed.Code != code {
			t.Fatalf("closed with %v, want %d", err, code)
		}
		return closed
	}
}

var anything = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}}

func inBubble(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newSite(t)) })
}

// A08: a client that says nothing is closed when its time is over, not before.
func TestA08Timeout(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		begun := time.Now()
		c := s.connect(nil)
		if got := ask(t, c, `{"ping":1}`); got != `{"pong":1}` {
			t.Errorf("ping: %s", got)
		}
		if got := ask(t, c, "help"); !strings.HasPrefix(got, `{"help":`) {
			t.Errorf("help: %s", got)
		}
		closed := closedWith(t, c, websock.CodeAuthTimeout)
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		if closed.MayReconnect() || closed.Why != "no auth in time" {
			t.Errorf("closed with %+v", closed)
		}
	})
}

// A08: before auth there is nothing but auth; whatever else comes is the end,
// and touches nothing.
func TestA08Early(t *testing.T) {
	long := `{"auth":"` + strings.Repeat("x", 4<<10) + `"}`
	for _, frame := range []string{`{"pub":"events.a","data":1}`, `{"sub":"events.>"}`, `{"work":"jobs.a"}`, `{"req":"svc"}`, `{"off":"s1"}`, `nonsense`, `{}`,
		`{"auth":1}`, `{"auth":"bad"}`, `{"auth":""}`, `{"auth":"ann","sub":"events.>"}`, long} {
		inBubble(t, func(t *testing.T, s *site) {
			s.users["ann"] = &auth.Identity{User: "ann", Permissions: &anything}
			c := s.connect(nil)
			if err := c.Send(frame); err != nil {
				t.Fatal(err)
			}
			closedWith(t, c, websock.CodeUnauthenticated)
			if n := s.bridge.Stats().Subscriptions.Load() + int64(s.bridge.Stats().Published.Load()); n != 0 {
				t.Errorf("%.40s: something was done", frame)
			}
			if len(s.counted()) != 1 {
				t.Errorf("%.40s: counted %v", frame, s.counted())
			}
		})
	}
}

// The first frame says who the client is, and from then on it may do what that
// user may, with frames of any size.
func TestAuthFrame(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		expires := time.Now().Add(time.Hour)
		s.users["ann"] = &auth.Identity{User: "ann", Permissions: &bridge.Permissions{Pub: []string{"events.a"}}, Expires: expires}
		c := s.connect(nil)
		if c.User() != "" {
			t.Errorf("hi says %q", c.User())
		}
		want := `{"ok":"auth","user":"ann","expires":"` + expires.UTC().Format(time.RFC3339Nano) + `"}`
		if got := ask(t, c, `{"auth":"ann"}`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := ask(t, c, `{"pub":"events.a","data":"`+strings.Repeat("x", 100<<10)+`","id":1}`); !strings.HasPrefix(got, `{"ok":1,`) {
			t.Errorf("got %.100s", got)
		}
		if got := ask(t, c, `{"sub":"events.a"}`); !strings.Contains(got, `"code":"forbidden"`) {
			t.Errorf("got %s", got)
		}
		synctest.Wait()
	})
}

// A09: a token ends its connection at its second, a refresh moves that, with
// the rights of the new token; another user's token is the end.
func TestA09(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		begun := time.Now()
		identity := func(user string, ttl time.Duration, p bridge.Permissions) *auth.Identity {
			return &auth.Identity{User: user, Permissions: &p, Expires: begun.Add(ttl)}
		}
		s.users["next"] = identity("ann", 90*time.Second, bridge.Permissions{Sub: []string{"events.b"}})
		c := s.connect(identity("ann", time.Minute, anything))
		ask(t, c, `{"sub":"events.a"}`)
		for !strings.Contains(next(t, c), `"live":"s1"`) {
		}
		time.Sleep(30 * time.Second)
		for _, token := range []string{"bad", "unavailable"} { // changes nothing
			if got := ask(t, c, `{"auth":"`+token+`","id":7}`); !strings.HasPrefix(got, `{"err":7,"code":"una`) {
				t.Errorf("%s: %s", token, got)
			}
		}
		time.Sleep(29 * time.Second)
		// What is not allowed any more ends, before the answer that says so.
		if got := ask(t, c, `{"auth":"next","id":8}`); got != `{"end":"s1","why":"revoked"}` {
			t.Errorf("got %s", got)
		}
		if got := next(t, c); !strings.HasPrefix(got, `{"ok":8,"user":"ann","expires":`) {
			t.Errorf("got %s", got)
		}
		if closed := closedWith(t, c, websock.CodeUnauthenticated); closed.Why != "the token has expired" {
			t.Errorf("closed with %+v", closed)
		}
		if took := time.Since(begun); took != 90*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	inBubble(t, func(t *testing.T, s *site) {
		s.users["bob"] = &auth.Identity{User: "bob", Permissions: &anything}
		c := s.connect(&auth.Identity{User: "ann", Permissions: &anything})
		if err := c.Send(`{"auth":"bob"}`); err != nil {
			t.Fatal(err)
		}
		closedWith(t, c, websock.CodeUnauthenticated)
		if got := s.counted(); len(got) != 1 || got[0] != auth.OtherUser {
			t.Errorf("counted %v", got)
		}
	})
}

// A client without a token may say who it is, as long as it is nobody's yet.
func TestAnonymousBecomes(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.users["ann"] = &auth.Identity{User: "ann", Permissions: &anything}
		nobody := &auth.Identity{User: auth.Anonymous, Anonymous: true, Permissions: &bridge.Permissions{Sub: []string{"events.public"}}}
		c := s.connect(nobody)
		if got := ask(t, c, `{"auth":"bad"}`); !strings.Contains(got, `"code":"unauthenticated"`) {
			t.Errorf("got %s", got)
		}
		if got := ask(t, c, `{"auth":"ann"}`); got != `{"ok":"auth","user":"ann"}` {
			t.Errorf("got %s", got)
		}
		ask(t, c, `{"sub":"events.private"}`)

		late := s.connect(nobody)
		ask(t, late, `{"sub":"events.public"}`)
		next(t, late) // live
		if got := ask(t, late, `{"auth":"ann","id":1}`); !strings.HasPrefix(got, `{"err":1,"code":"conflict"`) {
			t.Errorf("got %s", got)
		}
	})
}

// A refusal that may end by itself closes with a code to come back after.
func TestTemporaryRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		c := s.connect(nil)
		if err := c.Send(`{"auth":"unavailable"}`); err != nil {
			t.Fatal(err)
		}
		if got := next(t, c); got != `{"bye":true,"code":4503,"why":"later","retry":"2s"}` {
			t.Errorf("got %s", got)
		}
		if closed := closedWith(t, c, websock.CodeNotReady); !closed.MayReconnect() {
			t.Errorf("closed with %+v", closed)
		}
	})
}

// A client that goes while its request is being done is no fault of the
// gateway: otherwise it could fill the log.
func TestGoneIsNoFault(t *testing.T) {
	s := newSite(t)
	var log strings.Builder
	s.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c := s.bridge.Connect(bridge.ClientOptions{User: "ann", Encoder: native.Encoder{}, Transport: deaf{}})
	defer c.Close()
	count := func() (n uint64) {
		s.bridge.Stats().Refused.Each(func(_ bridge.Code, of uint64) { n += of })
		return n
	}
	native.Refuse(s.opts, c, fmt.Errorf("subscribe: %w", bridge.ErrClosed))
	if log.Len() > 0 || count() != 0 {
		t.Errorf("logged %q, counted %d", &log, count())
	}
	native.Refuse(s.opts, c, errors.New("broken"))
	if !strings.Contains(log.String(), "broken") || count() != 1 {
		t.Errorf("logged %q, counted %d", &log, count())
	}
}

// deaf takes everything.
type deaf struct{}

func (deaf) WriteSome(*bridge.Output) error { return nil }
func (deaf) Write(*bridge.Output) error     { return nil }
