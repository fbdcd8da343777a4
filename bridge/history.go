package bridge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
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
