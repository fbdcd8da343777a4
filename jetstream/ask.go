package jetstream

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Why an answer will not come. All of them mean that the outcome is unknown,
// except errStopping and what nats.go refuses to send.
var (
	errNoAnswer = errors.New("no answer in time")
	errLost     = errors.New("the connection to NATS was lost")
	errStopping = errors.New("the server is stopping")
)

// asked is something that waits for answers on the main connection.
type asked interface {
	// abandon ends the wait: no answer will come. Idempotent.
	abandon(why error)
}

// asks are all that wait, so that a lost connection and Close end them at once
// instead of by their timers.
type asks struct {
	mu     sync.Mutex
	open   map[asked]empty // guarded by mu
	closed bool            // guarded by mu
}

// add registers x; false when the broker is closing.
func (a *asks) add(x asked) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	if a.open == nil {
		a.open = map[asked]empty{}
	}
	a.open[x] = empty{}
	return true
}

func (a *asks) remove(x asked) {
	a.mu.Lock()
	delete(a.open, x)
	a.mu.Unlock()
}

func (a *asks) abandon(why error) {
	a.mu.Lock()
	list := a.open
	a.open = nil
	a.mu.Unlock()
	for x := range list {
		x.abandon(why)
	}
}

// close abandons all, for good.
func (a *asks) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.abandon(errStopping)
}

// ask is a message that waits for one answer. It costs a timer and no
// goroutine.
type ask struct {
	b    *Broker
	done func(*nats.Msg, error)

	mu    sync.Mutex
	id    uint64      // guarded by mu; in the inbox
	timer *time.Timer // guarded by mu
	over  bool        // guarded by mu
}

// ask sends m, whose Reply it sets, and calls done once, from any goroutine and
// perhaps before it returns: with the answer, or with why there is none.
func (b *Broker) ask(m *nats.Msg, wait time.Duration, done func(*nats.Msg, error)) {
	k := &ask{b: b, done: done}
	k.mu.Lock()
	k.id, m.Reply = b.acks.open(k)
	k.timer = time.AfterFunc(wait, func() { k.abandon(errNoAnswer) })
	k.mu.Unlock()
	if !b.asks.add(k) {
		k.abandon(errStopping)
		return
	}
	if err := b.nc.PublishMsg(m); err != nil {
		k.abandon(err)
	}
}

func (k *ask) receive(m *nats.Msg) { k.finish(m, nil) }

func (k *ask) abandon(why error) { k.finish(nil, why) }

func (k *ask) finish(m *nats.Msg, err error) {
	k.mu.Lock()
	over := k.over
	k.over = true
	id, timer := k.id, k.timer
	k.mu.Unlock()
	if over {
		return
	}
	timer.Stop()
	k.b.acks.close(id)
	k.b.asks.remove(k)
	k.done(m, err)
}

// failed turns why an answer did not come into what a client may see.
func (b *Broker) failed(err error) *bridge.Error {
	e := &bridge.Error{Code: bridge.CodeUnavailable, Hint: "try again", Retry: time.Second}
	switch {
	case errors.Is(err, errNoAnswer):
		e.Msg = "NATS did not answer in time"
	case errors.Is(err, errLost):
		e.Msg = errLost.Error()
	case errors.Is(err, errStopping), errors.Is(err, nats.ErrConnectionClosed):
		e.Msg, e.Hint = errStopping.Error(), "reconnect and try again"
	default:
		e.Msg = "not connected to NATS"
	}
	return e
}
