package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Figures of a queue.
const (
	maxPull     = 256             // jobs of one pull
	pullBytes   = 4 << 20         // payloads of one pull, as far as it has several jobs
	pullPause   = time.Second     // after a pull that failed
	spillPause  = time.Second     // how long an arrived job may wait for a worker with room
	openTimeout = 5 * time.Second // to find a queue again that was lost
)

// queue is the work of this gateway's clients on one queue. It asks the broker
// for as many jobs as its workers have room for, never for more, and gives them
// out in turn.
type queue struct {
	// Static after construction.
	queueRef
	queues *queues

	users int // guarded by queues.mu

	mu      sync.Mutex
	workers []*worker
	open    []*worker // those with credit left
	turn    int       // who of open is next
	free    int       // their credit together
	asked   int       // jobs that pulls under way may still bring
	pulls   []*pull   // those of them that can be cancelled
	arrived []*Job    // not yet given to anyone, oldest first
	spill   *time.Timer
	pause   *time.Timer // not nil: no pulls until then
	reopens bool        // no pulls: the broker is asked to open the queue again
	stopped bool        // gives out nothing more
}

func newQueue(qs *queues, subject string) *queue {
	return &queue{queueRef: qs.ref(subject), queues: qs}
}

// join adds a worker.
func (q *queue) join(w *worker) {
	q.mu.Lock()
	if w.over { // its client was closed meanwhile
		q.mu.Unlock()
		return
	}
	q.workers = append(q.workers, w)
	q.open = append(q.open, w)
	q.free += w.max
	q.mu.Unlock()
	q.advance()
}

// retire gives a worker no more jobs. Those that it has stay its own. It
// returns false when it was retired before.
func (q *queue) retire(w *worker) bool {
	q.mu.Lock()
	was, idle := w.over, len(w.leases) == 0
	q.retireLocked(w)
	q.mu.Unlock()
	if idle {
		w.client.dismiss(w)
	}
	q.advance() // what had arrived for it goes elsewhere
	return !was
}

func (q *queue) retireLocked(w *worker) {
	if w.over {
		return
	}
	w.over = true
	q.free -= w.credit()
	q.workers = without(q.workers, w)
	q.open = without(q.open, w)
}

func without(list []*worker, w *worker) []*worker {
	return slices.DeleteFunc(list, func(o *worker) bool { return o == w })
}

// leave is the end of a worker whose socket is gone: its jobs go back.
func (q *queue) leave(w *worker) {
	q.mu.Lock()
	held := slices.Collect(maps.Keys(w.leases))
	q.mu.Unlock()
	q.retire(w)
	for _, l := range held {
		l.orphan(w.client)
	}
}

// release takes a lease that is over off its worker, which has room then.
func (q *queue) release(l *lease) {
	q.mu.Lock()
	done := q.releaseLocked(l.worker, l)
	q.mu.Unlock()
	q.queues.forget(l)
	l.worker.client.freeRoom(l.held.Event.size())
	l.disinherit()
	if done {
		l.worker.client.dismiss(l.worker)
	}
	q.advance()
}

// releaseLocked reports whether the worker has neither jobs nor a future.
func (q *queue) releaseLocked(w *worker, l *lease) (done bool) {
	had := w.credit()
	delete(w.leases, l)
	if w.over {
		return len(w.leases) == 0
	}
	q.free += w.credit() - had
	if had == 0 {
		q.open = append(q.open, w)
	}
	return false
}

// advance gives out what has arrived, and asks for as much as there is room.
func (q *queue) advance() {
	q.mu.Lock()
	back := q.giveLocked()
	cancels := q.excessLocked()
	p := q.pullLocked()
	q.mu.Unlock()
	q.tellBroker(back, p)
	cancelAll(cancels)
}

// tellBroker returns jobs and asks for others. The broker may answer at once,
// so q.mu must be free.
func (q *queue) tellBroker(back []*Job, p *pull) {
	for _, j := range back {
		q.queues.announceBounce(j)
		q.queues.giveBack(j, 0)
	}
	if p == nil {
		return
	}
	cancel := q.queues.broker.Pull(&PullRequest{Subject: q.subject, Max: p.asked, MaxBytes: pullBytes, Take: p.take, Done: p.done})
	q.mu.Lock()
	if !p.ended {
		p.cancel = cancel
		q.pulls = append(q.pulls, p)
	}
	cancels := q.excessLocked() // who wanted them may have left meanwhile
	q.mu.Unlock()
	cancelAll(cancels)
}

// excessLocked returns what ends the pulls when they may bring more than there
// is room for, because workers have left: a job that comes for nobody has been
// handed out in vain, and is late for the others. Then as many as there is room
// for are asked for anew.
func (q *queue) excessLocked() (cancels []func()) {
	if q.asked == 0 || q.asked+len(q.arrived) <= q.free && !q.stopped {
		return nil
	}
	for _, p := range q.pulls {
		cancels = append(cancels, p.cancel)
	}
	q.pulls = nil
	return cancels
}

func cancelAll(cancels []func()) {
	for _, cancel := range cancels {
		cancel()
	}
}

// giveLocked gives the jobs that have arrived to workers with room, in turn.
// What is left goes back soon, as another gateway may have a worker for it, and
// at once if there is no worker here.
func (q *queue) giveLocked() (back []*Job) {
	for len(q.arrived) > 0 && len(q.open) > 0 && !q.stopped {
		j, now := q.arrived[0], time.Now()
		if !now.Before(j.Until) { // its hold is over: the broker gives it out again
			q.arrived = q.arrived[1:]
			continue
		}
		w := q.nextLocked(j.Event.size())
		if w == nil {
			break
		}
		q.arrived = q.arrived[1:]
		q.leaseLocked(w, j, now)
	}
	switch {
	case len(q.arrived) == 0:
		q.arrived = nil
		if q.spill != nil {
			q.spill.Stop()
			q.spill = nil
		}
	case len(q.workers) == 0 || q.stopped:
		back = q.bounceLocked()
	case q.spill == nil:
		q.spill = time.AfterFunc(spillPause, q.spillOver)
	}
	return back
}

// nextLocked returns the worker whose turn it is among those with room, which
// it takes.
func (q *queue) nextLocked(bytes int) *worker {
	for range q.open {
		q.turn %= len(q.open)
		if w := q.open[q.turn]; w.client.takeRoom(bytes) {
			return w
		}
		q.turn++
	}
	return nil
}

// leaseLocked gives a job to the worker whose turn it is, and whose client has
// taken room for it.
func (q *queue) leaseLocked(w *worker, j *Job, now time.Time) {
	l := newLease(q, w, j, q.tryLocked(j), now)
	w.leases[l] = struct{}{}
	q.free--
	if w.credit() > 0 {
		q.turn++
	} else {
		q.open = slices.Delete(q.open, q.turn, q.turn+1)
	}
	q.queues.keep(l)
	l.begin()
	q.queues.bridge.stats.JobsGiven.Add(1)
	w.client.Reply(func(out *Output) {
		w.client.encoder.Job(out, &JobDelivery{Event: j.Event, SID: w.sid, Lease: l.id, Try: l.try,
			For: l.until.Sub(now).Truncate(time.Millisecond), Pos: Position{{j.Event.Stream.Tag, j.Event.Seq}}})
	})
}

// tryLocked is which try of a job this is. Handing it to a gateway that had no
// worker any more, here or elsewhere, was none.
func (q *queue) tryLocked(j *Job) int { return max(j.Delivered-q.queues.bounces(j.Event.Seq), 1) }

// spillOver gives back what has waited too long.
func (q *queue) spillOver() {
	q.mu.Lock()
	q.spill = nil
	back := append(q.giveLocked(), q.bounceLocked()...)
	p := q.pullLocked()
	q.mu.Unlock()
	q.tellBroker(back, p)
}

// bounceLocked takes out what no worker here has room for, to be given back.
func (q *queue) bounceLocked() []*Job {
	back := q.arrived
	q.arrived = nil
	for _, j := range back {
		q.queues.bounce(j.Event.Seq)
		q.queues.bridge.stats.JobsBounced.Add(1)
	}
	return back
}

// pullLocked returns a pull of as many jobs as there is room for and none is
// asked for yet; nil for none.
func (q *queue) pullLocked() *pull {
	if q.pause != nil || q.reopens || q.stopped {
		return nil
	}
	free := q.free - len(q.arrived) - q.asked
	if free <= 0 {
		return nil // as a rule: no need to look at each worker
	}
	for _, w := range q.open {
		if !w.client.jobRoom() {
			free -= w.credit()
		}
	}
	n := min(free, maxPull)
	if n <= 0 {
		return nil
	}
	q.asked += n
	q.queues.use(q)
	return &pull{queue: q, asked: n, left: n}
}

// pull is a request for jobs that is under way.
type pull struct {
	queue *queue
	asked int // jobs

	// Guarded by queue.mu.
	left   int // of them, still to come
	cancel func()
	ended  bool
}

// take receives a job.
func (p *pull) take(j *Job) {
	q := p.queue
	q.mu.Lock()
	p.left--
	q.asked--
	if try := q.tryLocked(j); !q.stopped && try > q.queues.opts.MaxTries {
		q.mu.Unlock()
		q.queues.buryHeld(q.job(j.Event), j, obituary{tries: try - 1, why: lastTry("the last worker did not answer")})
		q.advance()
		return
	}
	q.arrived = append(q.arrived, j)
	q.mu.Unlock()
	q.advance()
}

// done is the end of the request.
func (p *pull) done(err error) {
	q := p.queue
	q.mu.Lock()
	q.asked -= p.left
	p.left, p.ended = 0, true
	q.pulls = slices.DeleteFunc(q.pulls, func(o *pull) bool { return o == p })
	switch {
	case err == nil || q.stopped:
	case errors.Is(err, &Error{Code: CodeNotFound}) && !q.reopens:
		q.reopens = true
		q.queues.bridge.work.Go(q.reopen)
	default:
		q.pauseLocked()
	}
	q.mu.Unlock()
	q.advance()
	q.queues.put(q)
}

// pauseLocked pulls nothing for a while.
func (q *queue) pauseLocked() {
	if q.pause != nil || q.stopped {
		return
	}
	q.pause = time.AfterFunc(pullPause, func() {
		q.mu.Lock()
		q.pause = nil
		q.mu.Unlock()
		q.advance()
	})
}

// reopen is for a queue whose consumer was deleted.
func (q *queue) reopen() {
	ctx, cancel := context.WithTimeout(q.queues.bridge.ctx, openTimeout)
	defer cancel()
	err := q.queues.broker.OpenQueue(ctx, q.subject)
	if err != nil && ctx.Err() == nil {
		q.queues.bridge.logger.Warn("opening a queue again", "queue", q.subject, "error", err)
	}
	q.mu.Lock()
	q.reopens = false
	if err != nil {
		q.pauseLocked()
	}
	q.mu.Unlock()
	q.advance()
}

// stop gives back what has arrived and asks for nothing more.
func (q *queue) stop() {
	q.mu.Lock()
	q.stopped = true
	for _, t := range []*time.Timer{q.spill, q.pause} {
		if t != nil {
			t.Stop()
		}
	}
	q.spill, q.pause = nil, nil
	back := q.bounceLocked()
	cancels := q.excessLocked()
	q.mu.Unlock()
	q.tellBroker(back, nil)
	cancelAll(cancels)
}
