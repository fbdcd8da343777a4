package brokertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var lookupTests = []test{
	{name: "count", run: testCount},
	{name: "newest on a subject", run: testLastSeq},
	{name: "newest of each subject", run: testLastSeqs},
	{name: "newest of each subject up to a sequence", run: testLastSeqsUpTo},
	{name: "newest of too many subjects", run: testLastSeqsTooMany},
	{name: "nth newest", run: testSeqOfNth},
	{name: "nth newest of a trimmed stream", run: testSeqOfNthTrimmed},
	{name: "first at or after a time", run: testSeqAt},
}

func testCount(r *rig) {
	count := func(filter string, want uint64) {
		r.Helper()
		n, err := r.Count(r.ctx, 0, filter)
		r.ok("Count", err)
		equal(r, "count of "+filter, n, want)
	}
	count("events.>", 0)
	r.fill(30, "events.a.x", "events.b.x", "events.a.y")
	r.Delete(0, 4) // events.a.x
	for filter, want := range map[string]uint64{
		"events.>": 29, ">": 29, "events.a.x": 9, "events.a.*": 19, "events.*.x": 19, "events.a": 0, "events.c.x": 0,
	} {
		count(filter, want)
	}
	r.Trim(0, 11) // leaves 20: 11 to 30
	count("events.>", 20)
	count("events.a.x", 6) // 13, 16, 19, 22, 25, 28
}

func (r *rig) lastSeq(subject string, want uint64) {
	r.Helper()
	seq, err := r.LastSeq(r.ctx, 0, subject)
	r.ok("LastSeq", err)
	equal(r, "newest on "+subject, seq, want)
}

func testLastSeq(r *rig) {
	r.lastSeq("events.a", 0)
	r.fill(10, "events.a", "events.b")
	r.lastSeq("events.a", 9)
	r.lastSeq("events.b", 10)
	r.lastSeq("events.c", 0)
	r.Delete(0, 9)
	r.lastSeq("events.a", 7)
	r.Trim(0, 9)
	r.lastSeq("events.a", 0)
	r.lastSeq("events.b", 10)
}

func (r *rig) lastSeqs(filter string, upTo uint64, max int) []uint64 {
	r.Helper()
	seqs, err := r.LastSeqs(r.ctx, 0, filter, upTo, max)
	r.ok("LastSeqs", err)
	return seqs
}

func testLastSeqs(r *rig) {
	equal(r, "on an empty stream", len(r.lastSeqs("events.>", 0, 10)), 0)
	r.fill(9, "events.a.x", "events.b.x", "events.a.y")
	r.publish(to("events.a.x", "10"))
	for filter, want := range map[string][]uint64{
		"events.>":   {8, 9, 10},
		"events.a.*": {9, 10},
		"events.*.x": {8, 10},
		"events.b.x": {8},
		"events.c.>": nil,
	} {
		same(r, "newest in "+filter, r.lastSeqs(filter, 10, 10), want)
	}
	r.Delete(0, 10)
	same(r, "newest after one was deleted", r.lastSeqs("events.>", 10, 10), []uint64{7, 8, 9})
}

// testLastSeqsUpTo leaves a broker the choice for a subject that has newer
// messages than upTo: leave it out, or give its newest one up to there. Who
// asks follows the stream from upTo on and meets the newer one either way.
func testLastSeqsUpTo(r *rig) {
	r.publish(to("events.a", "1"), to("events.b", "2"), to("events.c", "3"), to("events.a", "4"), to("events.d", "5"))
	got := r.lastSeqs("events.*", 3, 10)
	if !slices.Equal(got, []uint64{2, 3}) && !slices.Equal(got, []uint64{1, 2, 3}) {
		r.Errorf("newest up to 3: %v, want 2 and 3, and perhaps 1", got)
	}
	same(r, "newest up to 4", r.lastSeqs("events.*", 4, 10), []uint64{2, 3, 4})
	same(r, "newest up to 5", r.lastSeqs("events.*", 5, 10), []uint64{2, 3, 4, 5})
	same(r, "newest up to 5 of one subject", r.lastSeqs("events.d", 5, 10), []uint64{5})
	equal(r, "newest up to 4 of a newer subject", len(r.lastSeqs("events.d", 4, 10)), 0)
}

func testLastSeqsTooMany(r *rig) {
	for i := range 20 {
		r.publish(to(fmt.Sprint("events.", i), "x"))
	}
	same(r, "exactly as many", r.lastSeqs("events.*", 20, 20), span(1, 20))
	_, err := r.LastSeqs(r.ctx, 0, "events.*", 20, 19)
	r.code("one more than max", err, bridge.CodeTooBig)
	same(r, "of a narrower filter", r.lastSeqs("events.7", 20, 1), []uint64{8})
}

func (r *rig) nth(filter string, n, want uint64) {
	r.Helper()
	seq, err := r.SeqOfNth(r.ctx, 0, filter, n)
	r.ok("SeqOfNth", err)
	equal(r, fmt.Sprintf("newest number %d of %s", n, filter), seq, want)
}

func testSeqOfNth(r *rig) {
	r.nth("events.>", 1, 1) // the first one kept of an empty stream is last + 1
	r.fill(30, "events.a.x", "events.b.x", "events.a.y")
	r.nth("events.>", 1, 30)
	r.nth("events.>", 30, 1)
	r.nth("events.>", 31, 1)
	r.nth("events.>", 1_000_000, 1)
	r.nth("events.a.x", 1, 28)
	r.nth("events.a.x", 4, 19)
	r.nth("events.a.x", 10, 1)
	r.nth("events.b.x", 10, 2)
	r.nth("events.b.x", 11, 1) // fewer: the first one kept
	r.nth("events.a.*", 2, 28)
	r.nth("events.a.*", 3, 27)
	r.nth("events.*.x", 3, 26)
	r.nth("events.c", 1, 1)
	r.Delete(0, 28)
	r.nth("events.a.x", 1, 25)
	r.nth("events.>", 3, 27)
}

func testSeqOfNthTrimmed(r *rig) {
	r.fill(10, "events.a", "events.b")
	r.Trim(0, 6)
	r.nth("events.>", 5, 6)
	r.nth("events.>", 6, 6)
	r.nth("events.a", 2, 7)
	r.nth("events.a", 3, 6)
	r.Trim(0, 11)
	r.nth("events.>", 1, 11)
}

func testSeqAt(r *rig) {
	at := func(t time.Time, want uint64) {
		r.Helper()
		seq, err := r.SeqAt(r.ctx, 0, t)
		r.ok("SeqAt", err)
		equal(r, fmt.Sprint("first at ", t), seq, want)
	}
	at(time.Now().Add(-time.Hour), 1)
	r.fill(10, "events.a")
	events, _ := r.read(bridge.ReadRequest{MaxMessages: 100})
	for _, e := range events {
		// Several may have the same time.
		first := slices.IndexFunc(events, func(o *bridge.Event) bool { return !o.Time.Before(e.Time) })
		at(e.Time, events[first].Seq)
	}
	at(events[0].Time.Add(-time.Hour), 1)
	at(events[9].Time.Add(time.Hour), 11)
	at(events[9].Time.Add(1), 11)
	r.Trim(0, 4)
	at(events[0].Time.Add(-time.Hour), 4)
	r.Trim(0, 11)
	at(events[0].Time, 11)
}
