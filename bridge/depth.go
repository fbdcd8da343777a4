package bridge

import (
	"context"
	"slices"
	"time"
)

// History is how far back a client may read: what is younger than Age, and the
// newest Events messages of each stream, whichever reaches further. Zero for
// both is nothing that was stored before the subscription.
type History struct {
	Age    time.Duration
	Events uint64
}

// deeper is the history of a client that has both; nil has no limit.
func deeper(p, q *Permissions) *History {
	switch {
	case len(p.Sub) == 0:
		return q.History
	case len(q.Sub) == 0:
		return p.History
	case p.History == nil || q.History == nil:
		return nil
	}
	return &History{max(p.History.Age, q.History.Age), max(p.History.Events, q.History.Events)}
}

// floor is the sequence after which the messages of a stream may be read.
func (h *History) floor(ctx context.Context, b *Bridge, s *Stream) (uint64, error) {
	newest := b.newest(s)
	floor := newest - min(h.Events, newest)
	if h.Age == 0 {
		return floor, nil
	}
	seq, err := b.broker.SeqAt(ctx, s.Slot, time.Now().Add(-h.Age))
	return min(floor, max(seq, 1)-1), err
}

// limit moves a start that reaches further back than the client may read. What
// is older than that does not exist for it: it is left out, and a gap for whom
// goes on from a position, which says that there was more.
func (c *Client) limit(ctx context.Context, at *start, from string) error {
	h := c.Permissions().History
	if h == nil {
		return nil
	}
	var next Position
	var lost bool
	for i := range at.marks {
		m := &at.marks[i]
		floor, err := h.floor(ctx, c.bridge, m.stream)
		if err != nil {
			return err
		}
		seq := m.seq
		if m.seq < floor {
			m.seq, seq, lost = floor, floor+1, true
		}
		next = append(next, Mark{m.stream.Tag, seq})
		at.forget(i, floor)
	}
	if pos, err := ParsePosition(from); err == nil && lost {
		for i := range next {
			if seq, ok := at.next.Seq(next[i].Tag); ok {
				next[i].Seq = max(next[i].Seq, seq)
			}
		}
		at.after, at.next = pos, next
	}
	return nil
}

// forget leaves out what a snapshot of a stream has up to a sequence.
func (at *start) forget(mark int, floor uint64) {
	for link := &at.snapshot; *link != nil; {
		s := *link
		if s.at == mark {
			s.seqs = slices.DeleteFunc(s.seqs, func(seq uint64) bool { return seq <= floor })
			if len(s.seqs) == 0 {
				at.marks[mark].seq = max(at.marks[mark].seq, s.upTo)
				*link = s.next
				continue
			}
		}
		link = &s.next
	}
}
