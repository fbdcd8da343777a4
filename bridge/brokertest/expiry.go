package brokertest

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var expiryTests = []test{
	{name: "a message with a TTL vanishes", run: testTTL, slow: true},
	{name: "MaxAge", run: testMaxAge, slow: true,
		streams: []Stream{{Name: "EVENTS", Subjects: []string{"events.>"}, MaxAge: time.Second, Dedupe: time.Second}}},
	{name: "an id is forgotten after the window", run: testDedupeWindow, slow: true,
		streams: []Stream{{Name: "EVENTS", Subjects: []string{"events.>"}, Dedupe: time.Second}}},
	{name: "MaxBytes", run: testMaxBytes,
		streams: []Stream{{Name: "EVENTS", Subjects: []string{"events.>"}, MaxBytes: 20_000}}},
}

func testTTL(r *rig) {
	short, long := to("events.a", "short"), to("events.a", "long")
	short.TTL, long.TTL = time.Second, time.Hour
	same(r, "sequences", r.publish(to("events.a", "1"), short, long, to("events.b", "4")), span(1, 4))
	r.poll("the message has expired", func() bool { return r.state().Messages == 3 })
	events, lost := r.read(bridge.ReadRequest{MaxMessages: 10})
	same(r, "what is left", seqsOf(events), []uint64{1, 3, 4})
	equal(r, "holes that count as lost", len(lost), 0)
	for _, e := range events {
		equal(r, fmt.Sprint("headers of ", e.Seq), len(e.Head), 0)
	}
	n, err := r.Count(r.ctx, 0, "events.a")
	r.ok("Count", err)
	equal(r, "count", n, 2)
}

func testMaxAge(r *rig) {
	r.fill(5, "events.a")
	r.poll("all messages are too old", func() bool { return r.state().Messages == 0 })
	s := r.state()
	equal(r, "first", s.First, 6)
	equal(r, "last", s.Last, 5)
	n, err := r.LastSeq(r.ctx, 0, "events.a")
	r.ok("LastSeq", err)
	equal(r, "newest on the subject", n, 0)
}

func testDedupeWindow(r *rig) {
	r.publish(keyed("k", "events.a", "1"))
	r.poll("the id is forgotten", func() bool {
		got := r.start(keyed("k", "events.a", "2"))()[0]
		r.ok("publish", got.err)
		if got.Duplicate {
			equal(r, "the duplicate's sequence", got.Seq, 1)
		}
		return !got.Duplicate
	})
	equal(r, "messages", r.state().Messages, 2)
}

func testMaxBytes(r *rig) {
	data := make([]byte, 1000)
	var last uint64
	for range 50 {
		last = r.publish(&bridge.Publication{Subject: "events.a", Data: data})[0]
	}
	equal(r, "last receipt", last, 50)
	s := r.state()
	equal(r, "last", s.Last, 50)
	if s.First <= 30 || s.First > 45 {
		r.Errorf("first is %d, want about 32: 20,000 bytes hold up to 20 messages of 1,000", s.First)
	}
	if s.Bytes > 20_000 {
		r.Errorf("bytes is %d, over the limit", s.Bytes)
	}
	equal(r, "messages", s.Messages, 51-s.First)
	events, lost := r.read(bridge.ReadRequest{MaxMessages: 100})
	same(r, "what is kept", seqsOf(events), span(s.First, 50))
	same(r, "what is lost", lost, []bridge.Range{{After: 0, Next: s.First}})
}
