package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

var everything = &bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}}

// serve starts a gateway over a memory broker.
func serve(t *testing.T, o gateway.Options) (*gateway.Server, *memory.Broker) {
	t.Helper()
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return serveOver(t, broker, o), broker
}

// serveOver starts a gateway over any broker.
func serveOver(t *testing.T, broker bridge.Broker, o gateway.Options) *gateway.Server {
	t.Helper()
	b := bridge.New(broker, bridge.Options{})
	o.Bridge, o.Listen = b, "127.0.0.1:0"
	s, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Start(t.Context()), b.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.Stop(ctx), b.Stop(ctx)); err != nil {
			t.Error(err)
		}
	})
	return s
}

func url(s *gateway.Server) string { return "ws://" + s.Addr().String() + "/ws" }

func get(t *testing.T, url string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// A03: only an exact origin, or the server's own, may connect.
func TestOrigins(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, AllowedOrigins: []string{"https://good.example"}})
	host := s.Addr().String()
	for origin, ok := range map[string]bool{
		"":                           true,
		"http://" + host:             true,
		"https://good.example":       true,
		"https://evil.example":       false,
		"null":                       false,
		"https://good.example.":      false,
		"https://good.example:8443":  false,
		"https://GOOD.example":       false,
		"https://good.example.evil":  false,
		"https://evilgood.example":   false,
		"http://good.example":        false,
		"http://" + host + "/path":   false,
		"http://user@" + host:        false,
		"https://good.example, http": false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		c, err := client.Dial(t.Context(), url(s), client.Options{Header: header})
		if (err == nil) != ok {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			c.Close()
		} else if !strings.Contains(err.Error(), "403") {
			t.Errorf("origin %q: %v, want 403", origin, err)
		}
	}
}

// W12: limits per address and in all; who leaves makes room.
func TestAdmission(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      gateway.Options
		status string
	}{
		{"per address", gateway.Options{Anonymous: everything, MaxPerAddress: 2}, "429"},
		{"in all", gateway.Options{Anonymous: everything, MaxClients: 2}, "503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serve(t, tt.o)
			var in []*client.Client
			for range 2 {
				c, err := client.Dial(t.Context(), url(s), client.Options{})
				if err != nil {
					t.Fatal(err)
				}
				in = append(in, c)
			}
			if _, err := client.Dial(t.Context(), url(s), client.Options{}); err == nil || !strings.Contains(err.Error(), tt.status) {
				t.Errorf("one too many: %v, want %s", err, tt.status)
			}
			in[0].Close()
			for { // the server sees it a moment later
				c, err := client.Dial(t.Context(), url(s), client.Options{})
				if err == nil {
					in[0] = c
					break
				}
				if t.Context().Err() != nil {
					t.Fatal(err)
				}
			}
			for _, c := range in {
				c.Close()
			}
		})
	}
}

// A drain answers what was asked, tells clients to come back, each a little
// later, and closes so that they may.
func TestDrain(t *testing.T) {
	s, broker := serve(t, gateway.Options{Anonymous: everything, AdminListen: "127.0.0.1:0"})
	base, admin := "http://"+s.Addr().String(), "http://"+s.AdminAddr().String()
	for _, path := range []string{base + "/livez", base + "/readyz", admin + "/readyz"} {
		if status, body := get(t, path, nil); status != 200 || strings.TrimSpace(body) != "ok" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	broker.SetReady(errors.New("the disk is full: make room"))
	if status, body := get(t, base+"/readyz", nil); status != 503 || !strings.Contains(body, "the disk is full") {
		t.Errorf("not ready: %d %s", status, body)
	}
	if _, err := client.Dial(t.Context(), url(s), client.Options{}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a client was let in: %v", err)
	}
	broker.SetReady(nil)

	c, err := client.Dial(t.Context(), url(s), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Publish(t.Context(), "events.a", []byte("1"), client.PubOptions{}); err != nil {
		t.Fatal(err)
	}
	_, metrics := get(t, admin+"/metrics", nil)
	for _, want := range []string{"jetway_clients 1", "jetway_events_published_total 1", `jetway_refused_total{code="bad_frame"} 0`, `jetway_connections_refused_total{reason="not_ready"} 1`, "go_goroutines"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	<-c.Done()
	var closed *client.ClosedError
	if !errors.As(c.Err(), &closed) || closed.Code != websock.CodeRestart || closed.Retry <= 0 || !closed.MayReconnect() {
		t.Errorf("closed with %+v", c.Err())
	}
}

func TestClientsThatNobodyLetsIn(t *testing.T) {
	s, _ := serve(t, gateway.Options{})
	c, err := client.Dial(t.Context(), url(s), client.Options{})
	if err == nil {
		<-c.Done()
		err = c.Err()
		c.Close()
	}
	var closed *client.ClosedError
	if !errors.As(err, &closed) || closed.Code != websock.CodeUnauthenticated || closed.MayReconnect() {
		t.Errorf("closed with %v", err)
	}
	if status, _ := get(t, "http://"+s.Addr().String()+"/", nil); status != 404 {
		t.Errorf("the demo page: %d", status)
	}
	for _, path := range []string{"/ws", "/wsx", "/../etc/passwd", "/%2e%2e/x"} {
		if status, _ := get(t, "http://"+s.Addr().String()+path, nil); status < 400 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
}

func TestPages(t *testing.T) {
	s, _ := serve(t, gateway.Options{Pages: map[string][]byte{"/": []byte("root"), "/a": []byte("page"), "/a/b.js": []byte("script")}})
	base := "http://" + s.Addr().String()
	for path, want := range map[string]struct {
		status int
		kind   string
	}{
		"/":       {200, "text/html; charset=utf-8"},
		"/a":      {200, "text/html; charset=utf-8"},
		"/a/b.js": {200, "text/javascript; charset=utf-8"},
		"/a/":     {404, ""},
		"/b":      {404, ""},
	} {
		answer, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want.status || want.kind != "" && answer.Header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %d, %s", path, answer.StatusCode, answer.Header.Get("Content-Type"))
		}
		if policy := answer.Header.Get("Content-Security-Policy"); want.status == 200 && !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
	for _, path := range []string{"", "a", "/{x}"} {
		if _, err := gateway.New(gateway.Options{Bridge: &bridge.Bridge{}, Pages: map[string][]byte{path: nil}}); err == nil {
			t.Errorf("a page at %q", path)
		}
	}
}

func TestClientBundle(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	for path, status := range map[string]int{"/socket.io/socket.io.js": 200, "/socket.io/socket.io.min.js": 200, "/socket.io/socket.io.min.js.map": 400} {
		got, body := get(t, "http://"+s.Addr().String()+path, nil)
		if got != status || status == 200 && !strings.Contains(body, "Socket.IO v") {
			t.Errorf("%s: %d, %.100q", path, got, body)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything})
	_, err := gateway.New(gateway.Options{Bridge: bridge.New(mustMemory(t), bridge.Options{}), Listen: s.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "is in use by another program") {
		t.Error(err)
	}
}

func mustMemory(t *testing.T) *memory.Broker {
	t.Helper()
	b, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
