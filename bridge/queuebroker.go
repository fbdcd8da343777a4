package bridge

import (
	"context"
	"time"
)

// QueueBroker is what a [Broker] is, too, if it keeps work queues: jobs that
// are stored until a worker has settled them, each given to one worker at a
// time in the whole cluster. Its rules are those of [Broker].
//
// The broker does not fence: it takes a settlement that comes too late as if
// it were in time, and so takes the job away from who has it now. Who asks it
// must compare [Job.Until] first.
type QueueBroker interface {
	// QueueStream returns the present incarnation of the stream that holds the
	// jobs, nil when there are no queues. A queue is a subject of it. It is not
	// among Streams, and its Slot is none of theirs: it cannot be read again.
	// A [Publication] with this slot adds a job; one too many in its queue is
	// an error with [CodeQueueFull]. One with NotBefore is kept elsewhere until
	// then (its Receipt says so), and added to a queue that is full as soon as
	// there is room; a broker that cannot do this returns [CodeNoStream].
	QueueStream() *Stream

	// OpenQueue makes sure that jobs of a queue can be pulled. It keeps what
	// is known of jobs that were handed out before.
	OpenQueue(ctx context.Context, subject string) error

	// Pull asks for jobs of a queue that is open, see [PullRequest]. cancel ends
	// the request, unless it has ended: nothing more is handed out for it, and
	// what is on its way goes back. It may be called once.
	Pull(r *PullRequest) (cancel func())

	// Settle says what becomes of a job. done is called exactly once, from any
	// goroutine, perhaps before Settle returns, and must not block: with nil
	// when the broker has confirmed it. [CodeUnavailable] means that the
	// outcome is unknown, [CodeLeaseLost] that the job has gone with its stream.
	Settle(j *Job, s Settlement, done func(error))

	// Remove deletes one message of an exposed stream for good, such as a dead
	// letter. One that does not exist is [CodeNotFound].
	Remove(ctx context.Context, slot int, seq uint64) error
}

// PullRequest asks for jobs. The functions are called from any goroutine, one
// at a time, and must not block.
type PullRequest struct {
	Subject  string // the queue
	Max      int    // at most this many jobs (> 0)
	MaxBytes int    // stop before more than about this many bytes, as far as there are several; 0: no limit

	Take func(*Job) // for each job

	// Done ends the request, once, after the last Take: with nil when Max or
	// MaxBytes is reached, it was cancelled, or no more came for as long as the broker waits
	// (seconds); with [CodeNotFound] when the queue has to be opened again.
	Done func(error)
}

// Job is a message of a queue that was handed out. Until a moment the broker
// gives it to nobody else.
type Job struct {
	Event     *Event        // Stream is the queue stream; Seq names the job
	Delivered int           // how often it was handed out, this time included; from 1
	Until     time.Time     // the broker's hold ends not before this (monotonic clock)
	Hold      time.Duration // how long SettleWip makes it last, from the moment before the call
	Handle    string        // the broker's own
}

// SettleHow is one of four things that can become of a job.
type SettleHow uint8

// The ways to settle a job, by the names of the verbs.
const (
	SettleAck  SettleHow = iota // done: remove it
	SettleNak                   // give it to somebody else, after Delay
	SettleWip                   // hold it longer
	SettleTerm                  // remove it: it will not be done
)

// Settlement says what becomes of a job.
type Settlement struct {
	How   SettleHow
	Delay time.Duration // SettleNak: not before this has passed
	Why   string        // SettleTerm: for the broker's own log
}

// Requester is what a [Broker] is, too, if services can be asked through it.
type Requester interface {
	// Request sends a request to the services on a subject and calls done,
	// exactly once, from any goroutine, with the first answer, or with an
	// [Error]: [CodeNoResponders], [CodeTimeout], [CodeUnavailable], [CodeTooBig].
	// It does not block, nor may done. Among the answer's headers are those by
	// which a NATS service says that it has failed (Nats-Service-Error…).
	Request(r *Request, done func(*Event, error))
}

// Request is a question to a service.
type Request struct {
	Subject string
	Data    []byte
	Head    []Field
	Wait    time.Duration // how long the answer may take (> 0)
}
