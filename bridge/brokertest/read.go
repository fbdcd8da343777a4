package brokertest

import (
	"fmt"

	"github.com/jetway-io/jetway/bridge"
)

var readTests = []test{
	{name: "pages", run: testReadPages},
	{name: "filters", run: testReadFilters},
	{name: "an event is as it was published", run: testReadEvent},
	{name: "MaxMessages and Next", run: testReadMax},
	{name: "MaxBytes", run: testReadMaxBytes},
	{name: "from anywhere", run: testReadFrom},
	{name: "an empty stream", run: testReadEmpty},
	{name: "trimmed messages are lost", run: testReadTrimmed},
	{name: "all was trimmed", run: testReadAllTrimmed},
	{name: "deleted messages are not lost", run: testReadDeleted},
	{name: "by sequence", run: testReadSeqs},
}

func testReadPages(r *rig) {
	r.fill(100, "events.a", "events.b", "events.c.x")
	for _, size := range []int{1, 7, 99, 100, 101, 1000} {
		events, lost := r.read(bridge.ReadRequest{MaxMessages: size})
		same(r, fmt.Sprintf("pages of %d", size), seqsOf(events), span(1, 100))
		equal(r, "lost", len(lost), 0)
	}
}

func testReadFilters(r *rig) {
	r.fill(60, "events.a.x", "events.b.x", "events.a.y")
	for _, c := range []struct {
		filter string
		wanted func(i uint64) bool // i: which of the three subjects
	}{
		{"", func(uint64) bool { return true }},
		{"events.>", func(uint64) bool { return true }},
		{"events.a.x", func(i uint64) bool { return i == 0 }},
		{"events.b.x", func(i uint64) bool { return i == 1 }},
		{"events.a.*", func(i uint64) bool { return i != 1 }},
		{"events.*.x", func(i uint64) bool { return i != 2 }},
		{"*.b.>", func(i uint64) bool { return i == 1 }},
		{"events.a", func(uint64) bool { return false }},
		{"events.*", func(uint64) bool { return false }},
		{"events.c.*", func(uint64) bool { return false }},
	} {
		for _, size := range []int{1, 8, 1000} {
			var want []uint64
			for seq := uint64(5); seq <= 60; seq++ {
				if c.wanted((seq - 1) % 3) {
					want = append(want, seq)
				}
			}
			events, lost := r.read(bridge.ReadRequest{Filter: c.filter, From: 5, MaxMessages: size})
			same(r, fmt.Sprintf("%q in pages of %d", c.filter, size), seqsOf(events), want)
			equal(r, "lost", len(lost), 0)
		}
	}
}

func testReadEvent(r *rig) {
	r.publish(to("events.a", "one"), to("events.b.c", "two"))
	b := r.page(bridge.ReadRequest{MaxMessages: 10})
	equal(r, "events", len(b.Events), 2)
	e := b.Events[1]
	equal(r, "subject", e.Subject, "events.b.c")
	equal(r, "payload", string(e.Data), "two")
	equal(r, "headers", len(e.Head), 0)
	equal(r, "tag", e.Stream.Tag, r.Streams()[0].Tag)
	if e.Time.IsZero() || e.Time.Before(b.Events[0].Time) {
		r.Errorf("times %v, %v: want them set and ascending", b.Events[0].Time, e.Time)
	}
}

func testReadMax(r *rig) {
	r.fill(10, "events.a", "events.b")
	b := r.page(bridge.ReadRequest{From: 3, MaxMessages: 4})
	same(r, "events", seqsOf(b.Events), span(3, 6))
	equal(r, "next", b.Next, 7)
	b = r.page(bridge.ReadRequest{From: 1, MaxMessages: 10})
	same(r, "events", seqsOf(b.Events), span(1, 10))
	equal(r, "next after all", b.Next, 11)
}

func testReadMaxBytes(r *rig) {
	data := make([]byte, 1000)
	for range 20 {
		r.publish(&bridge.Publication{Subject: "events.a", Data: data})
	}
	for _, filter := range []string{"", "events.a", "events.*"} {
		q := bridge.ReadRequest{Filter: filter, MaxMessages: 100, MaxBytes: 3500}
		if n := len(r.page(q).Events); n < 1 || n > 6 {
			r.Errorf("filter %q: %d events of 1,000 bytes, want about 3,500 bytes", filter, n)
		}
		events, _ := r.read(q)
		same(r, "all pages", seqsOf(events), span(1, 20))
		q.MaxBytes = 1 // less than one event
		events, _ = r.read(q)
		same(r, "all pages, with room for no event", seqsOf(events), span(1, 20))
	}
}

func testReadFrom(r *rig) {
	r.fill(10, "events.a", "events.b")
	for _, filter := range []string{"", "events.a", "events.b", "events.*"} {
		for _, c := range []struct{ from, first uint64 }{{0, 1}, {1, 1}, {2, 2}, {5, 5}, {10, 10}, {11, 11}, {12, 12}, {1000, 1000}} {
			var want []uint64
			for seq := c.first; seq <= 10; seq++ {
				if filter == "" || filter == "events.*" || (seq%2 == 1) == (filter == "events.a") {
					want = append(want, seq)
				}
			}
			b := r.page(bridge.ReadRequest{Filter: filter, From: c.from, MaxMessages: 100})
			same(r, fmt.Sprintf("%q from %d", filter, c.from), seqsOf(b.Events), want)
			equal(r, "lost", len(b.Lost), 0)
			if b.Next < 11 {
				r.Errorf("%q from %d: next is %d, but there is nothing below 11 to come", filter, c.from, b.Next)
			}
		}
	}
}

func testReadEmpty(r *rig) {
	for _, filter := range []string{"", "events.a", "events.>"} {
		b := r.page(bridge.ReadRequest{Filter: filter, MaxMessages: 10})
		equal(r, "events", len(b.Events), 0)
		equal(r, "lost", len(b.Lost), 0)
		equal(r, "next", b.Next, 1)
	}
}

func testReadTrimmed(r *rig) {
	r.fill(10, "events.a", "events.b")
	r.Trim(0, 6)
	equal(r, "first", r.state().First, 6)
	for from, want := range map[uint64][]bridge.Range{
		0: {{After: 0, Next: 6}},
		1: {{After: 0, Next: 6}},
		4: {{After: 3, Next: 6}},
		5: {{After: 4, Next: 6}},
		6: nil,
		7: nil,
	} {
		events, lost := r.read(bridge.ReadRequest{From: from, MaxMessages: 2})
		same(r, fmt.Sprint("lost from ", from), lost, want)
		same(r, fmt.Sprint("events from ", from), seqsOf(events), span(max(from, 6), 10))
	}
	events, _ := r.read(bridge.ReadRequest{Filter: "events.a", MaxMessages: 2})
	same(r, "filtered events", seqsOf(events), []uint64{7, 9})
}

func testReadAllTrimmed(r *rig) {
	r.fill(10, "events.a")
	r.Trim(0, 11)
	b := r.page(bridge.ReadRequest{From: 3, MaxMessages: 10})
	equal(r, "events", len(b.Events), 0)
	same(r, "lost", b.Lost, []bridge.Range{{After: 2, Next: 11}})
	equal(r, "next", b.Next, 11)
}

func testReadDeleted(r *rig) {
	r.fill(10, "events.a", "events.b")
	for _, seq := range []uint64{3, 4, 8, 10} {
		r.Delete(0, seq)
	}
	for _, size := range []int{1, 2, 3, 100} {
		events, lost := r.read(bridge.ReadRequest{MaxMessages: size})
		same(r, fmt.Sprintf("pages of %d", size), seqsOf(events), []uint64{1, 2, 5, 6, 7, 9})
		equal(r, "lost", len(lost), 0)
	}
	events, lost := r.read(bridge.ReadRequest{From: 4, MaxMessages: 100})
	same(r, "from a deleted one", seqsOf(events), []uint64{5, 6, 7, 9})
	equal(r, "lost", len(lost), 0)
}

func testReadSeqs(r *rig) {
	r.fill(20, "events.a", "events.b")
	r.Delete(0, 7)
	r.Delete(0, 20)
	r.Trim(0, 4)
	for _, c := range []struct{ ask, want []uint64 }{
		{nil, nil},
		{[]uint64{5}, []uint64{5}},
		{[]uint64{7}, nil},
		{[]uint64{1, 3, 4, 7, 8, 19, 20, 21, 500}, []uint64{4, 8, 19}},
		{span(1, 20), append(span(4, 6), span(8, 19)...)},
	} {
		events, err := r.ReadSeqs(r.ctx, 0, c.ask)
		r.ok("ReadSeqs", err)
		same(r, fmt.Sprint("sequences of ", c.ask), seqsOf(events), c.want)
		for _, e := range events {
			equal(r, "payload", string(e.Data), fmt.Sprint(e.Seq))
		}
	}
}
