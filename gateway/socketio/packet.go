package socketio

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// PacketType is the type of a packet (Socket.IO protocol v5, "Packet types").
// That a packet has attachments is not part of it here: the types 5 and 6 of
// the wire are [PacketEvent] and [PacketAck] with attachments.
type PacketType byte

// The packet types. On the wire each is one digit.
const (
	PacketConnect      PacketType = iota // client: wants to join a namespace; server: it has
	PacketDisconnect                     // either: leaves a namespace
	PacketEvent                          // either
	PacketAck                            // either: answers an event that has an id
	PacketConnectError                   // server: a namespace is refused
	packetTypes

	binaryEvent = '5'
	binaryAck   = '6'
)

// MaxAttachments is how many attachments a packet may have. The stock client
// has the same limit since its parser 4.2.6 (CVE-2026-33151), and closes the
// connection above it.
const MaxAttachments = 10

// maxEventID is the largest ack id that an event may ask for: a client that
// counts in JavaScript knows no integer beyond it.
const maxEventID = 1<<53 - 1

// noID is the id of an ack whose id does not fit: no server has given it out.
const noID = 1<<64 - 1

// The errors of decoding. After any of them nothing more of the client can be
// understood.
var (
	// ErrPacket is returned for what is no packet: of an unknown type, with a
	// payload that its type does not have, or that is not JSON.
	ErrPacket = errors.New("socketio: not a packet")

	// ErrAttachments is returned when the attachments of a packet, their
	// number and their placeholders do not fit together.
	ErrAttachments = errors.New("socketio: illegal attachments")

	// ErrTooManyAttachments is returned for more than [MaxAttachments].
	ErrTooManyAttachments = errors.New("socketio: too many attachments")

	// ErrTooBig is returned by a [Reconstructor] when a packet and its
	// attachments are larger than MaxBytes.
	ErrTooBig = errors.New("socketio: packet too big")
)

// Packet is one packet of either side.
type Packet struct {
	Type      PacketType
	Namespace string // "" is "/", which Decode sets
	ID        uint64 // of an event: the client wants an ack; of an ack: which event
	HasID     bool

	// Data is the payload as JSON text, byte for byte as it came, without the
	// space around it; nil when there is none. Each attachment has an object
	// {"_placeholder":true,"num":N} in its place, see [Placeholders].
	Data []byte

	Attachments [][]byte // in the order of their numbers
}

// Decode reads the text of a packet,
// `<type>[<n>-][<namespace>,][<id>][<payload>]` (Socket.IO protocol v5,
// "Packet encoding"). Most callers want a [Reconstructor], which also takes the
// n attachments that are to follow. Data is a part of b, which must be UTF-8.
//
// Wherever the protocol leaves something open, what Decode takes is what the
// reference does; it is stricter where the reference was not meant to be lax:
// numbers are decimal digits, events and acks have a payload, and an object
// with "_placeholder":true is always a placeholder and complete.
//
// It returns [ErrPacket], [ErrAttachments] or [ErrTooManyAttachments].
func Decode(b []byte) (p Packet, attachments int, err error) {
	if len(b) == 0 {
		return Packet{}, 0, ErrPacket
	}
	kind, rest := b[0], b[1:]
	switch kind {
	case binaryEvent, binaryAck:
		p.Type = PacketEvent + PacketType(kind-binaryEvent)
		if attachments, rest, err = cutAttachments(rest); err != nil {
			return Packet{}, 0, err
		}
	default:
		p.Type = PacketType(kind - '0') // less than '0' becomes large
	}
	if p.Type >= packetTypes {
		return Packet{}, 0, fmt.Errorf("%w: unknown type", ErrPacket)
	}
	p.Namespace, rest = cutNamespace(rest)
	p.ID, p.HasID, rest = cutID(rest)
	if p.Data, err = whole(rest); err != nil {
		return Packet{}, 0, err
	}
	if err := p.check(attachments); err != nil {
		return Packet{}, 0, err
	}
	return p, attachments, nil
}

// cutAttachments reads the number of attachments and the dash after it.
func cutAttachments(b []byte) (n int, rest []byte, err error) {
	digits, rest, ok := bytes.Cut(b, []byte{'-'})
	if !ok || len(digits) == 0 {
		return 0, nil, ErrAttachments
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, nil, ErrAttachments
		}
		n = min(10*n+int(c-'0'), MaxAttachments+1)
	}
	if n > MaxAttachments {
		return 0, nil, ErrTooManyAttachments
	}
	return n, rest, nil
}

// cutNamespace reads the namespace, which ends at a comma or with the packet.
func cutNamespace(b []byte) (namespace string, rest []byte) {
	if len(b) == 0 || b[0] != '/' {
		return root, b
	}
	name, rest, _ := bytes.Cut(b, []byte{','})
	return string(name), rest
}

// cutID reads the ack id. One that does not fit is noID.
func cutID(b []byte) (id uint64, has bool, rest []byte) {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return 0, false, b
	}
	id, err := strconv.ParseUint(string(b[:n]), 10, 64)
	if err != nil {
		id = noID
	}
	return id, true, b[n:]
}

// whole returns the one JSON value that b is, without the space around it, or
// nil when b is empty.
func whole(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	s := jsontext.Scanner{B: b}
	s.Space()
	from := s.I
	if !s.Value() {
		return nil, fmt.Errorf("%w: the payload is not JSON: %s", ErrPacket, s.Bad)
	}
	to := s.I
	if s.Space(); s.I != len(b) {
		return nil, fmt.Errorf("%w: something follows the payload", ErrPacket)
	}
	return b[from:to:to], nil
}

// check reports whether the payload is one that the type has, for so many
// attachments. What Data holds is JSON.
func (p *Packet) check(attachments int) error {
	ok := false
	switch p.Type {
	case PacketConnect:
		ok = p.Data == nil || p.Data[0] == '{'
	case PacketDisconnect:
		ok = p.Data == nil
	case PacketConnectError:
		ok = p.Data != nil && (p.Data[0] == '{' || p.Data[0] == '"')
	case PacketEvent:
		if p.ID > maxEventID {
			return fmt.Errorf("%w: an id beyond 2^53", ErrPacket)
		}
		name, named := eventName(p.Data)
		if ok = named; ok && reserved(name) {
			return fmt.Errorf("%w: the event name is reserved", ErrPacket)
		}
	case PacketAck:
		ok = len(p.Data) > 0 && p.Data[0] == '['
	}
	if !ok {
		return fmt.Errorf("%w: invalid payload", ErrPacket)
	}
	if p.Type == PacketEvent || p.Type == PacketAck {
		return checkPlaceholders(p.Data, attachments)
	}
	if attachments > 0 {
		return ErrAttachments
	}
	return nil
}

// Event returns the event's name; of a name that is a number, its digits. ok is
// false when the packet is no event that Decode would take.
func (p *Packet) Event() (name string, ok bool) {
	if p.Type != PacketEvent {
		return "", false
	}
	return eventName(p.Data)
}

// eventName reads the first element of an array, a string or a number.
func eventName(array []byte) (name string, ok bool) {
	if len(array) == 0 || array[0] != '[' {
		return "", false
	}
	s := jsontext.Scanner{B: array, I: 1}
	s.Space()
	from := s.I
	switch c := s.Peek(); {
	case c == '"':
		text, ok := s.Text()
		if !ok {
			return "", false
		}
		name, ok := jsontext.Unquote(text)
		return string([]byte(name)), ok // a copy: name may be a view of the packet
	case c == '-' || '0' <= c && c <= '9':
		ok = s.Value()
		return string(array[from:s.I]), ok
	}
	return "", false
}

// reserved reports whether an event name means something to the libraries of
// clients or servers (Socket.IO protocol v5, "Event").
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// root is the namespace that every server has; it is left out on the wire.
const root = "/"

// Append appends the packet's text in the form that [Decode] reads. The
// attachments are to follow it, see [Packet.AppendFrames].
func (p *Packet) Append(dst []byte) []byte {
	return append(p.AppendHead(dst), p.Data...)
}

// AppendHead appends what comes before the payload.
func (p *Packet) AppendHead(dst []byte) []byte {
	if n := len(p.Attachments); n > 0 {
		dst = append(dst, binaryEvent+byte(p.Type-PacketEvent))
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(dst, '-')
	} else {
		dst = append(dst, '0'+byte(p.Type))
	}
	if p.Namespace != "" && p.Namespace != root {
		dst = append(append(dst, p.Namespace...), ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return dst
}
