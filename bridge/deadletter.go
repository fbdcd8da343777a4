package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Headers of a dead letter, beside those of the job itself.
const (
	deadQueueHeader  = "Jetway-Queue"  // the queue's subject
	deadTimeHeader   = "Jetway-Time"   // when the job was stored, RFC 3339
	deadTriesHeader  = "Jetway-Tries"  // how often it was tried
	deadWorkerHeader = "Jetway-Worker" // the user who tried it last
	deadReasonHeader = "Jetway-Reason"
)

var deadHeaders = []string{deadQueueHeader, jobHeader, deadTimeHeader, deadTriesHeader, deadWorkerHeader, deadReasonHeader}

// obituary is why a job became a dead letter.
type obituary struct {
	tries  int
	worker string
	why    string
}

func (l *lease) obituary(why string) obituary {
	return obituary{l.try, l.worker.client.User(), why}
}

// lastTry is the reason of a job that was tried as often as it may.
func lastTry(why string) string {
	return strings.TrimSuffix("tried as often as it may; "+why, "; ")
}

// bury stores a job's dead letter and tells its watchers. The job itself is
// still in its queue, so that nothing is lost at any moment: who calls this
// again after a failure stores nothing twice.
func (qs *queues) bury(j jobRef, e *Event, o obituary, done func(error)) {
	head := slices.DeleteFunc(slices.Clone(e.Head), func(f Field) bool { return slices.Contains(deadHeaders, f.Name) })
	head = append(head,
		Field{deadQueueHeader, j.subject}, Field{jobHeader, j.name}, Field{deadTimeHeader, e.Time.UTC().Format(time.RFC3339Nano)},
		Field{deadTriesHeader, strconv.Itoa(o.tries)}, Field{deadWorkerHeader, o.worker}, Field{deadReasonHeader, printable(o.why)})
	p := &Publication{Slot: j.deadSlot, Subject: DeadSubject(j.subject), Data: e.Data, Head: head, Owner: eventsOwner,
		ID: "dlq:" + e.Stream.Name + ":" + j.pos}
	qs.publish(p, func(_ Receipt, err error) {
		if err != nil {
			qs.bridge.logger.Error("a dead letter is not stored; the job stays in its queue", "queue", j.subject, "job", j.name, "error", err)
			done(err)
			return
		}
		qs.tell(j, jobEvent{State: "dead", Try: o.tries, Worker: o.worker, Why: o.why}, done)
	})
}

// printable is text that can be a header's value.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// buryHeld makes a dead letter of a job that is held here and that nobody is
// going to settle. When that fails the job comes back a little later.
func (qs *queues) buryHeld(j jobRef, held *Job, o obituary) {
	qs.bury(j, held.Event, o, func(err error) {
		switch {
		case err != nil:
			qs.giveBack(held, qs.backoff(o.tries))
		case time.Now().Before(held.Until):
			qs.settle(held, Settlement{How: SettleTerm, Why: o.why}, func(err error) {
				if err == nil {
					qs.settled(SettleTerm)
				}
			})
		}
	})
}

// The requests about dead letters, which the gateway itself answers. They need
// the right to ask (req), as others do, and the one to do the same by hand on
// the letter's queue: to publish a job there, or, to end one for good, to work.
// A role that may ask every service does not so rule over every queue.
const (
	requeueSubject = deadPrefix + "requeue"
	dropSubject    = deadPrefix + "drop"
)

// answersItself reports whether the gateway answers requests on a subject.
func (b *Bridge) answersItself(subject string) bool {
	return b.queues != nil && (subject == requeueSubject || subject == dropSubject)
}

// deadRequest answers a request about a dead letter, of a client that may do
// this.
func (qs *queues) deadRequest(ctx context.Context, subject string, data []byte, may *Permissions) (*Event, error) {
	var ask struct {
		Pos string `json:"pos"`
	}
	if err := json.Unmarshal(data, &ask); err != nil || ask.Pos == "" {
		return nil, &Error{Code: CodeBadFrame, Msg: "the request names no dead letter", Hint: `as in "data":{"pos":"…"}, with the pos of an event on dead.>`}
	}
	letter, err := qs.deadLetter(ctx, ask.Pos)
	if err != nil {
		return nil, err
	}
	if err := mayDecide(subject, letter, may); err != nil {
		return nil, err
	}
	answer := []byte("{}")
	if subject == requeueSubject {
		if answer, err = qs.requeue(ctx, letter); err != nil {
			return nil, err
		}
	}
	err = qs.broker.Remove(ctx, letter.Stream.Slot, letter.Seq)
	if err != nil && !(subject == requeueSubject && errors.Is(err, &Error{Code: CodeNotFound})) {
		return nil, err
	}
	return &Event{Subject: subject, Time: time.Now(), Data: answer}, nil
}

// mayDecide returns nil when a client may do what it asks for.
func mayDecide(subject string, letter *Event, may *Permissions) error {
	queue := header(letter.Head, deadQueueHeader)
	if subject == requeueSubject {
		return may.allowPub(queue)
	}
	return may.allowWork(queue)
}

// deadLetter finds a dead letter by its position.
func (qs *queues) deadLetter(ctx context.Context, pos string) (*Event, error) {
	p, err := ParsePosition(pos)
	if err != nil {
		return nil, err
	}
	for _, s := range qs.bridge.broker.Streams() {
		seq, ok := p.Seq(s.Tag)
		if !ok {
			continue
		}
		found, err := qs.bridge.broker.ReadSeqs(ctx, s.Slot, []uint64{seq})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 && strings.HasPrefix(found[0].Subject, deadPrefix) && qs.bridge.isQueue(header(found[0].Head, deadQueueHeader)) {
			return found[0], nil
		}
	}
	return nil, &Error{Code: CodeNotFound, Msg: fmt.Sprintf("there is no dead letter at %.100q", pos), Hint: "it was requeued or dropped; or this is the pos of something else"}
}

// requeue puts the job of a dead letter back into its queue, under an id that
// is new, as under its old one it would be taken for a duplicate, and the same
// when it is repeated, whichever way its position is written.
func (qs *queues) requeue(ctx context.Context, letter *Event) ([]byte, error) {
	pos := Position{{letter.Stream.Tag, letter.Seq}}.String()
	queue := header(letter.Head, deadQueueHeader)
	p := &Publication{Slot: qs.broker.QueueStream().Slot, Subject: queue, Data: letter.Data, Owner: eventsOwner, ID: "requeue:" + pos,
		Head: slices.DeleteFunc(slices.Clone(letter.Head), func(f Field) bool { return slices.Contains(deadHeaders, f.Name) })}
	type result struct {
		Receipt
		err error
	}
	results := make(chan result, 1)
	qs.bridge.broker.Publish(p, func(r Receipt, err error) { results <- result{r, err} })
	select {
	case got := <-results:
		if got.err != nil {
			return nil, got.err
		}
		j := qs.ref(queue).job(&Event{Stream: got.Stream, Seq: got.Seq})
		qs.announce(j, got.Receipt, time.Time{})
		return json.Marshal(struct {
			Pos   string `json:"pos"`
			Watch string `json:"watch"`
		}{j.pos, j.watch})
	case <-ctx.Done():
		return nil, &Error{Code: CodeUnavailable, Msg: "the queue did not answer in time", Hint: "say it again: it is stored once", Retry: time.Second}
	}
}
