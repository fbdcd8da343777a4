package native_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/internal/rawws"
)

// Hostile input, named after the numbers of the project's list. What needs a
// real connection is tested in package gateway.

// raw is a client that says what no client should, after its greeting.
func (s *site) raw(who *auth.Identity) *rawws.Conn {
	s.t.Helper()
	c := rawws.New(s.serve(who))
	c.Patience = 100 * time.Hour // of the bubble's time
	s.t.Cleanup(func() { c.Close() })
	if _, err := c.Open("/ws"); err != nil {
		s.t.Fatal(err)
	}
	if f, err := c.Next(); err != nil || !strings.HasPrefix(string(f.Payload), `{"hi":`) {
		s.t.Fatalf("the first frame is %v, %v", f, err)
	}
	return c
}

// said is what comes until the end, as text; the code of the close frame last.
func said(c *rawws.Conn) string {
	all, err := c.Rest()
	c.Close()
	var b strings.Builder
	for _, f := range all {
		if f.Op == rawws.OpClose {
			code, _, _ := rawws.SplitClose(f.Payload)
			fmt.Fprintf(&b, "close %d", code)
		} else {
			fmt.Fprintf(&b, "%s, ", f.Payload)
		}
	}
	if err != nil {
		fmt.Fprint(&b, err)
	}
	return b.String()
}

// W05: a message that is begun and dripped on ends the session, although pongs
// and parts come all the time.
func TestW05UnfinishedMessage(t *testing.T) {
	for name, drip := range map[string]rawws.Frame{"pongs": rawws.Pong(""), "empty parts": rawws.Continue(""), "bytes": rawws.Continue(" ")} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				c := s.raw(&auth.Identity{User: "ann", Permissions: &anything})
				begun := time.Now()
				if err := c.Send(rawws.Begin(rawws.OpText, `{"ping":1`)); err != nil {
					t.Fatal(err)
				}
				s.sessions.Go(func() {
					for c.Send(drip) == nil {
						time.Sleep(time.Second)
					}
				})
				const want = `{"bye":true,"code":1008,"why":"message not finished in time"}, close 1008`
				if got := said(c); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if took := time.Since(begun); took != 30*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// J05: empty and binary messages are bad frames, ten of which are too many.
func TestJ05BadMessages(t *testing.T) {
	for _, bad := range []rawws.Frame{rawws.Text(""), rawws.Binary("{}"), rawws.Text("\x00")} {
		inBubble(t, func(t *testing.T, s *site) {
			c := s.raw(&auth.Identity{User: "ann", Permissions: &anything})
			s.sessions.Go(func() {
				for range 10 {
					_ = c.Send(bad) // what comes of it is told
				}
			})
			if got := said(c); strings.Count(got, `"code":"bad_frame"`) != 10 || !strings.HasSuffix(got, "close 4400") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// W17: a client that ends its direction, within a frame or not, is gone at once.
func TestW17HalfClosed(t *testing.T) {
	for _, begun := range []string{"", "\x81", "\x81\x85\x00\x00\x00\x00{"} {
		inBubble(t, func(t *testing.T, s *site) {
			c := s.raw(&auth.Identity{User: "ann", Permissions: &anything})
			start := time.Now()
			if _, err := c.Write([]byte(begun)); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if f, err := c.Next(); err == nil {
				t.Errorf("after %q: %v", begun, f)
			}
			synctest.Wait()
			if n := s.bridge.Stats().Clients.Load(); n != 0 || time.Since(start) != 0 {
				t.Errorf("after %q: %d clients, after %v", begun, n, time.Since(start))
			}
		})
	}
}
