package jetstream

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// ctl is the subject of what gateways tell each other.
const ctl = "jetway.ctl."

// stopWait bounds the wait for a call that runs while its subscription ends. A
// function that itself stops its subscription, or that waits for a lock held by
// who does, would otherwise wait for ever.
const stopWait = time.Second

// sub is a core subscription that ends with stop or with the broker. After
// stop its function is not called.
type sub struct {
	nats    *nats.Subscription
	lock    chan empty // held by a running call
	stopped atomic.Bool
}

func (s *sub) stop() {
	if s.stopped.Swap(true) {
		return
	}
	_ = s.nats.Unsubscribe() // fails only without a connection
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case s.lock <- empty{}:
		<-s.lock
	case <-timer.C:
	}
}

// subscribe makes a core subscription.
func (b *Broker) subscribe(filter string, fn func(*nats.Msg)) (stop func(), err error) {
	s := &sub{lock: make(chan empty, 1)}
	ns, err := b.nc.Subscribe(filter, func(m *nats.Msg) {
		s.lock <- empty{}
		defer func() { <-s.lock }()
		if !s.stopped.Load() {
			fn(m)
		}
	})
	if err != nil {
		return nil, b.unavailable(context.Background(), err)
	}
	s.nats = ns
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.subs[s] = empty{}
	}
	b.mu.Unlock()
	if closed {
		s.stop()
		return nil, b.unavailable(context.Background(), nats.ErrConnectionClosed)
	}
	return func() {
		s.stop()
		b.mu.Lock()
		delete(b.subs, s)
		b.mu.Unlock()
	}, nil
}

// Listen implements [bridge.Broker].
func (b *Broker) Listen(filter string, fn func(*bridge.Event)) (stop func(), err error) {
	if err := bridge.ValidFilter(filter); err != nil {
		return nil, err // nats.go would send some of these to the server
	}
	return b.subscribe(filter, func(m *nats.Msg) {
		if b.covered(m.Subject) {
			return // the stream's tail brings it
		}
		fn(&bridge.Event{Subject: m.Subject, Time: time.Now(), Head: fields(m.Header), Data: m.Data})
	})
}

// covered reports whether a stream stores the subject.
func (b *Broker) covered(subject string) bool {
	for _, s := range b.streams {
		if covers(s.current().stream.Subjects, subject) {
			return true
		}
	}
	return false
}

// Signal implements [bridge.Broker].
func (b *Broker) Signal(name string, data []byte) error {
	if strings.Contains(name, ".") {
		return &bridge.Error{Code: bridge.CodeBadSubject, Msg: fmt.Sprintf("the name %q of a signal is not one token", name)}
	}
	if err := b.nc.Publish(ctl+name, data); err != nil {
		return b.unavailable(context.Background(), err)
	}
	return nil
}

// Signals implements [bridge.Broker]. Its subscription does not match what
// gateways ask each other (gateways.go): it would keep NATS from saying that
// there is no such gateway.
func (b *Broker) Signals(fn func(name string, data []byte)) (stop func(), err error) {
	return b.subscribe(ctl+"*", func(m *nats.Msg) {
		fn(strings.TrimPrefix(m.Subject, ctl), m.Data)
	})
}
