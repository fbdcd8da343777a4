package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/token"
)

// access is who may do what.
type access struct {
	policy   *auth.Policy
	verifier *token.Verifier // nil takes no tokens
}

// newAccess makes it of the configuration. It must be closed.
func newAccess(c *config.Config, b *bridge.Bridge, logger *slog.Logger) (*access, error) {
	a := &access{policy: &auth.Policy{Roles: make(map[string]bridge.Permissions), Logger: logger}}
	for name, role := range c.Roles {
		a.policy.Roles[name] = permissions(role)
	}
	if role, ok := c.Roles[c.Auth.Anonymous]; ok {
		a.policy.Anonymous = forAnonymous(role)
	}
	if c.Auth.Callout != "" {
		a.policy.Callout = callout(b, c.Auth.Callout)
		if !bridge.Reserved(c.Auth.Callout) { // else nobody can, and denied, ">" could not be subscribed to
			a.policy.Never = []string{c.Auth.Callout}
		}
	}
	if !c.Auth.JWT.On() {
		return a, nil
	}
	o, err := verifierOptions(c, logger)
	if err != nil {
		return nil, err
	}
	if a.verifier, err = token.New(o); err != nil {
		return nil, fmt.Errorf("auth.jwt: %w", err)
	}
	a.policy.Verifier = a.verifier
	return a, nil
}

func (a *access) close() {
	if a.verifier != nil {
		a.verifier.Close()
	}
}

// keep goes on with the verifier of another one, whose keys are known.
func (a *access) keep(before *access) {
	a.close()
	a.verifier = before.verifier
	if a.verifier != nil {
		a.policy.Verifier = a.verifier
	}
}

func verifierOptions(c *config.Config, logger *slog.Logger) (token.Options, error) {
	j := c.Auth.JWT
	o := token.Options{Secret: []byte(j.Secret), JWKSURL: j.JWKSURL, Issuer: j.Issuer, Audience: j.Audience, Logger: logger}
	if j.PublicKeyFile == "" {
		return o, nil
	}
	text, err := os.ReadFile(j.PublicKeyFile)
	if err != nil {
		return o, fmt.Errorf("auth.jwt.public_key_file: %w", err)
	}
	o.PublicKey = text
	return o, nil
}

// callout asks the service on a subject.
func callout(b *bridge.Bridge, subject string) func(context.Context, []byte) ([]byte, error) {
	type result struct {
		e   *bridge.Event
		err error
	}
	return func(ctx context.Context, question []byte) ([]byte, error) {
		done := make(chan result, 1)
		b.Ask(bridge.Request{Subject: subject, Data: question, Wait: auth.CalloutTimeout}, func(e *bridge.Event, err error) { done <- result{e, err} })
		select {
		case r := <-done:
			if r.err != nil {
				return nil, r.err
			}
			return r.e.Data, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// permissions are those of a role: templates.
func permissions(role config.Role) bridge.Permissions {
	p := bridge.Permissions{Pub: role.Pub, Sub: role.Sub, Work: role.Work, Req: role.Req, Deny: bridge.Denied(role.Deny)}
	if h := role.History; h.Limited {
		p.History = &bridge.History{Age: h.Age, Events: uint64(h.Events)}
	}
	return p
}

// forAnonymous fills in who a client without a token is. What needs anything
// else of a token does not apply to it.
func forAnonymous(role config.Role) *bridge.Permissions {
	p := permissions(role).Expand(func(name string) (string, bool) { return auth.Anonymous, name == "user" }, nil)
	return &p
}

// tokensOf says who signs the tokens that are taken, without a secret.
func tokensOf(c *config.Config) string {
	var of []string
	for _, k := range []struct{ value, says string }{
		{c.Auth.Callout, "what " + c.Auth.Callout + " decides"}, {c.Auth.JWT.Secret, "a secret"}, {c.Auth.JWT.PublicKeyFile, c.Auth.JWT.PublicKeyFile}, {c.Auth.JWT.JWKSURL, config.MaskURL(c.Auth.JWT.JWKSURL)},
	} {
		if k.value != "" {
			of = append(of, k.says)
		}
	}
	return strings.Join(of, ", ")
}
