package memory

import (
	"context"

	"github.com/jetway-io/jetway/bridge"
)

// State implements [bridge.Broker].
func (b *Broker) State(ctx context.Context, slot int) (bridge.StreamState, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return bridge.StreamState{}, err
	}
	defer s.mu.Unlock()
	return bridge.StreamState{
		Stream:   s.info,
		First:    s.log.first(),
		Last:     s.log.last,
		Messages: uint64(s.log.count()),
		Bytes:    s.log.bytes,
		Dedupe:   s.opts.Dedupe,
	}, nil
}

// Read implements [bridge.Broker].
func (b *Broker) Read(ctx context.Context, r bridge.ReadRequest) (bridge.Batch, error) {
	s, err := b.lock(ctx, r.Slot)
	if err != nil {
		return bridge.Batch{}, err
	}
	r.From = max(r.From, 1)
	found, next := s.log.read(r)
	batch := bridge.Batch{Stream: s.info, Next: next}
	if r.Filter == "" {
		batch.Lost = s.log.lost(r.From - 1)
	}
	s.mu.Unlock()
	batch.Events = events(found, batch.Stream)
	return batch, nil
}

// ReadSeqs implements [bridge.Broker].
func (b *Broker) ReadSeqs(ctx context.Context, slot int, seqs []uint64) ([]*bridge.Event, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	found := make([]*bridge.Event, 0, len(seqs))
	for _, seq := range seqs {
		if m := s.log.get(seq); m != nil {
			found = append(found, m.event(s.info))
		}
	}
	return found, nil
}

// read returns a batch of messages and where the next one begins. Beyond the
// end that is where the reader already is: it must not be sent back.
func (l *log) read(r bridge.ReadRequest) (found []*message, next uint64) {
	size := 0
	for _, m := range l.candidates(r) {
		if m.dead || !matches(r.Filter, m.subject.name) {
			continue
		}
		found = append(found, m)
		size += len(m.data)
		if len(found) >= r.MaxMessages || r.MaxBytes > 0 && size >= r.MaxBytes {
			return found, m.seq + 1
		}
	}
	return found, max(r.From, l.last+1)
}

// candidates returns the messages that may match the request.
func (l *log) candidates(r bridge.ReadRequest) []*message {
	if r.Filter == "" || !bridge.Literal(r.Filter) {
		return l.from(r.From)
	}
	s := l.subjects[r.Filter]
	if s == nil {
		return nil
	}
	return s.messages[search(s.messages, r.From):]
}

// lost returns the hole that the limits have made after a sequence, if any.
func (l *log) lost(after uint64) []bridge.Range {
	if after >= l.trimmed {
		return nil
	}
	return []bridge.Range{{After: after, Next: l.first()}}
}
