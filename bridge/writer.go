package bridge

import (
	"slices"
	"sync"
)

// corkBytes is how much the writer collects before it writes. One write system
// call costs as much as encoding some twenty small events.
const corkBytes = 64 << 10

// writer is the memory of a running writer goroutine.
type writer struct {
	out   Output
	todo  []*Subscription // those that are behind
	ring  ringRead
	items []item
	next  Delivery // the one being encoded; here, lest each be allocated
}

var writers = sync.Pool{New: func() any {
	return &writer{ring: ringRead{events: make([]*Event, 0, 128)}}
}}

// write is the writer goroutine of a client. There is at most one, started by
// wakeLocked when something is to be written. The first event leaves at once;
// while it is on its way others collect, and leave together: coalescing comes
// from load alone, never from waiting.
func (c *Client) write() {
	w := writers.Get().(*writer)
	for c.fill(w) {
		if w.out.Size() > 0 {
			if err := c.transport.Write(&w.out); err != nil {
				c.fail(err)
			}
		}
		w.out.Reset()
	}
	w.next = Delivery{}
	if cap(w.out.buf) > 4*corkBytes {
		w.out = Output{}
	}
	writers.Put(w)
}

// fill collects what is to be written next: answers, then queued events, then
// what subscriptions that are behind can be given. It returns false, and the
// writer has ended, when there is nothing.
func (c *Client) fill(w *writer) bool {
	queue, unclogged, more := c.take(w)
	if unclogged {
		c.unclogged()
	}
	if !more {
		return false
	}
	if queue != nil {
		for _, r := range queue.refs {
			c.deliver(w, r.sub, r.event)
		}
		queue.free()
	}
	for _, sub := range w.todo {
		c.lapse(sub)
		for w.out.Size() < corkBytes && c.advance(w, sub) {
		}
	}
	clear(w.todo)
	return true
}

// take moves what waits for the client to its writer.
func (c *Client) take(w *writer) (queue *refQueue, unclogged, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.todo = w.todo[:0]
	if c.heir != nil {
		c.succeedLocked()
	}
	for _, sub := range c.subs {
		if sub.phase == behind || sub.phase == waiting && sub.history.ready(sub.starved()) {
			w.todo = append(w.todo, sub)
		}
	}
	queue, c.queue = c.queue, nil
	if c.closed || queue == nil && len(w.todo) == 0 && c.replies == nil {
		c.writing = false
		c.changed.Broadcast()
		return nil, false, false
	}
	if c.replies != nil {
		unclogged, c.clogged = c.clogged, false
		w.out.AppendOutput(c.replies)
		c.replies.Reset()
		outputs.Put(c.replies)
		c.replies = nil
		c.changed.Broadcast()
	}
	if queue != nil {
		queue.keepActive()
	}
	// Turn about, so that one subscription with much to catch up with does
	// not keep the others of its client waiting.
	if n := len(w.todo); n > 1 {
		c.turn = (c.turn + 1) % n
		slices.Reverse(w.todo[:c.turn])
		slices.Reverse(w.todo[c.turn:])
		slices.Reverse(w.todo)
	}
	return queue, unclogged, true
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
