package auth

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// Verifier verifies tokens; a [token.Verifier] is one.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*token.Identity, error)
}

var _ Verifier = (*token.Verifier)(nil)

// Policy lets in who has a good token, with what its roles and the token itself
// allow, and, perhaps, who has none. Static after construction.
type Policy struct {
	Verifier Verifier                      // nil takes no tokens
	Roles    map[string]bridge.Permissions // of templates, by name

	// Callout asks a service, which decides about clients with a token: by the
	// token itself, or, with a Verifier, by who it is of. Nil asks nobody.
	Callout func(ctx context.Context, question []byte) (answer []byte, err error)

	// Never are subjects that no client may reach, whatever allows it: that of
	// the callout, whose questions are other clients' tokens.
	Never []string

	Anonymous *bridge.Permissions // what clients without a token may do; nil refuses them
	Logger    *slog.Logger        // nil discards
}

var _ Authenticator = (*Policy)(nil)

// Open implements [Authenticator].
func (p *Policy) Open() bool { return p.Anonymous != nil }

// Takes implements [Authenticator].
func (p *Policy) Takes() bool { return p.Verifier != nil || p.Callout != nil }

// Authenticate implements [Authenticator].
func (p *Policy) Authenticate(ctx context.Context, c Credentials) (*Identity, error) {
	switch {
	case c.Token == "" && c.Source != None:
		return nil, Refuse(NoToken, "the token is empty", "send one, or nothing at all")
	case c.Token == "":
		return p.anonymous()
	case !p.Takes():
		return nil, Refuse(NoTokens, "no tokens are taken here", "connect without one, or have auth.jwt or auth.callout configured")
	}
	var who *token.Identity
	if p.Verifier != nil {
		var err error
		if who, err = p.Verifier.Verify(ctx, c.Token); err != nil {
			return nil, err
		}
		if who.User == Anonymous {
			return nil, Refuse(Reason(token.BadClaims), `the token's user is "anonymous"`, "that is who clients without a token are, together: give this one another name")
		}
	}
	if p.Callout != nil {
		return p.callout(ctx, c, who)
	}
	return &Identity{User: who.User, Permissions: p.permissions(who), Expires: who.Expires, Issued: who.Issued, Of: who, Value: who.Value, by: p}, nil
}

// Renew is who a client is that another policy has let in: the same user, with
// what the roles allow here. It is nil if the client would not be let in any
// more: it is anonymous, and nobody is now. Tokens are not verified again.
func (p *Policy) Renew(id *Identity) *Identity {
	if id.by == p {
		return id
	}
	next := *id
	next.by = p
	switch {
	case id.Anonymous && p.Anonymous == nil:
		return nil
	case id.Anonymous:
		next.Permissions = p.Anonymous
	case id.Of != nil:
		next.Permissions = p.permissions(id.Of)
	}
	return &next
}

// permissions are those of somebody's roles and own grants. The configuration
// is checked for what roles reach, but not what tokens and callouts grant.
func (p *Policy) permissions(who *token.Identity) *bridge.Permissions {
	all := who.Permissions(p.Roles, func(template string, err error) {
		p.logger().Debug("a filter does not apply", "filter", template, "user", who.User, "error", err)
	})
	if len(p.Never) > 0 {
		all = all.Union(bridge.Permissions{Deny: bridge.Denied{Pub: p.Never, Sub: p.Never, Work: p.Never, Req: p.Never}})
	}
	return &all
}

func (p *Policy) anonymous() (*Identity, error) {
	if p.Anonymous == nil {
		hint := `send {"auth":TOKEN}, or Authorization: Bearer in the handshake`
		if !p.Takes() {
			hint = "clients without one must be let in (auth.anonymous), or tokens taken (auth.jwt, auth.callout)"
		}
		return nil, Refuse(NoToken, "a token is needed", hint)
	}
	return &Identity{User: Anonymous, Anonymous: true, Permissions: p.Anonymous, by: p}, nil
}

func (p *Policy) logger() *slog.Logger {
	if p.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Logger
}

// OtherUsers is the refusal of a token that would make a client somebody else.
func OtherUsers() error {
	return Refuse(OtherUser, "the token is another user's", "connect again to be somebody else")
}

// WasRevoked is the refusal of who has been let in, and may not be here any
// more.
func WasRevoked() error { return Refuse(Revoked, "the session was revoked", "") }

// Final returns the refusal in an error that has to end a connection whatever
// it had before; nil when the client may go on as it is.
func Final(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) && (e.Reason == OtherUser || e.Reason == Revoked) && e.Wire.Code == bridge.CodeUnauthenticated {
		return e
	}
	return nil
}
