package memory

import (
	"container/heap"
	"time"
)

// expiry is the messages that have a TTL, the next one to expire first. A
// message that was removed otherwise stays in it until its time comes or until
// the dead are most of it.
type expiry struct{ queue expiryQueue }

// add remembers a message that has a time of expiry.
func (e *expiry) add(m *message) { heap.Push(&e.queue, m) }

// due takes out and returns a living message that has expired, or nil.
func (e *expiry) due(now time.Time) *message {
	for len(e.queue) > 0 {
		m := e.queue[0]
		if !m.dead && now.Before(m.expires) {
			return nil
		}
		heap.Pop(&e.queue)
		if !m.dead {
			return m
		}
	}
	return nil
}

// purge drops the dead when the queue is longer than twice the living
// messages of the log: trimmed messages with a TTL of a year must not stay in
// memory for a year.
func (e *expiry) purge(living int) {
	if len(e.queue) < 64 || len(e.queue) <= 2*living {
		return
	}
	kept := e.queue[:0]
	for _, m := range e.queue {
		if !m.dead {
			kept = append(kept, m)
		}
	}
	clear(e.queue[len(kept):])
	e.queue = kept
	heap.Init(&e.queue)
}

// expiryQueue implements [heap.Interface].
type expiryQueue []*message

func (q expiryQueue) Len() int           { return len(q) }
func (q expiryQueue) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }
func (q expiryQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *expiryQueue) Push(x any) { *q = append(*q, x.(*message)) }

// Pop implements [heap.Interface].
func (q *expiryQueue) Pop() any {
	last := len(*q) - 1
	m := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return m
}
