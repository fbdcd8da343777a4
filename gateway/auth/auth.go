package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// Anonymous is the user that clients without a token are.
const Anonymous = "anonymous"

// Source is where a token came from.
type Source string

// The sources of tokens.
const (
	None   Source = ""       // there is no token
	Bearer Source = "bearer" // Authorization of the handshake
	Cookie Source = "cookie" // a cookie of the handshake, so perhaps not the page's own wish
	Query  Source = "query"  // a parameter of the handshake's URL
	Frame  Source = "frame"  // the client's own message
)

// Credentials are what a client presents.
type Credentials struct {
	Token     string // "" for none
	Source    Source
	Address   string      // where it is, without port
	Header    http.Header // of the handshake, must not be changed; nil for a frame of jetway.v1
	Namespace string      // of Socket.IO; "" for others
}

// Identity is who a client is until it expires. Static.
type Identity struct {
	User        string
	Anonymous   bool                // it has no token
	Permissions *bridge.Permissions // shared, so that each client need not have its own; nil: nothing is allowed
	Expires     time.Time           // zero is never
	Issued      time.Time           // of the token, for revocations; zero if it does not say

	// Shown is when the client showed its token, or came without one. It is not
	// for the Authenticator to set, but for who asks it.
	Shown Moment

	// Subscribe are filters, which may be templates, that a Socket.IO client is
	// subscribed to when it connects, as far as it may.
	Subscribe []string

	// Of are the roles and grants that Permissions were made of, for a policy
	// that takes the place of the one that made them; nil if nobody knows.
	Of *token.Identity

	// Value is what a name in a template stands for; nil knows {user} alone.
	Value func(name string) (value string, ok bool)

	by *Policy // that it is allowed by; nil where another Authenticator has let it in
}

// Claim is what a name in a template stands for.
func (id *Identity) Claim(name string) (value string, ok bool) {
	if id.Value != nil {
		return id.Value(name)
	}
	return id.User, name == "user"
}

// RevokedBy reports whether a revocation is about the client.
func (id *Identity) RevokedBy(r bridge.Revocation) bool {
	return r.Covers(id.User, id.Issued, id.Shown.Time)
}

// Authenticator decides who a client is. An error that has a [bridge.Error] in
// its chain is told to the client: unauthenticated and forbidden are final,
// anything else is temporary. It may take some seconds, and obeys ctx.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credentials) (*Identity, error)

	// Open reports whether clients without a token may be let in, and Takes
	// whether tokens are taken at all.
	Open() bool
	Takes() bool
}

// Reason says why a client was refused. Each one is a metric label.
type Reason string

// The reasons besides those of package token.
const (
	NoToken     Reason = "no_token"    // there was none, and it is needed
	NoTokens    Reason = "no_tokens"   // there was one, and none are taken
	Ambiguous   Reason = "ambiguous"   // several tokens in one handshake
	CookiePage  Reason = "cookie_page" // a cookie with the Origin of no page that may use it
	OtherUser   Reason = "other_user"  // a refresh with another user's token
	Late        Reason = "late"        // no auth within limits.auth_timeout
	Early       Reason = "early"       // something else than auth before it
	Refused     Reason = "refused"     // by the callout
	Unavailable Reason = "unavailable" // nobody could decide
	RanOut      Reason = "ran_out"     // the token expired while its client was connected
	Revoked     Reason = "revoked"     // the user's sessions were revoked
)

// Reasons returns all reasons, for a metric that has each from the start.
func Reasons() []Reason {
	all := []Reason{NoToken, NoTokens, Ambiguous, CookiePage, OtherUser, Late, Early, Refused, Unavailable, RanOut, Revoked}
	for _, r := range token.Reasons() {
		all = append(all, Reason(r))
	}
	slices.Sort(all)
	return all
}

// Error is a refusal with its reason. It unwraps to the [bridge.Error] for the
// client.
type Error struct {
	Reason Reason
	Wire   bridge.Error
}

// Error returns the reason and the sentence for the client.
func (e *Error) Error() string { return "auth: " + string(e.Reason) + ": " + e.Wire.Msg }

// Unwrap returns the [bridge.Error] for the client.
func (e *Error) Unwrap() error { return &e.Wire }

// Refuse makes a refusal.
func Refuse(why Reason, msg, hint string) *Error {
	return &Error{Reason: why, Wire: bridge.Error{Code: bridge.CodeUnauthenticated, Msg: msg, Hint: hint}}
}

// ReasonOf returns the reason of a refusal.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if r := token.ReasonOf(err); r != "" {
		return Reason(r)
	}
	return Unavailable
}

// Temporary reports whether a refusal is one that may end by itself: the token
// may be good, and nobody could say so.
func Temporary(err error) bool {
	switch bridge.ErrorOf(err).Code {
	case bridge.CodeUnauthenticated, bridge.CodeForbidden:
		return false
	}
	return true
}
