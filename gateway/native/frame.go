package native

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// Frame is one message of a client. A field that the client did not send is
// zero; what may be sent and zero is refused instead ("max":0, "key":""), so
// that zero always means absent.
type Frame struct {
	Verb  Verb
	Value []byte // the verb's value, as JSON text
	Text  string // the same, decoded, where the verb takes a string

	ID string // JSON text of a string or a number, to be answered as it is

	Data   []byte         // JSON text of "data", byte for byte
	Binary []byte         // what "b64" decodes to; not nil when it was there
	Head   []bridge.Field // in the client's order

	Key string // pub: the idempotency key
	If  string // pub: a pos
	TTL time.Duration

	From, As, Until string // sub
	Max             int    // sub, work
	SID             string // seen

	Wait  time.Duration // req
	Delay time.Duration // nak; pub: a job waits this long
	At    time.Time     // pub: a job waits until then; UTC
	Why   string        // nak, term
}

// Payload returns what the frame carries, "data" or "b64"; ok is false when it
// has neither.
func (f *Frame) Payload() (p []byte, ok bool) {
	if f.Data != nil {
		return f.Data, true
	}
	return f.Binary, f.Binary != nil
}

// Ref returns what an answer to the frame names, as JSON text: its id, else
// its verb, else "frame" when not even that could be read.
func (f *Frame) Ref() string {
	switch {
	case f.ID != "":
		return f.ID
	case f.Verb != VerbNone:
		return `"` + f.Verb.String() + `"`
	}
	return `"frame"`
}

// Parse reads one text message of a client into f, whatever f held before.
//
// f is a view of b: ID, Value, Data, Key and, except for sub and work, Text
// alias it, so b must not be changed as long as those are used. The strings
// that a subscription keeps are copies, so that it does not keep the message.
//
// An error is a *[bridge.Error] with a hint, and is the client's fault. Even
// then f.ID and f.Verb are set if they could be read, so that [Frame.Ref]
// names what failed. b must be UTF-8.
func Parse(b []byte, f *Frame) error {
	*f = Frame{}
	if trimmed := bytes.TrimSpace(b); string(trimmed) == "help" {
		f.Verb = VerbHelp
		return nil
	}
	p := parser{Scanner: jsontext.Scanner{B: b}, f: f}
	if !p.object() {
		return p.notJSON()
	}
	if f.Verb == VerbNone {
		return p.noVerb()
	}
	p.together()
	if p.err != nil {
		return p.err
	}
	return nil
}

// parser reads the members of one object as they pass by. It does not stop at
// a member that means nothing: an id that comes later is still needed.
type parser struct {
	jsontext.Scanner
	f        *Frame
	seen     uint32 // a bit per field
	stranger []byte // the first name that is neither a verb nor a field
	err      *bridge.Error
}

// refuse keeps the first complaint.
func (p *parser) refuse(msg, hint string) {
	if p.err == nil {
		p.err = &bridge.Error{Code: bridge.CodeBadFrame, Msg: msg, Hint: hint}
	}
}

// object passes the whole message; false means that it is not a JSON object.
func (p *parser) object() bool {
	p.Space()
	if !p.Expect('{', "a message is a JSON object") {
		return false
	}
	p.Space()
	if p.Peek() == '}' {
		p.I++
		return p.end()
	}
	for {
		if !p.member() {
			return false
		}
		p.Space()
		switch p.Peek() {
		case ',':
			p.I++
			p.Space()
		case '}':
			p.I++
			return p.end()
		default:
			return p.Unexpected("expected ',' or '}' here")
		}
	}
}

func (p *parser) end() bool {
	p.Space()
	return p.I == len(p.B) || p.Fail("something follows the object")
}

func (p *parser) member() bool {
	name, ok := p.Text()
	if !ok {
		return false
	}
	p.Space()
	if !p.Expect(':', "expected ':' after a name") {
		return false
	}
	p.Space()
	from := p.I
	if !p.Value() {
		return false
	}
	value := p.B[from:p.I]
	// A name may be spelt with escapes; were it not decoded, two spellings of
	// one name would pass as two names.
	if bytes.IndexByte(name, '\\') >= 0 {
		if s, ok := jsontext.Unquote(name); ok {
			name = []byte(s)
		}
	}
	if v := verbOf(name); v != VerbNone {
		p.verb(v, value)
	} else if d := fieldOf(name); d != fieldNone {
		p.field(d, value)
	} else if p.stranger == nil {
		p.stranger = name
	}
	return true
}

func (p *parser) verb(v Verb, value []byte) {
	f := p.f
	if f.Verb != VerbNone {
		p.refuse(fmt.Sprintf("two verbs, %q and %q", f.Verb, v), "one message has one verb; send two messages")
		return
	}
	f.Verb, f.Value = v, value
	if verbs[v].value == "" {
		return
	}
	s, ok := stringOf(value)
	if !ok {
		p.refuse(fmt.Sprintf("%q takes %s, as a string", v, verbs[v].value), v.hint())
		return
	}
	if v == VerbSub || v == VerbWork {
		s = strings.Clone(s)
	}
	f.Text = s
}

func (p *parser) notJSON() error {
	hint := "one message is one JSON object, as in " + verbs[VerbPub].example + `; send help to see them all`
	switch {
	case p.TooDeep():
		hint = "flatten it, or send it as a JSON text inside a string"
	case bytes.HasPrefix(p.B, []byte("\xEF\xBB\xBF")):
		hint = "remove the byte order mark at the start"
	}
	return &bridge.Error{
		Code: bridge.CodeBadFrame,
		Msg:  fmt.Sprintf("not a JSON object: at byte %d: %s", p.I, p.Bad),
		Hint: hint,
	}
}

func (p *parser) noVerb() error {
	e := &bridge.Error{Code: bridge.CodeUnknownVerb, Msg: "no verb", Hint: "one of " + verbList() + ", " + VerbPub.hint()}
	if p.stranger == nil {
		return e
	}
	name := shorten(string(p.stranger), 32)
	e.Msg = fmt.Sprintf("no verb %q", name)
	if v := nearestVerb(name); v != VerbNone {
		e.Hint = fmt.Sprintf("did you mean %q, %s", v, v.hint())
	}
	return e
}

// shorten bounds what a client's text can add to an error and to the log.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// stringOf returns the text of a value that is a JSON string.
func stringOf(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	return jsontext.Unquote(value[1 : len(value)-1])
}
