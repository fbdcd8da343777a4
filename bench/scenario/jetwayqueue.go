package scenario

import (
	"context"
	"fmt"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// jetwayQueue is jobs.bench of a gateway.
type jetwayQueue struct {
	url       string
	submitter *client.Client
}

const jetwayQueueSubject = "jobs.bench"

func openJetwayQueue(ctx context.Context, addr string) (queue, error) {
	q := &jetwayQueue{url: "ws://" + addr + "/ws"}
	var err error
	q.submitter, err = client.Dial(ctx, q.url, client.Options{Timeout: stall})
	return q, err
}

func (q *jetwayQueue) close() { _ = q.submitter.Close() } // measured already

func (q *jetwayQueue) submit(ctx context.Context, data []byte, stored func(error)) {
	err := q.submitter.PublishAsync(ctx, jetwayQueueSubject, data, client.PubOptions{}, func(_ client.Ack, err error) { stored(err) })
	if err != nil {
		stored(err)
	}
}

func (q *jetwayQueue) hire(ctx context.Context) (worker, error) {
	c, err := client.Dial(ctx, q.url, client.Options{Timeout: stall})
	if err != nil {
		return nil, err
	}
	w := &jetwayWorker{client: c}
	if w.sub, err = c.Work(ctx, jetwayQueueSubject, 1); err != nil {
		w.leave()
		return nil, err
	}
	return w, nil
}

type jetwayWorker struct {
	client *client.Client
	sub    *client.Sub
	lease  string
}

func (w *jetwayWorker) next(ctx context.Context) ([]byte, error) {
	m, err := w.sub.Next(ctx)
	if err == nil && m.Kind != native.KindJob {
		err = fmt.Errorf("unexpected %+v", m)
	}
	w.lease = m.Lease
	return m.Data, err
}

func (w *jetwayWorker) settle(ctx context.Context) error { return w.client.Ack(ctx, w.lease, nil) }
func (w *jetwayWorker) leave()                           { _ = w.client.Close() } // measured already
