package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.QueueBroker = (*Broker)(nil)

// fullRetry is when it makes sense to add a job to a full queue again.
const fullRetry = time.Second

// QueueStream implements [bridge.QueueBroker].
func (b *Broker) QueueStream() *bridge.Stream {
	if b.queues == nil {
		return nil
	}
	b.queues.mu.Lock()
	defer b.queues.mu.Unlock()
	return b.queues.info
}

// OpenQueue implements [bridge.QueueBroker].
func (b *Broker) OpenQueue(ctx context.Context, subject string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := bridge.ValidSubject(subject); err != nil {
		return err
	}
	if b.queues == nil || !b.queues.covers(subject) {
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: fmt.Sprintf("%q is not a queue", subject)}
	}
	b.queues.lock()
	defer b.queues.mu.Unlock()
	if b.queues.closed {
		return errClosed()
	}
	b.queues.queueLocked(subject).open = true
	return nil
}

// CloseQueue forgets what is known of a queue's jobs that were handed out, as
// if somebody had deleted JetStream's consumer: whoever has one keeps it, but
// it counts as never handed out. Pulls end with [bridge.CodeNotFound] until
// the queue is opened again. The jobs themselves stay.
func (b *Broker) CloseQueue(subject string) {
	b.queues.lock()
	if q := b.queues.bySubject[subject]; q != nil {
		b.queues.forgetLocked(q, &bridge.Error{Code: bridge.CodeNotFound, Msg: "the queue was closed"})
	}
	b.queues.tell(b.queues.unlock())
}

// Settle implements [bridge.QueueBroker]. It calls done before it returns. A
// settlement of a job that is not there any more changes nothing and is
// confirmed, as JetStream has it.
func (b *Broker) Settle(j *bridge.Job, s bridge.Settlement, done func(error)) {
	qs := b.queues
	qs.lock()
	if qs.closed {
		qs.mu.Unlock()
		done(errClosed())
		return
	}
	if q := qs.bySubject[j.Event.Subject]; q != nil && j.Event.Stream == qs.info {
		qs.settleLocked(q, j.Event.Seq, s)
	}
	loud := qs.unlock()
	done(nil)
	qs.tell(loud)
}

// Remove implements [bridge.QueueBroker].
func (b *Broker) Remove(ctx context.Context, slot int, seq uint64) error {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	m := s.log.get(seq)
	if m == nil {
		return &bridge.Error{Code: bridge.CodeNotFound, Msg: fmt.Sprintf("%s has no event with this sequence", s.opts.Name)}
	}
	s.log.remove(m)
	return nil
}

// queues is the stream of the jobs and what is known of each queue of it. The
// stream's mutex guards all of it.
type queues struct {
	*stream
	lease leaseTimes // static after construction

	// Guarded by mu.
	bySubject map[string]*queue
	delays    *delays
	loud      []*queue // those that have calls and nobody who makes them
	closed    bool
}

// queue is one subject of the queue stream. It remembers what was handed out;
// the jobs themselves are in the stream's log.
type queue struct {
	subject string
	open    bool
	next    uint64             // no job from this sequence on was handed out
	handed  map[uint64]*handed // those that were, and are not removed
	again   []*handed          // those of them that nobody has, ascending
	waiting []*pull            // in the order in which they are served
	late    []*delayed         // their time has come, but there was no room

	calls   []func() // to be made with the mutex free, in order
	talking bool     // somebody makes them
}

// handed is a job that was handed out at least once.
type handed struct {
	m     *message
	count int         // how often
	timer *time.Timer // ends the hold, or the delay of a nak; nil in queue.again
	turn  int         // which timer it is: one that has fired may wait for the mutex
}

func newQueues(slot int, o Options) *queues {
	q := o.Queues
	s := newStream(slot, Stream{Name: q.Stream, Subjects: q.Subjects, MaxMessages: -1, MaxBytes: -1, Dedupe: q.Dedupe}, o)
	s.perSubject = q.MaxJobs
	qs := &queues{stream: s, lease: q.leaseTimes(), bySubject: make(map[string]*queue)}
	if !q.NoDelays {
		qs.delays = newDelays(slot+1, q)
	}
	return qs
}

// publish stores a job and hands it out.
func (qs *queues) publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	qs.lock()
	if qs.closed {
		qs.mu.Unlock()
		done(bridge.Receipt{}, errClosed())
		return
	}
	r, err := qs.addLocked(p)
	loud := qs.unlock()
	done(r, err)
	qs.tell(loud)
}

func (qs *queues) addLocked(p *bridge.Publication) (bridge.Receipt, error) {
	if !p.NotBefore.IsZero() {
		return qs.delayLocked(p)
	}
	r, err := qs.storeLocked(p)
	if err == nil && !r.Duplicate {
		qs.serveLocked(qs.queueLocked(p.Subject))
	}
	return r, err
}

func (qs *queues) queueLocked(subject string) *queue {
	q := qs.bySubject[subject]
	if q == nil {
		q = &queue{subject: subject, handed: make(map[uint64]*handed)}
		qs.bySubject[subject] = q
	}
	return q
}

// settleLocked does not ask who settles: a late settlement takes the job away
// from who has it now.
func (qs *queues) settleLocked(q *queue, seq uint64, s bridge.Settlement) {
	h := q.handed[seq]
	if h == nil {
		return
	}
	switch s.How {
	case bridge.SettleAck, bridge.SettleTerm:
		q.dropLocked(h)
		if !h.m.dead {
			qs.log.remove(h.m)
		}
		qs.admitLocked(q)
	case bridge.SettleNak:
		if h.timer == nil {
			return // it waits to be handed out, and goes on to
		}
		if s.Delay > 0 {
			qs.alarmLocked(q, h, s.Delay)
			return
		}
		q.freeLocked(h)
	case bridge.SettleWip:
		if h.timer != nil {
			qs.alarmLocked(q, h, qs.lease.ackWait)
		}
	}
	qs.serveLocked(q)
}

// alarmLocked makes the job available after a time, and not before.
func (qs *queues) alarmLocked(q *queue, h *handed, after time.Duration) {
	h.stopLocked()
	turn := h.turn
	h.timer = time.AfterFunc(after, func() {
		qs.lock()
		if h.turn == turn {
			q.freeLocked(h)
			qs.serveLocked(q)
		}
		qs.tell(qs.unlock())
	})
}

func (h *handed) stopLocked() {
	h.turn++
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}

// freeLocked makes the job available.
func (q *queue) freeLocked(h *handed) {
	h.stopLocked()
	i, _ := q.findAgain(h)
	q.again = slices.Insert(q.again, i, h)
}

// dropLocked forgets a job.
func (q *queue) dropLocked(h *handed) {
	h.stopLocked()
	delete(q.handed, h.m.seq)
	if i, found := q.findAgain(h); found {
		q.again = slices.Delete(q.again, i, i+1)
	}
}

func (q *queue) findAgain(h *handed) (i int, found bool) {
	return slices.BinarySearchFunc(q.again, h.m.seq, func(other *handed, seq uint64) int {
		return compareSeq(other.m, seq)
	})
}

// forgetLocked ends the queue's pulls and forgets what was handed out.
func (qs *queues) forgetLocked(q *queue, err error) {
	for _, p := range slices.Clone(q.waiting) {
		qs.endLocked(p, err)
	}
	for _, h := range q.handed {
		h.stopLocked()
	}
	clear(q.handed)
	q.open, q.next, q.again = false, 0, nil
}

// recreate makes another incarnation, without jobs. Delayed ones stay.
func (qs *queues) recreate() {
	qs.lock()
	qs.renewLocked()
	for _, q := range qs.bySubject {
		qs.forgetLocked(q, &bridge.Error{Code: bridge.CodeNotFound, Msg: "the stream of the queues was made again"})
		qs.admitLocked(q)
	}
	qs.tell(qs.unlock())
}

// close ends all pulls and timers.
func (qs *queues) close() {
	qs.lock()
	qs.closed = true
	for _, q := range qs.bySubject {
		qs.forgetLocked(q, errClosed())
	}
	if qs.delays != nil {
		qs.delays.stop()
	}
	qs.tell(qs.unlock())
}

// callLocked notes a call that a pull has to get.
func (qs *queues) callLocked(q *queue, call func()) {
	q.calls = append(q.calls, call)
	if !q.talking {
		q.talking = true
		qs.loud = append(qs.loud, q)
	}
}

// unlock frees the mutex and returns the queues whose calls the caller must
// make by tell.
func (qs *queues) unlock() (loud []*queue) {
	loud, qs.loud = qs.loud, nil
	qs.mu.Unlock()
	return loud
}

// tell makes the calls, each queue's one at a time and in order, without a
// goroutine. A call may ask the broker again: what this makes others hear is
// appended, so there is neither deadlock nor recursion.
func (qs *queues) tell(loud []*queue) {
	for _, q := range loud {
		qs.mu.Lock()
		for len(q.calls) > 0 {
			call := q.calls[0]
			q.calls = q.calls[1:]
			qs.mu.Unlock()
			call()
			qs.mu.Lock()
		}
		q.talking = false
		qs.mu.Unlock()
	}
}
