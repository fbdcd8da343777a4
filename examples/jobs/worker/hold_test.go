package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// heldJob returns a job that a server gives to somebody else after ackWait.
func heldJob(t *testing.T, ackWait time.Duration) (*job, *server.Server) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: streamName, Subjects: []string{"jobs.*"}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{options: options{Name: "test", Tries: 5}, nc: nc, js: js}
	if _, _, err := w.bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.UpdateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: consumerName, FilterSubject: queueSubject,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: -1,
		Description: "Jetway queue " + queueSubject, Metadata: map[string]string{"jetway-queue": queueSubject}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), queueSubject, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return &job{worker: w, msg: msg, ackWait: holdOf(t.Context(), consumer)}, srv
}

// A job that takes longer than ack_wait stays its worker's.
func TestHoldIsExtended(t *testing.T) {
	j, _ := heldJob(t, time.Second)
	ctx, stop := j.hold()
	defer stop()
	consumer, err := j.js.Consumer(t.Context(), streamName, consumerName)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := consumer.Next(jetstream.FetchMaxWait(3 * time.Second)); err == nil {
		t.Errorf("the job was given away: %s", msg.Reply())
	} else if !errors.Is(err, nats.ErrTimeout) {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Errorf("the hold has ended: %v", context.Cause(ctx))
	}
}

// A worker that the server does not hear gives its job up before the server
// does.
func TestHoldEnds(t *testing.T) {
	j, srv := heldJob(t, time.Second)
	start := time.Now()
	ctx, stop := j.hold()
	defer stop()
	srv.Shutdown()
	<-ctx.Done()
	if took := time.Since(start); !errors.Is(context.Cause(ctx), errHold) || took > j.ackWait {
		t.Errorf("after %v: %v", took, context.Cause(ctx))
	}
}
