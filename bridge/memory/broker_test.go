package memory_test

import (
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/brokertest"
	"github.com/jetway-io/jetway/bridge/memory"
)

func TestBroker(t *testing.T) {
	brokertest.Run(t, func(t *testing.T, setup brokertest.Setup) brokertest.Broker {
		o := memory.Options{SessionTTL: -1}
		if s := setup.Sessions; s != nil {
			o.SessionTTL = s.TTL
		}
		for _, s := range setup.Streams {
			o.Streams = append(o.Streams, memory.Stream{
				Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Dedupe: s.Dedupe,
			})
		}
		if q := setup.Queues; q != nil {
			o.Queues = memory.Queues{Stream: q.Stream, Subjects: q.Subjects, Lease: q.Lease, MaxJobs: q.MaxJobs, Dedupe: q.Dedupe}
		}
		return shared{open(t, o)}
	}, brokertest.HasQueues, brokertest.HasRequests, brokertest.HasSessions, brokertest.HasGateways)
}

// shared is the broker of all gateways of a cluster.
type shared struct{ *memory.Broker }

func (s shared) Join(*testing.T) bridge.Broker { return s.Broker }

// open opens a broker for the life of the test.
func open(t *testing.T, o memory.Options) *memory.Broker {
	t.Helper()
	b, err := memory.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
