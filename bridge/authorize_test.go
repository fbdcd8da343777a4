package bridge_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// Permissions that shrink end what they do not allow any more: a subscription,
// a durable, work. What they allow goes on.
func TestSetPermissions(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		c, r := g.connectAs(t, "ann")
		gone := []string{
			subscribe(t, c, bridge.SubscribeRequest{Filter: "events.secret.>"}).SID,
			subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "all"}).SID,
			subscribe(t, c, bridge.SubscribeRequest{Filter: "live.secret"}).SID,
			work(t, c, "jobs.a", 1),
		}
		stays := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.chat.>"}).SID
		staysWork := work(t, c, "jobs.b", 1)
		synctest.Wait()

		c.SetPermissions(&bridge.Permissions{Pub: []string{">"}, Sub: []string{"events.chat.>"}, Work: []string{"jobs.b"}})
		publish(t, c, "events.secret.a", "1")
		publish(t, c, "events.chat.a", "2")
		publish(t, c, "jobs.a", "3")
		publish(t, c, "jobs.b", "4")
		synctest.Wait()

		var ended, got []string
		for _, f := range r.wait(t, "all", func([]frame) bool { return true }) {
			switch f.kind {
			case "end":
				if f.why != "revoked" {
					t.Errorf("%s ended: %s", f.sid, f.why)
				}
				ended = append(ended, f.sid)
			case "event", "job":
				got = append(got, f.sid+" "+f.subject)
			}
		}
		slices.Sort(ended)
		slices.Sort(gone)
		if !slices.Equal(ended, gone) {
			t.Errorf("ended: %v, want %v", ended, gone)
		}
		slices.Sort(got)
		if want := []string{stays + " events.chat.a", staysWork + " jobs.b"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.secret.>"}, nil); !errors.Is(err, &bridge.Error{Code: bridge.CodeForbidden}) {
			t.Errorf("subscribed again: %v", err)
		}
	})
}

// What a subscription has queued is not written once it is revoked.
func TestRevokedIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bridge.Options{}, memory.Stream{Name: "EVENTS", Subjects: []string{"events.>"}})
		c, r := g.connect(t)
		subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
		synctest.Wait()
		r.block(true)
		other, _ := g.connect(t)
		publish(t, other, "events.a", "1") // is being written
		synctest.Wait()
		publishN(t, other, "events.a", 2, 20)
		synctest.Wait()
		c.SetPermissions(&bridge.Permissions{})
		r.block(false)
		synctest.Wait()
		frames := r.wait(t, "all", func([]frame) bool { return true })
		if last := frames[len(frames)-1]; last.kind != "end" || last.why != "revoked" {
			t.Errorf("the last frame is %+v", last)
		}
		if n := len(frames); n > 3 { // live, what was being written, end
			t.Errorf("%d frames", n)
		}
	})
}

// A broker that does not answer holds up nobody whose rights change, nor what
// changes them for all: what durables have seen is stored when it can be.
func TestSetPermissionsDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooked(t)
		g := h.rig(t)
		c, r := g.connectAs(t, "ann")
		subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "desk"})
		publishN(t, c, "events.a", 1, 5)
		synctest.Wait()
		events := kinds(r.wait(t, "events", func([]frame) bool { return true }), "s1", "event")
		stuck := make(chan struct{})
		h.move = func(ctx context.Context) error {
			select {
			case <-stuck:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		seen, err := bridge.ParsePosition(events[2].pos)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Seen("s1", seen, nil); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		c.SetPermissions(&bridge.Permissions{})
		if took := time.Since(begun); took != 0 {
			t.Errorf("waited for %s", took)
		}
		synctest.Wait()
		if ends := kinds(r.wait(t, "the end", func([]frame) bool { return true }), "s1", "end"); len(ends) != 1 || ends[0].why != "revoked" {
			t.Errorf("ended with %+v", ends)
		}
		close(stuck)
		// Who comes next finds what was seen.
		again, r := g.connectAs(t, "ann")
		subscribe(t, again, bridge.SubscribeRequest{Filter: "events.>", As: "desk"})
		synctest.Wait()
		inOrder(t, kinds(r.wait(t, "events", func([]frame) bool { return true }), "s1", "event"), 4, 5)
	})
}

// A client that has asked for nothing may become somebody, another may not.
func TestBecome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bridge.Options{}, memory.Stream{Name: "EVENTS", Subjects: []string{"events.>"}})
		c, _ := g.connect(t)
		if err := c.Become("ann", &everything); err != nil || c.User() != "ann" {
			t.Errorf("%v, %s", err, c.User())
		}
		subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
		if err := c.Become("bob", &everything); !errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}) || c.User() != "ann" {
			t.Errorf("%v, %s", err, c.User())
		}
	})
}

// Permissions change while everything else goes on.
func TestSetPermissionsConcurrently(t *testing.T) {
	g := newRig(t, bridge.Options{}, memory.Stream{Name: "EVENTS", Subjects: []string{"events.>"}})
	c, _ := g.connect(t)
	narrow := bridge.Permissions{Pub: []string{"events.>"}, Sub: []string{"events.a"}}
	var wg sync.WaitGroup
	for _, do := range []func(){
		func() { c.SetPermissions(&narrow) },
		func() { c.SetPermissions(&everything) },
		func() {
			_ = c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.b"}, func(*bridge.Output, bridge.SubscribeAnswer) {})
		},
		func() {
			c.Publish(bridge.PublishRequest{Subject: "events.b", Data: []byte("1")}, func(bridge.PublishAnswer, error) {})
		},
	} {
		wg.Go(func() {
			for range 50 {
				do()
			}
		})
	}
	wg.Wait()
	c.SetPermissions(&narrow)
	if err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.b"}, nil); err == nil {
		t.Error("subscribed")
	}
}

// A refusal names the widest filters that would have been allowed.
func TestForbiddenHints(t *testing.T) {
	g := newRig(t, bridge.Options{}, memory.Stream{Name: "EVENTS", Subjects: []string{"events.>"}})
	r := newRecorder()
	p := bridge.Permissions{
		Sub:  []string{"events.chat.>", "events.chat.1", "events.*.eu", "events.users.ann.>", "events.x.>"},
		Pub:  []string{"events.>"},
		Deny: bridge.Denied{Sub: []string{"events.chat.secret", "events.x.>"}, Pub: []string{"events.audit.>"}},
	}
	c := g.Connect(bridge.ClientOptions{User: "ann", Permissions: &p, Encoder: r, Transport: r})
	t.Cleanup(func() { r.close(); c.Close() })
	for filter, want := range map[string]string{
		"events.>":       "allowed within it: events.chat.1, events.users.ann.>; never: events.chat.secret, events.x.>",
		"events.chat.>":  "allowed within it: events.chat.1, events.chat.eu; never: events.chat.secret",
		"events.users.*": "allowed within it: events.users.eu",
		"events.users.>": "allowed within it: events.users.eu, events.users.ann.>",
		"events.y.>":     "allowed within it: events.y.eu",
		"events.x.1":     "allowed: events.chat.>, events.chat.1, events.*.eu, events.users.ann.>, events.x.>; never: events.x.>",
		"other.>":        "allowed: events.chat.>, events.chat.1, events.*.eu, events.users.ann.>, events.x.>",
	} {
		err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: filter}, nil)
		if e := bridge.ErrorOf(err); e.Code != bridge.CodeForbidden || e.Hint != want {
			t.Errorf("%s: %v, hint %q\nwant %q", filter, err, e.Hint, want)
		}
	}
	var refused error
	c.Publish(bridge.PublishRequest{Subject: "events.audit.x", Data: []byte("1")}, func(_ bridge.PublishAnswer, err error) { refused = err })
	if e := bridge.ErrorOf(refused); e.Code != bridge.CodeForbidden || !strings.HasSuffix(e.Hint, "never: events.audit.>") {
		t.Errorf("%v, %q", refused, e.Hint)
	}
	publish(t, c, "events.other", "1")
}

// What is denied stays denied when a name in it has no good value.
func TestDenyExpands(t *testing.T) {
	p := bridge.Permissions{Sub: []string{">"}, Deny: bridge.Denied{Sub: []string{"events.{tenant}.secret", "events.{user}.x"}}}
	got := p.Expand(func(name string) (string, bool) { return "ann", name == "user" }, nil)
	if want := []string{"events.*.secret", "events.ann.x"}; !slices.Equal(got.Deny.Sub, want) {
		t.Errorf("got %v, want %v", got.Deny.Sub, want)
	}
	both := got.Union(bridge.Permissions{Sub: []string{"events.b.secret"}, Deny: bridge.Denied{Pub: []string{"a"}}})
	if !slices.Equal(both.Deny.Sub, got.Deny.Sub) || !slices.Equal(both.Deny.Pub, []string{"a"}) {
		t.Errorf("the union denies %+v", both.Deny)
	}
}
