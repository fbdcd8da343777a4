package bridge

import (
	"slices"
	"sync"
)

// corkBytes is how much the writer collects before it writes. One write system
// call costs as much as encoding some twenty small events.
const corkBytes = 64 << 10

// turnSteps is how many steps of catching up a turn has: more than it takes to
// collect corkBytes, unless what a client wants is rare. Looking for that must
// not keep others waiting.
const turnSteps = 16

// writer is the memory of who writes for a client: a member of the crew, or a
// goroutine aside.
type writer struct {
	out       Output
	queue     *refQueue       // taken from the client
	todo      []*Subscription // those that are behind
	unclogged bool            // jobs find room now

	ring  ringRead
	items []item
	next  Delivery // the one being encoded; here, lest each be allocated
}

var writers = sync.Pool{New: func() any {
	return &writer{ring: ringRead{events: make([]*Event, 0, 128)}}
}}

// recycle is the end of a writer.
func (w *writer) recycle() {
	w.next = Delivery{}
	writers.Put(w)
}

// sent forgets what has been written.
func (w *writer) sent() {
	w.out.Reset()
	if cap(w.out.buf) > 4*corkBytes {
		w.out = Output{}
	}
}

// waits reports whether filling may have to wait for the broker: for single
// messages, to ask for jobs, or to let a durable go that has come to its end.
func (w *writer) waits() bool {
	return w.unclogged || slices.ContainsFunc(w.todo, func(s *Subscription) bool {
		return s.snapshot != nil || s.until != nil && s.durable != nil
	})
}

// writeSome writes what was taken, as far as that needs no waiting. It returns
// false when something is left for write.
//
// The first event leaves at once; while it is on its way others collect, and
// leave together: coalescing comes from load alone, never from a timer.
func (c *Client) writeSome(w *writer) bool {
	c.fill(w)
	if err := c.transport.WriteSome(&w.out); err != nil {
		c.fail(err)
		w.out.Reset()
	}
	if w.out.Size() > 0 {
		return false
	}
	w.sent()
	return true
}

// write writes all that was taken and that writeSome has left.
func (c *Client) write(w *writer) {
	c.fill(w)
	if w.out.Size() > 0 {
		if err := c.transport.Write(&w.out); err != nil {
			c.fail(err)
		}
	}
	w.sent()
}

// fill collects what was taken, in this order: answers, which are there already,
// queued events, and what subscriptions that are behind can be given.
func (c *Client) fill(w *writer) {
	if w.unclogged {
		w.unclogged = false
		c.unclogged()
	}
	if w.queue != nil {
		for _, r := range w.queue.refs {
			c.deliver(w, r.sub, r.event)
		}
		w.queue.free()
		w.queue = nil
	}
	steps := 0
	for _, sub := range w.todo {
		c.lapse(sub)
		for w.out.Size() < corkBytes && steps < turnSteps && c.advance(w, sub) {
			steps++
		}
	}
	clear(w.todo)
	w.todo = w.todo[:0]
}

// take moves what waits for the client to its writer. It returns false, and the
// client is to be woken again, when there is nothing.
func (c *Client) take(w *writer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.todo = w.todo[:0]
	if c.heir != nil && !c.closed {
		c.succeedLocked()
	}
	for _, sub := range c.subs {
		if sub.phase == behind || sub.phase == waiting && sub.history.ready(sub.starved()) {
			w.todo = append(w.todo, sub)
		}
	}
	if c.closed || c.queue == nil && len(w.todo) == 0 && c.replies == nil {
		clear(w.todo)
		w.todo = w.todo[:0]
		c.writing = false
		c.changed.Broadcast()
		return false
	}
	w.queue, c.queue = c.queue, nil
	if c.replies != nil {
		w.unclogged, c.clogged = c.clogged, false
		w.out.AppendOutput(c.replies)
		c.replies.Reset()
		outputs.Put(c.replies)
		c.replies = nil
		c.changed.Broadcast()
	}
	if w.queue != nil {
		w.queue.keepActive()
	}
	// Turn about, so that one subscription with much to catch up with does
	// not keep the others of its client waiting.
	if n := len(w.todo); n > 1 {
		c.turn = (c.turn + 1) % n
		slices.Reverse(w.todo[:c.turn])
		slices.Reverse(w.todo[c.turn:])
		slices.Reverse(w.todo)
	}
	return true
}

// keepActive drops the events of subscriptions that have ended since.
func (q *refQueue) keepActive() {
	q.refs = slices.DeleteFunc(q.refs, func(r ref) bool { return r.sub.phase == ended })
}

// deliver encodes one event for one subscription, unless its marks say that it
// has passed it already.
func (c *Client) deliver(w *writer, sub *Subscription, e *Event) {
	d := &w.next
	*d = Delivery{Event: e, SID: sub.SID}
	if e.Stream != nil {
		i := sub.at(e.Stream.Slot)
		if i < 0 || sub.marks[i].stream != e.Stream || e.Seq <= sub.marks[i].seq || sub.until != nil && e.Seq > sub.until[i].seq {
			c.unowe(sub)
			return
		}
		m := &sub.marks[i]
		m.seq = e.Seq
		d.Pos = sub.position()
		d.Lag = c.bridge.log.lag(e)
		c.owe(sub, *m)
	}
	c.encoder.Event(&w.out, d)
	c.bridge.stats.Delivered.Add(1)
}

// lapse raises the mark of a subscription that fell behind to where it was:
// what it was offered before is written by now. Without it, a subscription to
// something rare would begin again at its last event.
func (c *Client) lapse(sub *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range sub.lapsed {
		if at.stream == nil {
			continue
		}
		if i := sub.at(at.stream.Slot); i >= 0 && sub.marks[i].stream == at.stream {
			sub.marks[i].seq = max(sub.marks[i].seq, at.seq)
		}
	}
	sub.lapsed = sub.lapsed[:0]
}

// owe notes that an event with credit is on its way and not yet seen.
func (c *Client) owe(sub *Subscription, m mark) {
	if sub.max == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sub.unseen = append(sub.unseen, m)
}

// unowe gives back the credit of an event that was not delivered.
func (c *Client) unowe(sub *Subscription) {
	if sub.max == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sub.owed--
}
