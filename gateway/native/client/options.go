package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// The defaults of [Options].
const (
	DefaultTimeout    = 10 * time.Second
	DefaultBuffer     = 256
	DefaultMaxPending = 1024
)

// Options say how to connect. The zero value is usable; zero and negative
// numbers mean the default.
type Options struct {
	Token  string      // sent as "Authorization: Bearer"; empty connects as anonymous
	Header http.Header // further headers of the handshake
	TLS    *tls.Config // for wss; nil is Go's default

	// Timeout bounds the handshake up to the server's first frame, and each
	// write. Default 10s.
	Timeout time.Duration

	// Buffer is how many messages of a subscription wait to be taken before
	// the client stops reading. Default 256.
	Buffer int

	// MaxPending bounds the calls without an answer; beyond it calls wait.
	// Default 1024.
	MaxPending int

	// ReceiveBufferBytes is the kernel's receive buffer; 0 leaves it to the
	// kernel. A small one makes a client slow sooner.
	ReceiveBufferBytes int

	// Raw leaves all frames to [Client.Recv]; then only Send, Recv and Close
	// may be used.
	Raw bool

	// OnError is told of refusals that no call waits for, such as those of
	// Seen. It runs on the reading goroutine and must not wait. Nil ignores
	// them.
	OnError func(*bridge.Error)

	// OnExpiring is told that the token is about to end, and the connection with
	// it unless [Client.Auth] is called with a new one; in is what is left, by the
	// server's clock. It runs on the reading goroutine and must not wait. Nil
	// ignores it.
	OnExpiring func(expires time.Time, in time.Duration)

	// OnRetry is told by [Follow] and [Work] why a connection came to its end, and when
	// the next is tried. Nil ignores it.
	OnRetry func(err error, after time.Duration)

	// Dial opens the TCP connection; nil is net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.MaxPending <= 0 {
		o.MaxPending = DefaultMaxPending
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.OnError == nil {
		o.OnError = func(*bridge.Error) {}
	}
	if o.OnExpiring == nil {
		o.OnExpiring = func(time.Time, time.Duration) {}
	}
	return o
}
