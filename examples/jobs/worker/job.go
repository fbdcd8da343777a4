package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// steps is in how many parts a job is done.
const steps = 10

// holdMargin is by how much this worker gives a job up before the server gives
// it to somebody else. It is not only for timers and for what is on its way: a
// NATS server that was killed knows since when jobs are out in whole seconds,
// without the last tenths of them.
const holdMargin = 2 * time.Second

// errHold is why a job is given up when its hold could not be extended in time:
// somebody else may have it by now, and nothing may be said of it any more. The
// server takes an ack whenever it comes.
var errHold = errors.New("the hold on the job has ended")

// job is one job at hand.
type job struct {
	*worker
	msg     jetstream.Msg
	name    string // the last token of its events' subject
	id      string // names it for good: a stream that is made anew counts from 1
	try     int
	stored  time.Time
	ackWait time.Duration
	logger  *slog.Logger
}

// event tells the watchers of a job what became of it, in the form of Jetway's
// own events.
type event struct {
	State  string `json:"state"` // active, progress, retry, done or dead
	Try    int    `json:"try"`
	Worker string `json:"worker,omitempty"`
	In     string `json:"in,omitempty"`
	Why    string `json:"why,omitempty"`
	Data   any    `json:"data,omitempty"`
}

type progress struct {
	Percent int `json:"percent"`
}

func newJob(w *worker, stream *jetstream.StreamInfo, ackWait time.Duration, msg jetstream.Msg) (*job, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	seq := strconv.FormatUint(meta.Sequence.Stream, 10)
	j := &job{worker: w, msg: msg, name: seq, try: int(meta.NumDelivered), stored: meta.Timestamp, ackWait: ackWait,
		id: streamName + "-" + strconv.FormatInt(stream.Created.UnixNano(), 36) + "-" + seq}
	if given := msg.Headers().Get("Jetway-Job"); given != "" { // it was delayed, and its watchers know it by this
		j.name = given
	}
	j.logger = w.Logger.With("job", j.name, "try", j.try)
	return j, nil
}

// do does the job and settles it. What cannot be settled comes back to the
// queue when the hold ends.
func (j *job) do() {
	ctx, stop := j.hold()
	defer stop()
	err := j.attempt(ctx)
	switch {
	case err == nil:
		j.logger.Info("done")
	case ctx.Err() != nil:
		j.logger.Warn("given up", "error", context.Cause(ctx))
	case errors.Is(err, errBadJob) || j.try >= j.Tries:
		j.settled("dead", err, j.bury(ctx, err))
	default:
		j.settled("given back", err, j.giveBack(ctx, err))
	}
}

func (j *job) settled(how string, why, err error) {
	if err != nil {
		j.logger.Error("not settled; it comes again", "why", why, "error", err)
		return
	}
	j.logger.Warn(how, "why", why)
}

// hold extends the hold on the job until stop is called. Its context ends a
// margin before the server's hold does.
func (j *job) hold() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	most := max(j.ackWait-holdMargin, j.ackWait/2)
	lapse := time.AfterFunc(most, func() { cancel(errHold) })
	go func() {
		defer close(ended)
		for tick := time.NewTicker(most / 4); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case asked := <-tick.C:
				// Only a flush says that the server has heard it.
				if j.msg.InProgress() == nil && j.nc.FlushTimeout(most/4) == nil && ctx.Err() == nil {
					lapse.Reset(most - time.Since(asked))
				}
			}
		}
	}()
	return ctx, func() {
		lapse.Stop()
		cancel(nil)
		<-ended
	}
}

// attempt does the job. The result is told before the job is removed: a job
// that is gone without its result would leave its watchers waiting for ever.
func (j *job) attempt(ctx context.Context) error {
	if j.try > j.Tries {
		return errors.New("the last worker did not answer")
	}
	if err := j.tell(ctx, event{State: "active", Worker: j.Name}); err != nil {
		return err
	}
	src, kind, width, err := decodeJob(j.msg.Data())
	if err != nil {
		return err
	}
	r := newResizer(src, width)
	for step := range steps {
		r.rows(step, steps)
		pause(ctx, j.Pause)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if percent := 100 * (step + 1) / steps; percent < 100 { // 100 % is the result
			if err := j.tell(ctx, event{State: "progress", Data: progress{percent}}); err != nil {
				return err
			}
		}
	}
	result, err := encodeResult(r.dst, kind, int(j.nc.MaxPayload()))
	if err != nil {
		return err
	}
	if err := j.tell(ctx, event{State: "done", Worker: j.Name, Data: result}); err != nil {
		return err
	}
	return j.insist(ctx, func() error { return j.msg.DoubleAck(ctx) })
}

// giveBack has the job tried again, later each time.
func (j *job) giveBack(ctx context.Context, why error) error {
	delay := time.Duration(j.try) * 2 * time.Second
	if err := j.tell(ctx, event{State: "retry", In: delay.String(), Why: why.Error()}); err != nil {
		return err
	}
	return j.msg.NakWithDelay(delay)
}

// bury makes a dead letter of the job. Only then is it removed: nothing is lost
// at any moment, and after a failure all of it can be done again.
func (j *job) bury(ctx context.Context, why error) error {
	head := nats.Header{}
	for name, values := range j.msg.Headers() {
		head[name] = values
	}
	for name, value := range map[string]string{
		"Jetway-Queue": queueSubject, "Jetway-Job": j.name, "Jetway-Time": j.stored.UTC().Format(time.RFC3339Nano),
		"Jetway-Tries": strconv.Itoa(j.try), "Jetway-Worker": j.Name, "Jetway-Reason": oneLine(why),
		jetstream.MsgIDHeader: "dlq:" + j.id,
	} {
		head.Set(name, value)
	}
	letter := &nats.Msg{Subject: deadSubject, Header: head, Data: j.msg.Data()}
	if err := j.store(ctx, letter); err != nil {
		return fmt.Errorf("its dead letter: %w", err)
	}
	if err := j.tell(ctx, event{State: "dead", Worker: j.Name, Why: why.Error()}); err != nil {
		return err
	}
	return j.msg.TermWithReason(oneLine(why))
}

// tell stores an event for the job's watchers. The end of a job is stored once,
// however often it is told.
func (j *job) tell(ctx context.Context, e event) error {
	e.Try = j.try
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	msg := nats.NewMsg(eventsPrefix + j.name)
	msg.Data = data
	if e.State == "done" || e.State == "dead" {
		msg.Header.Set(jetstream.MsgIDHeader, e.State+":"+j.id)
	}
	if err := j.store(ctx, msg); err != nil {
		return fmt.Errorf("telling that it is %s: %w", e.State, err)
	}
	return nil
}

// store publishes until the stream has the message.
func (j *job) store(ctx context.Context, msg *nats.Msg) error {
	return j.insist(ctx, func() error {
		_, err := j.js.PublishMsg(ctx, msg)
		return err
	})
}

// insist does something again until it works, for as long as the job is held
// and not for ever: a server may be away for a moment, and a job's work is
// worth more than that.
func (j *job) insist(ctx context.Context, fn func() error) error {
	end := time.Now().Add(j.ackWait)
	for {
		err := fn()
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		pause(ctx, retryPause/8)
	}
}
