package memory_test

import (
	"testing"

	"github.com/jetway-io/jetway/bridge/brokertest"
	"github.com/jetway-io/jetway/bridge/memory"
)

func TestBroker(t *testing.T) {
	brokertest.Run(t, func(t *testing.T, queues *brokertest.Queues, streams ...brokertest.Stream) brokertest.Broker {
		var o memory.Options
		for _, s := range streams {
			o.Streams = append(o.Streams, memory.Stream{
				Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Dedupe: s.Dedupe,
			})
		}
		if q := queues; q != nil {
			o.Queues = memory.Queues{Stream: q.Stream, Subjects: q.Subjects, Lease: q.Lease, MaxJobs: q.MaxJobs, Dedupe: q.Dedupe}
		}
		return open(t, o)
	}, brokertest.HasQueues, brokertest.HasRequests)
}

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
