package auth

import (
	"sync"
	"time"
)

// Expiry warns a client that its token is about to end, and ends it with the
// token. The zero value does neither. Its methods may be called by several
// goroutines at once.
type Expiry struct {
	mu      sync.Mutex
	timer   *time.Timer // nil while nothing is set
	plan    Plan
	warnAt  time.Time // zero: not to be warned
	warned  bool      // of this end
	stopped bool
}

// Plan is what comes of a token.
type Plan struct {
	At  time.Time // the token's end; zero is never
	End func()    // called then, on a goroutine of its own

	// Warn is called once, so long before, or halfway to an end that is nearer
	// than twice that; never if Before is not positive. It must not wait, nor
	// use the Expiry.
	Before time.Duration
	Warn   func(in time.Duration)
}

// Set makes a plan, in place of the one before. A client that was warned of
// the same end already is not warned again: it may have nothing newer, and say
// so for as long as it is asked.
func (e *Expiry) Set(p Plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.warned = e.warned && p.At.Equal(e.plan.At)
	e.plan, e.warnAt = p, time.Time{}
	if before := min(p.Before, time.Until(p.At)/2); before > 0 && !e.warned {
		e.warnAt = p.At.Add(-before)
	}
	e.startLocked()
}

// Stop takes back what was set, and what will be: the client is gone. An end
// that has begun goes on.
func (e *Expiry) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	e.startLocked()
}

func (e *Expiry) startLocked() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	next := e.plan.At
	if !e.warnAt.IsZero() {
		next = e.warnAt
	}
	if !next.IsZero() && !e.stopped {
		e.timer = time.AfterFunc(time.Until(next), e.fired)
	}
}

// fired does what it is time for, unless the token was refreshed just now. The
// timer counts by another clock than tokens: when that was set back, it waits
// again; when the machine slept through the warning, there is none.
func (e *Expiry) fired() {
	e.mu.Lock()
	end, over := e.plan.End, e.dueLocked(e.plan.At)
	if !over {
		if e.dueLocked(e.warnAt) {
			e.warnAt, e.warned = time.Time{}, true
			e.plan.Warn(rounded(time.Until(e.plan.At))) // with the lock: who has refreshed the token is not warned of the old one
		}
		e.startLocked()
	}
	e.mu.Unlock()
	if over {
		end()
	}
}

// rounded is a time for people to read.
func rounded(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

func (e *Expiry) dueLocked(at time.Time) bool {
	return !e.stopped && !at.IsZero() && !time.Now().Before(at)
}
