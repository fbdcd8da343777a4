package bridge

import (
	"runtime"
	"sync"
	"time"
)

// crew writes what waits for the clients of a gateway: as many goroutines as
// there are processors, while there is something to write, serve the clients in
// turn. None of them ever waits: what a socket does not take at once, and what
// the broker has to be asked for, is left to a goroutine of the client's own. So
// is all of it over TLS, where a write cannot be tried.
//
// A goroutine for each client would be simpler. But with a thousand of them
// ready to run, all that an event has to pass before (its publisher's reader,
// NATS, the tail, the hub) waits behind them at each step: events come one by
// one, and each costs a thousand system calls. Here everything else may go first,
// and what has come meanwhile leaves together. But a member that was kept waiting
// works for as long before it waits again: else, on a busy gateway, it would
// come last for ever ([runtime.Gosched] queues it behind all other goroutines).
type crew struct {
	most int // members at a time
	done sync.WaitGroup

	mu          sync.Mutex
	members     int     // running
	first, last *Client // those with something to write, in turn; see Client.following
}

// add gives a client its turn after those that wait for theirs. It must have
// client.writing set, so that it is in the queue once.
func (k *crew) add(c *Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil {
		k.first = c
	} else {
		k.last.following = c
	}
	k.last = c
	if k.members < k.most {
		k.members++
		k.done.Go(k.run)
	}
}

// next takes the client whose turn it is. When there is none it returns nil,
// and the member has left.
func (k *crew) next() *Client {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.first
	if c == nil {
		k.members--
		return nil
	}
	k.first, c.following = c.following, nil
	if k.first == nil {
		k.last = nil
	}
	return c
}

// run is one member of the crew.
func (k *crew) run() {
	w := writers.Get().(*writer)
	var waited time.Duration
	begun := time.Now()
	for c := k.next(); c != nil; c = k.next() {
		switch {
		case !c.take(w): // nothing is left to write
		case w.waits() || !c.writeSome(w):
			go k.aside(c, w) // awaited by Client.Close
			w = writers.Get().(*writer)
		default:
			k.add(c)
		}
		if now := time.Now(); now.Sub(begun) >= waited {
			runtime.Gosched()
			begun = time.Now()
			waited = begun.Sub(now)
		}
	}
	w.recycle()
}

// aside ends a client's turn on a goroutine that may wait.
func (k *crew) aside(c *Client, w *writer) {
	c.write(w)
	w.recycle()
	k.add(c)
}
