package brokertest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.Follower = (*recorder)(nil)

// call is one call of a Follower's method.
type call struct {
	method      string
	stream      *bridge.Stream
	event       *bridge.Event
	after, next uint64 // of Lost
	seq         uint64 // of Append and Reached
}

// recorder is a follower that writes down what it is told and checks what
// always holds.
type recorder struct {
	r    *rig
	busy atomic.Bool
	news chan struct{} // has a value after each call

	mu    sync.Mutex
	calls []call // guarded by mu
	last  uint64 // newest sequence of this incarnation; guarded by mu
	gone  bool   // guarded by mu

	cancel context.CancelFunc
	ended  chan struct{} // closed when Follow has returned
	err    error         // of Follow; read after ended
}

// follow starts a follower. It is stopped, and what Follow returns checked, at
// the end of the test if not before.
func (r *rig) follow(from uint64) *recorder {
	ctx, cancel := context.WithCancel(r.ctx)
	f := &recorder{r: r, news: make(chan struct{}, 1), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		f.err = r.Follow(ctx, 0, from, f)
	}()
	r.Cleanup(f.stop)
	return f
}

// stop ends the following, and checks that Follow returns its context's error.
func (f *recorder) stop() {
	f.r.Helper()
	f.cancel()
	f.r.await(f.ended, "Follow to return after its context has ended")
	equal(f.r, "Follow's error", f.err, context.Canceled)
}

func (f *recorder) record(c call) {
	if !f.busy.CompareAndSwap(false, true) {
		f.r.Errorf("%s was called during another call", c.method)
	}
	f.mu.Lock()
	f.check(c)
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	f.busy.Store(false)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *recorder) check(c call) {
	switch c.method {
	case "Append":
		if f.gone {
			f.r.Errorf("Append of %d after Gone and before Renewed", c.seq)
		}
		if c.seq <= f.last {
			f.r.Errorf("Append of %d after %d", c.seq, f.last)
		}
		f.last = c.seq
	case "Lost":
		if c.next <= c.after+1 {
			f.r.Errorf("Lost between %d and %d: there is nothing in between", c.after, c.next)
		}
	case "Renewed":
		f.last, f.gone = 0, false
	case "Gone":
		f.gone = true
	}
	if c.stream == nil {
		f.r.Errorf("%s without a stream", c.method)
	}
}

// Append implements [bridge.Follower].
func (f *recorder) Append(e *bridge.Event) {
	f.record(call{method: "Append", stream: e.Stream, event: e, seq: e.Seq})
}

// Reached implements [bridge.Follower].
func (f *recorder) Reached(s *bridge.Stream, seq uint64) {
	f.record(call{method: "Reached", stream: s, seq: seq})
}

// Lost implements [bridge.Follower].
func (f *recorder) Lost(s *bridge.Stream, after, next uint64) {
	f.record(call{method: "Lost", stream: s, after: after, next: next})
}

// Renewed implements [bridge.Follower].
func (f *recorder) Renewed(s *bridge.Stream) { f.record(call{method: "Renewed", stream: s}) }

// Gone implements [bridge.Follower].
func (f *recorder) Gone(s *bridge.Stream) { f.record(call{method: "Gone", stream: s}) }

// all returns the calls of these methods so far.
func (f *recorder) all(methods ...string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []call
	for _, c := range f.calls {
		if slices.Contains(methods, c.method) {
			found = append(found, c)
		}
	}
	return found
}

// events returns the events so far.
func (f *recorder) events() []*bridge.Event {
	var events []*bridge.Event
	for _, c := range f.all("Append") {
		events = append(events, c.event)
	}
	return events
}

// until waits until something holds.
func (f *recorder) until(what string, holds func() bool) {
	f.r.Helper()
	for !holds() {
		f.r.await(f.news, what)
	}
}

// untilReached waits until everything up to seq has been reached: said so, or
// handed over.
func (f *recorder) untilReached(seq uint64) {
	f.r.Helper()
	f.until("the end to be reached", func() bool {
		calls := f.all("Reached")
		return len(calls) > 0 && calls[len(calls)-1].seq >= seq
	})
}

// untilSeq waits for the event with this sequence.
func (f *recorder) untilSeq(seq uint64) {
	f.r.Helper()
	f.until("an event", func() bool {
		calls := f.all("Append")
		return len(calls) > 0 && calls[len(calls)-1].seq >= seq
	})
}
