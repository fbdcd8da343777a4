package bridge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// hand is a worker that has its jobs done by others.
type hand struct {
	counter
	client *bridge.Client
	given  chan<- task
}

type task struct {
	client *bridge.Client
	lease  string
}

func (h *hand) Job(_ *bridge.Output, d *bridge.JobDelivery) { h.given <- task{h.client, d.Lease} }

// BenchmarkJobs is a job from the broker's hands to a worker with one place,
// and back, while all others have one, too.
func BenchmarkJobs(b *testing.B) {
	for _, workers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { benchJobs(b, workers) })
	}
}

func benchJobs(b *testing.B, workers int) {
	broker, err := memory.New(memory.Options{
		Streams: []memory.Stream{{Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}}, {Name: "DEAD", Subjects: []string{"dead.jobs.*"}}},
		Queues:  memory.Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, MaxJobs: -1},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	br := bridge.New(broker, bridge.Options{})
	if err := br.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	given := make(chan task, workers)
	for range workers {
		h := &hand{given: given}
		h.client = br.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: h, Transport: h})
		defer h.client.Close()
		if err := h.client.Work(context.Background(), "jobs.bench", 1, func(*bridge.Output, string) {}); err != nil {
			b.Fatal(err)
		}
	}
	c := &counter{}
	submitter := br.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: c, Transport: c})
	defer submitter.Close()
	// Every worker has a job before the first is settled.
	add := func() {
		submitter.Publish(bridge.PublishRequest{Subject: "jobs.bench", Data: []byte(`{}`)}, func(_ bridge.PublishAnswer, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	for range workers {
		add()
	}
	var settling sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		t := <-given
		add()
		settling.Add(1)
		t.client.SettleJob(bridge.SettleRequest{How: bridge.SettleAck, Lease: t.lease}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			settling.Done()
		})
	}
	settling.Wait()
}
