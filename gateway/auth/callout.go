package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// CalloutTimeout is how long the service that decides may take.
const CalloutTimeout = 5 * time.Second

// Bounds of what a callout says.
const (
	maxUserBytes   = 256
	maxGrants      = 100
	maxFieldBytes  = 1 << 10 // of a header that is passed on
	maxRefuseBytes = 256
	calloutRetry   = 2 * time.Second
)

// Question is what a callout is asked: a JSON object. The token is what the
// client presented, and Jetway has verified it only if User is there.
type Question struct {
	Token     string `json:"token"`
	Source    Source `json:"source"`
	User      string `json:"user,omitempty"` // of a token that Jetway has verified
	Address   string `json:"address"`
	Namespace string `json:"namespace,omitempty"` // of Socket.IO
	Origin    string `json:"origin,omitempty"`    // of the page, as its browser says
	UserAgent string `json:"user_agent,omitempty"`
}

// Verdict is what a callout answers: a user, or why there is none.
type Verdict struct {
	User        string        `json:"user"`
	Roles       []string      `json:"roles"`
	Permissions VerdictGrants `json:"permissions"`
	Expires     time.Time     `json:"expires"`   // zero is never, or when the verified token does
	Subscribe   []string      `json:"subscribe"` // filters that a Socket.IO client is subscribed to, beside those of the configuration
	Refuse      string        `json:"refuse"`    // a sentence for the client
}

// VerdictGrants are filters of the user's own; templates, as those of roles.
type VerdictGrants struct {
	Pub  []string `json:"pub"`
	Sub  []string `json:"sub"`
	Work []string `json:"work"`
	Req  []string `json:"req"`
}

// ParseVerdict reads the answer of a callout. It is strict: what is misspelt
// would be a right that is not there, or one that is.
func ParseVerdict(data []byte) (*Verdict, error) {
	v := &Verdict{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("not an answer: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the answer")
	}
	if (v.User == "") == (v.Refuse == "") {
		return nil, errors.New(`one of "user" and "refuse" must be there`)
	}
	if len(v.User) > maxUserBytes || strings.ContainsFunc(v.User, func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }) {
		return nil, errors.New(`"user" is a text of 1 to 256 bytes without control characters`)
	}
	if v.User == Anonymous {
		return nil, errors.New(`"user" is "anonymous", which clients without a token are, together`)
	}
	p := v.Permissions
	for _, list := range [][]string{p.Pub, p.Sub, p.Work, p.Req, v.Subscribe} {
		if len(list) > maxGrants {
			return nil, errors.New("a list has more than 100 filters")
		}
		for _, filter := range list {
			if bridge.ValidTemplate(filter) != nil || bridge.Reserved(filter) {
				return nil, fmt.Errorf("%.100q is not a subject filter, or of a reserved subject", filter)
			}
		}
	}
	return v, nil
}

// callout asks who the client is. verified is who its token is of, nil if that
// is for the callout to find out. No answer in time is not a yes.
func (p *Policy) callout(ctx context.Context, c Credentials, verified *token.Identity) (*Identity, error) {
	q := Question{Token: c.Token, Source: c.Source, Address: c.Address, Namespace: c.Namespace,
		Origin: field(c, "Origin"), UserAgent: field(c, "User-Agent")}
	if verified != nil {
		q.User = verified.User
	}
	ctx, cancel := context.WithTimeout(ctx, CalloutTimeout)
	defer cancel()
	question, _ := json.Marshal(q) // texts always marshal
	answer, err := p.Callout(ctx, question)
	if err != nil {
		return nil, p.undecided("no answer", err)
	}
	v, err := ParseVerdict(answer)
	switch {
	case err != nil:
		return nil, p.undecided("a bad answer", err)
	case v.Refuse != "":
		return nil, &Error{Reason: Refused, Wire: bridge.Error{Code: bridge.CodeForbidden, Msg: "refused", Hint: oneLine(v.Refuse)}}
	case verified != nil && v.User != verified.User:
		return nil, p.undecided("a bad answer", errors.New("it names another user than the token"))
	case !v.Expires.IsZero() && !time.Now().Before(v.Expires):
		return nil, Refuse(Reason(token.Expired), "the token has expired", "get a new one")
	}
	return p.granted(v, verified), nil
}

// granted makes an identity of a verdict.
func (p *Policy) granted(v *Verdict, verified *token.Identity) *Identity {
	who := &token.Identity{User: v.User, Roles: v.Roles, Grants: bridge.Permissions{
		Pub: v.Permissions.Pub, Sub: v.Permissions.Sub, Work: v.Permissions.Work, Req: v.Permissions.Req,
	}, Expires: v.Expires}
	id := &Identity{User: v.User, Expires: v.Expires, Subscribe: v.Subscribe}
	if verified != nil {
		who.Claims, who.Issued, id.Issued = verified.Claims, verified.Issued, verified.Issued
		if id.Expires.IsZero() || verified.Expires.Before(id.Expires) {
			id.Expires = verified.Expires
		}
	}
	id.Permissions, id.Of, id.Value = p.permissions(who), who, who.Value
	return id
}

// undecided is the error for when nobody could say who the client is.
func (p *Policy) undecided(what string, err error) error {
	p.logger().Warn("auth.callout has given "+what, "error", err)
	return &Error{Reason: Unavailable, Wire: bridge.Error{Code: bridge.CodeUnavailable, Msg: "nobody could say now who you are", Hint: "try again later", Retry: calloutRetry}}
}

// field is one field of the handshake, for a service that may want to look at
// it. What a client says is not to be trusted, nor to be endless.
func field(c Credentials, name string) string {
	s := c.Header.Get(name)
	return strings.ToValidUTF8(s[:min(len(s), maxFieldBytes)], "")
}

// oneLine is a service's sentence as it goes to a client.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxRefuseBytes)], "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
