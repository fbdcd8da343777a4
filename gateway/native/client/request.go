package client

import (
	"context"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// RequestOptions are the rare parts of a request; zero leaves each out.
type RequestOptions struct {
	Wait time.Duration  // bounds the microservice's time; 0 is the server's default
	Head []bridge.Field // headers
}

// Reply is what a microservice answers.
type Reply struct {
	Data   []byte // a JSON payload, else nil
	Binary []byte // any other payload
	Head   []bridge.Field
}

// Payload returns the bytes of the answer.
func (r *Reply) Payload() []byte {
	if r.Data != nil {
		return r.Data
	}
	return r.Binary
}

// Request asks a microservice, which gets exactly these bytes, and returns its
// answer. Nobody there is an error with [bridge.CodeNoResponders], no answer in
// time one with [bridge.CodeTimeout]; what the microservice itself says is
// wrong has [bridge.CodeService].
func (c *Client) Request(ctx context.Context, subject string, data []byte, o RequestOptions) (Reply, error) {
	f := &native.Frame{Verb: native.VerbReq, Text: subject, Wait: o.Wait, Head: o.Head}
	f.SetPayload(data)
	r, err := c.do(ctx, f, nil)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Data: r.Data, Binary: r.Binary, Head: r.Head}, nil
}
