package bridge

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// lease is one worker's hold on a job, fenced by time: the broker itself takes
// a settlement whenever it comes, and would take the job away from whoever has
// it by then (nats-server issues 4786 and 6937). So there are two moments. Until
// the first the worker may settle; after it the worker is told lost, and the job
// goes back. Until the second, which is later, the broker gives the job to
// nobody else; after it nothing is sent about the job any more.
type lease struct {
	// Static after construction.
	id     string
	queue  *queue
	worker *worker
	try    int
	job    jobRef

	mu    sync.Mutex
	state leaseState
	owner *Client     // who may settle it; nil while that client's socket is gone
	until time.Time   // the first moment
	held  *Job        // with the second, which wip moves
	timer *time.Timer // fires at until
}

type leaseState uint8

const (
	leaseHeld     leaseState = iota
	leaseSettling            // its end is the broker's to confirm
	leaseOver
)

var errLeaseLost = &Error{Code: CodeLeaseLost, Msg: "this lease has ended, or is not yours",
	Hint: `stop working on the job; it goes to another worker. Settle within "for", or extend it with wip`}

func newLease(q *queue, w *worker, j *Job, try int, now time.Time) *lease {
	until := now.Add(q.queues.opts.Lease)
	if j.Until.Before(until) {
		until = j.Until
	}
	return &lease{id: randomLease(), queue: q, worker: w, try: try, job: q.job(j.Event), owner: w.client, until: until, held: j}
}

// begin starts the clock and tells the job's watchers.
func (l *lease) begin() {
	l.mu.Lock()
	l.timer = time.AfterFunc(time.Until(l.until), func() { l.end(endLapsed) })
	l.mu.Unlock()
	qs := l.queue.queues
	if l.held.Delivered == 1 && qs.unannounced(l.held.Event) {
		qs.tell(l.job, jobEvent{State: "queued"}, nil)
	}
	qs.tell(l.job, jobEvent{State: "active", Try: l.try, Worker: l.worker.client.User()}, nil)
}

// settle does what a worker asks for. done is called once.
func (l *lease) settle(c *Client, r SettleRequest, done func(error)) {
	if r.How == SettleWip {
		l.wip(c, r, done)
		return
	}
	if !l.claim(c) {
		done(errLeaseLost)
		return
	}
	qs := l.queue.queues
	switch {
	case r.How == SettleAck:
		// The result first: a job that is gone without its result would leave
		// its watchers waiting for ever; one that is done twice tells it once.
		qs.tell(l.job, jobEvent{State: "done", Try: l.try, Worker: c.User(), data: r.Data}, func(err error) {
			l.then(err, done, func() { l.tellBroker(Settlement{How: SettleAck}, done) })
		})
	case r.How == SettleTerm || l.try >= qs.opts.MaxTries:
		why := r.Why
		if r.How == SettleNak {
			why = lastTry(why)
		}
		qs.bury(l.job, l.held.Event, l.obituary(why), func(err error) {
			l.then(err, done, func() { l.tellBroker(Settlement{How: SettleTerm, Why: why}, done) })
		})
	default:
		delay := r.Delay
		if delay == 0 {
			delay = qs.backoff(l.try)
		}
		qs.stats().JobsRetried.Add(1)
		qs.tell(l.job, jobEvent{State: "retry", Try: l.try, In: delay.Round(time.Millisecond).String(), Why: r.Why}, nil)
		l.tellBroker(Settlement{How: SettleNak, Delay: delay}, done)
	}
}

// claim makes the lease the caller's to settle, unless it is too late.
func (l *lease) claim(c *Client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mayLocked(c) {
		return false
	}
	l.state = leaseSettling
	l.timer.Stop()
	return true
}

// mayLocked reports whether a client may settle the lease now. One that is left
// over from another socket of the same user is the client's from then on.
func (l *lease) mayLocked(c *Client) bool {
	if l.state != leaseHeld || !time.Now().Before(l.until) {
		return false
	}
	if l.owner == nil && l.worker.client.User() == c.User() && c.inherit(l) {
		l.owner = c
	}
	return l.owner == c
}

// then goes on, or, after an error, leaves the lease to its owner to try again.
func (l *lease) then(err error, done func(error), next func()) {
	if err != nil {
		l.resume()
		done(err)
		return
	}
	next()
}

// tellBroker ends a lease that is being settled.
func (l *lease) tellBroker(s Settlement, done func(error)) {
	l.mu.Lock()
	late := !time.Now().Before(l.held.Until)
	l.mu.Unlock()
	if late {
		l.finish()
		done(errLeaseLost)
		return
	}
	l.queue.queues.settle(l.held, s, func(err error) {
		if errors.Is(err, errLeaseLost) {
			l.finish()
		} else if err != nil {
			l.resume()
		} else {
			l.queue.queues.settled(s.How)
			l.finish()
		}
		done(err)
	})
}

// finish is the end of a lease that was settled.
func (l *lease) finish() {
	l.mu.Lock()
	l.state = leaseOver
	l.mu.Unlock()
	l.queue.release(l)
}

// disinherit has its owner forget a lease that is over.
func (l *lease) disinherit() {
	l.mu.Lock()
	owner := l.owner
	l.mu.Unlock()
	if owner != nil && owner != l.worker.client {
		owner.disinherit(l)
	}
}

// resume gives a lease that could not be settled back to its owner, for as
// long as it lasts; when that socket is gone meanwhile, the job goes back.
func (l *lease) resume() {
	l.mu.Lock()
	l.state = leaseHeld
	l.timer.Reset(time.Until(l.until))
	owner := l.owner
	l.mu.Unlock()
	if l.queue.queues.isStopped() {
		l.end(endStop)
	} else if owner.isClosed() {
		l.orphan(owner)
	}
}

// wip extends the lease, and tells how far the job is.
func (l *lease) wip(c *Client, r SettleRequest, done func(error)) {
	l.mu.Lock()
	may := l.mayLocked(c)
	l.mu.Unlock()
	if !may {
		done(errLeaseLost)
		return
	}
	both := bothDone(done)
	if r.Data != nil {
		l.queue.queues.tell(l.job, jobEvent{State: "progress", Try: l.try, data: r.Data}, both)
	} else {
		both(nil)
	}
	asked := time.Now()
	l.queue.queues.settle(l.held, Settlement{How: SettleWip}, func(err error) {
		if err == nil && !l.extend(asked) {
			err = errLeaseLost
		}
		both(err)
	})
}

// extend moves both moments. It returns false when the lease is over.
func (l *lease) extend(asked time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == leaseOver {
		return false
	}
	if until := asked.Add(l.held.Hold); until.After(l.held.Until) {
		l.held.Until = until
	}
	// Of a socket that is gone meanwhile only the grace is left.
	if until := asked.Add(l.queue.queues.opts.Lease); until.After(l.until) && l.owner != nil {
		l.until = until
	}
	if l.state == leaseHeld {
		l.timer.Reset(time.Until(l.until))
	}
	return true
}

// bothDone returns a function to be called twice, which then calls done with
// the first error.
func bothDone(done func(error)) func(error) {
	var mu sync.Mutex
	calls, first := 0, error(nil)
	return func(err error) {
		mu.Lock()
		calls++
		if first == nil {
			first = err
		}
		last := calls == 2
		err = first
		mu.Unlock()
		if last {
			done(err)
		}
	}
}

// leaseEnd is why a lease ends although its worker did not settle it.
type leaseEnd uint8

const (
	endLapsed leaseEnd = iota // its time is over
	endGone                   // its worker's socket is gone
	endStop                   // the gateway stops
)

func (e leaseEnd) String() string {
	return [...]string{"the lease ended without an answer", "the worker's connection ended", "the gateway stopped"}[e]
}

// orphan is what becomes of a lease of a client whose socket is gone: it waits
// a little for that to come back, or the job goes back at once.
func (l *lease) orphan(c *Client) {
	grace := l.queue.queues.opts.ResumeGrace
	l.mu.Lock()
	held := l.state == leaseHeld && l.owner == c
	if held && grace > 0 {
		l.owner = nil
		if until := time.Now().Add(grace); until.Before(l.until) {
			l.until = until
			l.timer.Reset(grace)
		}
	}
	l.mu.Unlock()
	if held && grace <= 0 {
		l.end(endGone)
	}
}

// end takes the job back and gives it to somebody else, or, after the last
// try, to the dead letters.
func (l *lease) end(why leaseEnd) {
	l.mu.Lock()
	if l.state != leaseHeld {
		l.mu.Unlock()
		return
	}
	if why == endLapsed && time.Now().Before(l.until) { // extended meanwhile
		l.timer.Reset(time.Until(l.until))
		l.mu.Unlock()
		return
	}
	l.state = leaseOver
	l.timer.Stop()
	owner := l.owner
	l.mu.Unlock()
	qs := l.queue.queues
	if why == endLapsed {
		qs.stats().LeasesLost.Add(1)
		if owner != nil {
			owner.Reply(func(out *Output) { owner.encoder.Lost(out, l.id, why.String()) })
		}
	}
	if l.try >= qs.opts.MaxTries && why != endStop {
		qs.buryHeld(l.job, l.held, l.obituary(lastTry(why.String())))
	} else {
		qs.stats().JobsRetried.Add(1)
		qs.tell(l.job, jobEvent{State: "retry", Try: l.try, Why: why.String()}, nil)
		qs.giveBack(l.held, 0)
	}
	l.queue.release(l)
}

// giveBack returns a job to its queue, if it is still held.
func (qs *queues) giveBack(j *Job, delay time.Duration) {
	if time.Now().Before(j.Until) {
		// Unconfirmed, the broker gives it out again when its hold has ended.
		qs.settle(j, Settlement{How: SettleNak, Delay: delay}, func(error) {})
	}
}

// backoff is how long a job waits after a failed try.
func (qs *queues) backoff(try int) time.Duration {
	d := qs.opts.Backoff[min(try, len(qs.opts.Backoff))-1]
	return d*3/4 + rand.N(d/2+1)
}

// settled counts what the broker has confirmed.
func (qs *queues) settled(how SettleHow) {
	switch how {
	case SettleAck:
		qs.stats().JobsDone.Add(1)
	case SettleTerm:
		qs.stats().JobsDead.Add(1)
	}
}

func (qs *queues) stats() *Stats { return qs.bridge.stats }

// SettleRequest is what a worker says of a job.
type SettleRequest struct {
	How   SettleHow
	Lease string
	Data  []byte        // SettleAck: the result, SettleWip: progress; nil for none
	Delay time.Duration // SettleNak: try again after this; 0 leaves it to the queue's backoff
	Why   string        // SettleNak, SettleTerm
}

// maxDelay bounds how long a job can be put off.
const maxDelay = 365 * 24 * time.Hour

// maxWhyBytes bounds a reason: it is a header of the dead letter.
const maxWhyBytes = 1 << 10

// SettleJob settles a job, or extends its lease. done is called exactly once,
// perhaps before SettleJob returns, and must not block: with nil when the server
// has confirmed it, else with an [Error]: lease_lost (also for a lease that is
// unknown or another client's), bad_frame, or unavailable (the outcome is
// unknown: say it again, while the lease lasts).
func (c *Client) SettleJob(r SettleRequest, done func(error)) {
	if err := r.check(); err != nil {
		done(err)
		return
	}
	var l *lease
	if qs := c.bridge.queues; qs != nil {
		l = qs.find(r.Lease)
	}
	if l == nil {
		done(errLeaseLost)
		return
	}
	l.settle(c, r, c.asks(0, done))
}

func (r *SettleRequest) check() error {
	switch {
	case r.Delay < 0 || r.Delay > maxDelay:
		return &Error{Code: CodeBadFrame, Msg: "delay is not between 0 and 365 days", Hint: `as in "delay":"30s"`}
	case len(r.Why) > maxWhyBytes:
		return &Error{Code: CodeBadFrame, Msg: "why is longer than 1024 bytes", Hint: "put the detail into a log"}
	}
	return nil
}
