package native

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// Limits of the fields. Each bounds what one message can make the server keep
// beside the message itself.
const (
	maxIDBytes   = 128                  // an id is held until the answer
	maxNameBytes = 256                  // key, from, as, until, sid, if
	maxDelay     = 365 * 24 * time.Hour // pub: a job that waits longer is a mistake in the unit
	maxMax       = 1_000_000            // credit beyond this is a mistake, or an attack on its counter
)

type field uint8

const (
	fieldNone field = iota
	fieldID
	fieldData
	fieldB64
	fieldKey
	fieldHead
	fieldTTL
	fieldIf
	fieldFrom
	fieldAs
	fieldMax
	fieldUntil
	fieldSID
	fieldWait
	fieldDelay
	fieldAt
	fieldWhy
	fieldCount
)

var fieldNames = [fieldCount]string{
	fieldID: "id", fieldData: "data", fieldB64: "b64", fieldKey: "key", fieldHead: "head",
	fieldTTL: "ttl", fieldIf: "if", fieldFrom: "from", fieldAs: "as", fieldMax: "max",
	fieldUntil: "until", fieldSID: "sid", fieldWait: "wait", fieldDelay: "delay", fieldAt: "at", fieldWhy: "why",
}

func (d field) String() string { return fieldNames[d] }

func fieldOf(name []byte) field {
	switch string(name) {
	case "id":
		return fieldID
	case "data":
		return fieldData
	case "b64":
		return fieldB64
	case "key":
		return fieldKey
	case "head":
		return fieldHead
	case "ttl":
		return fieldTTL
	case "if":
		return fieldIf
	case "from":
		return fieldFrom
	case "as":
		return fieldAs
	case "max":
		return fieldMax
	case "until":
		return fieldUntil
	case "sid":
		return fieldSID
	case "wait":
		return fieldWait
	case "delay":
		return fieldDelay
	case "at":
		return fieldAt
	case "why":
		return fieldWhy
	}
	return fieldNone
}

// field takes one known field. Its type is checked whatever the verb is, and a
// second one of the same name is refused: two readers of the same message must
// not see different values.
func (p *parser) field(d field, value []byte) {
	if p.seen&(1<<d) != 0 {
		p.refuse(fmt.Sprintf("%q twice", d), "send each field once")
		return
	}
	p.seen |= 1 << d
	f := p.f
	switch d {
	case fieldID:
		p.id(value)
	case fieldData:
		f.Data = value
	case fieldB64:
		p.binary(value)
	case fieldHead:
		p.head(value)
	case fieldKey:
		p.key(value)
	case fieldIf:
		p.keep(d, value, &f.If)
	case fieldFrom:
		p.keep(d, value, &f.From)
	case fieldAs:
		p.keep(d, value, &f.As)
	case fieldUntil:
		p.keep(d, value, &f.Until)
	case fieldSID:
		p.keep(d, value, &f.SID)
	case fieldWhy:
		p.why(value)
	case fieldMax:
		p.max(value)
	case fieldTTL:
		p.duration(d, value, &f.TTL)
	case fieldWait:
		p.duration(d, value, &f.Wait)
	case fieldDelay:
		p.duration(d, value, &f.Delay)
	case fieldAt:
		p.at(value)
	}
}

func (p *parser) id(value []byte) {
	switch c := value[0]; {
	case c != '"' && c != '-' && (c < '0' || c > '9'):
		p.refuse(`"id" must be a string or a number`, `as in "id":1; leave it out to get no answer`)
	case len(value) > maxIDBytes:
		p.refuse(fmt.Sprintf(`"id" is longer than %d bytes`, maxIDBytes), "count the messages: 1, 2, 3")
	default:
		p.f.ID = jsontext.View(value)
	}
}

func (p *parser) binary(value []byte) {
	s, ok := stringOf(value)
	if !ok {
		p.refuse(`"b64" must be a string`, "base64 with padding, as btoa() writes it")
		return
	}
	b, err := base64.StdEncoding.AppendDecode([]byte{}, []byte(s))
	if err != nil {
		p.refuse(`"b64" is not base64`, "the standard alphabet (A-Z a-z 0-9 + /) with padding, as btoa() writes it")
		return
	}
	p.f.Binary = b
}

// name reads a string that must say something. null and "" are refused, not
// taken as absent: {"from":null} is what a client sends that has lost its
// position, and starting it at "new" would lose events in silence.
func (p *parser) name(d field, value []byte) (string, bool) {
	s, ok := stringOf(value)
	switch {
	case !ok:
		p.refuse(fmt.Sprintf("%q must be a string", d), "leave it out if you do not need it")
	case s == "":
		p.refuse(fmt.Sprintf("%q is empty", d), "leave it out if you do not need it")
	case len(s) > maxNameBytes:
		p.refuse(fmt.Sprintf("%q is longer than %d bytes", d, maxNameBytes), "shorten it, or send a hash of it")
	default:
		return s, true
	}
	return "", false
}

func (p *parser) keep(d field, value []byte, to *string) {
	if s, ok := p.name(d, value); ok {
		*to = strings.Clone(s)
	}
}

// key becomes a NATS header, where a line break would end it.
func (p *parser) key(value []byte) {
	s, ok := p.name(fieldKey, value)
	if !ok {
		return
	}
	if strings.ContainsFunc(s, isControl) {
		p.refuse(`"key" has a control character`, "use letters, digits and punctuation")
		return
	}
	p.f.Key = s
}

func (p *parser) why(value []byte) {
	s, ok := stringOf(value)
	if !ok {
		p.refuse(`"why" must be a string`, `as in "why":"not an image"`)
		return
	}
	p.f.Why = strings.Clone(s)
}

// max is decimal digits only: 1e3 and 10.0 are numbers to JSON, but nobody
// means them.
func (p *parser) max(value []byte) {
	n, err := strconv.ParseUint(jsontext.View(value), 10, 32)
	if err != nil || n == 0 || n > maxMax {
		p.refuse(fmt.Sprintf(`"max" must be a whole number from 1 to %d`, maxMax), `as in "max":100; leave it out for the default`)
		return
	}
	p.f.Max = int(n)
}

func (p *parser) duration(d field, value []byte, to *time.Duration) {
	s, ok := stringOf(value)
	t, err := time.ParseDuration(s)
	if !ok || err != nil || t <= 0 {
		p.refuse(fmt.Sprintf("%q must be a duration over zero, as a string", d), fmt.Sprintf(`as in %q:"30s", "10m" or "2h"`, d))
		return
	}
	*to = t
}

// at is a moment; one in the past is no mistake, clocks differ.
func (p *parser) at(value []byte) {
	s, ok := stringOf(value)
	t, err := time.Parse(time.RFC3339, s)
	if !ok || err != nil {
		p.refuse(`"at" must be a time, as a string`, `RFC 3339, as in "at":"2030-01-02T15:04:05Z"; for a time from now on send "delay":"10m"`)
		return
	}
	p.f.At = t.UTC()
}

// together refuses fields that exclude each other, and those that mean
// something else with this verb.
func (p *parser) together() {
	both := func(a, b field) bool { return p.seen>>a&1 != 0 && p.seen>>b&1 != 0 }
	switch {
	case both(fieldData, fieldB64):
		p.refuse(`"data" and "b64" together`, `send "data" for JSON or "b64" for bytes, not both`)
	case both(fieldDelay, fieldAt):
		p.refuse(`"delay" and "at" together`, `send "delay" for a time from now on or "at" for a moment, not both`)
	case p.f.Verb == VerbPub && p.f.Delay > maxDelay:
		p.refuse(`"delay" is longer than 365 days`, `a year is "8760h"; to publish later than that, keep it until then`)
	}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7F && r < 0xA0 }
