package memory

// Held returns how many messages, dead ones included, a stream holds, and how
// many wait for their TTL.
func (b *Broker) Held(slot int) (stored, waiting int) {
	s := b.streams[slot]
	s.lock()
	defer s.mu.Unlock()
	return len(s.log.messages), len(s.ttl.queue)
}

// HeldJobs returns how many jobs, pulls and calls are kept for a queue.
func (b *Broker) HeldJobs(subject string) int {
	qs := b.queues
	qs.lock()
	defer qs.mu.Unlock()
	q := qs.bySubject[subject]
	return len(qs.log.messages) + len(q.handed) + len(q.again) + len(q.waiting) + len(q.calls) + len(q.late) + len(qs.loud)
}

// HeldSessions returns how many sessions, and marks of dropped ones, are kept.
func (b *Broker) HeldSessions() int {
	ss := &b.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return max(ss.order.Len(), len(ss.byKey))
}
