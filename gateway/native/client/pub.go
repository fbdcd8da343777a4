package client

import (
	"context"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// PubOptions are the rare parts of a publication; zero leaves each out.
type PubOptions struct {
	Key  string         // idempotency key
	If   string         // a pos: refused with "conflict" unless it is the subject's last
	TTL  time.Duration  // when the stream may forget it
	Head []bridge.Field // headers

	// A job is kept out of its queue for Delay, or until At; only one of them
	// may be set. At in the past is now.
	Delay time.Duration
	At    time.Time
}

// Ack is the answer to a publication.
type Ack struct {
	Pos   string // "" when no stream stores the subject
	Dup   bool   // the key was seen before
	Watch string // for a job: the subject of its events
}

func pubFrame(subject string, data []byte, o PubOptions) *native.Frame {
	f := &native.Frame{Verb: native.VerbPub, Text: subject, Key: o.Key, If: o.If, TTL: o.TTL, Head: o.Head, Delay: o.Delay, At: o.At}
	f.SetPayload(data)
	return f
}

// Publish publishes and waits until the stream has stored it. Subscribers get
// exactly these bytes.
func (c *Client) Publish(ctx context.Context, subject string, data []byte, o PubOptions) (Ack, error) {
	r, err := c.do(ctx, pubFrame(subject, data, o), nil)
	return ackOf(r), err
}

// PublishAsync publishes and calls done, once, when the answer is there, or
// the end of the connection; it waits only for one of [Options.MaxPending]
// places. done runs on the reading goroutine and must not wait. When an error
// is returned done is not called.
func (c *Client) PublishAsync(ctx context.Context, subject string, data []byte, o PubOptions, done func(Ack, error)) error {
	_, err := c.begin(ctx, pubFrame(subject, data, o), &call{answer: func(r *native.Received, err error) { done(ackOf(r), err) }})
	return err
}

// PublishNoAck publishes without asking for an answer: only a refusal comes
// back, to [Options.OnError].
func (c *Client) PublishNoAck(subject string, data []byte, o PubOptions) error {
	return c.write(native.AppendFrame(nil, pubFrame(subject, data, o)))
}

func ackOf(r *native.Received) Ack {
	if r == nil {
		return Ack{}
	}
	return Ack{Pos: r.Pos, Dup: r.Dup, Watch: r.Watch}
}

// Ping asks the server for a sign of life.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbPing}, nil)
	return err
}

// Auth replaces the token before it expires.
func (c *Client) Auth(ctx context.Context, token string) error {
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbAuth, Text: token}, nil)
	return err
}
