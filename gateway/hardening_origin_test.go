package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway"
)

// doors are the ways into a gateway: each opens a connection with these header
// fields, and returns the status of the answer.
func doors(s *gateway.Server) map[string]func(*testing.T, http.Header) int {
	dial := func(path string) func(*testing.T, http.Header) int {
		return func(t *testing.T, h http.Header) int {
			t.Helper()
			_, r := dialRaw(t, "ws://"+s.Addr().String()+path, h)
			return r.StatusCode
		}
	}
	return map[string]func(*testing.T, http.Header) int{
		"native":    dial("/ws"),
		"websocket": dial("/socket.io/?EIO=4&transport=websocket"),
		"polling": func(t *testing.T, h http.Header) int {
			t.Helper()
			status, _ := get(t, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling", h)
			return status
		},
	}
}

// forbidden is the status of what may not come in. Of a WebSocket of Socket.IO
// it is the reference's.
func forbidden(door string) int {
	if door == "websocket" {
		return http.StatusBadRequest
	}
	return http.StatusForbidden
}

// opened reports whether a status is that of a connection that was let in.
func opened(status int) bool { return status == 101 || status == 200 }

func originsOptions(t *testing.T) gateway.Options {
	o := stockOptions(guarded(t))
	o.AdminListen, o.AllowedOrigins = "127.0.0.1:0", []string{"https://good.example"}
	return o
}

// A01: a page of another site, in the browser of somebody who is signed in: 403
// before there is a connection, so nothing is subscribed, and it is counted.
func TestA01(t *testing.T) {
	s, _ := serve(t, originsOptions(t))
	cookie := "session=" + sign(t, "ann", "chat")
	tries := 0
	for name, open := range doors(s) {
		tries++
		if status := open(t, field("Cookie", cookie, "Origin", "https://evil.example")); status != forbidden(name) {
			t.Errorf("%s: %d", name, status)
		}
		if n := metric(t, s, "jetway_clients"); n != "0" {
			t.Errorf("%s: %s clients", name, n)
		}
		if got := metric(t, s, `jetway_connections_refused_total{reason="origin"}`); got != fmt.Sprint(tries) {
			t.Errorf("%s: counted %s, want %d", name, got, tries)
		}
	}
	if n := metric(t, s, "jetway_subscriptions"); n != "0" {
		t.Errorf("%s subscriptions", n)
	}
	for name, open := range doors(s) {
		if status := open(t, field("Cookie", cookie, "Origin", "https://good.example")); !opened(status) {
			t.Errorf("%s: its own page is refused: %d", name, status)
		}
	}
}

// A03: only the origin on the list, to the letter, or the server's own; with a
// cookie and without, wherever one can come in.
func TestA03(t *testing.T) {
	s, _ := serve(t, originsOptions(t))
	own := s.Addr().String()
	cookie := "session=" + sign(t, "ann", "chat")
	tries := 0
	for name, open := range doors(s) {
		for _, origin := range []string{"https://good.example", "http://" + own, "https://" + own} {
			if status := open(t, field("Origin", origin)); !opened(status) {
				t.Errorf("%s: %s is refused: %d", name, origin, status)
			}
		}
		for _, origins := range [][]string{
			{"null"}, {""}, {" "}, {"*"}, {"https://"}, {"good.example"}, {"//good.example"},
			{"https://good.example.evil.com"}, {"https://good.example.evil"}, {"https://evilgood.example"}, {"https://evil.com/good.example"}, {"https://good.example@evil.com"},
			{"https://good.example:443"}, {"https://good.example:8443"}, {"http://good.example"}, {"wss://good.example"},
			{"https://GOOD.example"}, {"HTTPS://good.example"}, {"https://good.example."}, {"https://good.example/"}, {"https://good.example?"}, {"https://www.good.example"},
			{"https://good.example, https://evil.example"}, {"https://good.example https://evil.example"}, {"https://good.example\tx"}, {"https://goоd.example"}, // Cyrillic о
			{"http://" + own + "."}, {"http://" + own + "0"}, {"http://" + strings.Split(own, ":")[0]}, {"http://evil.example#" + own}, {"http://user@" + own}, {"http://" + own + "/"},
			{"https://good.example", "https://good.example"}, {"https://good.example", "https://evil.example"}, {"http://" + own, "null"},
		} {
			for _, h := range []http.Header{{}, field("Cookie", cookie)} {
				h["Origin"] = origins
				tries++
				if status := open(t, h); status != forbidden(name) {
					t.Errorf("%s: %q: %d", name, origins, status)
				}
			}
		}
	}
	if got := metric(t, s, `jetway_connections_refused_total{reason="origin"}`); got != fmt.Sprint(tries) {
		t.Errorf("counted %s of %d", got, tries)
	}
}

// A04: what the configuration refuses to start with does no harm to a program
// that embeds a gateway: no page is let in by a cookie because any page is.
func TestA04(t *testing.T) {
	o := originsOptions(t)
	o.AllowedOrigins = []string{"*"}
	s, _ := serve(t, o)
	raw := sign(t, "ann", "chat")
	for name, open := range doors(s) {
		for _, origin := range []string{"https://evil.example", "null", "*"} {
			if status := open(t, field("Cookie", "session="+raw, "Origin", origin)); status != forbidden(name) {
				t.Errorf("%s: a cookie from %s: %d", name, origin, status)
			}
			if status := open(t, field("Authorization", "Bearer "+raw, "Origin", origin)); !opened(status) {
				t.Errorf("%s: a token from %s: %d", name, origin, status)
			}
		}
	}
	if got := metric(t, s, `jetway_auth_refused_total{reason="cookie_page"}`); got != "9" {
		t.Errorf("counted %s", got)
	}
}

// A03: a page whose own name has come to stand for this machine is of the
// server's origin as browsers see it. Where no token is needed, only this
// machine's own names count.
func TestA03Rebinding(t *testing.T) {
	for name, tt := range map[string]struct {
		host, origin string
		allowed      []string
		guarded      bool
		want         int
	}{
		"rebound":        {"evil.example:%s", "http://evil.example:%s", nil, false, 403},
		"almost local":   {"localhost.evil.example:%s", "http://localhost.evil.example:%s", nil, false, 403},
		"localhost":      {"localhost:%s", "http://localhost:%s", nil, false, 101},
		"below it":       {"app.localhost:%s", "http://app.localhost:%s", nil, false, 101},
		"IPv4":           {"127.0.0.1:%s", "http://127.0.0.1:%s", nil, false, 101},
		"IPv6":           {"[::1]:%s", "http://[::1]:%s", nil, false, 101},
		"listed":         {"app.example", "https://app.example", []string{"https://app.example"}, false, 101},
		"all are":        {"app.example", "https://app.example", []string{"*"}, false, 101},
		"no page":        {"app.example", "", nil, false, 101},
		"tokens decide":  {"app.example", "https://app.example", nil, true, 101},
		"another's page": {"localhost:%s", "http://evil.example:%s", nil, false, 403},
	} {
		t.Run(name, func(t *testing.T) {
			o := gateway.Options{Anonymous: everything}
			if tt.guarded {
				o = gateway.Options{Auth: guarded(t)}
			}
			o.AdminListen, o.AllowedOrigins = "127.0.0.1:0", tt.allowed
			s, _ := serve(t, o)
			_, port, _ := net.SplitHostPort(s.Addr().String())
			h := field("Host", strings.ReplaceAll(tt.host, "%s", port))
			if tt.origin != "" {
				h.Set("Origin", strings.ReplaceAll(tt.origin, "%s", port))
			}
			if _, r := dialRaw(t, "ws://"+s.Addr().String()+"/ws", h); r.StatusCode != tt.want {
				t.Errorf("%d, want %d", r.StatusCode, tt.want)
			}
			want := "0"
			if tt.want == 403 {
				want = "1"
			}
			if got := metric(t, s, `jetway_connections_refused_total{reason="origin"}`); got != want {
				t.Errorf("counted %s, want %s", got, want)
			}
		})
	}
}
