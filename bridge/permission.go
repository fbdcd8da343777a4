package bridge

import (
	"fmt"
	"slices"
	"strings"
)

// Permissions says what a client may do, as lists of subject filters. An empty
// list allows nothing.
type Permissions struct {
	Pub  []string // subjects it may publish to
	Sub  []string // filters it may subscribe within
	Work []string // queues it may work on
	Req  []string // subjects it may send requests to

	// Deny is what it may not do all the same. A subscription that could bring
	// one denied event is refused as a whole: nothing is filtered at delivery.
	Deny Denied

	// History is how far back it may read; nil has no limit. A durable that
	// exists goes on where it is.
	History *History
}

// Denied are subject filters of what a client may not do. They win over what
// is allowed, whichever role allows it.
type Denied struct {
	Pub, Sub, Work, Req []string
}

// allowed returns nil when everything that the filter matches is within one of
// the allowed filters, and nothing of it is denied.
func allowed(what, filter string, allow, deny []string) error {
	if Reserved(filter) {
		return reserved(filter)
	}
	overlaps := func(d string) bool { return Overlap(filter, d) }
	if slices.ContainsFunc(allow, func(a string) bool { return Within(filter, a) }) && !slices.ContainsFunc(deny, overlaps) {
		return nil
	}
	return &Error{Code: CodeForbidden, Msg: fmt.Sprintf("not allowed to %s %q", what, filter), Hint: allowedHint(filter, allow, deny)}
}

// allowedHint says what would have been allowed: the widest filters within the
// one that was asked for, or, when there are none, all that is.
func allowedHint(filter string, allow, deny []string) string {
	if len(allow) == 0 {
		return "nothing is allowed: ask for a role that allows it"
	}
	within := widest(filter, allow, deny)
	hint := "allowed: " + strings.Join(allow, ", ")
	if len(within) > 0 && !Literal(filter) {
		hint = "allowed within it: " + strings.Join(within, ", ")
	}
	if denied := slices.DeleteFunc(slices.Clone(deny), func(d string) bool { return !Overlap(filter, d) }); len(denied) > 0 {
		hint += "; never: " + strings.Join(denied, ", ")
	}
	return hint
}

// widest returns the filters that match what both the filter and one of the
// allowed ones match, without those that are within another, and without those
// of which something is denied.
func widest(filter string, allow, deny []string) []string {
	var all []string
	for _, a := range allow {
		f, ok := intersection(filter, a)
		if !ok || Reserved(f) || slices.ContainsFunc(deny, func(d string) bool { return Overlap(f, d) }) {
			continue
		}
		if slices.ContainsFunc(all, func(o string) bool { return Within(f, o) }) {
			continue
		}
		all = append(slices.DeleteFunc(all, func(o string) bool { return Within(o, f) }), f)
	}
	return all
}

// intersection is the filter that matches what both match. There always is
// one, unless they do not [Overlap].
func intersection(a, b string) (string, bool) {
	if !Overlap(a, b) {
		return "", false
	}
	var tokens []string
	for {
		ta, arest, amore := strings.Cut(a, ".")
		tb, brest, bmore := strings.Cut(b, ".")
		switch {
		case ta == ">":
			return strings.Join(append(tokens, b), "."), true
		case tb == ">":
			return strings.Join(append(tokens, a), "."), true
		case ta == "*":
			ta = tb
		}
		tokens = append(tokens, ta)
		if !amore || !bmore {
			return strings.Join(tokens, "."), true
		}
		a, b = arest, brest
	}
}

// reserved refuses what is [Reserved].
func reserved(filter string) error {
	return &Error{Code: CodeForbidden, Msg: fmt.Sprintf("%q is reserved", filter), Hint: `subjects under "jetway.", "_INBOX." and "$…" belong to the server`}
}
