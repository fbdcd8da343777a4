package brokertest

import (
	"slices"
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

// Queues describes the queues that a broker under test is opened with. The
// zero value of each limit means the broker's default.
type Queues struct {
	Stream   string
	Subjects []string
	Lease    time.Duration
	MaxJobs  int // per queue
	Dedupe   time.Duration
}

// Sessions describes the session store that a broker under test is opened with.
type Sessions struct {
	TTL time.Duration // 0: the broker's default
}

// Setup is what a broker under test is opened with.
type Setup struct {
	Streams  []Stream  // slots in their order
	Queues   *Queues   // nil: none
	Sessions *Sessions // nil: none are kept
	Cluster  bool      // Join will be called
}

// Cluster is what a broker under test is, too, if it is tested for sessions and
// for gateways that reach each other.
type Cluster interface {
	// Join opens the broker of another gateway, with the same setup, which
	// shares all that this one keeps, and arranges with t.Cleanup that it is
	// closed. A broker that several gateways can use returns itself.
	Join(t *testing.T) bridge.Broker
}

// Responder is what a broker under test is, too, if it has a way to put a
// service behind it. Without it most of the tests of requests are left out.
type Responder interface {
	// Serve makes fn a service: from its return until stop is called, fn
	// answers the requests on subjects that match the filter; with nil, it
	// leaves one without an answer. fn may be called from any goroutine.
	Serve(filter string, fn func(*bridge.Event) *bridge.Event) (stop func())
}

// Ability is what not every broker can do.
type Ability uint8

// The abilities. [Run] tests those that the broker has and fails when one is
// missing that it is told of.
const (
	HasQueues   Ability = iota + 1 // it is a [bridge.QueueBroker]
	HasRequests                    // it is a [bridge.Requester], and a [Responder] in the test
	HasSessions                    // it is a [bridge.SessionStore], and a [Cluster] in the test
	HasGateways                    // it is a [bridge.Gateways], and a [Cluster] in the test
)

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

// Opener opens a new, empty broker, and arranges with t.Cleanup that it is
// closed.
type Opener func(t *testing.T, s Setup) Broker

// Run runs the suite. It fails if the broker lacks one of the abilities.
func Run(t *testing.T, open Opener, abilities ...Ability) {
	for _, group := range []struct {
		name  string
		tests []test
		needs Ability // 0: nothing that not all brokers have
	}{
		{"Streams", streamTests, 0},
		{"Publish", publishTests, 0},
		{"Expiry", expiryTests, 0},
		{"Follow", followTests, 0},
		{"Incarnation", incarnationTests, 0},
		{"Read", readTests, 0},
		{"Lookup", lookupTests, 0},
		{"Listen", listenTests, 0},
		{"Signal", signalTests, 0},
		{"Durable", durableTests, 0},
		{"Payload", payloadTests, 0},
		{"Context", contextTests, 0},
		{"Random", randomTests, 0},
		{"Queue", queueTests, HasQueues},
		{"Settle", settleTests, HasQueues},
		{"Delay", delayTests, HasQueues},
		{"Request", requestTests, HasRequests},
		{"Session", sessionTests, HasSessions},
		{"Gateway", gatewayTests, HasGateways},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) {
					if c.slow {
						t.Parallel() // it waits for the clock
					}
					r := newRig(t, open, c, group.needs)
					r.need(group.needs, slices.Contains(abilities, group.needs))
					c.run(r)
				})
			}
		})
	}
}

// test is one subtest.
type test struct {
	name     string
	run      func(*rig)
	streams  []Stream  // none means the stream EVENTS with events.>
	queues   *Queues   // nil means none
	sessions *Sessions // nil means none
	slow     bool      // it waits for seconds to pass
}

// need finds the ability in the broker. Without it there is nothing to test,
// unless it must be there.
func (r *rig) need(a Ability, must bool) {
	r.Helper()
	lacks := func(what string) {
		if must {
			r.Fatalf("%T is not a %s", r.Broker, what)
		}
		r.Skipf("%T is not a %s", r.Broker, what)
	}
	var ok bool
	switch a {
	case HasQueues:
		if r.queues, ok = r.Broker.(bridge.QueueBroker); !ok {
			lacks("bridge.QueueBroker")
		}
	case HasRequests:
		if r.requester, ok = r.Broker.(bridge.Requester); !ok {
			lacks("bridge.Requester")
		}
		if r.responder, ok = r.Broker.(Responder); !ok {
			lacks("Responder")
		}
	case HasSessions:
		if r.sessions, ok = r.Broker.(bridge.SessionStore); !ok {
			lacks("bridge.SessionStore")
		}
	case HasGateways:
		if r.gateways, ok = r.Broker.(bridge.Gateways); !ok {
			lacks("bridge.Gateways")
		}
	}
	if clustered(a) {
		if r.cluster, ok = r.Broker.(Cluster); !ok {
			lacks("Cluster")
		}
	}
}

// clustered reports whether tests of an ability need several gateways.
func clustered(a Ability) bool { return a == HasSessions || a == HasGateways }
