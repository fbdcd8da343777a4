package brokertest

import (
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var twoStreams = []Stream{
	{Name: "EVENTS", Subjects: []string{"events.>", "news.*"}},
	{Name: "AUDIT", Subjects: []string{"audit.>"}},
}

var streamTests = []test{
	{name: "slots, names, subjects and tags", run: testStreams, streams: twoStreams},
	{name: "ready", run: func(r *rig) { r.poll("the broker is ready", func() bool { return r.Ready() == nil }) }},
	{name: "each slot has its own sequences", run: testTwoSlots, streams: twoStreams},
	{name: "state of an empty stream", run: testEmptyState},
	{name: "state", run: testState, streams: []Stream{{Name: "EVENTS", Subjects: []string{"events.>"}, Dedupe: time.Minute}}},
}

func testStreams(r *rig) {
	all := r.Streams()
	equal(r, "number of streams", len(all), 2)
	for slot, s := range all {
		equal(r, "slot", s.Slot, slot)
		equal(r, "name", s.Name, twoStreams[slot].Name)
		same(r, "subjects", s.Subjects, twoStreams[slot].Subjects)
		p, err := bridge.ParsePosition(bridge.Position{{Tag: s.Tag, Seq: 7}}.String())
		r.ok("a position with the tag", err)
		equal(r, "the tag in a position", p[0].Tag, s.Tag)
	}
	if all[0].Tag == all[1].Tag {
		r.Errorf("two streams have the tag %q", all[0].Tag)
	}
}

func testTwoSlots(r *rig) {
	audit := to("audit.x", "1")
	audit.Slot = 1
	same(r, "sequences", r.publish(to("events.a", "1"), audit, to("news.a", "2")), []uint64{1, 1, 2})
	got := r.start(audit)()[0]
	r.ok("publish", got.err)
	equal(r, "the receipt's slot", got.Stream.Slot, 1)
	s, err := r.State(r.ctx, 1)
	r.ok("State", err)
	equal(r, "messages in the second stream", s.Messages, 2)
	b := r.page(bridge.ReadRequest{Slot: 1, MaxMessages: 10})
	same(r, "sequences in the second stream", seqsOf(b.Events), []uint64{1, 2})
	equal(r, "messages in the first stream", r.state().Messages, 2)
}

func testEmptyState(r *rig) {
	s := r.state()
	equal(r, "first", s.First, 1)
	equal(r, "last", s.Last, 0)
	equal(r, "messages", s.Messages, 0)
	equal(r, "bytes", s.Bytes, 0)
	equal(r, "tag", s.Stream.Tag, r.Streams()[0].Tag)
}

func testState(r *rig) {
	equal(r, "dedupe", r.state().Dedupe, time.Minute)
	r.fill(10, "events.a", "events.b")
	s := r.state()
	equal(r, "first", s.First, 1)
	equal(r, "last", s.Last, 10)
	equal(r, "messages", s.Messages, 10)
	if s.Bytes == 0 {
		r.Error("bytes: 0 with ten messages")
	}
	r.Delete(0, 4)
	equal(r, "messages after one was deleted", r.state().Messages, 9)
	r.Trim(0, 6)
	s = r.state()
	equal(r, "first after trimming", s.First, 6)
	equal(r, "messages after trimming", s.Messages, 5)
	r.Trim(0, 11)
	s = r.state()
	equal(r, "first when nothing is kept", s.First, 11)
	equal(r, "last when nothing is kept", s.Last, 10)
	equal(r, "messages when nothing is kept", s.Messages, 0)
	same(r, "the next sequence", r.publish(to("events.a", "x")), []uint64{11})
}
