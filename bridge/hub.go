package bridge

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// hub hands the events of the log to the subscriptions that are live. It is
// split in shards, each with a share of the clients and a goroutine that walks
// the log in order; so every client sees the log's order, and shards do not
// wait for each other.
type hub struct {
	log    *Log
	stats  *Stats
	shards []*shard
}

func newHub(log *Log, stats *Stats) *hub {
	h := &hub{log: log, stats: stats, shards: make([]*shard, runtime.GOMAXPROCS(0))}
	for i := range h.shards {
		h.shards[i] = &shard{hub: h, wake: make(chan struct{}, 1), passed: make([]mark, len(log.streams))}
	}
	return h
}

// signal tells the shards that the log has grown.
func (h *hub) signal() {
	for _, s := range h.shards {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// shard is one part of the hub.
type shard struct {
	hub  *hub
	wake chan struct{} // capacity 1

	// begun is the index of the entry whose dispatch began last. A client's
	// writer that has read the log up to here may turn its subscription live:
	// whatever is dispatched later will find it so.
	begun atomic.Uint64

	mu     sync.Mutex
	subs   trie[*Subscription]
	passed []mark // by slot, the newest event of each stream that was dispatched
}

// run walks the log until stop is closed.
func (s *shard) run(stop <-chan struct{}) {
	next := s.begun.Load() + 1
	batch := make([]*Event, 0, 256)
	var lists [][]*Subscription
	for {
		select {
		case <-stop:
			return
		case <-s.wake:
		}
		for {
			var ok bool
			if batch, ok = s.hub.log.from(next, batch[:0]); !ok {
				next = s.overrun()
				continue
			}
			if len(batch) == 0 {
				break
			}
			for _, e := range batch {
				lists = s.dispatch(e, lists)
			}
			next += uint64(len(batch))
			clear(batch)
		}
	}
}

// dispatch offers one entry to every live subscription that it matches.
func (s *shard) dispatch(e *Event, lists [][]*Subscription) [][]*Subscription {
	s.begun.Store(e.index)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed[e.Stream.Slot] = mark{e.Stream, e.Seq}
	if e.notice {
		s.subs.each(func(sub *Subscription) {
			if sub.reads(e.Stream.Slot) {
				sub.client.fallBehind(sub, e.index-1, mark{e.Stream, e.Seq})
			}
		})
		return lists
	}
	lists = s.subs.match(e.Subject, lists[:0])
	for _, list := range lists {
		for _, sub := range list {
			sub.client.offer(sub, e)
		}
	}
	clear(lists)
	return lists
}

// overrun is for a shard that the ring has overtaken: it cannot say what its
// clients missed, so all of them catch up by themselves. It returns the index
// to go on from.
func (s *shard) overrun() uint64 {
	passed := s.begun.Load()
	s.hub.stats.Overruns.Add(1)
	head := s.hub.log.head()
	s.begun.Store(head)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs.each(func(sub *Subscription) { sub.client.fallBehind(sub, passed, s.passed...) })
	return head + 1
}

func (s *shard) add(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs.insert(sub.Filter, sub)
}

func (s *shard) remove(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs.remove(sub.Filter, sub)
}

// each calls fn for every subscription there is now.
func (h *hub) each(fn func(*Subscription)) {
	for _, s := range h.shards {
		var all []*Subscription
		s.mu.Lock()
		s.subs.each(func(sub *Subscription) { all = append(all, sub) })
		s.mu.Unlock()
		for _, sub := range all {
			fn(sub)
		}
	}
}
