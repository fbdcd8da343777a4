package bridge

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a [Mapping]. Rules are tried one after the other, for each event;
// arguments beyond what anyone passes are a mistake.
const (
	MaxMapRules    = 256
	MaxKeyArgument = 31
)

// MapRule is one rule of a [Mapping], as it is configured.
type MapRule struct {
	Event   string // pattern of the event's name
	Subject string // pattern of the subject
	Key     *int   // the argument that is the idempotency key, from 0; nil: none is
}

// MapError is what is wrong with a rule.
type MapError struct {
	Rule  int    // from 0
	Field string // "event", "subject" or "key"; "": the rule as a whole
	Msg   string
	Hint  string // what to do
}

// Error names the rule by its place, from 0.
func (e *MapError) Error() string {
	where := fmt.Sprintf("bridge: rule %d of the mapping: ", e.Rule)
	if e.Field != "" {
		where += e.Field + ": "
	}
	return where + e.Msg + ": " + e.Hint
}

// userCapture is the one capture whose value is not the client's to choose.
const userCapture = "user"

// captured are the values of a rule's captures, in the order of the event. All
// of them are tokens of a subject, so there are no more than that.
type captured [MaxSubjectTokens]string

// mapRule is a compiled rule. Immutable.
type mapRule struct {
	text    []string   // of the event: before each capture, and after the last
	names   []string   // of the captures, in the order of the event
	tokens  []mapToken // of the subject
	event   string     // both as they were written
	subject string
	key     int
	perUser bool // {user} is in the subject
}

// mapToken is one token of the pattern of a subject.
type mapToken struct {
	literal string // if it is one
	capture int    // index into captured, or one of:
}

const (
	literalToken = -1
	userToken    = -2
)

// matchEvent is clause 4 without the check of the values.
func (r *mapRule) matchEvent(event string, values *captured) bool {
	rest, ok := strings.CutPrefix(event, r.text[0])
	if !ok {
		return false
	}
	for i, text := range r.text[1:] {
		end := len(rest)
		if text != "" { // else it is the last, and the capture takes all
			if end = strings.Index(rest, text); end < 0 {
				return false
			}
		}
		values[i], rest = rest[:end], rest[end+len(text):]
	}
	return rest == ""
}

// fillSubject makes the subject of the values of an event.
func (r *mapRule) fillSubject(values *captured, user string) (string, error) {
	if len(r.names) == 0 && !r.perUser {
		return r.subject, nil
	}
	var b strings.Builder
	b.Grow(len(r.subject) + MaxNameBytes)
	for i, t := range r.tokens {
		name, value := userCapture, user
		switch {
		case t.capture == literalToken:
			value = t.literal
		case t.capture != userToken:
			name, value = r.names[t.capture], values[t.capture]
		}
		if t.capture != literalToken && !safeToken(value) {
			return "", unsafeValue(name)
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// matchSubject is clause 5, for a user or for anyone.
func (r *mapRule) matchSubject(subject, user string, anyone bool, values *captured) bool {
	rest, more := subject, true
	for _, t := range r.tokens {
		if !more {
			return false
		}
		var token string
		token, rest, more = strings.Cut(rest, ".")
		switch t.capture {
		case literalToken:
			if token != t.literal {
				return false
			}
		case userToken:
			if !anyone && token != user || !safeToken(token) {
				return false
			}
		default:
			if !safeToken(token) || !endsBefore(token, r.text[t.capture+1]) {
				return false
			}
			values[t.capture] = token
		}
	}
	return !more
}

// endsBefore reports whether the text, which follows the value, is not found
// earlier: in the value, or across its end. Else the shortest run up to it
// would not be the value.
func endsBefore(value, text string) bool {
	if text == "" {
		return true
	}
	for i := range len(value) {
		tail := value[i:]
		if n := len(tail); n >= len(text) {
			if strings.HasPrefix(tail, text) {
				return false
			}
		} else if text[:n] == tail && strings.HasPrefix(text, text[n:]) {
			return false
		}
	}
	return true
}

// fillEvent makes the event of the values of a subject.
func (r *mapRule) fillEvent(values *captured) string {
	if len(r.names) == 0 {
		return r.event
	}
	var b strings.Builder
	b.Grow(len(r.event) + MaxNameBytes)
	for i, text := range r.text {
		if i > 0 {
			b.WriteString(values[i-1])
		}
		b.WriteString(text)
	}
	return b.String()
}

// unsafeValue does not repeat the value, which may be long, or hostile.
func unsafeValue(name string) error {
	return badTemplate(fmt.Sprintf("the value of {%s} is not one token of a subject", name),
		"1 to 64 bytes without dots, wildcards, braces and white space")
}

// compile reads the patterns of a rule.
func compile(r MapRule) (mapRule, []*MapError) {
	c := mapRule{event: r.Event, subject: r.Subject, key: NoKey}
	var wrong []*MapError
	if msg, hint := c.compileEvent(r.Event); msg != "" {
		wrong = append(wrong, &MapError{Field: "event", Msg: msg, Hint: hint})
	}
	if msg, hint := c.compileSubject(r.Subject, len(wrong) == 0); msg != "" {
		wrong = append(wrong, &MapError{Field: "subject", Msg: msg, Hint: hint})
	} else if len(wrong) == 0 {
		for i, name := range c.names {
			if !slices.ContainsFunc(c.tokens, func(t mapToken) bool { return t.capture == i }) {
				wrong = append(wrong, &MapError{Field: "subject", Msg: fmt.Sprintf("{%s} of the event is missing", name),
					Hint: "make it a token, or the event could not be told from others"})
			}
		}
	}
	if r.Key != nil {
		c.key = *r.Key
		if c.key < 0 || c.key > MaxKeyArgument {
			wrong = append(wrong, &MapError{Field: "key", Msg: fmt.Sprintf("%d is not an argument", c.key),
				Hint: fmt.Sprintf("write 0 to %d, where 0 is the first one", MaxKeyArgument)})
		}
	}
	return c, wrong
}

// compileEvent is clause 1. Its msg is "" when all is well.
func (r *mapRule) compileEvent(pattern string) (msg, hint string) {
	switch {
	case pattern == "":
		return "is missing", `write the name of an event, such as "order:{id}"`
	case len(pattern) > MaxSubjectBytes:
		return "is longer than 512 bytes", "shorten it"
	case !utf8.ValidString(pattern):
		return "is not UTF-8", "write it as UTF-8"
	case ReservedEvent(pattern):
		return fmt.Sprintf("%q is reserved", pattern), `choose another name: clients never emit "jetway:…" or Socket.IO's own events as theirs`
	}
	const whole = `write {name} with letters, digits, "_", "-" and "=", such as "order:{id}"`
	for rest := pattern; ; {
		text, after, open := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return "has a } without a {", whole
		}
		if open && text == "" && len(r.names) > 0 {
			return "has two captures that touch", `put some text between them, such as "{a}:{b}"`
		}
		r.text = append(r.text, text)
		if !open {
			return "", ""
		}
		name, behind, closed := strings.Cut(after, "}")
		switch {
		case !closed || ValidName(name) != nil:
			return "has braces that are not around a name", whole
		case name == userCapture:
			return "has {user}, which is never what a client says", "use it in the subject only"
		case slices.Contains(r.names, name):
			return fmt.Sprintf("has {%s} twice", name), "give one of them another name"
		case len(r.names) == MaxSubjectTokens:
			return "has more than 32 captures", "use fewer"
		}
		r.names, rest = append(r.names, name), behind
	}
}

// compileSubject is clauses 2 and 3. Its msg is "" when all is well. Captures
// can be compared with those of the event only if that was understood.
func (r *mapRule) compileSubject(pattern string, understood bool) (msg, hint string) {
	if pattern == "" {
		return "is missing", `write a subject, such as "events.orders.{id}"`
	}
	if len(pattern) > MaxSubjectBytes {
		return "is longer than 512 bytes", "shorten it"
	}
	taken := map[string]bool{}
	sample := strings.Split(pattern, ".")
	for i, token := range sample {
		if !strings.ContainsAny(token, "{}") {
			r.tokens = append(r.tokens, mapToken{literal: token, capture: literalToken})
			continue
		}
		name, ok := braced(token)
		at := slices.Index(r.names, name)
		switch {
		case !ok:
			return "has braces that are not one whole token", `write "events.orders.{id}"`
		case name == userCapture:
			at, r.perUser = userToken, true
		case at < 0 && understood:
			return fmt.Sprintf("{%s} is not in the event", name), "write it there too, or {user}"
		case taken[name]:
			return fmt.Sprintf("has {%s} twice", name), "once is enough"
		}
		taken[name] = true
		r.tokens = append(r.tokens, mapToken{capture: at})
		sample[i] = "x"
	}
	s := strings.Join(sample, ".")
	if err := ValidSubject(s); err != nil {
		e := ErrorOf(err)
		return e.Msg, e.Hint
	}
	if Reserved(s) {
		return "belongs to NATS or Jetway", "begin with another word, such as events"
	}
	return "", ""
}
