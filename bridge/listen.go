package bridge

import "sync"

// listener is one core NATS subscription, shared by the clients with its
// filter. What it hears is live only, so it goes to them directly: it has no
// place in the log, where it would push out events that are stored.
type listener struct {
	stop func()

	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// hear is called by the broker, one event at a time.
func (l *listener) hear(e *Event) {
	// A filter that begins with a wildcard must not bring what is NATS's own.
	if Reserved(e.Subject) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for sub := range l.subs {
		sub.client.offer(sub, e)
	}
}

// listen makes sure that a subscription that no stream serves hears events.
// Every call needs one of unlisten.
func (b *Bridge) listen(sub *Subscription) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.listeners[sub.Filter]
	if l == nil {
		l = &listener{subs: make(map[*Subscription]struct{})}
		stop, err := b.broker.Listen(sub.Filter, l.hear)
		if err != nil {
			return err
		}
		l.stop = stop
		b.listeners[sub.Filter] = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs[sub] = struct{}{}
	return nil
}

func (b *Bridge) unlisten(sub *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.listeners[sub.Filter]
	l.mu.Lock()
	delete(l.subs, sub)
	empty := len(l.subs) == 0
	l.mu.Unlock()
	if empty {
		delete(b.listeners, sub.Filter)
		l.stop()
	}
}
