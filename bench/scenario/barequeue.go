package scenario

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// bareQueue is a work-queue stream and one durable pull consumer.
type bareQueue struct {
	url string
	nc  *nats.Conn
	js  natsjs.JetStream
}

const (
	bareStream   = "JOBS"
	bareSubject  = "jobs.bench"
	bareConsumer = "workers"
)

func openBareQueue(ctx context.Context, addr string) (queue, error) {
	q := &bareQueue{url: "nats://" + addr}
	var err error
	if q.nc, q.js, err = q.connect(); err != nil {
		return nil, err
	}
	_, err = q.js.CreateStream(ctx, natsjs.StreamConfig{Name: bareStream, Subjects: []string{"jobs.*"}, Retention: natsjs.WorkQueuePolicy})
	if err == nil {
		_, err = q.js.CreateConsumer(ctx, bareStream, natsjs.ConsumerConfig{Durable: bareConsumer, FilterSubject: bareSubject, AckPolicy: natsjs.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: -1})
	}
	if err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *bareQueue) connect() (*nats.Conn, natsjs.JetStream, error) {
	nc, err := nats.Connect(q.url)
	if err != nil {
		return nil, nil, err
	}
	js, err := natsjs.New(nc, natsjs.WithPublishAsyncMaxPending(1<<20), natsjs.WithDefaultTimeout(stall))
	if err != nil {
		nc.Close()
	}
	return nc, js, err
}

func (q *bareQueue) close() { q.nc.Close() }

func (q *bareQueue) submit(_ context.Context, data []byte, stored func(error)) {
	f, err := q.js.PublishAsync(bareSubject, data)
	if err != nil {
		stored(err)
		return
	}
	go func() {
		select {
		case <-f.Ok():
			stored(nil)
		case err := <-f.Err():
			stored(err)
		}
	}()
}

// hire opens an iterator that asks for one message, and again when the next one
// is wanted.
func (q *bareQueue) hire(ctx context.Context) (worker, error) {
	nc, js, err := q.connect()
	if err != nil {
		return nil, err
	}
	w := &bareWorker{nc: nc}
	c, err := js.Consumer(ctx, bareStream, bareConsumer)
	if err == nil {
		w.iter, err = c.Messages(natsjs.PullMaxMessages(1))
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	context.AfterFunc(ctx, w.iter.Stop)
	return w, nil
}

type bareWorker struct {
	nc   *nats.Conn
	iter natsjs.MessagesContext
	msg  natsjs.Msg
}

func (w *bareWorker) next(ctx context.Context) ([]byte, error) {
	m, err := w.iter.Next(natsjs.NextContext(ctx))
	if err != nil {
		return nil, err
	}
	w.msg = m
	return m.Data(), nil
}

func (w *bareWorker) settle(ctx context.Context) error { return w.msg.DoubleAck(ctx) }
func (w *bareWorker) leave()                           { w.nc.Close() }
