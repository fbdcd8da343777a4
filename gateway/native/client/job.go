package client

import (
	"context"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// Job is one job, as [Work] hands it out.
type Job struct {
	Subject string
	Pos     string // where it is in its queue; the same for each try
	Try     int    // from 1
	For     time.Duration
	Head    []bridge.Field
	Data    []byte // a JSON payload, else nil
	Binary  []byte // any other payload

	client *Client
	lease  string // a secret: who has it can settle the job
}

// Payload returns the bytes that were published.
func (j *Job) Payload() []byte {
	if j.Data != nil {
		return j.Data
	}
	return j.Binary
}

// Progress publishes how far the job is, to those who watch it.
func (j *Job) Progress(ctx context.Context, data []byte) error {
	return j.client.Wip(ctx, j.lease, data)
}

// Outcome is what becomes of a job: [Done], [TryAgain] or [GiveUp]. The zero
// value is TryAgain without a delay or a reason.
type Outcome struct {
	verb  native.Verb
	data  []byte
	delay time.Duration
	why   string
}

// Done means that the job is done, with this result (nil for none). A result
// that is too large for the server makes a dead letter of the job.
func Done(result []byte) Outcome { return Outcome{verb: native.VerbAck, data: result} }

// TryAgain gives the job back, to be tried again after the delay; 0 leaves it
// to the queue's backoff. Too many tries make a dead letter of it.
func TryAgain(delay time.Duration, why string) Outcome {
	return Outcome{verb: native.VerbNak, delay: delay, why: why}
}

// GiveUp means that trying again is of no use: the job becomes a dead letter.
func GiveUp(why string) Outcome { return Outcome{verb: native.VerbTerm, why: why} }

// frame is the message that settles a job so.
func (o Outcome) frame(lease string) *native.Frame {
	f := &native.Frame{Verb: o.verb, Text: lease, Delay: o.delay, Why: o.why}
	if f.Verb == native.VerbNone {
		f.Verb = native.VerbNak
	}
	if o.data != nil {
		f.SetPayload(o.data)
	}
	return f
}

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
