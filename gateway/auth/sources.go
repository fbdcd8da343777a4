package auth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/bridge"
)

// Sources says where in a handshake tokens are looked for, besides
// "Authorization: Bearer".
type Sources struct {
	Cookie string // its name; "" for none

	// Query is the name of a parameter of the URL, which proxies and browsers
	// write into logs and histories; "" for none.
	Query string
}

// Handshake is the request that opens a connection.
type Handshake struct {
	Header  http.Header
	Query   func(name string) []string
	Address string

	// OwnPage reports whether the Origin is that of a page that may use the
	// cookie: the server's own, or one on the list, by name.
	OwnPage func() bool
}

// Find returns what a handshake presents: the bearer token, else the cookie,
// else the parameter of the URL. An error is a refusal: forbidden for a cookie
// without the Origin of a page that may use it, because a browser sends it with
// the requests of any page.
func (s Sources) Find(h Handshake) (Credentials, error) {
	c := Credentials{Address: h.Address, Header: h.Header}
	take := func(from Source, values []string) (Credentials, error) {
		if len(values) > 1 {
			return c, Refuse(Ambiguous, "several tokens of one kind", "send one")
		}
		c.Token, c.Source = values[0], from
		return c, nil
	}
	if tokens := bearer(h.Header); len(tokens) > 0 {
		return take(Bearer, tokens)
	}
	if tokens := cookies(h.Header, s.Cookie); len(tokens) > 0 {
		if !h.OwnPage() {
			return c, &Error{Reason: CookiePage, Wire: bridge.Error{Code: bridge.CodeForbidden, Msg: "the cookie is not taken from here",
				Hint: "with a cookie, the Origin must be the server's own, or on allowed_origins by its name; programs send Authorization: Bearer"}}
		}
		return take(Cookie, tokens)
	}
	if s.Query == "" {
		return c, nil
	}
	if tokens := h.Query(s.Query); len(tokens) > 0 {
		return take(Query, tokens)
	}
	return c, nil
}

// bearer are the tokens of Authorization (RFC 6750 section 2.1). Other schemes
// are somebody else's, such as a proxy's.
func bearer(h http.Header) []string {
	var tokens []string
	for _, v := range h.Values("Authorization") {
		scheme, rest, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(rest))
		}
	}
	return tokens
}

// cookies are the values of a cookie. Two that differ are refused: a page of a
// neighbouring domain can add one, but not remove the other.
func cookies(h http.Header, name string) []string {
	if name == "" {
		return nil
	}
	var tokens []string
	for _, c := range (&http.Request{Header: h}).CookiesNamed(name) {
		if c.Value != "" && !slices.Contains(tokens, c.Value) {
			tokens = append(tokens, c.Value)
		}
	}
	return tokens
}
