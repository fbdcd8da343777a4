package bridge

import (
	"context"
	"time"
)

// Catching up is what a subscription does whenever the hub does not offer it
// events: after it was made, after its client was too slow, after the client
// came back. There is one way for all of these. From the place in its marks:
//
//  1. what the ring does not hold any more is brought by the stream's history
//     (attach, take, and again), and what is missing there is a gap;
//  2. what the ring holds is read from it;
//  3. at the end of the log the subscription turns live, at an exact entry.
//
// It runs on the client's writer, as fast as the client takes what it is given.

// advance takes the next step for a subscription that is behind or whose
// history has brought something. It returns whether to call it again at once.
func (c *Client) advance(w *writer, sub *Subscription) bool {
	c.mu.Lock()
	r := sub.history
	at := sub.phase
	credit := cap(w.ring.events)
	if sub.max > 0 {
		credit = min(credit, sub.max-sub.owed)
	}
	if at == behind && credit <= 0 {
		sub.phase = held
	}
	c.mu.Unlock()
	switch {
	case at == waiting && credit > 0:
		return c.takeHistory(w, sub, r, credit)
	case at != behind || credit <= 0:
		return false
	case sub.snapshot != nil:
		return c.takeSnapshot(w, sub, credit)
	case !sub.sought:
		return c.seek(w, sub)
	}
	return c.takeRing(w, sub, credit)
}

// seek finds the place in the log from which the subscription can go on; when
// the ring does not reach back that far, it asks the history of the stream.
func (c *Client) seek(w *writer, sub *Subscription) bool {
	cursor, uncovered := c.bridge.log.seek(sub.marks)
	if uncovered < 0 {
		sub.cursor, sub.sought = cursor, true
		return true
	}
	m := &sub.marks[uncovered]
	if now := c.bridge.log.mark(m.stream.Slot).stream; now != m.stream {
		c.renew(w, sub, uncovered, now)
		return true
	}
	r := &historyReader{sub: sub, slot: m.stream.Slot, stream: m.stream, next: m.seq + 1}
	c.mu.Lock()
	if sub.phase == behind {
		sub.phase, sub.history = waiting, r
	}
	attached := sub.history == r
	c.mu.Unlock()
	if attached {
		c.bridge.histories[r.slot].attach(r)
	}
	return false
}

// renew moves a subscription to the stream's new incarnation, all of which is
// new to it, and says so.
func (c *Client) renew(w *writer, sub *Subscription, i int, now *Stream) {
	after := sub.position()
	before := append(Position(nil), after...)
	sub.marks[i] = mark{now, 0}
	next := append(Position(nil), sub.position()...)
	next[i].Seq = 1
	c.gap(w, sub, before, next)
}

func (c *Client) gap(w *writer, sub *Subscription, after, next Position) {
	c.opts.Encoder.Gap(&w.out, sub.SID, after, next)
	c.bridge.stats.Gaps.Add(1)
	sub.announce = true
}

// takeRing writes the next events from the ring, and turns the subscription
// live when there are no more.
func (c *Client) takeRing(w *writer, sub *Subscription, credit int) bool {
	r := &w.ring
	whole := r.events
	r.events = r.events[:0:min(credit, cap(whole))]
	ok := c.bridge.log.read(r, sub.Filter, sub.literal, sub.cursor, sub.marks)
	if !ok {
		r.events = whole
		sub.sought = false
		return true
	}
	c.deliverBatch(w, sub, r.events)
	clear(r.events)
	r.events = whole
	sub.cursor = r.upTo
	if r.atHead {
		for i, m := range r.heads {
			sub.marks[i].seq = max(sub.marks[i].seq, m.seq)
		}
	}
	if sub.finished() {
		c.finish(w, sub, "until")
		return false
	}
	if !r.atHead || !c.goLive(sub) {
		return true
	}
	if sub.announce {
		sub.announce = false
		c.opts.Encoder.Live(&w.out, sub.SID, sub.position())
	}
	return false
}

// deliverBatch writes events that the subscription reads by itself.
func (c *Client) deliverBatch(w *writer, sub *Subscription, events []*Event) {
	if sub.max > 0 {
		c.mu.Lock()
		sub.owed += len(events)
		c.mu.Unlock()
	}
	for _, e := range events {
		c.deliver(w, sub, e)
	}
}

// goLive turns a subscription that has read the log to its cursor over to the
// hub, unless the hub has begun to hand out an entry behind the cursor.
func (c *Client) goLive(sub *Subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.phase != behind || c.shard.begun.Load() > sub.cursor {
		return false
	}
	sub.phase = live
	c.bridge.stats.Rejoined.Add(1)
	return true
}

// finish ends a subscription from the writer's side.
func (c *Client) finish(w *writer, sub *Subscription, why string) {
	if c.remove(sub) {
		c.opts.Encoder.End(&w.out, sub.SID, why)
		c.bridge.drop(sub)
	}
}

// takeHistory writes what a history has brought.
func (c *Client) takeHistory(w *writer, sub *Subscription, r *historyReader, credit int) bool {
	w.items = c.bridge.histories[r.slot].take(r, w.items[:0], credit)
	i := sub.at(r.slot)
	m := &sub.marks[i]
	for _, it := range w.items {
		if it.event == nil {
			after := append(Position(nil), sub.position()...)
			m.seq = it.lost.Next - 1
			next := append(Position(nil), sub.position()...)
			next[i].Seq = it.lost.Next
			c.gap(w, sub, after, next)
			continue
		}
		if sub.max > 0 {
			c.mu.Lock()
			sub.owed++
			c.mu.Unlock()
		}
		c.deliver(w, sub, it.event)
	}
	clear(w.items)
	c.mu.Lock()
	passed, emptied := r.passed, len(r.items) == 0
	stalled, done := r.stalled, r.done
	if emptied && done && sub.history == r {
		sub.phase, sub.history, sub.sought = behind, nil, false
	}
	c.mu.Unlock()
	if !emptied {
		return true
	}
	if m.stream == r.stream {
		m.seq = max(m.seq, passed)
	}
	if sub.finished() {
		c.finish(w, sub, "until")
		return false
	}
	if stalled && !done {
		c.bridge.histories[r.slot].resume(r)
	}
	return done
}

// snapshot is what `from: "last"` has to write first: single messages, one for
// each subject. Sequences, not messages, so that a wide filter costs 8 bytes
// for each.
type snapshot struct {
	at   int // of marks
	seqs []uint64
	upTo uint64 // all of it is passed when the last of seqs is written
	next *snapshot
}

// snapshotStep is how many messages one read of a snapshot asks for, and
// snapshotTimeout how long it may take.
const (
	snapshotStep    = 64
	snapshotTimeout = 5 * time.Second
)

// takeSnapshot writes the next messages of a snapshot.
func (c *Client) takeSnapshot(w *writer, sub *Subscription, credit int) bool {
	s := sub.snapshot
	n := min(len(s.seqs), snapshotStep, credit)
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	m := &sub.marks[s.at]
	events, err := c.bridge.broker.ReadSeqs(ctx, m.stream.Slot, s.seqs[:n])
	if err != nil {
		c.bridge.logger.Warn("reading last messages", "stream", m.stream.Name, "filter", sub.Filter, "error", err)
		c.finish(w, sub, "unavailable")
		return false
	}
	c.deliverBatch(w, sub, events)
	if s.seqs = s.seqs[n:]; len(s.seqs) == 0 {
		m.seq = max(m.seq, s.upTo)
		sub.snapshot = s.next
	}
	return true
}
