package bridge

import (
	"context"
	"slices"
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
	r, at := sub.history, sub.phase
	credit := cap(w.ring.events)
	if sub.max > 0 {
		credit = max(0, min(credit, sub.max-sub.owed))
	}
	c.mu.Unlock()
	switch {
	case at == waiting:
		return c.takeHistory(w, sub, r, credit)
	case at != behind:
		return false
	case sub.snapshot != nil:
		return c.takeSnapshot(w, sub, credit)
	case !sub.sought:
		return c.seek(w, sub)
	}
	return c.takeRing(w, sub, credit)
}

// hold leaves a subscription alone until its client gives credit. It returns
// whether there is some by now.
func (c *Client) hold(sub *Subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.phase != behind || !sub.starved() {
		return sub.phase == behind
	}
	sub.phase = held
	return false
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
// new to it, and says so. What was not seen of the old one is seen no more.
func (c *Client) renew(w *writer, sub *Subscription, i int, now *Stream) {
	before := slices.Clone(sub.position())
	old := sub.marks[i].stream
	sub.marks[i] = mark{now, 0}
	next := slices.Clone(sub.position())
	next[i].Seq = 1
	c.mu.Lock()
	n := len(sub.unseen)
	sub.unseen = slices.DeleteFunc(sub.unseen, func(m mark) bool { return m.stream == old })
	sub.owed -= n - len(sub.unseen)
	c.mu.Unlock()
	c.gap(w, sub, before, next)
}

func (c *Client) gap(w *writer, sub *Subscription, after, next Position) {
	c.encoder.Gap(&w.out, sub.SID, after, next)
	c.bridge.stats.Gaps.Add(1)
	sub.announce = true
}

// takeRing writes the next events from the ring, and turns the subscription
// live when there are no more.
func (c *Client) takeRing(w *writer, sub *Subscription, credit int) bool {
	r := &w.ring
	whole := r.events
	r.events = r.events[:0:min(credit, cap(whole))]
	ok := c.bridge.log.read(r, sub.want, sub.cursor, sub.marks)
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
	if r.full && credit == 0 {
		return c.hold(sub)
	}
	if !r.atHead || !c.goLive(sub) {
		return true
	}
	if sub.announce {
		sub.announce = false
		c.encoder.Live(&w.out, sub.SID, sub.position())
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
		c.encoder.End(&w.out, sub.SID, why)
		c.bridge.drop(sub)
	}
}

// takeHistory writes what a history has brought.
func (c *Client) takeHistory(w *writer, sub *Subscription, r *historyReader, credit int) bool {
	h := c.bridge.histories[r.slot]
	w.items = r.take(w.items[:0], credit)
	i := sub.at(r.slot)
	m := &sub.marks[i]
	for _, it := range w.items {
		if it.event != nil {
			c.deliver(w, sub, it.event)
			continue
		}
		after := slices.Clone(sub.position())
		m.seq = max(m.seq, it.lost.Next-1)
		next := slices.Clone(sub.position())
		next[i].Seq = it.lost.Next
		c.gap(w, sub, after, next)
	}
	clear(w.items)
	passed, emptied, stalled, done := c.leaveHistory(sub, r)
	if !emptied {
		return !c.isStarved(sub)
	}
	if m.stream == r.stream {
		m.seq = max(m.seq, passed)
	}
	if sub.finished() {
		c.finish(w, sub, "until")
		return false
	}
	if stalled && !done {
		h.resume(r)
	}
	return done
}

// leaveHistory looks where a reader stands, and ends its attachment when it
// has brought all.
func (c *Client) leaveHistory(sub *Subscription, r *historyReader) (passed uint64, emptied, stalled, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	emptied = len(r.items) == 0
	if emptied && r.done && sub.history == r && sub.phase == waiting {
		sub.phase, sub.history, sub.sought = behind, nil, false
	}
	return r.passed, emptied, r.stalled, r.done
}

func (c *Client) isStarved(sub *Subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sub.starved()
}

// snapshot is what `from: "last"` has to write first: single messages, one for
// each subject. Sequences, not messages, so that a wide filter costs 8 bytes
// for each.
type snapshot struct {
	step int // how many to read at a time, by the size of the last
	at   int // of marks
	seqs []uint64
	upTo uint64 // all of it is passed when the last of seqs is written
	next *snapshot
}

// snapshotStep is how many messages one read of a snapshot asks for at most,
// and snapshotTimeout how long it may take.
const (
	snapshotStep    = 64
	snapshotTimeout = 5 * time.Second
)

// takeSnapshot writes the next messages of a snapshot.
func (c *Client) takeSnapshot(w *writer, sub *Subscription, credit int) bool {
	if credit == 0 {
		return c.hold(sub)
	}
	s := sub.snapshot
	n := min(len(s.seqs), max(s.step, 1), credit)
	m := &sub.marks[s.at]
	events, first, err := c.bridge.readSeqs(m.stream, s.seqs[:n])
	if err != nil {
		c.bridge.logger.Warn("reading last messages", "stream", m.stream.Name, "filter", sub.Filter, "error", err)
		c.wakeLater(sub)
		return false
	}
	if m.seq+1 < first && s.seqs[0] < first { // trimmed before its turn
		after := slices.Clone(sub.position())
		m.seq = first - 1
		next := slices.Clone(sub.position())
		next[s.at].Seq = first
		c.gap(w, sub, after, next)
	}
	c.deliverBatch(w, sub, events)
	s.step = stepFor(events)
	if s.seqs = s.seqs[n:]; len(s.seqs) == 0 {
		m.seq = max(m.seq, s.upTo)
		sub.snapshot = s.next
	}
	return true
}

// stepFor is how many messages like these make up one write.
func stepFor(events []*Event) int {
	bytes := 1
	for _, e := range events {
		bytes += e.size()
	}
	return max(1, min(snapshotStep, corkBytes*max(1, len(events))/bytes))
}

// readSeqs reads single messages; first is the first that the stream keeps, if
// some of them are not there.
func (b *Bridge) readSeqs(s *Stream, seqs []uint64) (events []*Event, first uint64, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, snapshotTimeout)
	defer cancel()
	if events, err = b.broker.ReadSeqs(ctx, s.Slot, seqs); err != nil || len(events) == len(seqs) {
		return events, 0, err
	}
	state, err := b.state(ctx, s.Slot)
	if err == nil && state.Stream == s {
		first = state.First
	}
	return events, first, err
}

// wakeLater has the writer look at a subscription again after a pause in which
// nobody else would.
func (c *Client) wakeLater(sub *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.phase != behind {
		return
	}
	sub.phase = paused
	time.AfterFunc(retryPause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if sub.phase == paused {
			sub.phase = behind
			c.wakeLocked()
		}
	})
}
