package brokertest

import (
	"fmt"
	"sync"

	"github.com/jetway-io/jetway/bridge"
)

var publishTests = []test{
	{name: "receipts have the stream and ascending sequences", run: testReceipts},
	{name: "a message is readable once it is acknowledged", run: testReadable},
	{name: "order of each of several callers", run: testOrder},
	{name: "a duplicate id gives the first sequence", run: testDuplicate},
	{name: "ids are per stream", run: testDuplicateOtherStream, streams: twoStreams},
	{name: "duplicates inside one burst", run: testDuplicateBurst},
	{name: "condition on the newest sequence", run: testExpect},
	{name: "condition on there being none", run: testExpectNone},
	{name: "condition after the newest was deleted", run: testExpectDeleted},
	{name: "only one of many with the same condition", run: testExpectRace},
	{name: "conflicts inside one burst hurt nobody else", run: testExpectBurst},
	{name: "done may publish", run: testPublishInDone},
}

func testReceipts(r *rig) {
	tag := r.Streams()[0].Tag
	for i := range uint64(10) {
		got := r.start(to("events.a", "x"))()[0]
		r.ok("publish", got.err)
		equal(r, "sequence", got.Seq, i+1)
		equal(r, "duplicate", got.Duplicate, false)
		if got.Stream == nil || got.Stream.Tag != tag {
			r.Fatalf("the receipt has the stream %v, want tag %q", got.Stream, tag)
		}
	}
}

func testReadable(r *rig) {
	for range 20 {
		seq := r.publish(to("events.a", "x"))[0]
		found, err := r.ReadSeqs(r.ctx, 0, []uint64{seq})
		r.ok("ReadSeqs", err)
		same(r, "what was just published", seqsOf(found), []uint64{seq})
	}
}

func testOrder(r *rig) {
	const callers, each = 4, 250
	var (
		wg      sync.WaitGroup
		results [callers][]result
	)
	for c := range callers {
		all := make([]*bridge.Publication, each)
		for i := range all {
			all[i] = to(fmt.Sprintf("events.%d.%d", c, i%3), fmt.Sprintf("%d/%d", c, i))
			all[i].Owner = fmt.Sprint("owner", c)
		}
		wg.Go(func() { results[c] = r.start(all...)() })
	}
	wg.Wait()
	r.checkOrder(results[:])
}

// checkOrder checks that each caller's sequences ascend, and that they are
// where its messages are.
func (r *rig) checkOrder(results [][]result) {
	want := make(map[uint64]string)
	for c, all := range results {
		last := uint64(0)
		for i, got := range all {
			r.ok("publish", got.err)
			if got.Seq <= last {
				r.Fatalf("caller %d: message %d has the sequence %d, the one before %d", c, i, got.Seq, last)
			}
			last = got.Seq
			want[got.Seq] = fmt.Sprintf("%d/%d", c, i)
		}
	}
	events, _ := r.read(bridge.ReadRequest{MaxMessages: 300})
	equal(r, "number of messages", len(events), len(want))
	for _, e := range events {
		equal(r, fmt.Sprint("payload of ", e.Seq), string(e.Data), want[e.Seq])
	}
}

// keyed makes a publication with an id.
func keyed(id, subject, data string) *bridge.Publication {
	p := to(subject, data)
	p.ID = id
	return p
}

func testDuplicate(r *rig) {
	r.publish(to("events.a", "before"))
	first := r.start(keyed("k1", "events.a", "one"))()[0]
	r.ok("publish", first.err)
	equal(r, "duplicate at first", first.Duplicate, false)
	r.publish(keyed("k2", "events.a", "two"), to("events.a", "three"))
	again := r.start(keyed("k1", "events.b", "other"))()[0]
	r.ok("publish again", again.err)
	equal(r, "duplicate", again.Duplicate, true)
	equal(r, "sequence", again.Seq, first.Seq)
	equal(r, "the receipt's tag", again.Stream.Tag, first.Stream.Tag)
	equal(r, "messages", r.state().Messages, 4)
	r.Delete(0, first.Seq)
	again = r.start(keyed("k1", "events.a", "one"))()[0]
	r.ok("publish after the first was deleted", again.err)
	equal(r, "duplicate after the first was deleted", again.Duplicate, true)
}

func testDuplicateOtherStream(r *rig) {
	other := keyed("k", "audit.a", "x")
	other.Slot = 1
	for _, got := range r.start(keyed("k", "events.a", "x"), other)() {
		r.ok("publish", got.err)
		equal(r, "duplicate", got.Duplicate, false)
	}
}

func testDuplicateBurst(r *rig) {
	r.publish(keyed("old", "events.old", "x"))
	var all []*bridge.Publication
	for i := range 300 {
		p := keyed(fmt.Sprint("k", i-i%3), "events.a", fmt.Sprint(i)) // k0 k0 k0 k3 k3 k3 …
		if i%50 == 49 {
			p.ID = "old"
		}
		p.Owner = fmt.Sprint("owner", i%2)
		all = append(all, p)
	}
	firsts := map[string]uint64{"old": 1}
	for i, got := range r.start(all...)() {
		r.ok("publish", got.err)
		first, seen := firsts[all[i].ID]
		equal(r, fmt.Sprintf("duplicate of %d (%s)", i, all[i].ID), got.Duplicate, seen)
		if seen {
			equal(r, fmt.Sprintf("sequence of %d (%s)", i, all[i].ID), got.Seq, first)
		}
		firsts[all[i].ID] = got.Seq
	}
	equal(r, "messages", r.state().Messages, uint64(len(firsts)))
}

// only makes a publication with a condition.
func only(newest uint64, subject, data string) *bridge.Publication {
	p := to(subject, data)
	p.Expect = &newest
	return p
}

func testExpect(r *rig) {
	r.publish(to("events.a", "1"), to("events.b", "2"))
	same(r, "sequence", r.publish(only(1, "events.a", "3")), []uint64{3})
	for _, wrong := range []uint64{0, 1, 2, 4} {
		got := r.start(only(wrong, "events.a", "no"))()[0]
		r.code(fmt.Sprint("publish if ", wrong), got.err, bridge.CodeConflict)
	}
	same(r, "sequence", r.publish(only(3, "events.a", "4"), only(2, "events.b", "5")), []uint64{4, 5})
}

func testExpectNone(r *rig) {
	same(r, "sequence", r.publish(only(0, "events.a", "1"), only(0, "events.b", "2")), []uint64{1, 2})
	r.code("publish again", r.start(only(0, "events.a", "no"))()[0].err, bridge.CodeConflict)
	equal(r, "messages", r.state().Messages, 2)
}

func testExpectDeleted(r *rig) {
	r.publish(to("events.a", "1"), to("events.a", "2"), to("events.b", "3"))
	r.Delete(0, 2)
	r.code("publish", r.start(only(2, "events.a", "no"))()[0].err, bridge.CodeConflict)
	r.publish(only(1, "events.a", "4"))
	r.Delete(0, 3)
	r.publish(only(0, "events.b", "5"))
}

func testExpectRace(r *rig) {
	const callers = 16
	var (
		wg      sync.WaitGroup
		results [callers]result
	)
	for c := range callers {
		wg.Go(func() { results[c] = r.start(only(0, "events.lock", fmt.Sprint(c)))()[0] })
	}
	wg.Wait()
	won := 0
	for _, got := range results {
		if got.err == nil {
			won++
			continue
		}
		r.code("publish", got.err, bridge.CodeConflict)
	}
	equal(r, "winners", won, 1)
	equal(r, "messages", r.state().Messages, 1)
}

func testExpectBurst(r *rig) {
	r.publish(to("events.taken", "x"))
	var all []*bridge.Publication
	for i := range 200 {
		p := to("events.a", fmt.Sprint(i))
		if i%10 == 3 {
			p = only(0, "events.taken", "no")
		}
		p.Owner = fmt.Sprint("owner", i%4)
		all = append(all, p)
	}
	// Order is promised to each owner, not among them: to keep it among them,
	// one owner's conditions would have to hold up the others' messages.
	last := map[string]uint64{}
	stored := map[uint64]bool{}
	for i, got := range r.start(all...)() {
		if all[i].Expect != nil {
			r.code("publish", got.err, bridge.CodeConflict)
			continue
		}
		r.ok("publish", got.err)
		if got.Seq <= last[all[i].Owner] || stored[got.Seq] {
			r.Fatalf("sequence %d of %s follows %d", got.Seq, all[i].Owner, last[all[i].Owner])
		}
		last[all[i].Owner], stored[got.Seq] = got.Seq, true
	}
}

func testPublishInDone(r *rig) {
	second := make(chan struct{})
	r.Publish(to("events.a", "1"), func(bridge.Receipt, error) {
		r.Publish(to("events.a", "2"), func(rc bridge.Receipt, err error) {
			if err != nil || rc.Seq != 2 {
				r.Errorf("the second message: sequence %d, %v", rc.Seq, err)
			}
			close(second)
		})
	})
	r.await(second, "a message published in done")
}
