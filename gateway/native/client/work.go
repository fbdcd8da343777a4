package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// WorkOptions say how to work on a queue. The zero value is usable.
type WorkOptions struct {
	// Max is how many jobs may be worked on at a time. 0 and negative mean 1.
	Max int

	// OnLost is told of a job whose outcome does not count, and why: its lease
	// was lost, or settling it failed. Somebody else may get the job. It is
	// called on the goroutine of the job. Nil ignores it.
	OnLost func(j *Job, err error)
}

// Work takes jobs of a queue and calls fn for each, on a goroutine of its own,
// at most [WorkOptions.Max] at a time; what fn returns becomes of the job.
// While fn runs the lease is extended, at a third of the time that it holds,
// so fn may take as long as it needs.
//
// The context that fn gets ends when the lease is lost, with an error of
// [bridge.CodeLeaseLost] or a *[ClosedError] as its cause: the server has taken
// the job away, did not extend the lease in time, or the connection was lost,
// and with it all leases. Then somebody else may do the job already; fn should
// return soon, and what it returns is dropped. It does not end with ctx.
//
// Work returns when ctx ends (the context's error) or the server refuses for
// good (its error). Before, it takes no more jobs, gives back those that have
// not begun, and waits for the others and settles them. Whenever the
// connection is lost it connects again, as [Follow] does, once the running
// functions have returned.
//
// A job may be done more than once: a worker that was cut off after fn had
// finished, and before the server knew, has done it for nothing.
func Work(ctx context.Context, url string, o Options, queue string, wo WorkOptions, fn func(context.Context, *Job) Outcome) error {
	wo.Max = max(wo.Max, 1)
	if wo.OnLost == nil {
		wo.OnLost = func(*Job, error) {}
	}
	again := retry{onRetry: o.OnRetry}
	for {
		over, err := workOnce(ctx, url, o, &again, queue, wo, fn)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case over || !worthRetrying(err):
			return err
		}
		if err := again.pause(ctx, err); err != nil {
			return err
		}
	}
}

// workOnce serves one connection until it ends; over means that the queue has.
func workOnce(ctx context.Context, url string, o Options, again *retry, queue string, wo WorkOptions, fn func(context.Context, *Job) Outcome) (over bool, err error) {
	c, err := Dial(ctx, url, o)
	if err != nil {
		return false, err
	}
	defer c.Close()
	s, err := c.Work(ctx, queue, wo.Max)
	if err != nil {
		return false, err
	}
	again.failed = 0
	k := &shift{
		client: c, sub: s, opts: wo, fn: fn,
		running: map[string]context.CancelCauseFunc{}, finished: make(chan string),
	}
	err = k.work(ctx)
	return k.over, err
}

// shift is the work on one connection. All fields are owned by work.
type shift struct {
	client *Client
	sub    *Sub
	opts   WorkOptions
	fn     func(context.Context, *Job) Outcome

	running  map[string]context.CancelCauseFunc // by lease: ends the job's context
	waiting  []*Job                             // taken while a lost job's function still has its place
	finished chan string                        // leases
	leaving  bool                               // no more jobs are taken
	closed   bool                               // the connection has ended
	over     bool                               // the server has ended the work
}

// work hands out jobs until the connection or the work ends, or ctx, and until
// the last job is settled.
func (k *shift) work(ctx context.Context) (err error) {
	asked, ended := ctx.Done(), k.client.Done()
	var left chan error // the answer to off; nil while it is not awaited
	for !k.leaving || left != nil || len(k.running) > 0 || k.sub.Buffered() > 0 {
		select {
		case m := <-k.sub.messages:
			if end := k.message(ctx, m); end != nil {
				err = end
			}
		case lease := <-k.finished:
			delete(k.running, lease)
			k.fill(ctx)
		case <-asked:
			asked, left = nil, k.leave()
		case <-left:
			left = nil // an error is that of the connection, and shows there
		case <-ended:
			ended, err = nil, k.client.Err()
			k.close(err)
		}
	}
	return err
}

// close ends everything, with the connection.
func (k *shift) close(err error) {
	k.leaving, k.closed, k.waiting = true, true, nil
	for _, cancel := range k.running {
		cancel(err)
	}
}

// leave tells the server to send no more jobs, and gives back those that have
// not begun.
func (k *shift) leave() chan error {
	k.leaving = true
	answer := make(chan error, 1)
	go func() { answer <- k.settle(&native.Frame{Verb: native.VerbOff, Text: k.sub.SID}) }()
	k.giveBackWaiting()
	return answer
}

func (k *shift) giveBackWaiting() {
	for _, j := range k.waiting {
		k.giveBack(j)
	}
	k.waiting = nil
}

func (k *shift) message(ctx context.Context, m Message) error {
	switch m.Kind {
	case native.KindJob:
		j := &Job{
			Subject: m.Subject, Pos: m.Pos, Head: m.Head, Data: m.Data, Binary: m.Binary, Try: m.Try, For: m.For,
			client: k.client, lease: m.Lease,
		}
		switch {
		case k.closed: // it is back in its queue already
		case k.leaving || ctx.Err() != nil: // it has crossed the off
			k.giveBack(j)
		default:
			k.waiting = append(k.waiting, j)
			k.fill(ctx)
		}
	case native.KindLost:
		k.lost(m)
	case native.KindEnd:
		k.leaving, k.over = true, true
		k.giveBackWaiting()
		return endOf(m.Why)
	}
	return nil
}

// lost ends what is done for a lease.
func (k *shift) lost(m Message) {
	if cancel := k.running[m.Lease]; cancel != nil {
		cancel(leaseLost(m.Why))
	}
	for i, j := range k.waiting {
		if j.lease == m.Lease {
			k.waiting = append(k.waiting[:i:i], k.waiting[i+1:]...)
			return
		}
	}
}

// fill starts what is waiting, as far as there is room.
func (k *shift) fill(ctx context.Context) {
	for len(k.waiting) > 0 && len(k.running) < k.opts.Max {
		j := k.waiting[0]
		k.waiting = k.waiting[1:]
		held, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		k.start(j, cancel, func() { k.do(held, cancel, j) })
	}
}

// start runs something about a job, which work waits for.
func (k *shift) start(j *Job, cancel context.CancelCauseFunc, f func()) {
	k.running[j.lease] = cancel
	go func() {
		f()
		cancel(nil)
		k.finished <- j.lease
	}()
}

// do runs one job and settles it. held ends with the lease.
func (k *shift) do(held context.Context, cancel context.CancelCauseFunc, j *Job) {
	outcome := make(chan Outcome, 1)
	go func() { outcome <- k.fn(held, j) }()
	out := k.keep(cancel, j, outcome)
	err := context.Cause(held)
	if err == nil {
		err = k.settle(k.fitting(out, j.lease))
	}
	if err != nil {
		k.opts.OnLost(j, err)
	}
}

// fitting is the message that settles a job. A result that the server would
// not take ends the connection, and the job would be done again, and again to
// no end: it becomes a dead letter that says so.
func (k *shift) fitting(o Outcome, lease string) *native.Frame {
	const id = len(`,"id":18446744073709551615`)
	f := o.frame(lease)
	if n, most := len(native.AppendFrame(nil, f))+id, k.client.MaxMessageBytes(); most > 0 && n > most {
		why := fmt.Sprintf("the outcome of the job is larger than the server takes: %d bytes, at most %d", n, most)
		return GiveUp(why).frame(lease)
	}
	return f
}

// keep extends the lease until there is an outcome, and ends the job's context
// when it is no longer certain that the lease holds: a server that cannot be
// heard has long given the job to somebody else.
func (k *shift) keep(cancel context.CancelCauseFunc, j *Job, outcome <-chan Outcome) Outcome {
	every := time.NewTicker(max(j.For/3, time.Millisecond))
	defer every.Stop()
	deadline := time.NewTimer(j.For)
	defer deadline.Stop()
	answers := make(chan error, 1)
	var asked time.Time // of the wip without an answer; zero when there is none
	for {
		select {
		case out := <-outcome:
			if !asked.IsZero() {
				<-answers // what comes after the settlement would be refused
			}
			return out
		case now := <-every.C:
			if asked.IsZero() {
				asked = now
				go func() { answers <- k.settle(&native.Frame{Verb: native.VerbWip, Text: j.lease}) }()
			}
		case err := <-answers:
			if err == nil {
				deadline.Reset(j.For - time.Since(asked))
			} else if errors.Is(err, &bridge.Error{Code: bridge.CodeLeaseLost}) {
				cancel(err)
			}
			asked = time.Time{}
		case <-deadline.C:
			cancel(leaseLost("the server did not extend it in time"))
		}
	}
}

// giveBack returns a job that has not begun, to be had at once by others.
func (k *shift) giveBack(j *Job) {
	out := TryAgain(time.Millisecond, "the worker is stopping")
	k.start(j, func(error) {}, func() {
		if err := k.settle(out.frame(j.lease)); err != nil {
			k.opts.OnLost(j, err)
		}
	})
}

// settle sends a frame about a lease or the work, and waits for its answer as
// long as for any write.
func (k *shift) settle(f *native.Frame) error {
	ctx, cancel := context.WithTimeout(context.Background(), k.client.opts.Timeout)
	defer cancel()
	_, err := k.client.do(ctx, f, nil)
	return err
}

func leaseLost(why string) error {
	return &bridge.Error{Code: bridge.CodeLeaseLost, Msg: "the lease has ended: " + why, Hint: "stop working on the job, somebody else may have it"}
}
