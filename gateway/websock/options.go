package websock

import (
	"net/http"
	"sync/atomic"
	"time"
)

// The defaults of [Options].
const (
	DefaultMaxMessageBytes  = 1 << 20
	DefaultMessageTimeout   = 30 * time.Second
	DefaultIdleTimeout      = 45 * time.Second
	DefaultWriteTimeout     = 20 * time.Second
	DefaultHandshakeTimeout = 10 * time.Second
)

// Options say how a connection behaves. The zero value is usable; zero and
// negative numbers mean the default.
type Options struct {
	// Subprotocols that the server speaks, best first. The first that the
	// client also offers is echoed; none has to match.
	Subprotocols []string

	// CheckOrigin reports whether the request's Origin may connect. Nil means
	// that an Origin, if there is one, must be the request's own host.
	CheckOrigin func(*http.Request) bool

	// Header is added to the handshake's answer: cookies, for instance. It must
	// not hold fields of the handshake itself.
	Header http.Header

	// MaxMessageBytes bounds one message after inflation: what a client can
	// make the server hold. Default 1 MiB.
	MaxMessageBytes int

	// MessageTimeout is how long a message may take from its first frame to
	// its last, whatever else arrives in between: against messages that are
	// dripped, or never finished. Default 30s.
	MessageTimeout time.Duration

	// MaxRate is how many messages, pings and pongs are read a second, in bursts
	// of one second; further ones have to wait, and the client with them. 0, the
	// default, and negative: all.
	MaxRate float64

	// IdleTimeout is how long a client may say nothing at all; every frame,
	// pongs too, starts it anew. Give it the ping interval plus the time that
	// a pong may take. Default 45s.
	IdleTimeout time.Duration

	// WriteTimeout is how long a write may make no progress. A client that
	// reads slowly is not cut off, one that does not read is. Default 20s.
	WriteTimeout time.Duration

	// HandshakeTimeout bounds the writing of the handshake's answer. Default
	// 10s.
	HandshakeTimeout time.Duration

	// Stats counts what is written; many connections may share one. Nil means
	// that nobody wants to know.
	Stats *Stats
}

// Stats counts what connections have written. Safe for concurrent use.
type Stats struct {
	Frames atomic.Uint64 // WebSocket frames
	Writes atomic.Uint64 // calls of the connection's Write or writev
	Bytes  atomic.Uint64
}

// withDefaults returns the options with every number filled in.
func (o Options) withDefaults() Options {
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = DefaultMaxMessageBytes
	}
	or := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	or(&o.MessageTimeout, DefaultMessageTimeout)
	or(&o.IdleTimeout, DefaultIdleTimeout)
	or(&o.WriteTimeout, DefaultWriteTimeout)
	or(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	if o.Stats == nil {
		o.Stats = new(Stats)
	}
	return o
}
