package memory

// Held returns how many messages, dead ones included, a stream holds, and how
// many wait for their TTL.
func (b *Broker) Held(slot int) (stored, waiting int) {
	s := b.streams[slot]
	s.lock()
	defer s.mu.Unlock()
	return len(s.log.messages), len(s.ttl.queue)
}
