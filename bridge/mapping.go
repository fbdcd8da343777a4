package bridge

import (
	"errors"
	"fmt"
	"strings"
)

// Mapping translates the names of events into subjects and back, by a list of
// rules. Without any (the zero value) a name is the subject.
//
// A rule has two patterns, such as "me:{kind}" for events and
// "events.users.{user}.{kind}" for subjects. Each {name} in them is a capture:
//
//  1. The pattern of an event is text with captures. Between two captures is
//     some text; elsewhere it may be empty. Braces are for captures only.
//  2. The pattern of a subject is a subject without wildcards. Each token is
//     literal, or one capture and nothing else.
//  3. A capture is once in the event and once in the subject. {user} is only in
//     the subject, as often as one likes: it stands for the user that the
//     client's token names, and so it is never read from an event.
//  4. From an event, a capture takes the shortest run up to the text that
//     follows it in the pattern, or all the rest if nothing does; then the whole
//     name must have been used. What it took must be one safe token: 1 to 64
//     bytes of UTF-8 without dots, wildcards, braces, white space and control
//     characters. If it is not, or the user is not, the event is refused, even
//     if a later rule would have taken it. Nothing is escaped: two values would
//     share a subject, or a value would get another's.
//  5. From a subject, a capture takes its token, which must be safe and such
//     that (4) takes it again from the event. {user} matches the client's own
//     user alone. If that does not hold, the rule does not match.
//  6. The first rule that matches wins, in both directions.
//  7. If none matches, the event is the subject, if it is one, and the subject
//     is the event.
//  8. What Socket.IO keeps to itself, and "jetway:…", see [ReservedEvent], is
//     never translated, in neither direction. No subject comes out that is not
//     a [ValidSubject], or that is [Reserved], and none with more tokens than
//     the pattern.
//
// From event to subject and back gives the event again if the rule that won is
// the first for this subject, too: always, unless an earlier rule has a subject
// in common with it. [Mapping.Warnings] tells of such rules. Also, a name that
// no rule has may be the subject of a rule (7), and come back as its event.
//
// A Mapping is not changed after [NewMapping]; its methods may be called
// concurrently. They try one rule after the other.
type Mapping struct {
	rules    []mapRule
	warnings []*MapError
}

// NoKey is the argument that [Mapping.Subject] returns when no argument is the
// idempotency key.
const NoKey = -1

// NewMapping compiles the rules. Its error is [errors.Join] of one [MapError]
// for each thing that is wrong with them: a pattern, or a rule that could never
// be used because earlier ones take all its events and all its subjects.
func NewMapping(rules []MapRule) (*Mapping, error) {
	m := &Mapping{}
	if len(rules) > MaxMapRules {
		return nil, errors.Join(&MapError{Rule: MaxMapRules, Msg: fmt.Sprintf("is one more than %d rules", MaxMapRules), Hint: "use captures, such as {id}"})
	}
	var errs []error
	for i, r := range rules {
		compiled, wrong := compile(r)
		for _, e := range wrong {
			e.Rule = i
			errs = append(errs, e)
		}
		m.rules = append(m.rules, compiled)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for i := range m.rules {
		if err := m.shadowed(i); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// Warnings tells of rules that are not used in one of the directions, or not
// for all that they match, because an earlier one is.
func (m *Mapping) Warnings() []*MapError { return m.warnings }

// Subject returns the subject of an event that a client of the user emits, and
// which argument is the idempotency key, from 0, or [NoKey]. It returns an
// [Error] with [CodeBadSubject] when the event has no subject, and with
// [CodeForbidden] when its subject is [Reserved].
func (m *Mapping) Subject(event, user string) (subject string, key int, err error) {
	if ReservedEvent(event) {
		return "", NoKey, badTemplate("the name of the event is reserved", `"jetway:…" and the names of Socket.IO's own events are not translated`)
	}
	var values captured
	for i := range m.rules {
		if r := &m.rules[i]; r.matchEvent(event, &values) {
			if subject, err = r.fillSubject(&values, user); err != nil {
				return "", NoKey, err
			}
			return publishable(subject, r.key)
		}
	}
	if err := ValidSubject(event); err != nil {
		return "", NoKey, badTemplate("the name of the event is not a subject: "+ErrorOf(err).Msg,
			`emit a subject, such as "events.chat.1", or add a mapping of this name to bridge.map`)
	}
	return publishable(event, NoKey)
}

// publishable refuses what only captures can still have made wrong: a subject
// that is too long, or one whose first token is reserved.
func publishable(subject string, key int) (string, int, error) {
	if Reserved(subject) {
		return "", NoKey, reserved(subject)
	}
	if err := ValidSubject(subject); err != nil {
		return "", NoKey, err
	}
	return subject, key, nil
}

// Event returns the name under which an event on the subject reaches a client
// of the user. It is "" when it cannot: no rule matches, and the subject is a
// [ReservedEvent], which would break the client or forge what only Jetway says.
func (m *Mapping) Event(subject, user string) string {
	var values captured
	for i := range m.rules {
		if r := &m.rules[i]; r.matchSubject(subject, user, false, &values) {
			if event := r.fillEvent(&values); !ReservedEvent(event) {
				return event
			}
		}
	}
	if ReservedEvent(subject) {
		return ""
	}
	return subject
}

// PerUser reports whether [Mapping.Event] may differ between users for this
// subject. If it does not, what was encoded for one serves them all.
func (m *Mapping) PerUser(subject string) bool {
	var values captured
	for i := range m.rules {
		if r := &m.rules[i]; r.matchSubject(subject, "", true, &values) {
			return r.perUser
		}
	}
	return false
}

// ReservedEvent reports whether the name is one that no client may emit or be
// sent as an event: those of Socket.IO's own (with which the stock parser ends
// the connection) and "jetway:…".
func ReservedEvent(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return strings.HasPrefix(name, "jetway:")
}

// UserFilter puts the user in the place of each {user} of a subject filter,
// such as "events.users.{user}.>". It returns an [Error] with [CodeBadSubject]
// when the filter has other braces, or is not a [ValidFilter], or when the user
// is not one safe token; with [CodeForbidden] when it is [Reserved].
func UserFilter(filter, user string) (string, error) {
	out, err := expand(filter, func(name string) (string, error) {
		if name != userCapture {
			return "", badTemplate(fmt.Sprintf("{%s} has no value", name), "only {user} has one here")
		}
		if !safeToken(user) {
			return "", unsafeValue(name)
		}
		return user, nil
	})
	switch {
	case err != nil:
		return "", err
	case Reserved(out):
		return "", reserved(out)
	}
	return out, nil
}
