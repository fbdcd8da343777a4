package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func TestLiveEventsArriveInOrder(t *testing.T) {
	g := newRig(t, bridge.Options{})
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
	publishN(t, c, "events.a", 1, 500)
	events := r.waitEvents(t, a.SID, 500)
	inOrder(t, events, 1, 500)
	r.waitKind(t, a.SID, "live")
}

func TestFromEveryForm(t *testing.T) {
	g := newRig(t, bridge.Options{})
	c, _ := g.connect(t)
	begin := time.Now().Add(-time.Hour)
	positions := make([]string, 0, 10)
	for i := 1; i <= 10; i++ {
		positions = append(positions, publish(t, c, fmt.Sprintf("events.%d", i%3), fmt.Sprint(i)))
	}
	for _, tt := range []struct {
		from, filter string
		want         string
		behind       uint64
	}{
		{"", "events.>", "", 0},
		{"new", "events.>", "", 0},
		{"first", "events.>", "1 2 3 4 5 6 7 8 9 10", 10},
		{"first", "events.0", "3 6 9", 10},
		{"last", "events.>", "8 9 10", 3},
		{"last", "events.1", "10", 1},
		{"last", "events.nothing", "", 0},
		{"last:2", "events.>", "9 10", 2},
		{"last:2", "events.2", "5 8", 6},
		{"last:99", "events.2", "2 5 8", 10},
		{"-2h", "events.>", "1 2 3 4 5 6 7 8 9 10", 10},
		{begin.Format(time.RFC3339), "events.0", "3 6 9", 10},
		{positions[6], "events.>", "8 9 10", 3},
		{positions[9], "events.>", "", 0},
	} {
		t.Run(tt.from+" "+tt.filter, func(t *testing.T) {
			c, r := g.connect(t)
			a := subscribe(t, c, bridge.SubscribeRequest{Filter: tt.filter, From: tt.from, Until: "now"})
			end := r.waitKind(t, a.SID, "end")
			if end.why != "until" {
				t.Errorf("ended because %q", end.why)
			}
			var got []string
			for _, f := range kinds(r.wait(t, "all", func([]frame) bool { return true }), a.SID, "event") {
				got = append(got, f.data)
			}
			if strings.Join(got, " ") != tt.want || a.Behind != tt.behind {
				t.Errorf("got %v behind %d, want %q behind %d", got, a.Behind, tt.want, tt.behind)
			}
		})
	}
}

func TestResumeIsExactOnAnotherGateway(t *testing.T) {
	first := newRig(t, bridge.Options{})
	second := rigOn(t, first.broker, bridge.Options{RingMessages: 64})
	c, r := first.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "first"})
	publishN(t, c, "events.a", 1, 1000)
	events := r.waitEvents(t, a.SID, 1000)
	for _, n := range []int{0, 1, 500, 935, 937, 999, 1000} {
		from := a.From.String()
		if n > 0 {
			from = events[n-1].pos
		}
		c2, r2 := second.connect(t)
		a2 := subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", From: from})
		if a2.After != nil {
			t.Errorf("gap %s..%s", a2.After, a2.Next)
		}
		r2.waitKind(t, a2.SID, "live")
		r2.waitEvents(t, a2.SID, 1000-n) // this gateway may hear of the last of them later
		all := kinds(r2.wait(t, "all", func([]frame) bool { return true }), a2.SID, "event")
		inOrder(t, all, n+1, 1000)
	}
	if second.Stats().Scanned.Load() == 0 {
		t.Error("nothing was read from the stream: the ring was not left")
	}
}

func TestPositionsStrictlyIncrease(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 32},
		memory.Stream{Name: "A", Subjects: []string{"a.>"}}, memory.Stream{Name: "B", Subjects: []string{"b.>"}})
	c, r := g.connect(t)
	for i := range 300 {
		publish(t, c, []string{"a.x", "b.x"}[i%2], fmt.Sprint(i))
	}
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: ">", From: "first"})
	for i := range 300 {
		publish(t, c, []string{"a.x", "b.x"}[i%2], fmt.Sprint(300+i))
	}
	events := r.waitEvents(t, a.SID, 600)
	last := a.From
	seen := map[string]int{}
	for _, e := range events {
		p, err := bridge.ParsePosition(e.pos)
		if err != nil || len(p) != 2 {
			t.Fatalf("position %q: %v", e.pos, err)
		}
		up := false
		for i := range p {
			if p[i].Seq < last[i].Seq {
				t.Fatalf("%s after %s", p, last)
			}
			up = up || p[i].Seq > last[i].Seq
		}
		if !up {
			t.Fatalf("%s after %s", p, last)
		}
		last = p
		seen[e.data]++
	}
	if len(seen) != 600 {
		t.Errorf("%d different events", len(seen))
	}
	// Any of these positions resumes without loss or duplicate.
	for _, n := range []int{1, 77, 299, 300, 450, 600} {
		c, r := g.connect(t)
		a := subscribe(t, c, bridge.SubscribeRequest{Filter: ">", From: events[n-1].pos})
		r.waitKind(t, a.SID, "live")
		rest := kinds(r.wait(t, "all", func([]frame) bool { return true }), a.SID, "event")
		got := map[string]bool{}
		for _, e := range rest {
			got[e.data] = true
		}
		for _, e := range events[:n] {
			if got[e.data] {
				t.Fatalf("%s came again", e.data)
			}
		}
		if len(got) != 600-n || len(rest) != 600-n {
			t.Errorf("after %d: %d events, want %d", n, len(rest), 600-n)
		}
	}
}

func TestSlowClientCatchesUpAndRejoins(t *testing.T) {
	for _, ring := range []int{100_000, 256} {
		t.Run(fmt.Sprint("ring ", ring), func(t *testing.T) {
			g := newRig(t, bridge.Options{RingMessages: ring})
			c, r := g.connect(t)
			slow, rs := g.connect(t)
			a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
			b := subscribe(t, slow, bridge.SubscribeRequest{Filter: "events.>"})
			rs.waitKind(t, b.SID, "live")
			rs.block(true)
			publishN(t, c, "events.a", 1, 5000)
			r.waitEvents(t, a.SID, 5000)
			rs.block(false)
			inOrder(t, rs.waitEvents(t, b.SID, 5000), 1, 5000)
			publishN(t, c, "events.a", 5001, 5100)
			inOrder(t, rs.waitEvents(t, b.SID, 5100), 1, 5100)
			if g.Stats().FellBehind.Load() == 0 || g.Stats().Rejoined.Load() < 3 {
				t.Error("the slow client did not fall behind, or did not rejoin")
			}
			if ring == 256 && g.Stats().Scanned.Load() == 0 {
				t.Error("nothing was read from the stream")
			}
		})
	}
}

func TestCredit(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 64})
	c, r := g.connect(t)
	publishN(t, c, "events.a", 1, 300)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "first", Max: 10})
	publishN(t, c, "events.a", 301, 400)
	for n := 10; n <= 400; n += 10 {
		events := r.waitEvents(t, a.SID, n)
		inOrder(t, events, 1, n)
		pos, _ := bridge.ParsePosition(events[n-1].pos)
		if err := c.Seen(a.SID, pos, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGapWhenTrimmedWhileAway(t *testing.T) {
	for _, ring := range []int{16, 1000} { // what was trimmed does not come out of the ring either
		t.Run(fmt.Sprint("ring ", ring), func(t *testing.T) { gapWhenTrimmedWhileAway(t, ring) })
	}
}

func gapWhenTrimmedWhileAway(t *testing.T, ring int) {
	g := newRig(t, bridge.Options{RingMessages: ring})
	c, r := g.connect(t)
	all := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
	first := publish(t, c, "events.a", "1")
	publishN(t, c, "events.a", 2, 100)
	r.waitEvents(t, all.SID, 100) // the ring has moved on
	g.broker.Trim(0, 51)
	c2, r2 := g.connect(t)
	a := subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", From: first})
	if a.After.String() != first || a.Next[0].Seq != 51 {
		t.Errorf("gap %s..%s, want %s..51", a.After, a.Next, first)
	}
	inOrder(t, r2.waitEvents(t, a.SID, 50), 51, 100)
}

func TestGapWhenTrimmedUnderASlowClient(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 16})
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
	publish(t, c, "events.a", "1")
	r.waitEvents(t, a.SID, 1)
	r.block(true)
	other, _ := g.connect(t)
	publish(t, other, "events.a", "2")
	r.waitStuck(t)
	publishN(t, other, "events.a", 3, 2000)
	g.received(t, "events.a") // more than the client's queue holds: it has fallen behind
	g.broker.Trim(0, 1501)
	r.block(false)
	gap := r.waitKind(t, a.SID, "gap")
	after, _ := bridge.ParsePosition(gap.after)
	next, _ := bridge.ParsePosition(gap.next)
	if next[0].Seq != 1501 || after[0].Seq >= 1500 {
		t.Errorf("gap %s..%s", gap.after, gap.next)
	}
	all := r.wait(t, "the rest", func(all []frame) bool {
		e := kinds(all, a.SID, "event")
		return e[len(e)-1].data == "2000"
	})
	events := kinds(all, a.SID, "event")
	inOrder(t, events[:after[0].Seq], 1, int(after[0].Seq))
	inOrder(t, events[after[0].Seq:], 1501, 2000)
}

func TestGapWhenStreamIsMadeAnew(t *testing.T) {
	g := newRig(t, bridge.Options{})
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
	old := publish(t, c, "events.a", "1")
	r.waitEvents(t, a.SID, 1)
	g.broker.Recreate(0)
	gap := r.waitKind(t, a.SID, "gap")
	if gap.after != old {
		t.Errorf("gap after %s, want %s", gap.after, old)
	}
	publish(t, c, "events.a", "2")
	inOrder(t, r.waitEvents(t, a.SID, 2), 1, 2)

	c2, r2 := g.connect(t)
	a2 := subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", From: old})
	if a2.After.String() != old {
		t.Errorf("no gap in the answer: %+v", a2)
	}
	inOrder(t, r2.waitEvents(t, a2.SID, 1), 2, 2)
}

func TestStreamDeletedEndsSubscriptions(t *testing.T) {
	g := newRig(t, bridge.Options{GoneGrace: 10 * time.Millisecond})
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>"})
	g.broker.RemoveStream(0)
	if end := r.waitKind(t, a.SID, "end"); end.why != "stream_deleted" {
		t.Errorf("ended because %q", end.why)
	}
	if g.Ready() == nil {
		t.Error("ready without its stream")
	}
}

func TestCoreSubjectsAreLiveOnly(t *testing.T) {
	g := newRig(t, bridge.Options{})
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "news.*"})
	b := subscribe(t, c, bridge.SubscribeRequest{Filter: "news.eu"})
	if a.From != nil {
		t.Errorf("a position without a stream: %s", a.From)
	}
	if pos := publish(t, c, "news.eu", "1"); pos != "" {
		t.Errorf("stored at %q", pos)
	}
	for _, sid := range []string{a.SID, b.SID} {
		inOrder(t, r.waitEvents(t, sid, 1), 1, 1)
	}
	publish(t, c, "news.us", "2")
	inOrder(t, r.waitEvents(t, a.SID, 2), 1, 2)
	if got := r.waitEvents(t, b.SID, 1); len(got) != 1 {
		t.Errorf("%d events on news.eu", len(got))
	}
}

func TestSubscribeRefusals(t *testing.T) {
	g := newRig(t, bridge.Options{}, memory.Stream{Name: "A", Subjects: []string{"a.>"}}, memory.Stream{Name: "B", Subjects: []string{"b.>"}})
	r := newRecorder()
	c := g.Connect(bridge.ClientOptions{User: "u", Encoder: r, Transport: r, MaxSubscriptions: 1,
		Permissions: &bridge.Permissions{Pub: []string{"a.>", "c.>"}, Sub: []string{"a.>", "b.>", "c.>"}}})
	t.Cleanup(func() { r.close(); c.Close() })
	posB := publish(t, mustConnect(t, g), "b.x", "1")
	for _, tt := range []struct {
		r    bridge.SubscribeRequest
		code bridge.Code
	}{
		{bridge.SubscribeRequest{Filter: "a..b"}, bridge.CodeBadSubject},
		{bridge.SubscribeRequest{Filter: ""}, bridge.CodeBadSubject},
		{bridge.SubscribeRequest{Filter: "a.>.b"}, bridge.CodeBadSubject},
		{bridge.SubscribeRequest{Filter: ">"}, bridge.CodeForbidden},
		{bridge.SubscribeRequest{Filter: "*.x"}, bridge.CodeForbidden},
		{bridge.SubscribeRequest{Filter: "$JS.API.>"}, bridge.CodeForbidden},
		{bridge.SubscribeRequest{Filter: "_INBOX.>"}, bridge.CodeForbidden},
		{bridge.SubscribeRequest{Filter: "jetway.ctl.>"}, bridge.CodeForbidden},
		{bridge.SubscribeRequest{Filter: "a.>", From: "yesterday"}, bridge.CodeBadPosition},
		{bridge.SubscribeRequest{Filter: "a.>", From: "last:0"}, bridge.CodeBadPosition},
		{bridge.SubscribeRequest{Filter: "a.>", From: "-5"}, bridge.CodeBadPosition},
		{bridge.SubscribeRequest{Filter: "a.>", From: posB}, bridge.CodeBadPosition},
		{bridge.SubscribeRequest{Filter: "a.>", Max: -1}, bridge.CodeBadFrame},
		{bridge.SubscribeRequest{Filter: "a.>", Max: 1e6}, bridge.CodeBadFrame},
		{bridge.SubscribeRequest{Filter: "a.>", Until: "later"}, bridge.CodeBadFrame},
		{bridge.SubscribeRequest{Filter: "a.>", As: "a b"}, bridge.CodeBadFrame},
		{bridge.SubscribeRequest{Filter: "c.>", From: "first"}, bridge.CodeNoStream},
		{bridge.SubscribeRequest{Filter: "c.>", As: "x"}, bridge.CodeNoStream},
		// Without positions nothing can be seen, so credit would never come back.
		{bridge.SubscribeRequest{Filter: "c.>", Max: 1}, bridge.CodeNoStream},
	} {
		t.Run(fmt.Sprintf("%+v", tt.r), func(t *testing.T) {
			err := c.Subscribe(context.Background(), tt.r, func(*bridge.Output, bridge.SubscribeAnswer) { t.Error("answered") })
			var e *bridge.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Msg == "" {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
	subscribe(t, c, bridge.SubscribeRequest{Filter: "a.>"})
	err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "a.>"}, nil)
	if !errors.Is(err, &bridge.Error{Code: bridge.CodeRateLimited}) {
		t.Errorf("one subscription too many: %v", err)
	}
	if n := g.Stats().Subscriptions.Load(); n != 1 {
		t.Errorf("%d subscriptions are counted", n)
	}
}

func mustConnect(t *testing.T, g *rig) *bridge.Client {
	c, _ := g.connect(t)
	return c
}
