package brokertest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jetway-io/jetway/bridge"
)

var followTests = []test{
	{name: "from the beginning", run: func(r *rig) { testFollowFrom(r, 1) }},
	{name: "from 0", run: func(r *rig) { testFollowFrom(r, 0) }},
	{name: "from the middle", run: func(r *rig) { testFollowFrom(r, 6) }},
	{name: "from the last one", run: func(r *rig) { testFollowFrom(r, 10) }},
	{name: "from the end", run: func(r *rig) { testFollowFrom(r, 11) }},
	{name: "an empty stream is reached", run: testFollowEmpty},
	{name: "while several callers publish", run: testFollowConcurrent},
	{name: "two followers have events of their own", run: testTwoFollowers},
	{name: "a deleted message is skipped in silence", run: testFollowDeleted},
	{name: "the newest message was deleted", run: testFollowDeletedLast},
	{name: "trimmed before it was read", run: testFollowTrimmed},
	{name: "all was trimmed", run: testFollowAllTrimmed},
	{name: "trimmed after it was read", run: testFollowTrimmedBehind},
	{name: "ends with its context", run: testFollowEnds},
}

// testFollowFrom follows a stream of ten that grows to fifteen.
func testFollowFrom(r *rig, from uint64) {
	r.fill(10, "events.a", "events.b")
	f := r.follow(from)
	f.untilReached(10)
	same(r, "history", seqsOf(f.events()), span(max(from, 1), 10))
	r.fill(5, "events.a", "events.b")
	f.untilSeq(15)
	f.stop()
	same(r, "all", seqsOf(f.events()), span(max(from, 1), 15))
	equal(r, "calls of Lost, Renewed and Gone", len(f.all("Lost", "Renewed", "Gone")), 0)
	tag := r.Streams()[0].Tag
	for _, c := range f.all("Append", "Reached") {
		equal(r, "tag in "+c.method, c.stream.Tag, tag)
	}
}

func testFollowEmpty(r *rig) {
	f := r.follow(1)
	f.untilReached(0)
	equal(r, "reached", f.all("Reached")[0].seq, 0)
	r.publish(to("events.a", "1"))
	f.untilSeq(1)
	equal(r, "subject", f.events()[0].Subject, "events.a")
	equal(r, "payload", string(f.events()[0].Data), "1")
}

func testFollowConcurrent(r *rig) {
	const callers, each = 4, 250
	r.fill(100, "events.before")
	f := r.follow(1)
	var (
		wg      sync.WaitGroup
		results [callers][]result
	)
	for c := range callers {
		all := make([]*bridge.Publication, each)
		for i := range all {
			all[i] = to(fmt.Sprint("events.", c), fmt.Sprintf("%d/%d", c, i))
		}
		wg.Go(func() { results[c] = r.start(all...)() })
	}
	wg.Wait()
	f.untilSeq(100 + callers*each)
	got := f.events()
	same(r, "sequences", seqsOf(got), span(1, 100+callers*each))
	for c, all := range results {
		for i, res := range all {
			r.ok("publish", res.err)
			equal(r, fmt.Sprint("payload of ", res.Seq), string(got[res.Seq-1].Data), fmt.Sprintf("%d/%d", c, i))
		}
	}
	equal(r, "calls of Lost, Renewed and Gone", len(f.all("Lost", "Renewed", "Gone")), 0)
}

func testTwoFollowers(r *rig) {
	r.fill(10, "events.a")
	one, two := r.follow(1), r.follow(4)
	one.untilReached(10)
	two.untilReached(10)
	r.fill(10, "events.a")
	one.untilSeq(20)
	two.untilSeq(20)
	a, b := one.events(), two.events()
	same(r, "the first follower's", seqsOf(a), span(1, 20))
	same(r, "the second follower's", seqsOf(b), span(4, 20))
	for i := range b {
		if a[i+3] == b[i] {
			r.Fatalf("event %d is shared by two followers; each keeps notes in it", b[i].Seq)
		}
	}
	one.stop()
	r.fill(1, "events.a")
	two.untilSeq(21)
	equal(r, "events of a follower that was stopped", len(one.events()), 20)
}

func testFollowDeleted(r *rig) {
	r.fill(10, "events.a", "events.b")
	r.Delete(0, 3)
	r.Delete(0, 7)
	r.Delete(0, 8)
	f := r.follow(2)
	f.untilReached(10)
	same(r, "events", seqsOf(f.events()), []uint64{2, 4, 5, 6, 9, 10})
	equal(r, "calls of Lost", len(f.all("Lost")), 0)
}

func testFollowDeletedLast(r *rig) {
	r.fill(5, "events.a")
	r.Delete(0, 5)
	f := r.follow(1)
	f.untilReached(5) // it does not exist
	same(r, "events", seqsOf(f.events()), span(1, 4))
	r.publish(to("events.a", "6"))
	f.untilSeq(6)
	equal(r, "calls of Lost", len(f.all("Lost")), 0)
}

func testFollowTrimmed(r *rig) {
	r.fill(10, "events.a")
	r.Trim(0, 6)
	for from, lost := range map[uint64][]bridge.Range{
		1: {{After: 0, Next: 6}},
		3: {{After: 2, Next: 6}},
		5: {{After: 4, Next: 6}},
		6: nil,
	} {
		f := r.follow(from)
		f.untilReached(10)
		f.stop()
		same(r, fmt.Sprint("lost from ", from), f.lost(), lost)
		same(r, fmt.Sprint("events from ", from), seqsOf(f.events()), span(6, 10))
		if lost != nil {
			equal(r, "the first call", f.all("Append", "Lost")[0].method, "Lost")
		}
	}
}

func (f *recorder) lost() (lost []bridge.Range) {
	for _, c := range f.all("Lost") {
		lost = append(lost, bridge.Range{After: c.after, Next: c.next})
	}
	return lost
}

func testFollowAllTrimmed(r *rig) {
	r.fill(10, "events.a")
	r.Trim(0, 11)
	f := r.follow(4)
	f.untilReached(10)
	same(r, "lost", f.lost(), []bridge.Range{{After: 3, Next: 11}})
	r.publish(to("events.a", "11"))
	f.untilSeq(11)
	same(r, "events", seqsOf(f.events()), []uint64{11})
}

func testFollowTrimmedBehind(r *rig) {
	r.fill(10, "events.a")
	f := r.follow(1)
	f.untilReached(10)
	r.Trim(0, 8)
	r.fill(5, "events.a")
	f.untilSeq(15)
	same(r, "events", seqsOf(f.events()), span(1, 15))
	equal(r, "calls of Lost", len(f.all("Lost")), 0)
}

func testFollowEnds(r *rig) {
	f := r.follow(1)
	f.untilReached(0)
	f.stop() // while it waits
	before := len(f.all("Append", "Reached"))
	r.fill(3, "events.a")
	other := r.follow(1)
	other.untilSeq(3)
	equal(r, "calls after Follow returned", len(f.all("Append", "Reached")), before)

	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	if err := r.Follow(ctx, 0, 1, &recorder{r: r}); !errors.Is(err, context.Canceled) {
		r.Errorf("Follow with an ended context: %v, want context.Canceled", err)
	}
}
