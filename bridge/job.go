package bridge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// checkJob says why a message cannot be published as it is: it wants of a job
// what only events have, or the other way around, or would pass itself off as
// what becomes of a job.
func (b *Bridge) checkJob(p *Publication, r *PublishRequest) error {
	if b.isQueue(r.Subject) {
		switch {
		case r.TTL != 0 || r.If != "":
			return &Error{Code: CodeBadFrame, Msg: "a job has neither ttl nor if", Hint: "it stays in its queue until a worker has settled it"}
		case r.Delay != 0 && !r.At.IsZero():
			return &Error{Code: CodeBadFrame, Msg: "delay and at together", Hint: "give one of them"}
		case r.Delay < 0 || r.Delay > maxDelay || time.Until(r.At) > maxDelay:
			return &Error{Code: CodeBadFrame, Msg: "a job can be delayed by at most 365 days", Hint: `as in "delay":"10m"`}
		}
		return nil
	}
	if r.Delay != 0 || !r.At.IsZero() {
		return &Error{Code: CodeNoStream, Msg: fmt.Sprintf("only jobs can be delayed, and %q is no queue", r.Subject), Hint: b.noQueue(r.Subject).Hint}
	}
	if b.queues != nil && b.queues.owns(r.Subject) {
		return &Error{Code: CodeForbidden, Msg: fmt.Sprintf("%q belongs to Jetway: it tells what became of jobs", r.Subject), Hint: "publish to the queue, or to another subject"}
	}
	return nil
}

// owns reports whether only gateways publish to a subject.
func (qs *queues) owns(subject string) bool {
	for _, filter := range qs.broker.QueueStream().Subjects {
		if Matches(DeadSubject(filter), subject) || Matches(JobEventsFilter(filter), subject) {
			return true
		}
	}
	return false
}

// notBefore is when a job may be given to a worker; zero is at once.
func (r *PublishRequest) notBefore(now time.Time) time.Time {
	switch {
	case r.Delay > 0:
		return now.Add(r.Delay)
	case r.At.After(now):
		return r.At
	}
	return time.Time{}
}

// delayedName names a delayed job: the same for the same id, so that who says
// it twice watches the one that is stored.
func delayedName(id string) string {
	var b [12]byte
	if id == "" {
		rand.Read(b[:]) // never fails: crypto/rand
	} else {
		sum := sha256.Sum256([]byte(id))
		copy(b[:], sum[:])
	}
	return "d" + hex.EncodeToString(b[:])
}

// added tells the watchers of a new job that it is queued, and returns the
// subject to watch.
func (qs *queues) added(p *Publication, got Receipt) string {
	j := qs.ref(p.Subject).job(&Event{Stream: got.Stream, Seq: got.Seq, Head: p.Head})
	if !got.Duplicate {
		qs.announce(j, got, p.NotBefore)
	}
	return j.watch
}

// announce tells the watchers of a job that it is queued.
func (qs *queues) announce(j jobRef, got Receipt, notBefore time.Time) {
	e := jobEvent{State: "queued"}
	if !notBefore.IsZero() {
		at := notBefore.UTC().Truncate(time.Millisecond)
		e.At = &at
	} else {
		qs.queued.add(got.Seq)
	}
	qs.tell(j, e, nil)
}
