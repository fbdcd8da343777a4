package bridge

import (
	"fmt"
	"slices"
	"strings"
)

// shadowed compares a rule with the earlier ones, adds a warning where they
// take some of what it is for, and returns an error where they take all.
func (m *Mapping) shadowed(i int) error {
	r := &m.rules[i]
	first := func(f func(earlier *mapRule) bool) int {
		return slices.IndexFunc(m.rules[:i], func(e mapRule) bool { return f(&e) })
	}
	events := first(func(e *mapRule) bool { return e.coversEvents(r) })
	subjects := first(func(e *mapRule) bool { return e.coversSubjects(r) })
	some := first(func(e *mapRule) bool { return Overlap(e.filter("*"), r.filter("*")) })
	warn := func(field, msg, hint string) {
		m.warnings = append(m.warnings, &MapError{Rule: i, Field: field, Msg: msg, Hint: hint})
	}
	const order = "put this rule first, or keep it if that is what is meant"
	switch {
	case events >= 0 && subjects >= 0:
		return &MapError{Rule: i, Msg: fmt.Sprintf("is never used, rule %d has all its events and rule %d all its subjects", events, subjects),
			Hint: "put it before them, or remove it"}
	case events >= 0:
		warn("event", fmt.Sprintf("%q is published by rule %d, to %q, and this rule is only for what arrives", r.event, events, m.rules[events].subject), order)
	case subjects >= 0:
		warn("subject", fmt.Sprintf("%q arrives by rule %d, as %q, and this rule is only for what clients emit", r.subject, subjects, m.rules[subjects].event), order)
	case some >= 0:
		warn("subject", fmt.Sprintf("has subjects in common with rule %d: they arrive as %q, not as %q", some, m.rules[some].event, r.event), order)
	}
	return nil
}

// filter is the subject's pattern with "*" for captures, and user for {user}.
func (r *mapRule) filter(user string) string {
	tokens := make([]string, len(r.tokens))
	for i, t := range r.tokens {
		switch t.capture {
		case literalToken:
			tokens[i] = t.literal
		case userToken:
			tokens[i] = user
		default:
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, ".")
}

// open reports whether the event is text and then at most one capture: it
// takes whatever follows.
func (r *mapRule) open() bool { return len(r.names) == 1 && r.text[1] == "" }

// coversEvents reports whether r certainly matches all events that the later
// rule does.
func (r *mapRule) coversEvents(later *mapRule) bool {
	var values captured
	switch {
	case slices.Equal(r.text, later.text):
		return true
	case len(later.names) == 0:
		return r.matchEvent(later.event, &values)
	}
	return r.open() && strings.HasPrefix(later.text[0], r.text[0])
}

// coversSubjects reports whether r certainly matches all subjects that the
// later rule does. "{user}" stands for itself: it is no literal.
func (r *mapRule) coversSubjects(later *mapRule) bool {
	var values captured
	switch {
	case len(later.names) == 0 && !later.perUser:
		return r.matchSubject(later.subject, "", false, &values)
	case len(r.names) == 0 || r.open():
		return Within(later.filter("{user}"), r.filter("{user}"))
	}
	return slices.Equal(r.text, later.text) && slices.Equal(r.tokens, later.tokens)
}
