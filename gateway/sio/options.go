package sio

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// Recovery is how clients learn the offset that they recover from.
type Recovery string

// The ways of recovery.
const (
	// RecoveryTrailing appends the offset to each event as its last argument,
	// as the reference does. The default.
	RecoveryTrailing Recovery = "trailing"

	// RecoveryEvent sends it as an event of its own, [CursorEvent], after each
	// batch: arguments stay as they were. After a crash between an event and
	// its cursor that event comes again.
	RecoveryEvent Recovery = "event"

	// RecoveryOff keeps no sessions.
	RecoveryOff Recovery = "off"
)

// CursorEvent carries the offset with [RecoveryEvent].
const CursorEvent = "jetway:cursor"

// Subscription is what each client is subscribed to when it connects.
type Subscription struct {
	Filter string // a [bridge.ValidTemplate]; {user} is who is connected, other names are claims
	From   string // as in a sub of jetway.v1; "" is new
}

// Options configures a [Handler]. Bridge and Identify are required.
type Options struct {
	Bridge *bridge.Bridge
	Logger *slog.Logger // nil discards

	// Identify says who joins a namespace, or shows another token there; token
	// is what the client sent with it, "" for nothing. Required.
	Identify    func(ctx context.Context, c *socketio.Conn, namespace, token string) (*auth.Identity, error)
	AuthRefused func(auth.Reason) // counts; nil does nothing

	// Current says who a client is by the rules as they are now, as for
	// [Handler.Renew]; nil: they do not change.
	Current func(*auth.Identity) *auth.Identity

	Mapping   *bridge.Mapping // nil: the name of an event is its subject
	Subscribe []Subscription
	Recovery  Recovery // "" means RecoveryTrailing

	Namespaces []string        // nil means "/"
	Format     socketio.Format // of all connections; FormatAuto looks at the first message

	MaxMessageBytes  int             // of the payload of one event; 0 means 1 MiB
	MaxSubscriptions int             // of one socket, its filters included; 0 means 100
	MaxInflight      int             // events and requests of one socket without an answer; 0 means 4,096
	Quotas           *quota.Registry // what connections and users may ask for; nil: everything
}

func (o Options) withDefaults() (Options, error) {
	if o.Bridge == nil {
		return o, errors.New("sio: Options.Bridge is required")
	}
	if o.Identify == nil {
		return o, errors.New("sio: Options.Identify is required")
	}
	if o.AuthRefused == nil {
		o.AuthRefused = func(auth.Reason) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Mapping == nil {
		o.Mapping = &bridge.Mapping{}
	}
	if o.Recovery == "" {
		o.Recovery = RecoveryTrailing
	}
	if !o.Bridge.KeepsSessions() {
		o.Recovery = RecoveryOff
	}
	if len(o.Namespaces) == 0 {
		o.Namespaces = []string{"/"}
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = 1 << 20
	}
	if o.MaxSubscriptions <= 0 {
		o.MaxSubscriptions = 100
	}
	return o, nil
}
