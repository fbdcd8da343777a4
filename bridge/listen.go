package bridge

// listener is one core NATS subscription, shared by the clients with its
// filter.
type listener struct {
	clients int
	stop    func()
}

// listen makes sure that events on a filter that no stream covers are heard.
// Every call needs one of unlisten.
func (b *Bridge) listen(filter string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.listeners[filter]; l != nil {
		l.clients++
		return nil
	}
	stop, err := b.broker.Listen(filter, func(e *Event) {
		e.via = filter
		b.log.append(e)
		b.hub.signal()
	})
	if err != nil {
		return err
	}
	b.listeners[filter] = &listener{clients: 1, stop: stop}
	return nil
}

func (b *Bridge) unlisten(filter string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.listeners[filter]
	if l.clients--; l.clients == 0 {
		delete(b.listeners, filter)
		l.stop()
	}
}
