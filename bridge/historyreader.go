package bridge

import (
	"slices"
	"sync/atomic"
	"time"
)

// historyReader is one subscription's attachment to a history.
type historyReader struct {
	sub    *Subscription
	slot   int
	stream *Stream

	filters []*readerFilter // in active; none while not joined

	// Owned by the history's run while attached.
	next   uint64 // first sequence wanted
	probed bool   // it is known whether the subject has anything new
	narrow bool   // reads by itself
	wide   bool   // must not: something is missing, which only a scan sees
	out    bool   // left active during this chunk

	gone atomic.Bool // the subscription has ended

	// Guarded by sub.client.mu.
	items     []item
	bytes     int
	passed    uint64      // everything up to here is in items or does not match
	stalled   bool        // items were full; resume it when they are taken
	done      bool        // the ring has the rest
	reclaimed bool        // the next one is an event that was in items already
	took      bool        // items were taken since the timer was set
	timer     *time.Timer // reclaims items; nil before there were any to keep
}

// item is what a history brings: an event, or a hole.
type item struct {
	event *Event
	lost  Range
}

// ready reports whether the writer has something to do for the reader. Without
// credit, that is to tell of a hole, or to move on, but not to read an event anew.
func (r *historyReader) ready(starved bool) bool {
	if len(r.items) == 0 {
		return r.done || r.stalled && !(starved && r.reclaimed)
	}
	return !starved || r.items[0].event == nil
}

// take moves items to dst: at most n events, on which credit is spent, and the
// holes between them.
func (r *historyReader) take(dst []item, n int) []item {
	c := r.sub.client
	c.mu.Lock()
	defer c.mu.Unlock()
	took := 0
	for took < len(r.items) && (n > 0 || r.items[took].event == nil) {
		if e := r.items[took].event; e != nil {
			r.bytes -= e.size()
			n--
			if r.sub.max > 0 {
				r.sub.owed++
			}
		}
		took++
	}
	dst = append(dst, r.items[:took]...)
	r.items = slices.Delete(r.items, 0, took)
	r.took = r.took || took > 0
	return dst
}

// reclaim takes back what a client that is asleep, or gives no credit, was to
// get: else each would hold readerBytes for as long as it likes. It is read
// again when the client comes to it.
func (r *historyReader) reclaim() {
	c := r.sub.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.gone.Load() || len(r.items) == 0 || !r.stalled && !r.done: // or attached again
	case r.took:
		r.keepLocked()
	default:
		i := slices.IndexFunc(r.items, func(it item) bool { return it.event != nil })
		if i < 0 {
			return // holes weigh nothing, and are told without credit
		}
		c.bridge.stats.Reclaimed.Add(uint64(len(r.items) - i))
		r.passed = r.items[i].event.Seq - 1
		r.next = r.passed + 1
		r.items, r.bytes = slices.Clone(r.items[:i]), 0
		r.stalled, r.done, r.reclaimed = true, false, true
	}
}

// put hands an item to a reader. It returns false when there is no room.
func (r *historyReader) put(it item) bool {
	c := r.sub.client
	c.mu.Lock()
	defer c.mu.Unlock()
	size := 0
	if it.event != nil {
		size = it.event.size()
	}
	if len(r.items) >= readerItems || len(r.items) > 0 && r.bytes+size > readerBytes {
		return false
	}
	r.items = append(r.items, it)
	r.bytes += size
	return true
}

// roomy reports whether the reader could take most of one more read.
func (r *historyReader) roomy() bool {
	c := r.sub.client
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(r.items) <= readerItems-scanMessages && r.bytes <= readerBytes-scanBytes
}

// settle tells the reader's client how far the history has come.
func (r *historyReader) settle(passed uint64, stalled, done bool) {
	r.next = passed + 1
	c := r.sub.client
	c.mu.Lock()
	defer c.mu.Unlock()
	r.passed, r.stalled, r.done, r.reclaimed = passed, stalled, done, false
	if (stalled || done) && len(r.items) > 0 {
		r.keepLocked()
	}
	if r.ready(r.sub.starved()) {
		c.wakeLocked()
	}
}

// keepLocked starts the time for which items are kept.
func (r *historyReader) keepLocked() {
	r.took = false
	if r.timer == nil {
		r.timer = time.AfterFunc(readerKept, r.reclaim)
		return
	}
	r.timer.Reset(readerKept)
}
