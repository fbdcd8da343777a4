package bridge

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a subject. NATS has none of its own short of the control line
// (4 KiB); a bound on tokens bounds the cost of matching.
const (
	MaxSubjectBytes  = 512
	MaxSubjectTokens = 32
	MaxNameBytes     = 64
)

// ValidSubject returns nil when s can be published to: tokens separated by
// dots, none of them empty, none of them a wildcard. Otherwise it returns an
// [Error] with [CodeBadSubject].
//
// White space and control characters are refused because they would end the
// subject in the NATS protocol line; nats.go itself lets wildcards, NUL and
// empty tokens through, which the server then drops in silence.
func ValidSubject(s string) error { return checkSubject(s, false) }

// ValidFilter is [ValidSubject] for what one can subscribe to: a token may be
// "*" (any one token) and the last one ">" (one or more).
func ValidFilter(s string) error { return checkSubject(s, true) }

func checkSubject(s string, filter bool) error {
	bad := func(msg, hint string) error { return &Error{Code: CodeBadSubject, Msg: msg, Hint: hint} }
	if s == "" {
		return bad("the subject is empty", `a subject looks like "events.chat.1"`)
	}
	if len(s) > MaxSubjectBytes {
		return bad("the subject is longer than 512 bytes", "put the detail into the payload")
	}
	if !utf8.ValidString(s) {
		return bad("the subject is not UTF-8", "")
	}
	tokens := 0
	for rest, more := s, true; more; tokens++ {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		switch {
		case token == "":
			return bad("the subject has an empty token", "remove the dot at the start, at the end, or the double one")
		case strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
			return bad("the subject has white space or a control character", "use letters, digits, '-' and '_'")
		case token == "*" && filter, token == ">" && filter && !more:
		case strings.ContainsAny(token, "*>"):
			if filter {
				return bad("a wildcard must be a whole token, and '>' the last one", `use "events.*.eu" or "events.>"`)
			}
			return bad("wildcards cannot be published to", "publish to one subject")
		}
	}
	if tokens > MaxSubjectTokens {
		return bad("the subject has more than 32 tokens", "put the detail into the payload")
	}
	return nil
}

// Reserved reports whether the subject or filter names something that belongs
// to NATS or to Jetway: "jetway.…", "$…" and "_INBOX.…". Clients may not touch
// these. A filter with a wildcard as its first token is not reserved, but must
// not bring reserved events either: see [Reserved] at delivery.
func Reserved(s string) bool {
	first, _, _ := strings.Cut(s, ".")
	return first == "jetway" || first == "_INBOX" || strings.HasPrefix(first, "$")
}

const nameHint = `a name looks like "billing-2"`

// ValidName returns nil when s can name a durable or a role: 1 to 64 of
// [A-Za-z0-9_=-].
func ValidName(s string) error {
	if s == "" || len(s) > MaxNameBytes {
		return &Error{Code: CodeBadFrame, Msg: "a name has 1 to 64 characters", Hint: nameHint}
	}
	for _, r := range s {
		if r != '_' && r != '-' && r != '=' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9') {
			return &Error{Code: CodeBadFrame, Msg: "a name has letters, digits, '_', '-' and '=' only", Hint: nameHint}
		}
	}
	return nil
}

// Literal reports whether a filter has no wildcards.
func Literal(filter string) bool { return !strings.ContainsAny(filter, "*>") }

// Matches reports whether the subject (without wildcards) matches the filter.
func Matches(filter, subject string) bool {
	for {
		f, frest, fmore := strings.Cut(filter, ".")
		s, srest, smore := strings.Cut(subject, ".")
		if f == ">" {
			return true
		}
		if f != "*" && f != s {
			return false
		}
		if !fmore || !smore {
			return fmore == smore
		}
		filter, subject = frest, srest
	}
}

// Overlap reports whether some subject matches both filters.
func Overlap(a, b string) bool {
	for {
		ta, arest, amore := strings.Cut(a, ".")
		tb, brest, bmore := strings.Cut(b, ".")
		if ta == ">" || tb == ">" {
			return true
		}
		if ta != tb && ta != "*" && tb != "*" {
			return false
		}
		if !amore || !bmore {
			return amore == bmore
		}
		a, b = arest, brest
	}
}

// Within reports whether every subject that matches inner matches outer too.
func Within(inner, outer string) bool {
	for {
		ti, irest, imore := strings.Cut(inner, ".")
		to, orest, omore := strings.Cut(outer, ".")
		switch {
		case to == ">":
			return true
		case ti == ">", ti == "*" && to != "*", to != "*" && ti != to:
			return false
		case !imore || !omore:
			return imore == omore
		}
		inner, outer = irest, orest
	}
}
