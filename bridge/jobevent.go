package bridge

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// jobHeader names a job that was delayed: its watchers know it before the
// queue's stream has given it a sequence.
const jobHeader = "Jetway-Job"

// eventsOwner publishes job events: all of them in one order, whoever caused
// them.
const eventsOwner = "\x00jobs"

// youngJob is how long another gateway may take to tell that a job is queued.
const youngJob = 2 * time.Second

// queueRef is a queue, and where what belongs to it is stored.
type queueRef struct {
	subject    string
	eventsSlot int
	deadSlot   int
}

func (qs *queues) ref(queue string) queueRef {
	return queueRef{queue, qs.bridge.covering(jobEvents(queue, "0")), qs.bridge.covering(DeadSubject(queue))}
}

// jobRef is a job as its watchers and its dead letter know it.
type jobRef struct {
	queueRef
	name string // the last token of its events' subject
	pos  string // where it is or was stored: unique
}

// job names a job that is in the queue.
func (r queueRef) job(e *Event) jobRef {
	name := strconv.FormatUint(e.Seq, 10)
	if given := header(e.Head, jobHeader); ValidName(given) == nil {
		name = given
	}
	return jobRef{r, name, string(Position{{e.Stream.Tag, e.Seq}}.Append(nil))}
}

// watch is the subject of a job's events.
func (j jobRef) watch() string { return jobEvents(j.subject, j.name) }

// header returns the first value of a header, "" when it is not there.
func header(head []Field, name string) string {
	for _, f := range head {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// jobEvent is what became of a job: the payload of an event to its watchers,
// but for data.
type jobEvent struct {
	State  string     `json:"state"`            // queued, active, progress, retry, done or dead
	Try    int        `json:"try,omitempty"`    // which try this is about
	Worker string     `json:"worker,omitempty"` // the user who works on it
	At     *time.Time `json:"at,omitempty"`     // queued: not before this
	In     string     `json:"in,omitempty"`     // retry: after this
	Why    string     `json:"why,omitempty"`    // retry, dead

	data []byte // progress or result; nil for none
}

// body is the event's payload. The data is in it as the worker sent it, as
// "data" if it is JSON and else as "b64".
func (e jobEvent) body() []byte {
	b, err := json.Marshal(e)
	switch {
	case err != nil:
		panic(err) // nothing in it cannot be marshalled
	case e.data == nil:
		return b
	case json.Valid(e.data):
		b = append(append(b[:len(b)-1], `,"data":`...), e.data...)
	default:
		b = append(base64.StdEncoding.AppendEncode(append(b[:len(b)-1], `,"b64":"`...), e.data), '"')
	}
	return append(b, '}')
}

// tell publishes a job's event. done, which may be nil, is called when it is
// stored. What can be only once in the life of a job is stored once.
func (qs *queues) tell(j jobRef, e jobEvent, done func(error)) {
	p := &Publication{Slot: j.eventsSlot, Subject: j.watch(), Data: e.body(), Owner: eventsOwner}
	switch e.State {
	case "queued", "done", "dead":
		p.ID = e.State + ":" + j.pos
	}
	qs.publish(p, func(_ Receipt, err error) {
		if err != nil {
			qs.bridge.logger.Warn("a job's event is not stored", "queue", j.subject, "job", j.name, "state", e.State, "error", err)
		}
		if done != nil {
			done(err)
		}
	})
}

// unannounced reports whether the watchers of a job may not know yet that it
// is queued: it was published past Jetway, or so shortly ago on another gateway
// that the event of that may come after those from here. Told twice, it is
// stored once.
func (qs *queues) unannounced(e *Event) bool {
	switch {
	case header(e.Head, jobHeader) != "", qs.queued.has(e.Seq):
		return false
	case header(e.Head, UserHeader) == "":
		return true
	}
	return time.Since(e.Time) < youngJob
}
