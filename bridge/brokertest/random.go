package brokertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// SeedVariable is the environment variable that repeats a run of the random
// tests: they log the seed they use.
const SeedVariable = "BROKERTEST_SEED"

var randomTests = []test{
	{name: "reads agree with a model", run: testRandom},
}

// model is the simplest thing that a stream can be.
type model struct {
	messages []modelMessage
	last     uint64
	trimmed  uint64 // highest sequence that was trimmed
}

type modelMessage struct {
	seq     uint64
	subject string
}

func testRandom(r *rig) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(SeedVariable); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		r.ok(SeedVariable, err)
	}
	r.Logf("%s=%d", SeedVariable, seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	m := &model{}
	for range 40 {
		m.change(r, rnd)
		for range 4 {
			m.compare(r, rnd)
		}
	}
	f := r.follow(1)
	f.untilReached(m.last)
	same(r, "followed", seqsOf(f.events()), m.seqs("events.>", 1))
}

func randomSubject(rnd *rand.Rand) string {
	return fmt.Sprintf("events.%c.%c", 'a'+rnd.IntN(4), 'x'+rnd.IntN(3))
}

func randomFilter(rnd *rand.Rand) string {
	first, second := string(rune('a'+rnd.IntN(5))), string(rune('x'+rnd.IntN(3)))
	return []string{"events.>", "events." + first + ".*", "events.*." + second, "events." + first + "." + second}[rnd.IntN(4)]
}

// change publishes a burst, deletes a few messages, or trims.
func (m *model) change(r *rig, rnd *rand.Rand) {
	switch n := rnd.IntN(10); {
	case n < 7 || len(m.messages) < 5:
		m.publish(r, rnd)
	case n < 9:
		for range 1 + rnd.IntN(5) {
			// Not the first: a broker need not know why it is gone.
			if len(m.messages) > 1 {
				i := 1 + rnd.IntN(len(m.messages)-1)
				r.Delete(0, m.messages[i].seq)
				m.messages = slices.Delete(m.messages, i, i+1)
			}
		}
	default:
		first := m.messages[rnd.IntN(len(m.messages))].seq
		r.Trim(0, first)
		for m.messages[0].seq < first {
			m.trimmed = m.messages[0].seq
			m.messages = m.messages[1:]
		}
	}
}

func (m *model) publish(r *rig, rnd *rand.Rand) {
	var all []*bridge.Publication
	for range 1 + rnd.IntN(60) {
		all = append(all, to(randomSubject(rnd), "x"))
	}
	for i, got := range r.start(all...)() {
		r.ok("publish", got.err)
		equal(r, "sequence", got.Seq, m.last+1)
		m.last++
		m.messages = append(m.messages, modelMessage{seq: got.Seq, subject: all[i].Subject})
	}
}

// seqs returns what matches, from a sequence on.
func (m *model) seqs(filter string, from uint64) (seqs []uint64) {
	for _, msg := range m.messages {
		if msg.seq >= from && bridge.Matches(filter, msg.subject) {
			seqs = append(seqs, msg.seq)
		}
	}
	return seqs
}

func (m *model) first() uint64 {
	if len(m.messages) == 0 {
		return m.last + 1
	}
	return m.messages[0].seq
}

// compare asks one thing in every way.
func (m *model) compare(r *rig, rnd *rand.Rand) {
	filter, from := randomFilter(rnd), 1+rnd.Uint64N(m.last+2)
	what := fmt.Sprintf("%q from %d of %d-%d", filter, from, m.first(), m.last)
	size := 1 + rnd.IntN(200)
	events, lost := r.read(bridge.ReadRequest{Filter: filter, From: from, MaxMessages: size})
	same(r, what, seqsOf(events), m.seqs(filter, from))
	equal(r, "lost in a filtered read", len(lost), 0)
	events, lost = r.read(bridge.ReadRequest{From: from, MaxMessages: size})
	same(r, fmt.Sprint("all from ", from), seqsOf(events), m.seqs(">", from))
	m.compareLost(r, from, lost)
	m.compareLookups(r, rnd, filter)
}

// compareLost leaves a broker the choice when all that was trimmed lies before
// the reader, but the message where it starts was deleted and now lies before
// the first one kept: that it was deleted may be forgotten by now.
func (m *model) compareLost(r *rig, from uint64, lost []bridge.Range) {
	hole := []bridge.Range{{After: from - 1, Next: m.first()}}
	what := fmt.Sprintf("lost from %d of %d-%d", from, m.first(), m.last)
	switch {
	case from <= m.trimmed:
		same(r, what, lost, hole)
	case from >= m.first() || len(lost) > 0 && !slices.Equal(lost, hole):
		equal(r, what, len(lost), 0)
	}
}

func (m *model) compareLookups(r *rig, rnd *rand.Rand, filter string) {
	seqs := m.seqs(filter, 1)
	n, err := r.Count(r.ctx, 0, filter)
	r.ok("Count", err)
	equal(r, "count of "+filter, n, uint64(len(seqs)))

	nth := 1 + rnd.Uint64N(uint64(len(seqs)+2))
	want := m.first()
	if nth <= uint64(len(seqs)) {
		want = seqs[uint64(len(seqs))-nth]
	}
	r.nth(filter, nth, want)

	newest := make(map[string]uint64)
	for _, msg := range m.messages {
		if bridge.Matches(filter, msg.subject) {
			newest[msg.subject] = msg.seq
		}
	}
	var last []uint64
	for subject, seq := range newest {
		last = append(last, seq)
		r.lastSeq(subject, seq)
	}
	slices.Sort(last)
	same(r, "newest in "+filter, r.lastSeqs(filter, m.last, 100), last)
}
