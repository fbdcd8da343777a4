package bridge

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A filter template is a subject filter in which whole tokens may be names in
// braces: "events.users.{user}.>". What such a name stands for is a value that
// somebody else chose, such as the claim of a token, so it is taken only if it
// is one safe token (see [ExpandFilter]). It is never escaped into one: two
// values would then share a subject, or a value would get another's.

// ValidTemplate returns nil when s is a [ValidFilter] in which whole tokens
// may be names in braces, each of them a [ValidName]. Otherwise it returns an
// [Error] with [CodeBadSubject].
func ValidTemplate(s string) error {
	_, err := expand(s, func(string) (string, error) { return "x", nil })
	return err
}

// ExpandFilter puts the values of the names in braces in their place. It
// returns an [Error] with [CodeBadSubject] when s is not a [ValidTemplate],
// when there is no such value, or when the value is not one safe token: 1 to
// 64 bytes of UTF-8 without dots, wildcards, braces, white space or control
// characters. The first token, if it is in braces, may not become one that is
// [Reserved] or begins with "$".
//
// The filter that it returns has as many tokens as the template, and matches
// at most what the template would with "*" in place of the braces.
func ExpandFilter(s string, value func(name string) (v string, ok bool)) (string, error) {
	return expand(s, func(name string) (string, error) {
		v, ok := value(name)
		if !ok {
			return "", badTemplate(fmt.Sprintf("{%s} has no value", name), "the token must have such a claim, of text, an integer, or true or false")
		}
		if !safeToken(v) {
			return "", unsafeValue(name)
		}
		return v, nil
	})
}

// expand replaces the tokens in braces, and checks what comes out.
func expand(s string, value func(name string) (string, error)) (string, error) {
	if len(s) > MaxSubjectBytes {
		return "", ValidFilter(s)
	}
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		if !strings.ContainsAny(token, "{}") {
			continue
		}
		name, ok := braced(token)
		if !ok {
			return "", badTemplate("braces are for names that are whole tokens", `write "events.{user}.>"`)
		}
		v, err := value(name)
		if err != nil {
			return "", err
		}
		if i == 0 && (Reserved(v) || strings.HasPrefix(v, "$")) {
			return "", badTemplate(fmt.Sprintf("the value of {%s} begins a subject that is reserved", name), "begin the filter with a word")
		}
		tokens[i] = v
	}
	out := strings.Join(tokens, ".")
	return out, ValidFilter(out)
}

// braced returns the name in a token that is "{name}".
func braced(token string) (name string, ok bool) {
	name, ok = strings.CutPrefix(token, "{")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, "}")
	return name, ok && ValidName(name) == nil
}

// safeToken reports whether v is one token of a subject and nothing else.
func safeToken(v string) bool {
	return v != "" && len(v) <= MaxNameBytes && utf8.ValidString(v) && !strings.ContainsFunc(v, func(r rune) bool {
		return r == utf8.RuneError || strings.ContainsRune(".*>{}", r) || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

func badTemplate(msg, hint string) error { return &Error{Code: CodeBadSubject, Msg: msg, Hint: hint} }

// Expand returns the permissions whose filters are those of p, a list of
// templates, each by [ExpandFilter]. A filter that it refuses does not apply:
// it is left out, and skipped, unless it is nil, is told.
func (p Permissions) Expand(value func(name string) (v string, ok bool), skipped func(template string, err error)) Permissions {
	list := func(templates []string) []string {
		var filters []string
		for _, t := range templates {
			filter, err := ExpandFilter(t, value)
			switch {
			case err == nil:
				filters = append(filters, filter)
			case skipped != nil:
				skipped(t, err)
			}
		}
		return filters
	}
	return Permissions{Pub: list(p.Pub), Sub: list(p.Sub), Work: list(p.Work), Req: list(p.Req), Deny: p.Deny.expand(value), History: p.History}
}

// expand puts the values in their places. What cannot be expanded denies more,
// not less: any value is denied.
func (d Denied) expand(value func(name string) (v string, ok bool)) Denied {
	list := func(templates []string) []string {
		var filters []string
		for _, t := range templates {
			filter, err := ExpandFilter(t, value)
			if err != nil {
				tokens := strings.Split(t, ".")
				for i := range tokens {
					if _, ok := braced(tokens[i]); ok {
						tokens[i] = "*"
					}
				}
				filter = strings.Join(tokens, ".")
			}
			filters = append(filters, filter)
		}
		return filters
	}
	return Denied{Pub: list(d.Pub), Sub: list(d.Sub), Work: list(d.Work), Req: list(d.Req)}
}

// Union returns what p or q allows, without what either denies. Neither is
// changed.
func (p Permissions) Union(q Permissions) Permissions {
	list := func(a, b []string) []string {
		out := slices.Clone(a)
		for _, f := range b {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
		return out
	}
	return Permissions{
		Pub: list(p.Pub, q.Pub), Sub: list(p.Sub, q.Sub), Work: list(p.Work, q.Work), Req: list(p.Req, q.Req),
		Deny:    Denied{Pub: list(p.Deny.Pub, q.Deny.Pub), Sub: list(p.Deny.Sub, q.Deny.Sub), Work: list(p.Deny.Work, q.Deny.Work), Req: list(p.Deny.Req, q.Deny.Req)},
		History: deeper(&p, &q),
	}
}
