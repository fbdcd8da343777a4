package websock

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/jetway-io/jetway/bridge"
)

// Op is the kind of a frame, RFC 6455 section 5.2.
type Op byte

// The opcodes that a server sends.
const (
	OpText   Op = 0x1
	OpBinary Op = 0x2
	OpClose  Op = 0x8
	OpPing   Op = 0x9
	OpPong   Op = 0xA
)

// MaxHeaderBytes is the longest header that [AppendHeader] writes: a server's
// frame carries no masking key.
const MaxHeaderBytes = 10

// maxControlBytes bounds the payload of a ping, pong or close frame
// (RFC 6455 section 5.5).
const maxControlBytes = 125

const finBit = 0x80

// AppendHeader appends the header of one whole, unmasked frame with n bytes of
// payload (RFC 6455 section 5.2: a server must not mask).
func AppendHeader(dst []byte, op Op, n int) []byte {
	dst = append(dst, finBit|byte(op))
	switch {
	case n <= 125:
		return append(dst, byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// AppendText adds one text frame. The payload must be UTF-8 and is copied.
func AppendText(out *bridge.Output, payload []byte) { appendFrame(out, OpText, payload) }

// AppendBinary adds one binary frame; the payload is copied.
func AppendBinary(out *bridge.Output, payload []byte) { appendFrame(out, OpBinary, payload) }

// AppendPing adds a ping; what is beyond 125 bytes of payload is cut off.
func AppendPing(out *bridge.Output, payload []byte) {
	appendFrame(out, OpPing, payload[:min(len(payload), maxControlBytes)])
}

// AppendPong adds the answer to a ping; see also [Conn.AppendPong].
func AppendPong(out *bridge.Output, payload []byte) {
	appendFrame(out, OpPong, payload[:min(len(payload), maxControlBytes)])
}

// AppendClose adds a close frame (RFC 6455 section 5.5.1), after which nothing
// else may be sent. The reason is cut to what fits, at a rune. A code that
// must not stand in a frame (0, [CodeNoStatus], [CodeAbnormal]) gives the
// close frame without a code.
func AppendClose(out *bridge.Output, code Code, reason string) {
	if code == 0 || code == CodeNoStatus || code == CodeAbnormal {
		appendFrame(out, OpClose, nil)
		return
	}
	var a [maxControlBytes]byte
	p := binary.BigEndian.AppendUint16(a[:0], uint16(code))
	p = append(p, cut(reason, maxControlBytes-2)...)
	appendFrame(out, OpClose, p)
}

func appendFrame(out *bridge.Output, op Op, payload []byte) {
	var h [MaxHeaderBytes]byte
	out.Append(AppendHeader(h[:0], op, len(payload))...)
	out.Append(payload...)
	out.EndFrame()
}

// cut returns the longest prefix of s of at most n bytes that ends at a rune:
// half a rune would make the peer fail the connection with 1007.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
