package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The names that Jetway gives to what belongs to a queue.
const (
	streamName   = "JOBS"
	queueSubject = "jobs.resize"
	consumerName = "jw-jobs_resize"
	eventsPrefix = "jobs.events.resize."
	deadSubject  = "dead.jobs.resize"
)

const (
	// ackWait is how long a job is nobody else's, when this worker is the first
	// to bind to the queue: Jetway's default lease of 30 s, the 5 s that its
	// gateways' pulls take, and a margin of 2 s.
	ackWait = 37 * time.Second

	// pullWait is how long a pull waits for a job. It bounds how long an idle
	// worker takes to stop: a pull that is given up could still be handed a
	// job, which would then wait for ack_wait.
	pullWait = 2 * time.Second

	retryPause = 2 * time.Second // when the queue cannot be reached
)

type options struct {
	URL    string
	Name   string
	Tries  int
	Pause  time.Duration
	Logger *slog.Logger
}

// worker takes jobs off the queue.
type worker struct {
	options
	nc *nats.Conn
	js jetstream.JetStream
}

// run works until ctx ends, and then finishes the job at hand.
func run(ctx context.Context, o options) error {
	nc, err := nats.Connect(o.URL, nats.Name(o.Name), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(retryPause/4), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Logger.Warn("disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { o.Logger.Info("connected", "to", nc.ConnectedUrlRedacted()) }))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", o.URL, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	w := &worker{options: o, nc: nc, js: js}
	for ctx.Err() == nil {
		if err := w.work(ctx); err != nil && ctx.Err() == nil {
			o.Logger.Warn("the queue is out of reach; trying again", "error", err)
			pause(ctx, retryPause)
		}
	}
	return nil
}

// work binds to the queue and takes jobs until ctx ends, or the queue is lost.
func (w *worker) work(ctx context.Context) error {
	info, consumer, err := w.bind(ctx)
	if err != nil {
		return err
	}
	w.Logger.Info("working", "queue", queueSubject, "as", w.Name)
	for ctx.Err() == nil {
		msg, err := consumer.Next(jetstream.FetchMaxWait(pullWait))
		switch {
		case errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages):
			continue
		case err != nil:
			return err
		}
		j, err := newJob(w, info, holdOf(ctx, consumer), msg)
		if err != nil {
			return err
		}
		j.do()
	}
	return nil
}

// bind finds the queue's consumer, or makes it as Jetway does. Whoever comes
// first makes it; all share it.
func (w *worker) bind(ctx context.Context) (*jetstream.StreamInfo, jetstream.Consumer, error) {
	stream, err := w.js.Stream(ctx, streamName)
	if err != nil {
		return nil, nil, fmt.Errorf("stream %s: %w", streamName, err)
	}
	consumer, err := stream.Consumer(ctx, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable:       consumerName,
			Description:   "Jetway queue " + queueSubject,
			Metadata:      map[string]string{"jetway-queue": queueSubject},
			FilterSubject: queueSubject,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       ackWait,
			MaxDeliver:    -1, // who gives up on a job stores its dead letter first
			MaxAckPending: -1,
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("consumer %s: %w", consumerName, err)
	}
	return stream.CachedInfo(), consumer, nil
}

// holdOf returns how long the server holds a job for its worker. It is asked for
// each time: Jetway brings the consumer in line with its configuration when it
// starts, or when its own first worker comes.
func holdOf(ctx context.Context, consumer jetstream.Consumer) time.Duration {
	info, err := consumer.Info(context.WithoutCancel(ctx))
	if err != nil {
		info = consumer.CachedInfo()
	}
	return info.Config.AckWait
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
