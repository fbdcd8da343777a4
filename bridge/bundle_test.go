package bridge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func bundle(t *testing.T, c *bridge.Client, from string, filters ...string) bridge.SubscribeAnswer {
	t.Helper()
	var got bridge.SubscribeAnswer
	err := c.SubscribeBundle(context.Background(), filters, from, func(out *bridge.Output, a bridge.SubscribeAnswer) {
		out.Append('x')
		out.EndFrame()
		got = a
	})
	if err != nil {
		t.Fatalf("bundle %q: %v", filters, err)
	}
	return got
}

var pair = []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}, {Name: "OTHER", Subjects: []string{"other.>"}}}

func TestBundleDeliversOnce(t *testing.T) {
	g := newRig(t, bridge.Options{}, pair...)
	p := mustConnect(t, g)
	c, r := g.connect(t)
	a := bundle(t, c, "", "events.>", "events.a", "events.*", "other.>")
	for i := 1; i <= 20; i++ {
		publish(t, p, []string{"events.a", "events.b", "other.a", "events.a.b"}[i%4], fmt.Sprint(i))
	}
	inOrder(t, sorted(r.waitEvents(t, a.SID, 20)), 1, 20)
	// One position for both streams, from which another client goes on.
	last := r.waitEvents(t, a.SID, 20)[9]
	if n := strings.Count(last.pos, "."); n != 1 {
		t.Errorf("position %q", last.pos)
	}
	c2, r2 := g.connect(t)
	b := bundle(t, c2, last.pos, "events.>", "other.>")
	if got := r2.waitEvents(t, b.SID, 10); len(got) != 10 {
		t.Errorf("%d events after %s", len(got), last.pos)
	}
}

// sorted orders events by their numbers: two streams have no order.
func sorted(events []frame) []frame {
	byNumber := make([]frame, len(events))
	for _, e := range events {
		var n int
		if _, err := fmt.Sscan(e.data, &n); err == nil && n >= 1 && n <= len(events) {
			byNumber[n-1] = e
		}
	}
	return byNumber
}

// A bundle of nothing is quiet until it is told what it wants.
func TestBundleOfNothing(t *testing.T) {
	g := newRig(t, bridge.Options{}, pair...)
	p := mustConnect(t, g)
	c, r := g.connect(t)
	a := bundle(t, c, "")
	publish(t, p, "events.a", "0")
	if err := c.Refilter(a.SID, []string{"events.a"}); err != nil {
		t.Fatal(err)
	}
	publish(t, p, "events.a", "1")
	inOrder(t, r.waitEvents(t, a.SID, 1), 1, 1)
	if err := c.Refilter(a.SID, nil); err != nil {
		t.Fatal(err)
	}
	publish(t, p, "events.a", "2")
	if err := c.Refilter(a.SID, []string{"other.>", "events.>"}); err != nil {
		t.Fatal(err)
	}
	publish(t, p, "events.a", "3")
	if got := r.waitEvents(t, a.SID, 2); got[1].data != "3" {
		t.Errorf("got %+v", got)
	}
}

// A client that has all the subscriptions that it may have can still change its
// bundle: it is one of them already.
func TestRefilterWithoutRoom(t *testing.T) {
	g := newRig(t, bridge.Options{}, pair...)
	r := newRecorder()
	c := g.Connect(bridge.ClientOptions{User: "ann", Permissions: &everything, Encoder: r, Transport: r, MaxSubscriptions: 1})
	t.Cleanup(func() { r.close(); c.Close() })
	a := bundle(t, c, "", "events.a", "events.b")
	if err := c.Refilter(a.SID, []string{"events.a"}); err != nil {
		t.Error(err)
	}
}

// While filters come and go at random, and the client is slow at random, what
// it wants all the time comes once and in order, and what it wants now and then
// comes once, in order, and completely while it was wanted.
func TestModelRefilter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	g := newRig(t, bridge.Options{RingMessages: 64}, pair...)
	p := mustConnect(t, g)
	c, r := g.connect(t)
	a := bundle(t, c, "", "events.a")
	subjects := []string{"events.a", "events.b.x", "other.c"}
	wanted := map[string]bool{"events.a": true}
	must, counts := map[string]bool{}, map[string]int{}
	for range 6000 {
		switch chance := rnd.IntN(100); {
		case chance < 1:
			filters := []string{"events.a"}
			wanted = map[string]bool{"events.a": true}
			if rnd.IntN(2) == 0 {
				filters, wanted["events.b.x"] = append(filters, "events.b.>"), true
			}
			if rnd.IntN(2) == 0 {
				filters, wanted["other.c"] = append(filters, "other.*", "other.c"), true
			}
			rnd.Shuffle(len(filters), func(i, j int) { filters[i], filters[j] = filters[j], filters[i] })
			// Before a filter goes, what it wanted must have come.
			r.block(false)
			g.received(t, "events.a", "other.c", "events.b.x")
			r.wait(t, "all that was wanted", func(all []frame) bool { return covers(kinds(all, a.SID, "event"), must) })
			if err := c.Refilter(a.SID, filters); err != nil {
				t.Fatal(err)
			}
		case chance < 2:
			r.block(rnd.IntN(2) == 0)
		default:
			s := subjects[rnd.IntN(len(subjects))]
			counts[s]++
			data := fmt.Sprintf("%s %d", s, counts[s])
			publish(t, p, s, data)
			if wanted[s] {
				must[data] = true
			}
		}
	}
	r.block(false)
	all := kinds(r.wait(t, "all that was wanted", func(all []frame) bool { return covers(kinds(all, a.SID, "event"), must) }), a.SID, "event")
	last := map[string]int{}
	for _, e := range all {
		var s string
		var n int
		if _, err := fmt.Sscan(e.data, &s, &n); err != nil || n <= last[s] {
			t.Fatalf("%q came after %d", e.data, last[s])
		}
		last[s] = n
	}
	if last["events.a"] != counts["events.a"] {
		t.Errorf("the last of events.a is %d, not %d", last["events.a"], counts["events.a"])
	}
	if g.Stats().FellBehind.Load() == 0 {
		t.Error("it never fell behind: the test did not bite")
	}
}

func covers(events []frame, must map[string]bool) bool {
	if len(events) < len(must) {
		return false
	}
	there := map[string]bool{}
	for _, e := range events {
		there[e.data] = true
	}
	for m := range must {
		if !there[m] {
			return false
		}
	}
	return true
}

func TestBundleRefusals(t *testing.T) {
	g := newRig(t, bridge.Options{}, pair...)
	c, r := g.connect(t)
	none := func(*bridge.Output, bridge.SubscribeAnswer) { t.Error("answered") }
	wantCode(t, "live only", c.SubscribeBundle(context.Background(), []string{"elsewhere.>"}, "", none), bridge.CodeNoStream)
	wantCode(t, "bad", c.SubscribeBundle(context.Background(), []string{"events..a"}, "", none), bridge.CodeBadSubject)
	wantCode(t, "no place", c.SubscribeBundle(context.Background(), []string{"events.a"}, "yesterday", none), bridge.CodeBadPosition)
	wantCode(t, "of no bundle", c.Refilter("s9", nil), bridge.CodeNotFound)
	s := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.a"})
	wantCode(t, "of a plain subscription", c.Refilter(s.SID, nil), bridge.CodeNotFound)
	a := bundle(t, c, "", "events.a")
	wantCode(t, "to what is not stored", c.Refilter(a.SID, []string{"elsewhere.a"}), bridge.CodeNoStream)
	// It goes on as it was.
	publish(t, c, "events.a", "1")
	inOrder(t, r.waitEvents(t, a.SID, 1), 1, 1)
	done := make(chan error, 1)
	go func() { done <- c.Unsubscribe(a.SID) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("unsubscribing hangs")
	}
}
