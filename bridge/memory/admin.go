package memory

// SetReady makes [Broker.Ready] return err; nil makes the broker ready again.
// Nothing else changes.
func (b *Broker) SetReady(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notReady = err
}

// Trim removes what lies below the sequence first, as the stream's limits
// would: readers that had not seen it are told that it is lost.
func (b *Broker) Trim(slot int, first uint64) {
	s := b.streams[slot]
	s.lock()
	defer s.mu.Unlock()
	for s.log.count() > 0 && s.log.first() < first {
		s.log.trimFirst()
	}
}

// Delete removes one message on purpose: nobody is told.
func (b *Broker) Delete(slot int, seq uint64) {
	s := b.streams[slot]
	s.lock()
	defer s.mu.Unlock()
	if m := s.log.get(seq); m != nil {
		s.log.remove(m)
	}
}

// Recreate deletes the stream, if it is there, and makes it again: empty, with
// a new tag, without durables, counting from 1. Followers get Renewed. The slot
// may be the one of the queue stream: pulls then end with
// [bridge.CodeNotFound], and its queues have to be opened again.
func (b *Broker) Recreate(slot int) {
	if b.queues != nil && slot == b.queues.slot {
		b.queues.recreate()
		return
	}
	s := b.streams[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewLocked()
	s.wakeLocked()
}

// RemoveStream deletes the stream until [Broker.Recreate]. Followers get Gone, all
// else an error with "no_stream".
func (b *Broker) RemoveStream(slot int) {
	s := b.streams[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.clearLocked()
	s.wakeLocked()
}
