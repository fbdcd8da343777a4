package bridge

import (
	"sync/atomic"
	"time"
)

// Stream is one incarnation of a stream that clients may use. A stream that
// is deleted and made again, or whose sequences went back, is another
// incarnation with another Tag; its Slot stays. Immutable.
type Stream struct {
	Slot     int      // its place among the exposed streams: Broker.Streams()[Slot]
	Name     string   // as NATS knows it
	Subjects []string // the subject filters that it stores
	Tag      string   // [a-z0-9]+, differs between incarnations; see [Position]
}

// Field is one header of an event. Names are kept as they were published.
type Field struct{ Name, Value string }

// Event is what clients emit and receive: a message on a subject. Immutable
// once it has been handed to the bridge, and shared by all clients that
// receive it; Data must not be changed.
type Event struct {
	Subject string
	Stream  *Stream   // nil when no stream stores it: live only, no position
	Seq     uint64    // sequence in Stream, from 1; 0 without a stream
	Time    time.Time // when the stream stored it, or when the gateway received it
	Head    []Field   // without the headers that are NATS's own (Nats-…)
	Data    []byte

	index   uint64                  // place in the Log, from 1; 0 when not from the Log
	notice  bool                    // not an event: the stream was cut here, see Log.cut
	encoded atomic.Pointer[encoded] // what protocols made of it, see Encoded
}

// encoded is a list of the forms an event has been given, one per encoder.
// There are as many as protocols in use: one, rarely three.
type encoded struct {
	by   any
	form any
	next *encoded
}

// Encoded returns the form that the protocol named by the key (compared with
// ==) gave this event, making it by make on first use. It is made once per
// event and protocol (when two clients ask at the same moment, perhaps twice)
// and never once per client. Safe for concurrent use.
func (e *Event) Encoded(key any, make func(*Event) any) any {
	first := e.encoded.Load()
	for n := first; n != nil; n = n.next {
		if n.by == key {
			return n.form
		}
	}
	form := make(e)
	e.encoded.CompareAndSwap(first, &encoded{by: key, form: form, next: first})
	return form
}

// size is what the event weighs against the limits of the ring and of a
// client's queue, in bytes: its payload and about what Go needs around it.
func (e *Event) size() int {
	n := len(e.Data) + len(e.Subject) + 200
	for _, f := range e.Head {
		n += len(f.Name) + len(f.Value) + 32
	}
	return n
}
