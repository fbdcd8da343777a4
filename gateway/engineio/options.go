package engineio

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/jetway-io/jetway/gateway/websock"
)

// The transports, as they are named on the wire.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// The defaults of [Options]; those that the reference has are the reference's.
const (
	DefaultPingInterval      = 25 * time.Second
	DefaultPingTimeout       = 20 * time.Second
	DefaultUpgradeTimeout    = 10 * time.Second
	DefaultMaxHTTPBufferSize = 1_000_000
	DefaultMaxPackets        = 100_000
	DefaultMaxBufferedBytes  = 1 << 20
	DefaultWriteTimeout      = 20 * time.Second
	DefaultMessageTimeout    = 30 * time.Second
	DefaultCompressAbove     = 1024
)

// Options configures a [Server]. The zero value is usable; zero and negative
// numbers mean the default, unless said otherwise.
type Options struct {
	// Handler is told what happens. Nil drops what clients send.
	Handler Handler

	// PingInterval is how long after a pong the next ping is sent. Default
	// 25s. Told to the client, in milliseconds.
	PingInterval time.Duration

	// PingTimeout is how long a pong may take; then the session is closed
	// with [ReasonPingTimeout]. Default 20s. Told to the client.
	PingTimeout time.Duration

	// UpgradeTimeout is how long an upgrade may take from the WebSocket's
	// handshake to its packet 5; then that WebSocket is closed, and the session
	// stays on polling. Default 10s.
	UpgradeTimeout time.Duration

	// MaxHTTPBufferSize bounds, in bytes, the body of a POST, and a WebSocket
	// message after inflation: what a client can make the server hold. Default
	// 1,000,000. Told to the client as maxPayload, by which it splits its POSTs.
	MaxHTTPBufferSize int

	// MaxPackets bounds the packets of one POST, against many that cost little
	// to send and something to handle. Default 100,000, about what the smallest
	// events of a full POST make. The session is closed beyond it.
	MaxPackets int

	// MaxRate is how many packets a second are read of a client that comes now,
	// in bursts of one second, with the pings and pongs of its WebSocket; further
	// ones have to wait. 0 and negative: all, and so does nil, the default.
	MaxRate func() float64

	// MessageTimeout is how long a WebSocket message, and the body of a POST, may
	// take, whatever else arrives in between: against those that are dripped, or
	// never finished. Default 30s.
	MessageTimeout time.Duration

	// MaxBufferedBytes bounds what waits for a client, in bytes of WebSocket
	// frames. What is larger by itself is taken when nothing else waits. Full,
	// Send and TryWrite return [ErrFull], and Write waits. Default 1 MiB.
	MaxBufferedBytes int

	// WriteTimeout is how long a client may take nothing of what is written to
	// it, or of what keeps a Write waiting; then its session ends. A client that
	// takes it slowly is not cut off. Default 20s.
	WriteTimeout time.Duration

	// Transports are those that a client may use. Nil means polling and
	// WebSocket, with the upgrade from one to the other.
	Transports []string

	// CORS lets pages of other origins in. Nil lets in none.
	CORS *CORS

	// Cookie names a cookie that the handshake sets to the sid, for load
	// balancers that keep a client on its node; HttpOnly, SameSite=Lax, and
	// Secure over TLS. "" sets none.
	Cookie string

	// AllowRequest decides about a handshake. An error refuses it with 403,
	// code 4 and the error's text, which the client sees; a [Refusal] has a
	// status of its own. Nil allows all.
	AllowRequest func(*http.Request) error

	// AllowSession decides about each further request of a session. One that it
	// refuses is answered as if there were no such session. Nil allows all.
	AllowSession func(*Session, *http.Request) bool

	// GenerateID makes the sid of a new session: unique, not to be guessed,
	// and URL-safe. Nil takes 128 bits of crypto/rand.
	GenerateID func() string

	// UnknownSID gets the polling requests whose sid is not one of this
	// server's, for instance to pass them to the node that has it. The header
	// of the answer holds those of CORS already. Nil answers 400 with code 1,
	// as a WebSocket always gets it.
	UnknownSID http.Handler

	// CompressAbove is the size in bytes from which the answer to a poll is
	// compressed, with gzip, for clients that accept it. Default 1024;
	// negative never compresses.
	CompressAbove int

	// Refused is called for each request that is refused with an error of the
	// protocol, for metrics and logs. Nil does nothing.
	Refused func(*http.Request, *Error)

	// Wire counts what is written to WebSockets. Nil does not count.
	Wire *websock.Stats

	// Logger gets a line at level Debug for each session that ends; never the
	// sid. Nil discards.
	Logger *slog.Logger
}

// CORS lists the pages of other origins that may use the server (Fetch
// standard, "CORS protocol"). A page of the server's own origin always may.
type CORS struct {
	// Origins are compared exactly: scheme, host and port. "*" lets in every
	// page on the web, without credentials.
	Origins []string

	// Current is the list instead of Origins, if that may change; nil: it does
	// not.
	Current func() []string

	// Credentials lets the pages of listed origins, but not those that only
	// "*" lets in, send cookies and HTTP authentication.
	Credentials bool
}

// withDefaults returns the options with every default filled in.
func (o Options) withDefaults() Options {
	orDefault(&o.PingInterval, DefaultPingInterval)
	orDefault(&o.PingTimeout, DefaultPingTimeout)
	orDefault(&o.UpgradeTimeout, DefaultUpgradeTimeout)
	orDefault(&o.WriteTimeout, DefaultWriteTimeout)
	orDefault(&o.MessageTimeout, DefaultMessageTimeout)
	orDefault(&o.MaxHTTPBufferSize, DefaultMaxHTTPBufferSize)
	orDefault(&o.MaxPackets, DefaultMaxPackets)
	orDefault(&o.MaxBufferedBytes, DefaultMaxBufferedBytes)
	if o.CompressAbove == 0 {
		o.CompressAbove = DefaultCompressAbove
	}
	if o.Transports == nil {
		o.Transports = []string{Polling, WebSocket}
	}
	if o.Handler == nil {
		o.Handler = ignore{}
	}
	if o.GenerateID == nil {
		o.GenerateID = randomID
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// orDefault gives a number that is not positive its default.
func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
