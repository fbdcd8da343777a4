package engineio

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// PacketType is the type of a packet (Engine.IO protocol v4, "Packet types").
type PacketType byte

// The packet types. On the wire each is one digit.
const (
	PacketOpen    PacketType = iota // server: the handshake
	PacketClose                     // either: the session, or its transport, ends
	PacketPing                      // server: heartbeat; client: only the probe of an upgrade
	PacketPong                      // client: heartbeat; server: only the answer to the probe
	PacketMessage                   // either
	PacketUpgrade                   // client: the upgrade is complete
	PacketNoop                      // server: ends a poll
	packetTypes
)

// The errors of decoding. After any of them nothing more of the client can be
// understood.
var (
	// ErrPacket is returned for a packet without a type, of an unknown type, of
	// bad base64, or that is not UTF-8.
	ErrPacket = errors.New("engineio: not a packet")

	// ErrTooManyPackets is returned by [Packets] in place of the first packet
	// over the limit.
	ErrTooManyPackets = errors.New("engineio: too many packets in a payload")
)

// Packet is one packet. A binary one is always a message.
type Packet struct {
	Type   PacketType
	Binary bool
	Data   []byte
}

// binaryMark begins a binary message that travels as text.
const binaryMark = 'b'

// Decode reads the packet of a WebSocket text frame, or one of a payload:
// `<type><data>` or `b<base64>` (Engine.IO protocol v4, "Packet encoding"). The
// Data of a text packet is a part of b. It returns [ErrPacket].
func Decode(b []byte) (Packet, error) {
	switch {
	case len(b) == 0:
		return Packet{}, ErrPacket
	case b[0] == binaryMark:
		data := make([]byte, base64.StdEncoding.DecodedLen(len(b)-1))
		n, err := base64.StdEncoding.Decode(data, b[1:])
		if err != nil {
			return Packet{}, ErrPacket
		}
		return Packet{Type: PacketMessage, Binary: true, Data: data[:n:n]}, nil
	case b[0] < '0', b[0] >= '0'+byte(packetTypes), !utf8.Valid(b):
		return Packet{}, ErrPacket
	}
	return Packet{Type: PacketType(b[0] - '0'), Data: b[1:len(b):len(b)]}, nil
}

// Append appends the packet in the form that Decode reads.
func (p Packet) Append(dst []byte) []byte {
	if p.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, binaryMark), p.Data)
	}
	return append(append(dst, '0'+byte(p.Type)), p.Data...)
}
