package engineio

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// errFrames is returned for bytes that are not whole, unmasked, unfragmented
// WebSocket frames: a fault of whoever wrote them.
var errFrames = errors.New("engineio: not whole WebSocket frames of a server")

// escapedSeparator takes the place of a separator within a packet, where JSON
// allows it only in this form. Bare, it would let a message forge another.
var escapedSeparator = []byte(`\u001e`)

// appendFrames appends the packets that WebSocket frames hold as a payload: a
// text frame is a packet as it is, a binary one becomes base64. Control frames
// are left out.
func appendFrames(dst []byte, bufs net.Buffers) ([]byte, error) {
	first := len(dst)
	for c := (cursor{rest: bufs}); ; {
		op, n, err := c.header()
		if err != nil || op == 0 {
			return dst, err
		}
		data, ok := c.take(n)
		if !ok || op == websock.OpText && n == 0 { // not even a type
			return dst, errFrames
		}
		if op != websock.OpText && op != websock.OpBinary {
			continue
		}
		if len(dst) > first {
			dst = append(dst, separator)
		}
		if op == websock.OpBinary {
			dst = Packet{Type: PacketMessage, Binary: true, Data: data}.Append(dst)
		} else {
			dst = appendEscaped(dst, data)
		}
	}
}

func appendEscaped(dst, packet []byte) []byte {
	for {
		before, after, found := bytes.Cut(packet, []byte{separator})
		dst = append(dst, before...)
		if !found {
			return dst
		}
		dst = append(dst, escapedSeparator...)
		packet = after
	}
}

// cursor reads bytes that lie in several slices.
type cursor struct {
	rest net.Buffers // its elements are not changed, see skip
	off  int         // bytes of the first that are read
}

// header reads the header of the next frame (RFC 6455 section 5.2). At the end
// the opcode is 0.
func (c *cursor) header() (op websock.Op, n uint64, err error) {
	h, ok := c.take(2)
	if !ok {
		if len(h) > 0 {
			err = errFrames
		}
		return 0, 0, err
	}
	const fin, rsv, opcode, masked, short = 0x80, 0x70, 0x0F, 0x80, 0x7F
	op, n = websock.Op(h[0]&opcode), uint64(h[1]&short)
	if h[0]&fin == 0 || h[0]&rsv != 0 || op == 0 || h[1]&masked != 0 {
		return 0, 0, errFrames
	}
	switch n {
	case 126:
		if h, ok = c.take(2); ok {
			n = uint64(binary.BigEndian.Uint16(h))
		}
	case 127:
		if h, ok = c.take(8); ok {
			n = binary.BigEndian.Uint64(h)
		}
	}
	if !ok {
		return 0, 0, errFrames
	}
	return op, n, nil
}

// take returns the next n bytes, copied only if they lie in more than one
// slice. Are there fewer, it returns those, and false.
func (c *cursor) take(n uint64) ([]byte, bool) {
	c.skip()
	if n == 0 {
		return nil, true
	}
	if len(c.rest) == 0 {
		return nil, false
	}
	if b := c.rest[0][c.off:]; uint64(len(b)) >= n {
		c.off += int(n)
		return b[:n], true
	}
	var all []byte
	for uint64(len(all)) < n && len(c.rest) > 0 {
		b := c.rest[0][c.off:]
		b = b[:min(uint64(len(b)), n-uint64(len(all)))]
		all = append(all, b...)
		c.off += len(b)
		c.skip()
	}
	return all, uint64(len(all)) == n
}

// skip leaves slices that are read to their end.
func (c *cursor) skip() {
	for len(c.rest) > 0 && c.off == len(c.rest[0]) {
		c.rest, c.off = c.rest[1:], 0
	}
}

// payloadBytes is how long a payload of so many bytes of frames can get, but
// for escapes.
func payloadBytes(frames int) int { return base64.StdEncoding.EncodedLen(frames) + 1 }

// payloadOf returns the payload of the frames in out, which may be nil, and
// then of one packet more, which may be nil.
func payloadOf(out *bridge.Output, last []byte) ([]byte, error) {
	if out == nil {
		return last, nil
	}
	bufs := out.Buffers(nil)
	body, err := appendFrames(make([]byte, 0, payloadBytes(out.Size())+len(last)), bufs)
	if err != nil || last == nil {
		return body, err
	}
	if len(body) > 0 {
		body = append(body, separator)
	}
	return append(body, last...), nil
}
