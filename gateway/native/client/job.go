package client

import (
	"context"
	"time"

	"github.com/jetway-io/jetway/gateway/native"
)

// Ack settles a job: it is done, with this result (nil for none).
func (c *Client) Ack(ctx context.Context, lease string, result []byte) error {
	return c.settle(ctx, native.VerbAck, lease, result)
}

// Wip extends a job's lease and publishes how far it is (nil for nothing).
func (c *Client) Wip(ctx context.Context, lease string, progress []byte) error {
	return c.settle(ctx, native.VerbWip, lease, progress)
}

func (c *Client) settle(ctx context.Context, v native.Verb, lease string, data []byte) error {
	f := &native.Frame{Verb: v, Text: lease}
	if data != nil {
		f.SetPayload(data)
	}
	_, err := c.do(ctx, f, nil)
	return err
}

// Nak gives a job back, to be tried again after the delay; 0 leaves it to
// the queue's backoff.
func (c *Client) Nak(ctx context.Context, lease string, delay time.Duration, why string) error {
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbNak, Text: lease, Delay: delay, Why: why}, nil)
	return err
}

// Term gives a job up for good: it goes to the dead letters.
func (c *Client) Term(ctx context.Context, lease, why string) error {
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbTerm, Text: lease, Why: why}, nil)
	return err
}
