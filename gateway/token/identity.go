package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetway-io/jetway/bridge"
)

// Bounds of what a token says. They bound what a connection costs: each of its
// requests is compared with each filter.
const (
	maxUserBytes = 256
	maxGrants    = 100                 // filters in one list of "jetway"
	latest       = 253_402_300_799     // 9999-12-31T23:59:59Z, the last second of RFC 3339
	maxClaim     = bridge.MaxNameBytes // of what a template can use, name and value each
)

// Identity is who a token is of. Static; it may be read concurrently.
type Identity struct {
	User    string             // "sub": 1 to 256 bytes, no control characters
	Roles   []string           // "roles", as they are; names that no role has allow nothing
	Grants  bridge.Permissions // "jetway": filters, which may be templates as those of roles
	Expires time.Time          // "exp": the token is good before it, and not at it
	Issued  time.Time          // "iat", in whole seconds, as most issuers write it; zero if it is not there

	// Claims are the scalar ones that a template can name: texts, integers in
	// plain notation, true and false, names and values of at most 64 bytes.
	// Whether a value is one safe token is for the template to check.
	Claims map[string]string
}

// Value is what a name in a template stands for: {user} is [Identity.User],
// whatever claims there are, any other one the claim of that name.
func (id *Identity) Value(name string) (value string, ok bool) {
	if name == "user" {
		return id.User, true
	}
	value, ok = id.Claims[name]
	return value, ok
}

// Permissions is what the client may do: what its roles, looked up among all,
// and its token's own grants allow together, with the templates expanded (see
// [bridge.ExpandFilter]). A filter that cannot be expanded for this client
// does not apply; skipped, unless it is nil, is told why.
func (id *Identity) Permissions(roles map[string]bridge.Permissions, skipped func(template string, err error)) bridge.Permissions {
	var p bridge.Permissions
	for _, name := range id.Roles {
		// Expanded first: a role that lets nothing be read must not say how far
		// back others may be.
		p = p.Union(roles[name].Expand(id.Value, skipped))
	}
	return p.Union(id.Grants.Expand(id.Value, skipped))
}

// identity reads the claims of a token whose signature is good.
func (v *Verifier) identity(part string) (*Identity, error) {
	text, ok := decodePart(part)
	if !ok {
		return nil, refuse(Malformed, "the parts of a token are base64url without padding, and not empty")
	}
	claims, err := decodeObject(text)
	if err != nil {
		return nil, refuse(Malformed, "its claims must be one JSON object without repeated names")
	}
	id := &Identity{Claims: scalars(claims)}
	if err := v.checkTimes(id, claims); err != nil {
		return nil, err
	}
	if err := v.checkParties(claims); err != nil {
		return nil, err
	}
	if id.User, ok = claims["sub"].(string); !ok || !validUser(id.User) {
		return nil, badClaim("sub", "must be there: a text of 1 to 256 bytes without control characters, the user")
	}
	if id.Roles, ok = texts(claims, "roles"); !ok {
		return nil, badClaim("roles", "must be a list of texts, the names of roles")
	}
	if id.Grants, err = grants(claims["jetway"]); err != nil {
		return nil, err
	}
	return id, nil
}

func badClaim(name, what string) error { return refuse(BadClaims, fmt.Sprintf("%q %s", name, what)) }

// checkTimes checks the claims of RFC 7519 sections 4.1.4 to 4.1.6, and notes
// when the token begins and ends.
func (v *Verifier) checkTimes(id *Identity, claims map[string]any) error {
	expires, there, err := date(claims, "exp")
	if err != nil || !there {
		return badClaim("exp", "must be there: the second since 1970 at which the token ends, a number")
	}
	now := v.opts.Clock()
	if !now.Before(expires) {
		return refuse(Expired, "get a new one")
	}
	id.Expires = expires
	for _, name := range []string{"nbf", "iat"} {
		begins, there, err := date(claims, name)
		if err != nil {
			return badClaim(name, "must be a second since 1970, a number")
		}
		if there && now.Add(v.opts.Leeway).Before(begins) {
			return refuse(NotYetValid, fmt.Sprintf("%q is in the future: use the token later, or set the clocks", name))
		}
		if there && name == "iat" {
			id.Issued = begins.Truncate(time.Second)
		}
	}
	return nil
}

// date reads a NumericDate (RFC 7519 section 2): seconds since 1970, possibly
// with a fraction, of which the milliseconds are kept.
func date(claims map[string]any, name string) (t time.Time, there bool, err error) {
	claim, there := claims[name]
	if !there {
		return t, false, nil
	}
	number, ok := claim.(json.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if !ok || err != nil || seconds < 0 || seconds > latest {
		return t, true, errors.New("not a date")
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), true, nil
}

// checkParties checks "iss" and "aud": exact texts (RFC 8725 sections 3.8 and
// 3.9). Texts they must be even if nothing is configured.
func (v *Verifier) checkParties(claims map[string]any) error {
	issuer, ok := claims["iss"].(string)
	if claims["iss"] != nil && !ok {
		return badClaim("iss", "must be a text")
	}
	if v.opts.Issuer != "" && issuer != v.opts.Issuer {
		return refuse(WrongIssuer, `"iss" is not the issuer that this server trusts`)
	}
	audience, ok := texts(claims, "aud")
	if one, single := claims["aud"].(string); single {
		audience, ok = []string{one}, true
	}
	if !ok {
		return badClaim("aud", "must be a text or a list of texts")
	}
	if v.opts.Audience != "" && !slices.Contains(audience, v.opts.Audience) {
		return refuse(WrongAudience, `"aud" does not name this server`)
	}
	return nil
}

// texts reads a list of texts; nil when there is no such claim.
func texts(object map[string]any, name string) (list []string, ok bool) {
	v, there := object[name]
	if !there {
		return nil, true
	}
	values, ok := v.([]any)
	for _, v := range values {
		s, text := v.(string)
		list, ok = append(list, s), ok && text
	}
	return list, ok
}

// validUser reports whether a text can be a user. Control characters would
// write lines of their own where names are shown; U+FFFD is what an escape
// that is no character becomes, so that different names would be one.
func validUser(s string) bool {
	return s != "" && len(s) <= maxUserBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}

// grants reads the claim "jetway".
func grants(claim any) (p bridge.Permissions, err error) {
	if claim == nil {
		return p, nil
	}
	object, ok := claim.(map[string]any)
	if !ok {
		return p, badClaim("jetway", `must be an object of the lists "pub", "sub", "work" and "req"`)
	}
	lists := map[string]*[]string{"pub": &p.Pub, "sub": &p.Sub, "work": &p.Work, "req": &p.Req}
	for name := range object {
		if lists[name] == nil {
			return p, badClaim("jetway", `has the lists "pub", "sub", "work" and "req" only`)
		}
		list, ok := texts(object, name)
		if !ok || len(list) > maxGrants {
			return p, badClaim("jetway."+name, "must be a list of at most 100 subject filters")
		}
		for _, filter := range list {
			if bridge.ValidTemplate(filter) != nil || bridge.Reserved(filter) {
				return p, badClaim("jetway."+name, "has a text that is not a subject filter, or one of a reserved subject")
			}
		}
		*lists[name] = list
	}
	return p, nil
}

// scalars are the claims that templates can name.
func scalars(claims map[string]any) map[string]string {
	out := map[string]string{}
	for name, v := range claims {
		var text string
		switch v := v.(type) {
		case string:
			text = v
		case bool:
			text = strconv.FormatBool(v)
		case json.Number:
			if plainInteger(string(v)) {
				text = string(v)
			}
		}
		if text != "" && len(text) <= maxClaim && len(name) <= maxClaim {
			out[name] = text
		}
	}
	return out
}

// plainInteger reports whether a JSON number is written so that no other
// number's text is the same number: 1e3 and 1000.0 would be two more 1000s.
func plainInteger(number string) bool {
	return number != "-0" && !strings.ContainsAny(number, ".eE")
}
