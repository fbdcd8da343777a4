package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// deadline is how long anything may take. It is not a measure of speed: only
// a broker that hangs reaches it.
const deadline = 30 * time.Second

// rig is a broker under test with what the tests need around it.
type rig struct {
	*testing.T
	Broker
	ctx context.Context // ends with the test, or at the deadline

	queues    bridge.QueueBroker // in tests of queues
	requester bridge.Requester   // in tests of requests
	responder Responder          // in tests of requests

	sessions bridge.SessionStore // in tests of sessions
	gateways bridge.Gateways     // in tests of gateways
	cluster  Cluster             // in tests of both
}

func newRig(t *testing.T, open Opener, c test, needs Ability) *rig {
	streams := c.streams
	if len(streams) == 0 {
		streams = []Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*deadline)
	t.Cleanup(cancel)
	return &rig{T: t, Broker: open(t, Setup{Streams: streams, Queues: c.queues, Sessions: c.sessions, Cluster: clustered(needs)}), ctx: ctx}
}

// result is the outcome of a publication.
type result struct {
	bridge.Receipt
	err error
}

// start publishes all, in order, without waiting in between. wait returns the
// outcomes in the same order and checks that each came once.
func (r *rig) start(all ...*bridge.Publication) (wait func() []result) {
	var (
		mu      sync.Mutex
		results = make([]result, len(all))
		calls   = make([]int, len(all))
		left    = len(all)
		done    = make(chan struct{})
	)
	for i, p := range all {
		r.Publish(p, func(rc bridge.Receipt, err error) {
			mu.Lock()
			defer mu.Unlock()
			if calls[i]++; calls[i] > 1 {
				r.Errorf("done was called %d times for publication %d", calls[i], i)
				return
			}
			results[i] = result{rc, err}
			if left--; left == 0 {
				close(done)
			}
		})
	}
	return func() []result {
		r.Helper()
		if len(all) > 0 {
			r.await(done, "the outcome of every publication")
		}
		return results
	}
}

// publish stores messages, one after the other's receipt, and returns their
// sequences.
func (r *rig) publish(all ...*bridge.Publication) (seqs []uint64) {
	r.Helper()
	for _, p := range all {
		got := r.start(p)()[0]
		if got.err != nil {
			r.Fatalf("publish %q: %v", p.Subject, got.err)
		}
		seqs = append(seqs, got.Seq)
	}
	return seqs
}

// fill stores n messages in one go, on the subjects in turn; the payload is
// the number of the message, from 1.
func (r *rig) fill(n int, subjects ...string) {
	r.Helper()
	all := make([]*bridge.Publication, n)
	for i := range all {
		all[i] = to(subjects[i%len(subjects)], fmt.Sprint(i+1))
	}
	for i, got := range r.start(all...)() {
		if got.err != nil {
			r.Fatalf("publish %d: %v", i, got.err)
		}
	}
}

// to makes a publication for slot 0.
func to(subject, data string) *bridge.Publication {
	return &bridge.Publication{Subject: subject, Data: []byte(data), Owner: "ann"}
}

// core makes a publication for no stream.
func core(subject, data string) *bridge.Publication {
	p := to(subject, data)
	p.Slot = -1
	return p
}

func (r *rig) state() bridge.StreamState {
	r.Helper()
	s, err := r.State(r.ctx, 0)
	r.ok("State", err)
	return s
}

// read reads the whole stream, page by page.
func (r *rig) read(q bridge.ReadRequest) (events []*bridge.Event, lost []bridge.Range) {
	r.Helper()
	for end := r.state().Last; ; {
		b := r.page(q)
		events, lost = append(events, b.Events...), append(lost, b.Lost...)
		if b.Next > end {
			return events, lost
		}
		if b.Next <= max(q.From, 1) {
			r.Fatalf("Read from %d: next is %d: no progress", q.From, b.Next)
		}
		q.From = b.Next
	}
}

// page reads one batch and checks what holds for every batch.
func (r *rig) page(q bridge.ReadRequest) bridge.Batch {
	r.Helper()
	b, err := r.Read(r.ctx, q)
	r.ok("Read", err)
	if b.Stream == nil || b.Stream.Slot != q.Slot {
		r.Fatalf("Read: stream %v, want slot %d", b.Stream, q.Slot)
	}
	if len(b.Events) > q.MaxMessages {
		r.Errorf("Read: %d events, want at most %d", len(b.Events), q.MaxMessages)
	}
	after := max(q.From, 1) - 1
	for _, e := range b.Events {
		if e.Seq <= after || e.Seq >= b.Next {
			r.Errorf("Read: sequence %d after %d, next %d", e.Seq, after, b.Next)
		}
		if e.Stream == nil || e.Stream.Tag != b.Stream.Tag {
			r.Errorf("Read: event %d is of %v, the batch of %v", e.Seq, e.Stream, b.Stream)
		}
		after = e.Seq
	}
	return b
}

// ok ends the test on an error.
func (r *rig) ok(what string, err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// code checks that err is a [bridge.Error] with this code and a text.
func (r *rig) code(what string, err error, want bridge.Code) {
	r.Helper()
	var e *bridge.Error
	if !errors.As(err, &e) {
		r.Fatalf("%s: error %v, want a *bridge.Error with %q", what, err, want)
	}
	if e.Code != want || e.Msg == "" {
		r.Fatalf("%s: error %q (%q), want %q with a text", what, e.Code, e.Msg, want)
	}
}

// await waits for a channel to be closed or to have a value.
func (r *rig) await(c <-chan struct{}, what string) {
	r.Helper()
	select {
	case <-c:
	case <-time.After(deadline):
		r.Fatalf("timed out waiting for %s", what)
	}
}

// poll asks again and again until it is true.
func (r *rig) poll(what string, ask func() bool) {
	r.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !ask(); <-tick.C {
		if time.Now().After(end) {
			r.Fatalf("timed out waiting until %s", what)
		}
	}
}

// equal ends the test when two values differ.
func equal[T comparable](r *rig, what string, got, want T) {
	r.Helper()
	if got != want {
		r.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// same ends the test when two lists differ.
func same[T comparable](r *rig, what string, got, want []T) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func seqsOf(events []*bridge.Event) []uint64 {
	seqs := make([]uint64, len(events))
	for i, e := range events {
		seqs[i] = e.Seq
	}
	return seqs
}

// span returns the numbers from first to last.
func span(first, last uint64) []uint64 {
	var all []uint64
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}
