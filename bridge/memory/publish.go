package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Publish implements [bridge.Broker]. It stores at once and calls done before
// it returns. A slot that is not the one of the subject is answered with
// [bridge.CodeInternal]; a message over the stream's MaxBytes, with
// [bridge.CodeTooBig].
func (b *Broker) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	if err := b.check(p); err != nil {
		done(bridge.Receipt{}, err)
		return
	}
	if b.queues != nil && p.Slot == b.queues.slot {
		b.queues.publish(p, done)
		return
	}
	r, err := b.publish(p)
	done(r, err)
}

func (b *Broker) check(p *bridge.Publication) error {
	if err := bridge.ValidSubject(p.Subject); err != nil {
		return err
	}
	if slot := b.slotOf(p.Subject); slot != p.Slot {
		msg := fmt.Sprintf("%q belongs to slot %d and was published to slot %d", p.Subject, slot, p.Slot)
		return &bridge.Error{Code: bridge.CodeInternal, Msg: msg}
	}
	return nil
}

func (b *Broker) publish(p *bridge.Publication) (bridge.Receipt, error) {
	if p.Slot < 0 {
		return bridge.Receipt{}, b.publishCore(p)
	}
	s, err := b.lock(context.Background(), p.Slot)
	if err != nil {
		return bridge.Receipt{}, err
	}
	defer s.mu.Unlock()
	return s.storeLocked(p)
}

// storeLocked looks at the id before the condition: who repeats a conditional
// publish because the answer got lost is told that it was stored, not that it
// stands in its own way.
func (s *stream) storeLocked(p *bridge.Publication) (bridge.Receipt, error) {
	if p.ID != "" {
		if seq, seen := s.ids.seq(p.ID); seen {
			return bridge.Receipt{Stream: s.info, Seq: seq, Duplicate: true}, nil
		}
	}
	if p.Expect != nil && *p.Expect != s.lastSeqLocked(p.Subject) {
		return bridge.Receipt{}, &bridge.Error{
			Code: bridge.CodeConflict,
			Msg:  "the subject has another newest event than the one given",
			Hint: "read the newest one and decide again",
		}
	}
	if sub := s.log.subjects[p.Subject]; s.perSubject > 0 && sub != nil && len(sub.messages) >= s.perSubject {
		return bridge.Receipt{}, &bridge.Error{
			Code:  bridge.CodeQueueFull,
			Msg:   fmt.Sprintf("the queue holds %d jobs", s.perSubject),
			Hint:  "add workers, or try again later",
			Retry: fullRetry,
		}
	}
	head := ownHead(p.Head)
	if s.opts.MaxBytes > 0 && weigh(p.Subject, head, p.Data) > uint64(s.opts.MaxBytes) {
		return bridge.Receipt{}, &bridge.Error{Code: bridge.CodeTooBig, Msg: "the event is larger than the stream"}
	}
	m := s.appendLocked(p, head)
	return bridge.Receipt{Stream: s.info, Seq: m.seq}, nil
}

func (s *stream) appendLocked(p *bridge.Publication, head []bridge.Field) *message {
	now := wallClock()
	if n := len(s.log.messages); n > 0 && now.Before(s.log.messages[n-1].time) {
		now = s.log.messages[n-1].time // the wall clock went back; SeqAt needs them ascending
	}
	m := &message{time: now, head: head, data: p.Data}
	s.log.append(p.Subject, m)
	if p.ID != "" {
		s.ids.add(p.ID, m.seq, now)
	}
	if p.TTL > 0 {
		m.expires = now.Add(p.TTL)
		s.ttl.add(m)
	}
	s.limitLocked()
	s.wakeLocked()
	return m
}

// publishCore hands the event to whoever listens now.
func (b *Broker) publishCore(p *bridge.Publication) error {
	if b.closed.Load() {
		return errClosed()
	}
	if p.Expect != nil {
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: "no stream covers the subject, so it has no newest event to compare with"}
	}
	now, head := wallClock(), ownHead(p.Head)
	b.listeners.send(p.Subject, func() *bridge.Event {
		return &bridge.Event{Subject: p.Subject, Time: now, Head: head, Data: p.Data}
	})
	return nil
}

// ownHead returns the headers as NATS would give them back: without its own,
// and sorted.
func ownHead(head []bridge.Field) []bridge.Field {
	return sortHead(slices.DeleteFunc(slices.Clone(head), func(f bridge.Field) bool { return strings.HasPrefix(f.Name, "Nats-") }))
}

// sortHead returns the fields in the order of their names, because NATS
// clients hold them in a map.
func sortHead(head []bridge.Field) []bridge.Field {
	sorted := slices.Clone(head)
	slices.SortStableFunc(sorted, func(a, b bridge.Field) int { return strings.Compare(a.Name, b.Name) })
	return sorted
}

// wallClock returns the time without Go's monotonic reading: it is compared
// with times that clients give.
func wallClock() time.Time { return time.Now().UTC().Round(0) }
