package bridge

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
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
	name  string // the last token of its events' subject
	pos   string // where it is or was stored: unique
	watch string // the subject of its events
}

// job names a job that is in the queue.
func (r queueRef) job(e *Event) jobRef {
	name := strconv.FormatUint(e.Seq, 10)
	if given := header(e.Head, jobHeader); ValidName(given) == nil {
		name = given
	}
	var pos [64]byte
	return jobRef{r, name, string(Position{{e.Stream.Tag, e.Seq}}.Append(pos[:0])), jobEvents(r.subject, name)}
}

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
// a JSON object in which what is zero is left out.
type jobEvent struct {
	State  string     // queued, active, progress, retry, done or dead
	Try    int        // which try this is about
	Worker string     // the user who works on it
	At     *time.Time // queued: not before this
	In     string     // retry: after this
	Why    string     // retry, dead

	data []byte // progress or result; nil for none
}

// body is the event's payload. The data is in it as the worker sent it, as
// "data" if it is JSON and else as "b64".
func (e *jobEvent) body() []byte {
	b := append(make([]byte, 0, 96+len(e.Why)+len(e.data)), `{"state":"`...)
	b = append(append(b, e.State...), '"')
	if e.Try != 0 {
		b = strconv.AppendInt(append(b, `,"try":`...), int64(e.Try), 10)
	}
	b = appendText(b, "worker", e.Worker)
	if e.At != nil {
		b = append(e.At.AppendFormat(append(b, `,"at":"`...), time.RFC3339Nano), '"')
	}
	b = appendText(appendText(b, "in", e.In), "why", e.Why)
	switch {
	case e.data == nil:
	case json.Valid(e.data):
		b = append(append(b, `,"data":`...), e.data...)
	default:
		b = append(base64.StdEncoding.AppendEncode(append(b, `,"b64":"`...), e.data), '"')
	}
	return append(b, '}')
}

// appendText appends a text as one more member, nothing when it is empty.
func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		quoted, err := json.Marshal(text)
		if err != nil {
			panic(err) // a string can be marshalled
		}
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), text...), '"')
}

// tell publishes a job's event. done, which may be nil, is called when it is
// stored. What can be only once in the life of a job is stored once.
func (qs *queues) tell(j jobRef, e jobEvent, done func(error)) {
	p := &Publication{Slot: j.eventsSlot, Subject: j.watch, Data: e.body(), Owner: eventsOwner}
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
