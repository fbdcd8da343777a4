package native

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// Limits of "head": every receiver of the event is sent it.
const (
	maxHeadFields = 32
	maxHeadBytes  = 4 << 10 // names and values together
)

// errRefused ends the reading of "head"; the complaint is in the parser.
var errRefused = errors.New("refused")

// head reads the flat string map that becomes NATS headers.
func (p *parser) head(value []byte) {
	const hint = `a flat map of strings, as in "head":{"Trace":"abc"}`
	if value[0] != '{' {
		p.refuse(`"head" must be an object`, hint)
		return
	}
	size := 0
	_ = jsontext.EachMember(value, func(name string, value []byte) error {
		text, ok := stringOf(value)
		size += len(name) + len(text)
		switch {
		case !ok:
			p.refuse(`the values in "head" must be strings`, hint)
		case len(p.f.Head) == maxHeadFields || size > maxHeadBytes:
			p.refuse(fmt.Sprintf(`"head" has over %d fields or %d bytes`, maxHeadFields, maxHeadBytes), "put the detail into the payload")
		case p.header(name, text):
			return nil
		}
		return errRefused
	})
}

// header checks one header and keeps it. In the NATS protocol a header is a
// line "Name: value", so a line break in either would forge another header,
// and a colon or a space in a name would move its end.
func (p *parser) header(name, value string) bool {
	switch {
	case name == "" || strings.ContainsFunc(name, notToken):
		p.refuse(fmt.Sprintf("%q cannot be a header's name", shorten(name, 32)), "use letters, digits and '-'")
	case reservedHeader(name):
		p.refuse(fmt.Sprintf("the header %q is not for clients", shorten(name, 32)), "names that start with Nats- or Jetway- are set by the server; choose another")
	case strings.ContainsFunc(value, isControl):
		p.refuse(fmt.Sprintf("the header %q has a control character in its value", shorten(name, 32)), "put text of several lines into the payload")
	case hasHeader(p.f.Head, name):
		p.refuse(fmt.Sprintf("the header %q twice", shorten(name, 32)), "send each header once")
	default:
		p.f.Head = append(p.f.Head, bridge.Field{Name: strings.Clone(name), Value: strings.Clone(value)})
		return true
	}
	return false
}

// reservedHeader reports whether only servers may set the header. Status and
// Description are how NATS itself says "no responders"; nats.go could not tell
// a client's from the server's.
func reservedHeader(name string) bool {
	return hasPrefixFold(name, "Nats-") || hasPrefixFold(name, "Jetway-") ||
		strings.EqualFold(name, "Status") || strings.EqualFold(name, "Description")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasHeader(head []bridge.Field, name string) bool {
	for _, f := range head {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// notToken is the complement of RFC 9110's token, which names of headers are.
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
