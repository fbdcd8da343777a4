package websock

import (
	"encoding/binary"
	"fmt"
)

// opContinuation is a further fragment of a message; servers here send none.
const opContinuation Op = 0x0

// The bits of a frame's first two bytes, RFC 6455 section 5.2.
const (
	rsv1Bit    = 0x40 // compressed, RFC 7692 section 6
	rsv23Bits  = 0x30
	opcodeBits = 0x0F
	maskBit    = 0x80
	lengthBits = 0x7F

	maskBytes = 4
)

// receivedHeader is the header of a frame of a client.
type receivedHeader struct {
	op         Op
	fin        bool
	compressed bool
	length     uint64
	shortest   bool // the length is in no more bytes than it needs
	key        maskingKey
}

func (h *receivedHeader) control() bool { return h.op >= OpClose }

// headerBytes is how long a header is of which the first two bytes are b.
func headerBytes(b []byte) int {
	switch b[1] & lengthBits {
	case 126:
		return 2 + 2 + maskBytes
	case 127:
		return 2 + 8 + maskBytes
	}
	return 2 + maskBytes
}

// checkHeader finds what RFC 6455 forbids in a header's first two bytes, so
// that a client learns it without sending any more. compression says that
// permessage-deflate is agreed on, open that a message is not finished.
func checkHeader(b []byte, compression, open bool) error {
	op, length := Op(b[0]&opcodeBits), b[1]&lengthBits
	control := op >= OpClose
	switch {
	case b[0]&rsv23Bits != 0, b[0]&rsv1Bit != 0 && !compression:
		return fmt.Errorf("%w: a reserved bit is set", ErrProtocol)
	case b[0]&rsv1Bit != 0 && (op == opContinuation || control):
		return fmt.Errorf("%w: opcode %#x marked as compressed", ErrProtocol, op)
	case op > OpBinary && op < OpClose, op > OpPong:
		return fmt.Errorf("%w: opcode %#x does not exist", ErrProtocol, op)
	case b[1]&maskBit == 0:
		return fmt.Errorf("%w: a frame without mask", ErrProtocol)
	case control && b[0]&finBit == 0:
		return fmt.Errorf("%w: a control frame in fragments", ErrProtocol)
	case control && length > maxControlBytes:
		return fmt.Errorf("%w: a control frame of more than %d bytes", ErrProtocol, maxControlBytes)
	case op == OpClose && length == 1:
		return fmt.Errorf("%w: half a close code", ErrProtocol)
	case op == opContinuation && !open:
		return fmt.Errorf("%w: a continuation of nothing", ErrProtocol)
	case op != opContinuation && !control && open:
		return fmt.Errorf("%w: a message within a message", ErrProtocol)
	}
	return nil
}

// parseHeader reads a whole header that checkHeader has passed.
func parseHeader(b []byte) (h receivedHeader) {
	h.op, h.fin, h.compressed, h.shortest = Op(b[0]&opcodeBits), b[0]&finBit != 0, b[0]&rsv1Bit != 0, true
	switch n := b[1] & lengthBits; n {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
		h.shortest = h.length > 125
	case 127:
		h.length = binary.BigEndian.Uint64(b[2:])
		h.shortest = h.length > 0xFFFF
	default:
		h.length = uint64(n)
	}
	copy(h.key[:], b[len(b)-maskBytes:])
	return h
}
