package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/token"
)

// verifier knows two tokens.
type verifier struct{ expires time.Time }

func (v verifier) Verify(_ context.Context, raw string) (*token.Identity, error) {
	if raw != "good" && raw != "nobody's" {
		return nil, &token.Error{Reason: token.BadSignature}
	}
	if raw == "nobody's" {
		return &token.Identity{User: auth.Anonymous}, nil
	}
	return &token.Identity{User: "ann", Roles: []string{"reader"}, Expires: v.expires, Issued: time.Unix(1_700_000_000, 0), Claims: map[string]string{"tenant": "t1"}}, nil
}

var roles = map[string]bridge.Permissions{"reader": {Sub: []string{"events.{user}.>", "events.{tenant}.x"}}, "writer": {Pub: []string{"events.>"}}}

func answers(text string) func(context.Context, []byte) ([]byte, error) {
	return func(context.Context, []byte) ([]byte, error) { return []byte(text), nil }
}

func TestPolicy(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	p := &auth.Policy{Verifier: verifier{expires}, Roles: roles}
	id, err := p.Authenticate(t.Context(), auth.Credentials{Token: "good", Source: auth.Bearer})
	if err != nil || id.User != "ann" || id.Anonymous || !id.Expires.Equal(expires) || !id.Issued.Equal(time.Unix(1_700_000_000, 0)) {
		t.Fatalf("%+v, %v", id, err)
	}
	if want := []string{"events.ann.>", "events.t1.x"}; !slices.Equal(id.Permissions.Sub, want) || len(id.Permissions.Pub) != 0 {
		t.Errorf("may %+v", id.Permissions)
	}
	for _, tt := range []struct {
		p      *auth.Policy
		c      auth.Credentials
		reason auth.Reason
	}{
		{p, auth.Credentials{Token: "bad", Source: auth.Bearer}, "bad_signature"},
		{p, auth.Credentials{Token: "nobody's", Source: auth.Bearer}, "bad_claims"},
		{p, auth.Credentials{Source: auth.Bearer}, auth.NoToken},
		{p, auth.Credentials{}, auth.NoToken},
		{&auth.Policy{Anonymous: &bridge.Permissions{}}, auth.Credentials{Token: "good", Source: auth.Frame}, auth.NoTokens},
		{&auth.Policy{Anonymous: &bridge.Permissions{}, Verifier: verifier{}}, auth.Credentials{Source: auth.Cookie}, auth.NoToken},
	} {
		id, err := tt.p.Authenticate(t.Context(), tt.c)
		if err == nil || auth.ReasonOf(err) != tt.reason || auth.Temporary(err) && tt.reason != "bad_signature" {
			t.Errorf("%+v: %+v, %v", tt.c, id, err)
		}
		if !slices.Contains(auth.Reasons(), auth.ReasonOf(err)) {
			t.Errorf("%q is none of the reasons", auth.ReasonOf(err))
		}
	}
}

// The service says who somebody is; a token that was verified bounds that.
func TestCallout(t *testing.T) {
	later := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	sooner := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var asked auth.Question
	p := &auth.Policy{Roles: roles, Callout: func(_ context.Context, q []byte) ([]byte, error) {
		if err := json.Unmarshal(q, &asked); err != nil {
			t.Error(err)
		}
		return []byte(`{"user":"ann","roles":["reader"],"permissions":{"pub":["a.{user}"]},"expires":"` + later.Format(time.RFC3339) + `","subscribe":["events.ann.>"]}`), nil
	}}
	c := auth.Credentials{Token: "opaque", Source: auth.Cookie, Address: "10.0.0.1", Header: http.Header{"Origin": {"https://a.example"}, "Cookie": {"secret=1"}}}
	id, err := p.Authenticate(t.Context(), c)
	if err != nil || id.User != "ann" || !id.Expires.Equal(later) || !slices.Equal(id.Subscribe, []string{"events.ann.>"}) ||
		!slices.Equal(id.Permissions.Pub, []string{"a.ann"}) || !slices.Equal(id.Permissions.Sub, []string{"events.ann.>"}) {
		t.Errorf("%+v, %v", id, err)
	}
	if want := (auth.Question{Token: "opaque", Source: auth.Cookie, Address: "10.0.0.1", Origin: "https://a.example"}); asked != want {
		t.Errorf("asked %+v", asked)
	}
	p.Verifier = verifier{sooner}
	if _, err := p.Authenticate(t.Context(), c); auth.ReasonOf(err) != "bad_signature" {
		t.Errorf("a token that is no good: %v", err)
	}
	c.Token = "good"
	if id, err = p.Authenticate(t.Context(), c); err != nil || !id.Expires.Equal(sooner) || asked.User != "ann" || !slices.Contains(id.Permissions.Sub, "events.t1.x") {
		t.Errorf("%+v, %v, asked %+v", id, err, asked)
	}
}

// Whatever the service does but say yes is no.
func TestCalloutFailsClosed(t *testing.T) {
	ask := func(p *auth.Policy) error {
		id, err := p.Authenticate(t.Context(), auth.Credentials{Token: "good", Source: auth.Frame})
		if id != nil || err == nil {
			t.Errorf("let in: %+v", id)
		}
		return err
	}
	for _, answer := range []string{"", "{}", "null", "[]", `{"user":""}`, `{"user":"ann","refuse":"no"}`, `{"user":"ann","admin":true}`, `{"user":"a\nb"}`,
		`{"user":"ann","permissions":{"sub":["$JS.>"]}}`, `{"user":"ann","permissions":{"sub":["a..b"]}}`, `{"user":"ann"} x`, `{"user":"ann","subscribe":["jetway.ctl.>"]}`,
		`{"user":"` + strings.Repeat("x", 300) + `"}`, `{"user":"ann","expires":"tomorrow"}`, `{"user":"anonymous"}`} {
		if err := ask(&auth.Policy{Callout: answers(answer)}); auth.ReasonOf(err) != auth.Unavailable || !auth.Temporary(err) {
			t.Errorf("%s: %v", answer, err)
		}
	}
	failing := &auth.Policy{Callout: func(context.Context, []byte) ([]byte, error) {
		return nil, &bridge.Error{Code: bridge.CodeNoResponders, Msg: "nobody"}
	}}
	if err := ask(failing); !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		t.Errorf("no responders: %v", err)
	}
	if err := ask(&auth.Policy{Callout: answers(`{"user":"bob"}`), Verifier: verifier{time.Now().Add(time.Hour)}}); auth.ReasonOf(err) != auth.Unavailable {
		t.Errorf("another user: %v", err)
	}
	if err := ask(&auth.Policy{Callout: answers(`{"user":"ann","expires":"2001-01-01T00:00:00Z"}`)}); auth.ReasonOf(err) != "expired" || auth.Temporary(err) {
		t.Errorf("expired: %v", err)
	}
	err := ask(&auth.Policy{Callout: answers(`{"refuse":"pay\nfirst"}`)})
	if e := bridge.ErrorOf(err); auth.ReasonOf(err) != auth.Refused || auth.Temporary(err) || e.Code != bridge.CodeForbidden || e.Hint != "pay first" {
		t.Errorf("refused: %v, %+v", err, e)
	}
}

// A service that does not answer holds a client for five seconds, no longer.
func TestCalloutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &auth.Policy{Callout: func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		begun := time.Now()
		_, err := p.Authenticate(t.Context(), auth.Credentials{Token: "x", Source: auth.Frame})
		if took := time.Since(begun); took != auth.CalloutTimeout || auth.ReasonOf(err) != auth.Unavailable {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// Whatever a service answers, it is read as somebody, as a refusal, or not.
func FuzzParseVerdict(f *testing.F) {
	f.Add([]byte(`{"user":"ann","roles":["a"],"permissions":{"pub":["a.{user}"]},"expires":"2030-01-02T03:04:05Z","subscribe":["a.>"]}`))
	f.Add([]byte(`{"refuse":"no"}`))
	f.Add([]byte(`{"user":null,"permissions":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := auth.ParseVerdict(data)
		if err != nil {
			return
		}
		if (v.User == "") == (v.Refuse == "") || strings.ContainsAny(v.User, "\n\r\x00") {
			t.Errorf("%q: %+v", data, v)
		}
		for _, list := range [][]string{v.Permissions.Pub, v.Permissions.Sub, v.Permissions.Work, v.Permissions.Req, v.Subscribe} {
			for _, filter := range list {
				if bridge.Reserved(filter) {
					t.Errorf("%q grants %q", data, filter)
				}
			}
		}
	})
}

// Tokens are looked for in one place after the other, and a cookie only from
// pages that may use it.
func TestSources(t *testing.T) {
	s := auth.Sources{Cookie: "session", Query: "token"}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name   string
		header http.Header
		query  []string
		own    bool
		token  string
		source auth.Source
		reason auth.Reason
	}{
		{name: "nothing"},
		{name: "bearer first", header: header("Authorization", "Bearer a", "Cookie", "session=b"), query: []string{"c"}, token: "a", source: auth.Bearer},
		{name: "any case", header: header("Authorization", "bEARER  a"), token: "a", source: auth.Bearer},
		{name: "empty bearer", header: header("Authorization", "Bearer"), source: auth.Bearer},
		{name: "another scheme", header: header("Authorization", "Basic a"), query: []string{"c"}, token: "c", source: auth.Query},
		{name: "two bearers", header: header("Authorization", "Bearer a", "Authorization", "Bearer a"), reason: auth.Ambiguous},
		{name: "cookie", header: header("Cookie", "x=1; session=b"), own: true, token: "b", source: auth.Cookie},
		{name: "cookie from elsewhere", header: header("Cookie", "session=b"), query: []string{"c"}, reason: auth.CookiePage},
		{name: "the same cookie twice", header: header("Cookie", "session=b; session=b"), own: true, token: "b", source: auth.Cookie},
		{name: "two cookies", header: header("Cookie", "session=b", "Cookie", "session=c"), own: true, reason: auth.Ambiguous},
		{name: "empty cookie", header: header("Cookie", "session="), own: true},
		{name: "query", query: []string{"c"}, token: "c", source: auth.Query},
		{name: "two of a query", query: []string{"c", "d"}, reason: auth.Ambiguous},
		{name: "empty query", query: []string{""}, source: auth.Query},
	} {
		c, err := s.Find(auth.Handshake{Header: tt.header, Query: func(string) []string { return tt.query }, OwnPage: func() bool { return tt.own }})
		switch {
		case tt.reason != "" && (err == nil || auth.ReasonOf(err) != tt.reason || auth.Temporary(err)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.reason)
		case tt.reason == "" && (err != nil || c.Token != tt.token || c.Source != tt.source):
			t.Errorf("%s: %+v, %v", tt.name, c, err)
		}
	}
}

// TestNever has a callout, and a token, grant what other clients' tokens travel
// on.
func TestNever(t *testing.T) {
	p := &auth.Policy{Never: []string{"auth.ask"}, Callout: answers(`{"user":"ann","permissions":{"sub":["events.>","auth.>"],"pub":[">"]}}`)}
	id, err := p.Authenticate(t.Context(), auth.Credentials{Token: "good", Source: auth.Bearer})
	if err != nil {
		t.Fatal(err)
	}
	filters := []string{"events.>", "auth.>", "auth.ask", "auth.*", "auth.other"}
	if got, want := id.Permissions.Allowed(filters), []string{"events.>", "auth.other"}; !slices.Equal(got, want) {
		t.Errorf("may subscribe to %q, want %q", got, want)
	}
	before := &auth.Identity{User: "ann", Of: &token.Identity{User: "ann", Grants: bridge.Permissions{Sub: []string{"auth.>"}}}}
	if got := p.Renew(before).Permissions.Allowed(filters); !slices.Equal(got, []string{"auth.other"}) {
		t.Errorf("after a reload, may subscribe to %q", got)
	}
}

// It is asked about each message of a client.
func TestFinalOfNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if err := auth.Final(nil); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
