package bridge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of reading history.
const (
	scanMessages  = 1024             // messages in one read of a scan
	scanBytes     = 256 << 10        // and their bytes, about
	readerItems   = 2048             // what a history keeps for one reader
	readerBytes   = 512 << 10        // until its client has taken it: two reads
	readerKept    = 10 * time.Second // or has taken nothing for so long, twice at most
	narrowReaders = 4                // with more than these, a scan is cheaper for all
	narrowMost    = 1000             // messages a narrow reader may want in all
	narrowStep    = 64               // messages in one narrow read
	narrowSpan    = 20               // messages of the stream for each one wanted, at least
	readTimeout   = 10 * time.Second
	retryPause    = 250 * time.Millisecond
	yieldMost     = 20 * time.Millisecond // between two reads of a scan
	yieldFrom     = scanMessages / 16     // messages published during a read
)

// errNoProgress is a broker that has fewer messages than the tail brought, or
// another incarnation: the stream was made anew, which the tail will find out.
var errNoProgress = errors.New("bridge: the stream is not what was received from it")

// history reads the part of a stream that is older than the ring, for all
// clients that are that far behind, on one goroutine that exists while there
// are any. Two ways:
//
//   - the shared scan: one unfiltered sequential read that every reader joins
//     when it comes to the reader's place, and leaves when its client does not
//     keep up; each message is matched once, whatever the number of readers.
//     It sweeps from the reader furthest behind up to the ring, and begins
//     again with those who stayed behind.
//   - narrow reads, for few readers that want few messages of many. A filtered
//     read costs the server 60–100 ns for each message that it *spans*, under
//     locks that publishers need, so they are small and one at a time.
type history struct {
	bridge *Bridge
	slot   int

	mu      sync.Mutex
	queued  []*historyReader // not yet seen by run
	running bool
	done    sync.WaitGroup

	// Owned by run.
	waiting []*historyReader // to be admitted
	active  trie[*readerFilter]
	joined  []*historyReader // those in active
	pos     uint64           // the scan has come to here
	swept   uint64           // messages scanned since it last turned back
	lists   [][]*readerFilter
}

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

// readerFilter is one of a reader's filters, where the scan looks for them.
type readerFilter struct {
	reader *historyReader
	place  int
}

func (f *readerFilter) triePlace() *int { return &f.place }

// activate has the scan look for what a reader wants.
func (h *history) activate(r *historyReader) {
	for _, filter := range r.sub.want.filters {
		f := &readerFilter{reader: r}
		r.filters = append(r.filters, f)
		h.active.insert(filter, f)
	}
}

func (h *history) deactivate(r *historyReader) {
	for i, f := range r.filters {
		h.active.remove(r.sub.want.filters[i], f)
	}
	r.filters = nil
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

// attach gives the history a reader to serve.
func (h *history) attach(r *historyReader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queued = append(h.queued, r)
	if !h.running && !h.bridge.stopped() {
		h.running = true
		h.done.Add(1)
		go h.run()
	}
}

// resume goes on with a reader whose items have been taken.
func (h *history) resume(r *historyReader) {
	c := r.sub.client
	c.mu.Lock()
	r.stalled = false
	c.mu.Unlock()
	h.attach(r)
}

// take moves items to dst: at most n events, on which credit is spent, and the
// holes between them.
func (h *history) take(r *historyReader, dst []item, n int) []item {
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
		r.took = false
		r.timer.Reset(readerKept)
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
		r.took = false
		r.keepLocked()
	}
	if r.ready(r.sub.starved()) {
		c.wakeLocked()
	}
}

// keepLocked starts the time for which items are kept.
func (r *historyReader) keepLocked() {
	if r.timer == nil {
		r.timer = time.AfterFunc(readerKept, r.reclaim)
		return
	}
	r.timer.Reset(readerKept)
}

// run serves readers until there are none.
func (h *history) run() {
	defer h.done.Done()
	for h.admit() {
		if !h.readNarrow() {
			h.scan()
		}
	}
}

// admit takes over the readers that have come. It returns false, and run is to
// end, when there is nobody to serve.
func (h *history) admit() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, h.queued...)
	h.queued = nil
	h.waiting = slices.DeleteFunc(h.waiting, func(r *historyReader) bool { return r.gone.Load() })
	if len(h.waiting) == 0 && len(h.joined) == 0 || h.bridge.stopped() {
		h.running = false
		return false
	}
	return true
}

// ctx bounds one request to the broker.
func (h *history) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.bridge.ctx, readTimeout)
}

// scan reads the next part of the stream and hands it to everyone it concerns.
func (h *history) scan() {
	h.turnBack()
	if len(h.joined) == 0 {
		if len(h.waiting) == 0 {
			return
		}
		first := slices.MinFunc(h.waiting, func(a, b *historyReader) int { return cmp.Compare(a.next, b.next) })
		h.pos = first.next
	}
	if len(h.joined) > 0 && !slices.ContainsFunc(h.joined, (*historyReader).roomy) {
		h.rest() // nobody could take what would be read
		return
	}
	begun, newest := time.Now(), h.bridge.log.mark(h.slot).seq
	ctx, cancel := h.ctx()
	batch, err := h.bridge.broker.Read(ctx, ReadRequest{Slot: h.slot, From: h.pos, MaxMessages: scanMessages, MaxBytes: scanBytes})
	cancel()
	if err != nil {
		h.failed(err)
		return
	}
	h.bridge.stats.Scanned.Add(uint64(len(batch.Events)))
	if batch.Next <= h.pos || batch.Stream != h.bridge.log.mark(h.slot).stream {
		h.failed(errNoProgress)
		return
	}
	h.swept += batch.Next - h.pos
	h.join(batch)
	h.spread(batch)
	h.leave(batch)
	h.pos = batch.Next
	if h.bridge.log.mark(h.slot).seq > newest+yieldFrom {
		h.yield(min(time.Since(begun), yieldMost))
	}
}

// yield leaves the stream to its publishers for as long as a read has kept it
// from them, so that they lose no more than half of their rate to history.
// Where little is published nobody waits.
func (h *history) yield(d time.Duration) {
	select {
	case <-h.bridge.ctx.Done():
	case <-time.After(d):
	}
}

// turnBack makes the scan begin again with those who came after it had passed
// their place, once it has gone as far as it has to go back: so nothing is read
// more than about twice for them, and nobody waits for a sweep that may never
// reach the ring while somebody publishes as fast as it reads.
func (h *history) turnBack() {
	least := h.pos
	for _, r := range h.waiting {
		least = min(least, r.next)
	}
	if len(h.joined) > 0 && least < h.pos && h.swept >= h.pos-least {
		h.regroup()
		h.swept = 0
	}
}

// regroup has all active readers admitted anew, each at its place.
func (h *history) regroup() {
	for _, r := range h.joined {
		h.deactivate(r)
		r.next = max(r.next, h.pos)
		h.waiting = append(h.waiting, r)
	}
	clear(h.joined)
	h.joined = h.joined[:0]
}

// rest parts with all active readers until their clients have taken what they
// were given.
func (h *history) rest() {
	for _, r := range h.joined {
		h.deactivate(r)
		if !r.gone.Load() {
			r.settle(max(r.next, h.pos)-1, true, false)
		}
	}
	clear(h.joined)
	h.joined = h.joined[:0]
}

// failed makes all readers wait a little, then try again. The stream may be
// gone for good: then their subscriptions are ended by others.
func (h *history) failed(err error) {
	h.bridge.logger.Warn("reading history", "slot", h.slot, "error", err)
	h.yield(retryPause)
	h.regroup()
	now := h.bridge.log.mark(h.slot).stream
	h.release(func(r *historyReader) bool { return r.stream != now })
}

// release ends the attachment of the waiting readers that fn names; their
// writers look anew where they stand.
func (h *history) release(fn func(*historyReader) bool) {
	h.waiting = slices.DeleteFunc(h.waiting, func(r *historyReader) bool {
		if fn(r) {
			r.settle(r.next-1, false, true)
			return true
		}
		return false
	})
}

// join makes active who begins within the batch. A reader of another
// incarnation has nothing to get here.
func (h *history) join(b Batch) {
	h.release(func(r *historyReader) bool { return r.stream != b.Stream })
	h.waiting = slices.DeleteFunc(h.waiting, func(r *historyReader) bool {
		if r.next < h.pos || r.next >= b.Next {
			return false
		}
		r.narrow, r.out = false, false
		h.activate(r)
		h.joined = append(h.joined, r)
		return true
	})
}

// spread hands the batch to the active readers, holes and events in order.
func (h *history) spread(b Batch) {
	lost := b.Lost
	for _, e := range b.Events {
		for len(lost) > 0 && lost[0].Next <= e.Seq {
			h.spreadLost(lost[0])
			lost = lost[1:]
		}
		h.lists = h.active.match(e.Subject, h.lists[:0])
		for _, list := range h.lists {
			for _, f := range list {
				r := f.reader
				if !r.out && e.Seq >= r.next && !r.put(item{event: e}) {
					r.out, r.next = true, e.Seq
				}
			}
		}
	}
	for _, hole := range lost {
		h.spreadLost(hole)
	}
	clear(h.lists)
}

func (h *history) spreadLost(hole Range) {
	for _, r := range h.joined {
		if !r.out && hole.Next > r.next && !r.put(item{lost: hole}) {
			r.out = true
			r.next = max(r.next, hole.After+1)
		}
	}
}

// leave parts with readers that are full, ended, or have come to the ring.
func (h *history) leave(b Batch) {
	stream, floor := h.bridge.log.floor(h.slot)
	h.joined = slices.DeleteFunc(h.joined, func(r *historyReader) bool {
		passed := b.Next - 1
		if r.out {
			passed = r.next - 1
		}
		done := stream != b.Stream || passed >= floor
		if !r.gone.Load() {
			r.settle(passed, r.out && !done, done)
		}
		if !r.gone.Load() && !r.out && !done {
			return false
		}
		h.deactivate(r)
		return true
	})
}
