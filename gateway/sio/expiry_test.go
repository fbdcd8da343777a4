package sio_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// issuer knows tokens such as "ann 5m", which end so long after it began, and
// "ann", which do not end.
type issuer struct {
	begun time.Time

	mu      sync.Mutex
	refused []auth.Reason
}

func (s *issuer) identify(_ context.Context, _ *socketio.Conn, _, token string) (*auth.Identity, error) {
	user, ttl, ends := strings.Cut(token, " ")
	if user == "" {
		return nil, auth.Refuse(auth.NoToken, "a token is needed", "send one")
	}
	id := &auth.Identity{User: user, Permissions: &everything}
	if ends {
		d, err := time.ParseDuration(ttl)
		if err != nil {
			return nil, auth.Refuse("malformed", "this is not a token", "send one")
		}
		id.Expires = s.begun.Add(d)
	}
	return id, nil
}

func (s *issuer) count(why auth.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, why)
}

// expiring runs a test in a bubble, with a client that is warned one minute
// before its token ends.
func expiring(t *testing.T, test func(t *testing.T, s *issuer, g *rig, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &issuer{begun: time.Now()}
		g := pipedRig(t, newBroker(t), func(o *sio.Options) {
			o.Identify, o.AuthRefused, o.Namespaces = s.identify, s.count, []string{"/", "/news"}
			o.ExpiryWarning = func() time.Duration { return time.Minute }
		})
		p := g.dial(t)
		p.patience = 24 * time.Hour
		test(t, s, g, p)
	})
}

// warned waits for the next warning, in this namespace.
func (p *peer) warned(s *issuer, namespace string, at, ends time.Duration, in string) {
	p.t.Helper()
	got := p.text()
	id, args, _ := strings.Cut(strings.TrimPrefix(got, "42"+namespace), "[") // id is of the acknowledgement
	want := fmt.Sprintf(`"jetway:expiring",{"expires":%q,"in":%q,"hint":"emit(\"jetway:auth\", {auth: TOKEN}, ack) with a new token of the same user"}]`,
		s.begun.Add(ends).UTC().Format(time.RFC3339Nano), in)
	if args != want || strings.Trim(id, "0123456789") != "" {
		p.t.Errorf("got %s, want %s in %q", got, want, namespace)
	}
	if after := time.Since(s.begun); after != at {
		p.t.Errorf("warned after %s, want %s", after, at)
	}
}

// closed waits for the end of the connection.
func (p *peer) closed(s *issuer, at time.Duration) {
	p.t.Helper()
	_ = p.ws.SetReadDeadline(time.Now().Add(p.patience))
	if _, b, err := p.ws.ReadMessage(); err == nil {
		p.t.Errorf("got %s, want the end", b)
	}
	if after := time.Since(s.begun); after != at {
		p.t.Errorf("closed after %s, want %s", after, at)
	}
}

// A09: a token that ends on a live connection: one warning, and then the end,
// to the second.
func TestA09Warning(t *testing.T) {
	expiring(t, func(t *testing.T, s *issuer, _ *rig, p *peer) {
		p.connect(`{"token":"ann 10m"}`)
		p.warned(s, "", 9*time.Minute, 10*time.Minute, "1m")
		p.closed(s, 10*time.Minute)
		synctest.Wait()
		if !slices.Equal(s.refused, []auth.Reason{auth.RanOut}) {
			t.Errorf("counted %v", s.refused)
		}
	})
	expiring(t, func(t *testing.T, s *issuer, _ *rig, p *peer) { // a short one
		p.connect(`{"token":"ann 40s"}`)
		p.warned(s, "", 20*time.Second, 40*time.Second, "20s")
		p.closed(s, 40*time.Second)
	})
}

// A09: a refresh between the warning and the end is taken, and is warned of
// its own end; one that is no good changes nothing; the same token again is no
// reason to be warned again.
func TestA09Refresh(t *testing.T) {
	expiring(t, func(t *testing.T, s *issuer, g *rig, p *peer) {
		p.connect(`{"token":"ann 10m"}`)
		p.warned(s, "", 9*time.Minute, 10*time.Minute, "1m")
		p.send(`421["jetway:auth",{"auth":"ann nonsense"}]`)
		p.expect(`431[{"ok":false,"code":"unauthenticated"`)
		p.send(`422["jetway:auth",{"auth":"ann 10m"}]`)
		p.expect(`432[{"ok":true,"user":"ann"`)
		time.Sleep(50 * time.Second)
		p.send(`423["jetway:auth",{"auth":"ann 20m"}]`)
		p.expect(`433[{"ok":true,"user":"ann","expires":"` + s.begun.Add(20*time.Minute).UTC().Format(time.RFC3339) + `"`)
		time.Sleep(5 * time.Minute) // beyond the first one's end
		p.emit(`["events.a",1]`)
		p.warned(s, "", 19*time.Minute, 20*time.Minute, "1m")
		p.send(`424["jetway:auth",{"auth":"ann"}]`)
		p.expect(`434[{"ok":true,"user":"ann"}`)
		time.Sleep(time.Hour)
		p.emit(`["events.a",2]`)
	})
}

// A09: a token of another user is the end at once, warned or not.
func TestA09OtherUser(t *testing.T) {
	expiring(t, func(t *testing.T, s *issuer, _ *rig, p *peer) {
		p.connect(`{"token":"ann 10m"}`)
		p.warned(s, "", 9*time.Minute, 10*time.Minute, "1m")
		p.send(`421["jetway:auth",{"auth":"bob 20m"}]`)
		p.closed(s, 9*time.Minute)
		synctest.Wait()
		if !slices.Equal(s.refused, []auth.Reason{auth.OtherUser}) {
			t.Errorf("counted %v", s.refused)
		}
	})
}

// A09: each socket of a connection is warned of the token that is its own, and
// the first end is the connection's.
func TestA09Namespaces(t *testing.T) {
	expiring(t, func(t *testing.T, s *issuer, _ *rig, p *peer) {
		p.connect(`{"token":"ann 10m"}`)
		p.send(`40/news,{"token":"ann 20m"}`)
		p.expect(`40/news,{"sid":"`)
		p.warned(s, "", 9*time.Minute, 10*time.Minute, "1m")
		p.send(`421["jetway:auth",{"auth":"ann 30m"}]`)
		p.expect(`431[{"ok":true,"user":"ann"`)
		p.warned(s, "/news,", 19*time.Minute, 20*time.Minute, "1m")
		p.closed(s, 20*time.Minute)
	})
}
