package memory

import (
	"context"

	"github.com/jetway-io/jetway/bridge"
)

// followBatch is how many messages a follower takes per lock: enough to make
// the lock cheap, few enough to end soon after the context does.
const followBatch = 256

// Follow implements [bridge.Broker], in the caller's goroutine.
func (b *Broker) Follow(ctx context.Context, slot int, from uint64, to bridge.Follower) error {
	s := b.streams[slot]
	c := cursor{after: max(from, 1) - 1}
	for ctx.Err() == nil {
		step := s.next(&c)
		step.deliver(ctx, to)
		if step.wait == nil {
			continue
		}
		select {
		case <-step.wait:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// cursor is how far one follower is.
type cursor struct {
	stream    *bridge.Stream // the incarnation it reads; nil before the first step
	gone      bool           // it knows that the stream is removed
	after     uint64         // everything up to here is behind it
	told      uint64         // the newest message or Reached it was given
	announced bool           // it was told that it has caught up with this incarnation
}

// step is what a follower is told next, in the order of the fields.
type step struct {
	stream   *bridge.Stream
	gone     bool
	renewed  bool
	lost     []bridge.Range
	messages []*message
	reached  bool
	seq      uint64          // for reached
	wait     <-chan struct{} // not nil: there is nothing more until it is closed
}

// next moves the cursor and returns what lies on the way.
func (s *stream) next(c *cursor) step {
	s.lock()
	defer s.mu.Unlock()
	if s.gone {
		st := step{stream: s.info, gone: !c.gone, wait: s.waitLocked()}
		*c = cursor{stream: s.info, gone: true, after: c.after}
		return st
	}
	st := step{stream: s.info, renewed: c.gone || c.stream != nil && c.stream != s.info}
	if st.renewed {
		*c = cursor{}
	}
	c.stream = s.info
	if st.lost = s.log.lost(c.after); st.lost != nil {
		c.after = st.lost[0].Next - 1
	}
	s.takeLocked(c, &st)
	return st
}

// takeLocked takes the messages after the cursor, or, when there are no more
// than fit into this step, says that it has caught up.
func (s *stream) takeLocked(c *cursor, st *step) {
	for _, m := range s.log.from(c.after + 1) {
		if m.dead {
			continue
		}
		if len(st.messages) == followBatch {
			return
		}
		st.messages = append(st.messages, m)
		c.after, c.told = m.seq, m.seq
	}
	c.after = max(c.after, s.log.last)
	st.wait = s.waitLocked()
	if !c.announced || s.log.last > c.told {
		st.reached, st.seq = true, s.log.last
		c.announced, c.told = true, max(c.told, s.log.last)
	}
}

func (st *step) deliver(ctx context.Context, to bridge.Follower) {
	if st.gone {
		to.Gone(st.stream)
	}
	if st.renewed {
		to.Renewed(st.stream)
	}
	for _, r := range st.lost {
		to.Lost(st.stream, r.After, r.Next)
	}
	for _, m := range st.messages {
		if ctx.Err() != nil {
			return
		}
		to.Append(m.event(st.stream))
	}
	if st.reached && ctx.Err() == nil {
		to.Reached(st.stream, st.seq)
	}
}
