package memory

import (
	"slices"
	"strings"
	"sync"

	"github.com/jetway-io/jetway/bridge"
)

// maxQueued bounds what waits for one listener. Beyond it events are dropped:
// what no stream stores is delivered at most once.
const maxQueued = 1 << 16

// signal is what one gateway tells the others.
type signal struct {
	name string
	data []byte
}

// Listen implements [bridge.Broker]. fn is called in the goroutines of the
// publishers, one call at a time, in the order of publishing. It may publish.
// stop waits for it to return: fn must not call stop, and nobody may call stop
// while holding a lock that fn takes.
func (b *Broker) Listen(filter string, fn func(*bridge.Event)) (stop func(), err error) {
	if err := bridge.ValidFilter(filter); err != nil {
		return nil, err
	}
	if b.closed.Load() {
		return nil, errClosed()
	}
	return b.listeners.add(filter, fn), nil
}

// Signal implements [bridge.Broker].
func (b *Broker) Signal(name string, data []byte) error {
	if b.closed.Load() {
		return errClosed()
	}
	if strings.Contains(name, ".") {
		return &bridge.Error{Code: bridge.CodeBadSubject, Msg: "the name of a signal is one token"}
	}
	b.signals.send(name, func() signal { return signal{name, slices.Clone(data)} })
	return nil
}

// Signals implements [bridge.Broker]; fn is called as [Broker.Listen] has it.
func (b *Broker) Signals(fn func(name string, data []byte)) (stop func(), err error) {
	if b.closed.Load() {
		return nil, errClosed()
	}
	return b.signals.add(">", func(s signal) { fn(s.name, s.data) }), nil
}

// listeners is a set of mailboxes, each with a filter.
type listeners[T any] struct {
	mu  sync.Mutex
	all []*mailbox[T] // guarded by mu; the array is never written to, only replaced
}

// add makes fn a listener until stop is called.
func (l *listeners[T]) add(filter string, fn func(T)) (stop func()) {
	m := &mailbox[T]{filter: filter, fn: fn}
	m.idle.L = &m.mu
	l.mu.Lock()
	l.all = append(slices.Clip(l.all), m)
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		l.all = slices.DeleteFunc(slices.Clone(l.all), func(other *mailbox[T]) bool { return other == m })
		l.mu.Unlock()
		m.stop()
	}
}

// send gives every listener whose filter matches a value of its own.
func (l *listeners[T]) send(subject string, make func() T) {
	l.mu.Lock()
	all := l.all
	l.mu.Unlock()
	for _, m := range all {
		if bridge.Matches(m.filter, subject) {
			m.put(make())
		}
	}
}

// mailbox calls fn with what is put into it: one call at a time and in order,
// without a goroutine. Whoever puts something into an idle mailbox empties it;
// so fn may publish to itself without deadlock or recursion.
type mailbox[T any] struct {
	filter string
	fn     func(T)

	mu sync.Mutex
	// Guarded by mu.
	idle    sync.Cond // signalled when running ends
	queue   []T
	running bool
	stopped bool
}

func (m *mailbox[T]) put(v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) >= maxQueued || m.stopped {
		return
	}
	m.queue = append(m.queue, v)
	if m.running {
		return
	}
	m.running = true
	for len(m.queue) > 0 && !m.stopped {
		next := m.queue[0]
		m.queue = m.queue[1:]
		m.mu.Unlock()
		m.fn(next)
		m.mu.Lock()
	}
	m.running = false
	m.idle.Broadcast()
}

// stop returns when fn is not running and will not run again.
func (m *mailbox[T]) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped, m.queue = true, nil
	for m.running {
		m.idle.Wait()
	}
}
