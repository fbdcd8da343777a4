package native_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

// expiring runs a test in a bubble, at a site that warns clients one minute
// before their tokens end. The tokens "ann 5m" are of ann, and end so long after
// it began; as does the first one, of the handshake.
func expiring(t *testing.T, test func(t *testing.T, s *expirySite)) {
	t.Helper()
	inBubble(t, func(t *testing.T, s *site) {
		s.opts.ExpiryWarning = func() time.Duration { return time.Minute }
		e := &expirySite{s, time.Now()}
		for _, token := range []string{"ann 40s", "ann 10m", "ann 20m", "bob 20m"} {
			s.users[token] = e.identity(token)
		}
		s.users["ann"] = &auth.Identity{User: "ann", Permissions: &anything}
		test(t, e)
	})
}

type expirySite struct {
	*site
	begun time.Time
}

func (s *expirySite) identity(token string) *auth.Identity {
	user, ttl, _ := strings.Cut(token, " ")
	d, err := time.ParseDuration(ttl)
	if err != nil {
		panic(err)
	}
	return &auth.Identity{User: user, Permissions: &anything, Expires: s.begun.Add(d)}
}

// warned waits for the next warning.
func (s *expirySite) warned(c *client.Client, at, ends time.Duration, in string) {
	s.t.Helper()
	want := fmt.Sprintf(`{"expiring":%q,"in":%q,"hint":"send auth with a new token of the same user, as in {\"auth\":TOKEN}"}`,
		s.begun.Add(ends).UTC().Format(time.RFC3339Nano), in)
	if got := next(s.t, c); got != want {
		s.t.Errorf("got %s, want %s", got, want)
	}
	if after := time.Since(s.begun); after != at {
		s.t.Errorf("warned after %s, want %s", after, at)
	}
}

// closed waits for the end, before which there is nothing but bye.
func (s *expirySite) closed(c *client.Client, at time.Duration, why string) {
	s.t.Helper()
	want := fmt.Sprintf(`{"bye":true,"code":4401,"why":%q}`, why)
	if got := next(s.t, c); got != want {
		s.t.Errorf("got %s, want %s", got, want)
	}
	closedWith(s.t, c, websock.CodeUnauthenticated)
	if after := time.Since(s.begun); after != at {
		s.t.Errorf("closed after %s, want %s", after, at)
	}
}

// A09: a token that ends on a live connection, whether it came with the
// handshake or with auth: one warning, and then the end, to the second.
func TestA09Warning(t *testing.T) {
	const minute = time.Minute
	expiring(t, func(t *testing.T, s *expirySite) {
		c := s.connect(s.users["ann 10m"])
		s.warned(c, 9*minute, 10*minute, "1m")
		s.closed(c, 10*minute, "the token has expired")
	})
	expiring(t, func(t *testing.T, s *expirySite) {
		c := s.connect(nil)
		ask(t, c, `{"auth":"ann 10m"}`)
		s.warned(c, 9*minute, 10*minute, "1m")
		s.closed(c, 10*minute, "the token has expired")
		if got := s.counted(); !slices.Equal(got, []auth.Reason{auth.RanOut}) {
			t.Errorf("counted %v", got)
		}
	})
	expiring(t, func(t *testing.T, s *expirySite) { // a short one
		c := s.connect(s.users["ann 40s"])
		s.warned(c, 20*time.Second, 40*time.Second, "20s")
		s.closed(c, 40*time.Second, "the token has expired")
	})
	expiring(t, func(t *testing.T, s *expirySite) { // warnings are turned off
		s.opts.ExpiryWarning = func() time.Duration { return -1 }
		s.closed(s.connect(s.users["ann 10m"]), 10*minute, "the token has expired")
	})
}

// A09: a refresh between the warning and the end is taken, and is warned of
// its own end; one that is no good changes nothing; the same token again is no
// reason to be warned again.
func TestA09Refresh(t *testing.T) {
	const minute = time.Minute
	expiring(t, func(t *testing.T, s *expirySite) {
		c := s.connect(s.users["ann 10m"])
		s.warned(c, 9*minute, 10*minute, "1m")
		for _, tt := range []struct{ token, answer string }{
			{"nonsense", `{"err":"auth","code":"unauthenticated"`}, {"unavailable", `{"err":"auth","code":"unavailable"`}, {"ann 10m", `{"ok":"auth","user":"ann","expires":`},
		} {
			if got := ask(t, c, `{"auth":"`+tt.token+`"}`); !strings.HasPrefix(got, tt.answer) {
				t.Errorf("%s: %s", tt.token, got)
			}
		}
		time.Sleep(59 * time.Second) // the last second counts
		if got := ask(t, c, `{"auth":"ann 20m"}`); !strings.HasPrefix(got, `{"ok":"auth","user":"ann","expires":`) {
			t.Errorf("got %s", got)
		}
		s.warned(c, 19*minute, 20*minute, "1m")
		if got := ask(t, c, `{"auth":"ann"}`); got != `{"ok":"auth","user":"ann"}` {
			t.Errorf("got %s", got)
		}
		time.Sleep(24 * time.Hour)
		if got := ask(t, c, `{"ping":1}`); got != `{"pong":1}` {
			t.Errorf("got %s", got)
		}
		synctest.Wait()
	})
}

// A09: a token of another user is the end at once, warned or not.
func TestA09OtherUser(t *testing.T) {
	expiring(t, func(t *testing.T, s *expirySite) {
		c := s.connect(s.users["ann 10m"])
		s.warned(c, 9*time.Minute, 10*time.Minute, "1m")
		if err := c.Send(`{"auth":"bob 20m"}`); err != nil {
			t.Fatal(err)
		}
		s.closed(c, 9*time.Minute, "the token is another user's: connect again to be somebody else")
		if got := s.counted(); !slices.Equal(got, []auth.Reason{auth.OtherUser}) {
			t.Errorf("counted %v", got)
		}
	})
}
