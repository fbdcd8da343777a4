package memory

import (
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// leaseTimes are what follows from a lease; package jetstream uses the same.
type leaseTimes struct {
	pullWait time.Duration // how long a pull waits for jobs
	ackWait  time.Duration // how long a job is held
	margin   time.Duration // how much earlier its holder must think it is over
}

func (q Queues) leaseTimes() leaseTimes {
	t := leaseTimes{
		pullWait: min(max(q.Lease/4, 100*time.Millisecond), 5*time.Second),
		margin:   min(max(q.Lease/10, 100*time.Millisecond), 2*time.Second),
	}
	t.ackWait = q.Lease + t.pullWait + t.margin
	return t
}

// pull is a request that has not ended.
type pull struct {
	*bridge.PullRequest
	queue *queue
	until time.Time // of its jobs
	taken int
	bytes int
	timer *time.Timer // ends it
}

// Pull implements [bridge.QueueBroker].
func (b *Broker) Pull(r *bridge.PullRequest) (cancel func()) {
	qs, now := b.queues, time.Now()
	qs.lock()
	if qs.closed {
		qs.mu.Unlock()
		r.Done(errClosed())
		return func() {}
	}
	q := qs.bySubject[r.Subject]
	if q == nil || !q.open {
		qs.mu.Unlock()
		r.Done(&bridge.Error{Code: bridge.CodeNotFound, Msg: "the queue is not open"})
		return func() {}
	}
	p := &pull{PullRequest: r, queue: q, until: now.Add(qs.lease.ackWait - qs.lease.margin)}
	q.waiting = append(q.waiting, p)
	end := func() {
		qs.lock()
		qs.endLocked(p, nil)
		qs.tell(qs.unlock())
	}
	p.timer = time.AfterFunc(qs.lease.pullWait, end)
	qs.admitLocked(q) // a job's TTL may have made room
	qs.tell(qs.unlock())
	return end
}

// serveLocked hands out what there is: one job to each pull, in the order of
// asking, and from the first again.
func (qs *queues) serveLocked(q *queue) {
	for len(q.waiting) > 0 {
		m, h := qs.nextLocked(q)
		if m == nil {
			return
		}
		p := q.waiting[0]
		if !p.fits(m) {
			qs.endLocked(p, nil)
			continue
		}
		if h == nil {
			h = &handed{m: m}
			q.handed[m.seq] = h
			q.next = m.seq + 1
		} else {
			q.again = q.again[1:]
		}
		qs.giveLocked(p, h)
	}
}

// nextLocked returns the job to be handed out next: one that was handed out
// before, else one that was not.
func (qs *queues) nextLocked(q *queue) (*message, *handed) {
	for len(q.again) > 0 {
		h := q.again[0]
		if !h.m.dead {
			return h.m, h
		}
		q.dropLocked(h) // its TTL has ended
	}
	s := qs.log.subjects[q.subject]
	if s == nil {
		return nil, nil
	}
	if i := search(s.messages, q.next); i < len(s.messages) {
		return s.messages[i], nil
	}
	return nil, nil
}

func (qs *queues) giveLocked(p *pull, h *handed) {
	q := p.queue
	h.count++
	qs.alarmLocked(q, h, qs.lease.ackWait)
	j := &bridge.Job{
		Event:     h.m.event(qs.info),
		Delivered: h.count,
		Until:     p.until,
		Hold:      qs.lease.ackWait - qs.lease.margin,
	}
	qs.callLocked(q, func() { p.Take(j) })
	p.taken++
	p.bytes += int(h.m.weight())
	q.waiting = append(q.waiting[1:], p)
	if p.taken >= p.Max || p.MaxBytes > 0 && p.bytes >= p.MaxBytes {
		qs.endLocked(p, nil)
	}
}

// fits reports whether the pull may have this job, too. A first one always
// fits: else nobody could ever have one that is large.
func (p *pull) fits(m *message) bool {
	return p.MaxBytes <= 0 || p.taken == 0 || p.bytes+int(m.weight()) <= p.MaxBytes
}

// endLocked ends a pull, unless it has ended.
func (qs *queues) endLocked(p *pull, err error) {
	i := slices.Index(p.queue.waiting, p)
	if i < 0 {
		return
	}
	p.queue.waiting = slices.Delete(p.queue.waiting, i, i+1)
	p.timer.Stop()
	qs.callLocked(p.queue, func() { p.Done(err) })
}
