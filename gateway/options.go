package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
)

// Options configures a [Server]. Bridge is required; the zero value of every
// other field is usable.
type Options struct {
	Bridge *bridge.Bridge
	Logger *slog.Logger // nil discards

	Listen      string // address for clients; "" means 127.0.0.1:8080, port 0 any free one
	AdminListen string // address for metrics; "" means none
	TLSCert     string // file with the certificate chain, PEM; "" serves without TLS
	TLSKey      string // file with its key

	// AllowedOrigins are the origins, besides the server's own, whose pages
	// may connect; "*" allows every page on the web to act with its visitor's
	// network position.
	AllowedOrigins []string

	// TrustedProxies may say, in X-Forwarded-For, which address their client
	// has. Whoever else does is not believed.
	TrustedProxies []netip.Prefix

	// Auth decides who clients are. Nil takes no tokens, and lets everyone in
	// as Anonymous says.
	Auth auth.Authenticator

	// Anonymous is what clients without a token may do; nil refuses them. It
	// is not looked at when there is an Auth.
	Anonymous *bridge.Permissions

	// TokenSources are where tokens are looked for besides Authorization.
	TokenSources auth.Sources

	// AuthTimeout is how long a client that needs a token may take to send it;
	// 0 means 10 s. Stops connections of nobody from filling the gateway.
	AuthTimeout time.Duration

	// Pages are served by their paths, such as "/" or "/jobs": HTML, and
	// JavaScript where the path ends in ".js". Nil serves none.
	Pages map[string][]byte

	// SocketIO is the endpoint for stock Socket.IO clients.
	SocketIO SocketIO

	MaxClients       int           // at once; 0 means 100,000. Stops a crowd from taking all memory
	MaxPerAddress    int           // at once from one address; 0 means 1,000. Stops one host from taking MaxClients
	MaxMessageBytes  int           // of one message of a client, after inflation; 0 means 1 MiB
	MaxSubscriptions int           // of one client at once; 0 means 100
	MaxPerUser       int           // at once of one user with a token; 0 means 1,000. Stops one account from taking MaxClients
	MaxInflight      int           // publishes and requests of one client that are not answered; 0 means 4,096. Each holds its payload
	PublishRate      float64       // messages per second of one client; 0 means 1,000; bursts of one second
	PublishBytes     float64       // the same in bytes; 0 means 16 MiB; a burst takes a message of MaxMessageBytes
	UserPublishRate  float64       // messages per second of all clients of one user; 0 means 5,000
	UserPublishBytes float64       // the same in bytes; 0 means 64 MiB
	RequestRate      float64       // per second of one client, of what is no publish; 0 means 500. Stops loops of sub and off
	HandshakeRate    float64       // connections opened per second, let in or not; 0 means 5,000
	PingInterval     time.Duration // 0 means 25 s
	PingTimeout      time.Duration // a client not heard of for interval + timeout is gone; 0 means 20 s

	// HandshakeRatePerAddress is HandshakeRate of one address; 0 means 1,000.
	HandshakeRatePerAddress float64

	// HandshakeTimeout is how long TLS, and after it the header of a request, may
	// take; 0 means 10 s. Stops connections that send them byte by byte.
	HandshakeTimeout time.Duration

	// MessageTimeout is how long a message, or the body of a POST, may take from
	// its beginning to its end; 0 means 30 s.
	MessageTimeout time.Duration

	// MaxHeaderBytes bounds the header of a request; 0 means 16 KiB, and at least
	// it is 4 KiB.
	MaxHeaderBytes int
}

func (o Options) withDefaults() (Options, error) {
	if o.Bridge == nil {
		return o, errors.New("gateway: Options.Bridge is required")
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return o, errors.New("gateway: TLSCert and TLSKey go together: set both, or none")
	}
	for path := range o.Pages {
		if path == "" || path[0] != '/' || strings.ContainsAny(path, "{} ") {
			return o, fmt.Errorf("gateway: %q cannot be the path of a page", path)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Auth == nil {
		o.Auth = &auth.Policy{Anonymous: o.Anonymous}
	}
	setDefault(&o.AuthTimeout, 10*time.Second)
	setDefault(&o.Listen, "127.0.0.1:8080")
	setDefault(&o.MaxClients, 100_000)
	setDefault(&o.MaxPerAddress, 1000)
	setDefault(&o.MaxMessageBytes, 1<<20)
	setDefault(&o.MaxSubscriptions, 100)
	setDefault(&o.PingInterval, 25*time.Second)
	setDefault(&o.PingTimeout, 20*time.Second)
	setDefault(&o.HandshakeTimeout, 10*time.Second)
	setDefault(&o.MessageTimeout, 30*time.Second)
	setDefault(&o.MaxHeaderBytes, 16<<10)
	return o, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
