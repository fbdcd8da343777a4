package brokertest

import (
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Stream describes a stream that a broker under test is opened with. The zero
// value of each limit means none, or the broker's default.
type Stream struct {
	Name     string
	Subjects []string
	MaxAge   time.Duration
	MaxBytes int64
	Dedupe   time.Duration // at most MaxAge, where that is set
}

// Admin is what happens to streams behind a broker's back. Each method returns
// when the stream's storage has changed, and fails the test if it cannot; the
// broker may notice a little later.
type Admin interface {
	// Trim removes the messages below the sequence first, as a limit would.
	Trim(slot int, first uint64)
	// Delete removes one message.
	Delete(slot int, seq uint64)
	// RemoveStream deletes the stream.
	RemoveStream(slot int)
	// Recreate deletes the stream, if it is there, and makes it again, empty.
	Recreate(slot int)
}

// Broker is a broker under test.
type Broker interface {
	bridge.Broker
	Admin
}

// Opener opens a new, empty broker with these streams, slots in their order,
// and arranges with t.Cleanup that it is closed.
type Opener func(t *testing.T, streams ...Stream) Broker

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Streams", streamTests},
		{"Publish", publishTests},
		{"Expiry", expiryTests},
		{"Follow", followTests},
		{"Incarnation", incarnationTests},
		{"Read", readTests},
		{"Lookup", lookupTests},
		{"Listen", listenTests},
		{"Signal", signalTests},
		{"Durable", durableTests},
		{"Payload", payloadTests},
		{"Context", contextTests},
		{"Random", randomTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) {
					if c.slow {
						t.Parallel() // it waits for the clock
					}
					c.run(newRig(t, open, c.streams))
				})
			}
		})
	}
}

// test is one subtest.
type test struct {
	name    string
	run     func(*rig)
	streams []Stream // none means the stream EVENTS with events.>
	slow    bool     // it waits for seconds to pass
}
