package jetstream

import (
	"context"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// maxDeleted is the number of deleted messages up to which nats-server is asked
// for a list of them: it comes in one answer, 8 bytes each and more. Beyond it
// holes count as deleted.
const maxDeleted = 1_000_000

// deletedSet is what is known of the holes in an incarnation's sequences.
// Immutable.
type deletedSet struct {
	inc    *incarnation
	first  uint64   // nothing below is kept
	last   uint64   // nothing above was looked at
	ranges []uint64 // pairs lo, hi (inclusive), ascending: deleted one by one
	all    bool     // too many to list: every hole counts as deleted
}

// covers reports whether all sequences between after and next (exclusive) are
// known to be deleted. Safe on nil, which knows nothing.
func (d *deletedSet) covers(after, next uint64) bool {
	if d == nil || after+1 < d.first || next > d.last+1 {
		return false
	}
	return d.all || len(d.rest(after, next)) == 0
}

// rest returns the parts between after and next (exclusive) that are not
// deleted one by one.
func (d *deletedSet) rest(after, next uint64) []bridge.Range {
	var list []bridge.Range
	at := after + 1 // not looked at yet
	if at < d.first && at < next {
		end := min(d.first, next)
		list = append(list, bridge.Range{After: after, Next: end})
		at = end
	}
	if d.all {
		return list
	}
	i, _ := slices.BinarySearch(d.ranges, at)
	i &^= 1 // the pair that at may be in, or the next one
	for ; at < next; i += 2 {
		lo, hi := next, next
		if i < len(d.ranges) {
			lo, hi = min(d.ranges[i], next), d.ranges[i+1]
		}
		if lo > at {
			list = append(list, bridge.Range{After: at - 1, Next: lo})
		}
		at = max(at, hi+1)
	}
	return list
}

// newDeletedSet makes a set of an answer of STREAM.INFO. Sequences that the
// server itself calls lost are not deleted ones.
func newDeletedSet(inc *incarnation, st *streamState) *deletedSet {
	d := &deletedSet{inc: inc, first: st.First, last: st.Last, all: st.NumDeleted > 0 && len(st.Deleted) == 0}
	if st.Messages == 0 {
		d.first = st.Last + 1
	}
	lost := map[uint64]empty{}
	if st.Lost != nil {
		for _, seq := range st.Lost.Msgs {
			lost[seq] = empty{}
		}
	}
	for _, seq := range st.Deleted {
		if _, ok := lost[seq]; ok {
			continue
		}
		if n := len(d.ranges); n > 0 && d.ranges[n-1]+1 == seq {
			d.ranges[n-1] = seq
			continue
		}
		d.ranges = append(d.ranges, seq, seq)
	}
	return d
}

// knownDeleted returns what was found last, nil when that is of another
// incarnation.
func (s *stream) knownDeleted() *deletedSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted == nil || s.deleted.inc != s.current() {
		return nil
	}
	return s.deleted
}

// unexplained returns the parts between after and next (exclusive) that are
// missing although nobody deleted them one by one.
func (s *stream) unexplained(ctx context.Context, inc *incarnation, after, next uint64) ([]bridge.Range, error) {
	if s.knownDeleted().covers(after, next) {
		return nil, nil
	}
	info, now, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	if now != inc {
		return nil, nil // the hole is of the past; so are all positions in it
	}
	if info.State.NumDeleted > 0 && info.State.NumDeleted <= maxDeleted {
		if info, err = s.b.info(ctx, s.cfg.Name, map[string]any{"deleted_details": true}); err != nil {
			return nil, err
		}
	}
	d := newDeletedSet(inc, &info.State)
	s.mu.Lock()
	s.deleted = d
	s.mu.Unlock()
	return d.rest(after, next), nil
}

// parseHeartbeat reads where a consumer says it is.
func parseHeartbeat(h nats.Header) (m meta, err error) {
	if m.dseq, err = strconv.ParseUint(h.Get("Nats-Last-Consumer"), 10, 64); err != nil {
		return m, err
	}
	m.seq, err = strconv.ParseUint(h.Get("Nats-Last-Stream"), 10, 64)
	return m, err
}
