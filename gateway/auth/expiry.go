package auth

import (
	"sync"
	"time"
)

// Expiry ends a client with its token. The zero value ends nobody. Its methods
// may be called by several goroutines at once.
type Expiry struct {
	mu      sync.Mutex
	timer   *time.Timer // nil while nothing is set
	at      time.Time
	end     func()
	stopped bool
}

// Set has end called at a moment, on a goroutine of its own, in place of what
// was set before; never if the moment is zero.
func (e *Expiry) Set(at time.Time, end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.end = at, end
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
	if !e.at.IsZero() && !e.stopped {
		e.timer = time.AfterFunc(time.Until(e.at), e.fired)
	}
}

// fired ends the client, unless its token was refreshed just now. The timer
// counts by another clock than tokens: when that was set back, it waits again.
func (e *Expiry) fired() {
	e.mu.Lock()
	end, over := e.end, !e.stopped && !e.at.IsZero() && !time.Now().Before(e.at)
	if !over {
		e.startLocked()
	}
	e.mu.Unlock()
	if over {
		end()
	}
}
