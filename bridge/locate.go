package bridge

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSnapshot bounds how many subjects `from: "last"` may cover.
const maxSnapshot = 65536

// start is where a subscription starts.
type start struct {
	marks       []mark
	snapshot    *snapshot
	after, next Position // a gap, if not nil
}

// scope returns the streams that serve a filter.
func (b *Bridge) scope(filter string) []*Stream {
	var scope []*Stream
	for _, s := range b.broker.Streams() {
		for _, subject := range s.Subjects {
			if Overlap(filter, subject) {
				scope = append(scope, b.log.mark(s.Slot).stream)
				break
			}
		}
	}
	return scope
}

// locate finds out where a subscription starts.
func (b *Bridge) locate(ctx context.Context, scope []*Stream, r SubscribeRequest) (*start, error) {
	switch {
	case r.From == "" || r.From == "new":
		return b.each(scope, func(s *Stream) (uint64, error) { return b.newest(s), nil })
	case r.From == "first":
		return b.each(scope, func(s *Stream) (uint64, error) { return b.beforeFirst(ctx, s) })
	case r.From == "last":
		return b.locateLast(ctx, scope, r.Filter)
	case strings.HasPrefix(r.From, "last:"):
		return b.locateLastN(ctx, scope, r)
	}
	if t, ok := parseTime(r.From, time.Now()); ok {
		return b.each(scope, func(s *Stream) (uint64, error) {
			seq, err := b.broker.SeqAt(ctx, s.Slot, t)
			return max(seq, 1) - 1, err
		})
	}
	pos, err := ParsePosition(r.From)
	if err != nil {
		return nil, badFrom(r.From)
	}
	return b.locatePosition(ctx, scope, pos)
}

// parseTime reads "-10m" and RFC 3339 times.
func parseTime(s string, now time.Time) (time.Time, bool) {
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		d, err := time.ParseDuration(ago)
		return now.Add(-d), err == nil && d >= 0
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// each makes a start from one sequence for each stream.
func (b *Bridge) each(scope []*Stream, after func(*Stream) (uint64, error)) (*start, error) {
	at := &start{}
	for _, s := range scope {
		seq, err := after(s)
		if err != nil {
			return nil, err
		}
		at.marks = append(at.marks, mark{s, seq})
	}
	return at, nil
}

// newest is the last sequence of a stream that this gateway knows of: received
// from it, or given out to a message that it published.
func (b *Bridge) newest(s *Stream) uint64 {
	seq := b.log.mark(s.Slot).seq
	if acked := b.acked[s.Slot].Load(); acked != nil && acked.stream == s {
		seq = max(seq, acked.seq)
	}
	return seq
}

// beforeFirst is the sequence before the oldest message that a stream keeps.
func (b *Bridge) beforeFirst(ctx context.Context, s *Stream) (uint64, error) {
	state, err := b.state(ctx, s.Slot)
	return max(state.First, 1) - 1, err
}

// locateLast starts with the newest message of each subject.
func (b *Bridge) locateLast(ctx context.Context, scope []*Stream, filter string) (*start, error) {
	at := &start{}
	for i, s := range scope {
		upTo := b.newest(s)
		seqs, err := b.broker.LastSeqs(ctx, s.Slot, filter, upTo, maxSnapshot)
		if err != nil {
			return nil, err
		}
		m := mark{s, upTo}
		if len(seqs) > 0 {
			m.seq = seqs[0] - 1
			at.snapshot = &snapshot{at: i, seqs: seqs, upTo: upTo, next: at.snapshot}
		}
		at.marks = append(at.marks, m)
	}
	return at, nil
}

// locateLastN starts so that the last n messages of each stream come first.
func (b *Bridge) locateLastN(ctx context.Context, scope []*Stream, r SubscribeRequest) (*start, error) {
	n, err := strconv.ParseUint(r.From[len("last:"):], 10, 32)
	if err != nil || n == 0 {
		return nil, &Error{Code: CodeBadPosition, Msg: fmt.Sprintf("%.100q does not say how many", r.From), Hint: `write "last:10"`}
	}
	return b.each(scope, func(s *Stream) (uint64, error) {
		seq, err := b.broker.SeqOfNth(ctx, s.Slot, r.Filter, n)
		return max(seq, 1) - 1, err
	})
}

// locatePosition goes on where a client left off.
func (b *Bridge) locatePosition(ctx context.Context, scope []*Stream, pos Position) (*start, error) {
	at := &start{}
	var next Position
	gap, named := false, false
	for _, s := range scope {
		m, missing, err := b.locateMark(ctx, s, pos)
		if err != nil {
			return nil, err
		}
		named = named || missing || pos.Has(s.Tag)
		gap = gap || missing
		at.marks = append(at.marks, m)
		if missing {
			m.seq++
		}
		next = append(next, Mark{s.Tag, m.seq})
	}
	if !named {
		return nil, &Error{Code: CodeBadPosition, Msg: "this position is of another stream", Hint: "use a position that this subscription's own events carried"}
	}
	if gap {
		at.after, at.next = pos, next
	}
	return at, nil
}

// locateMark finds the place of a position in one stream. missing says that
// messages after it no longer exist, or that it is no place in this
// incarnation: then delivery starts at the oldest message kept.
func (b *Bridge) locateMark(ctx context.Context, s *Stream, pos Position) (m mark, missing bool, err error) {
	seq, ok := pos.Seq(s.Tag)
	state, err := b.state(ctx, s.Slot)
	if err != nil {
		return mark{}, false, err
	}
	first := max(state.First, 1)
	if ok && seq+1 >= first && seq <= max(state.Last, b.newest(s)) {
		return mark{s, seq}, false, nil
	}
	return mark{s, first - 1}, ok || b.foreign(pos), nil
}

// foreign reports whether a position names an incarnation that is none of the
// present ones. A mark of another stream that exists is no loss; a mark of
// none that exists may have been of this one.
func (b *Bridge) foreign(pos Position) bool {
	known := 0
	for slot := range b.acked {
		if pos.Has(b.log.mark(slot).stream.Tag) {
			known++
		}
	}
	return known < len(pos)
}

// untilNow returns where the streams end now, when all of that has been
// received: what the client knows to be stored is part of "now".
func (b *Bridge) untilNow(ctx context.Context, scope []*Stream) ([]mark, error) {
	until := make([]mark, 0, len(scope))
	for _, s := range scope {
		state, err := b.state(ctx, s.Slot)
		if err != nil {
			return nil, err
		}
		m := mark{s, state.Last}
		if err := b.log.waitFor(ctx, m); err != nil {
			return nil, &Error{Code: CodeUnavailable, Msg: "the stream could not be read in time", Retry: time.Second}
		}
		until = append(until, m)
	}
	return until, nil
}

// ahead counts the messages of the streams behind the marks.
func (b *Bridge) ahead(marks []mark) uint64 {
	var n uint64
	for _, m := range marks {
		if newest := b.newest(m.stream); newest > m.seq {
			n += newest - m.seq
		}
	}
	return n
}
