package rawws

import (
	"encoding/binary"
	"fmt"
)

// Op is the kind of a frame (RFC 6455 section 5.2).
type Op byte

// The opcodes that have a meaning.
const (
	OpContinuation Op = 0x0
	OpText         Op = 0x1
	OpBinary       Op = 0x2
	OpClose        Op = 0x8
	OpPing         Op = 0x9
	OpPong         Op = 0xA
)

func (o Op) control() bool { return o >= OpClose }

// The reserved bits, as they are in [Frame.RSV].
const (
	RSV1 = 4 // compressed, where permessage-deflate is agreed on
	RSV2 = 2
	RSV3 = 1
)

// Form is how a frame writes its length.
type Form byte

// The three forms, of which RFC 6455 wants the shortest that will do.
const (
	Shortest Form = 0
	Bits7    Form = 125
	Bits16   Form = 126
	Bits64   Form = 127
)

// Frame is one frame. The zero value of every field but Op and Payload is what
// a well-behaved client sends; a masking key of zeros is a key as well.
type Frame struct {
	Op       Op
	Payload  []byte
	More     bool // FIN is not set
	RSV      byte // the reserved bits
	Unmasked bool
	Key      [4]byte // of the mask
	Form     Form
	Length   uint64 // if not 0, what is said to be the length
}

// String is what test failures show of a frame.
func (f Frame) String() string {
	return fmt.Sprintf("op %x rsv %d more %t, %d bytes %.60q", byte(f.Op), f.RSV, f.More, len(f.Payload), f.Payload)
}

const (
	finBit  = 0x80
	maskBit = 0x80
)

// Append adds the frame as it is on the wire.
func (f Frame) Append(dst []byte) []byte {
	first := byte(f.Op) | f.RSV<<4
	if !f.More {
		first |= finBit
	}
	n := f.Length
	if n == 0 {
		n = uint64(len(f.Payload))
	}
	dst = f.appendLength(append(dst, first), n)
	if f.Unmasked {
		return append(dst, f.Payload...)
	}
	dst = append(dst, f.Key[:]...)
	for i, b := range f.Payload {
		dst = append(dst, b^f.Key[i%4])
	}
	return dst
}

func (f Frame) appendLength(dst []byte, n uint64) []byte {
	mask := byte(maskBit)
	if f.Unmasked {
		mask = 0
	}
	form := f.Form
	if form == Shortest {
		form = shortest(n)
	}
	switch form {
	case Bits16:
		return binary.BigEndian.AppendUint16(append(dst, mask|byte(Bits16)), uint16(n))
	case Bits64:
		return binary.BigEndian.AppendUint64(append(dst, mask|byte(Bits64)), n)
	default:
		return append(dst, mask|byte(n))
	}
}

func shortest(n uint64) Form {
	switch {
	case n <= uint64(Bits7):
		return Bits7
	case n <= 0xFFFF:
		return Bits16
	default:
		return Bits64
	}
}

// exampleKey is that of the examples in RFC 6455 section 5.7.
var exampleKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// Whole is a well-formed frame with a whole message, or a control frame.
func Whole(op Op, payload string) Frame {
	return Frame{Op: op, Payload: []byte(payload), Key: exampleKey}
}

// Text is a text message.
func Text(s string) Frame { return Whole(OpText, s) }

// Binary is a binary message.
func Binary(s string) Frame { return Whole(OpBinary, s) }

// Ping is a ping.
func Ping(s string) Frame { return Whole(OpPing, s) }

// Pong is a pong.
func Pong(s string) Frame { return Whole(OpPong, s) }

// Close is a close frame with a code and a reason.
func Close(code uint16, reason string) Frame {
	return Whole(OpClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// Begin is the first part of a message.
func Begin(op Op, part string) Frame { return more(Whole(op, part)) }

// Continue is a part that is neither the first nor the last.
func Continue(part string) Frame { return more(Whole(OpContinuation, part)) }

// Finish is the last part of a message.
func Finish(part string) Frame { return Whole(OpContinuation, part) }

func more(f Frame) Frame {
	f.More = true
	return f
}

// Fragments is a message in parts of n bytes, of which the last may be shorter.
func Fragments(op Op, message string, n int) []Frame {
	var all []Frame
	for len(message) > n {
		all = append(all, Begin(op, message[:n]))
		op, message = OpContinuation, message[n:]
	}
	return append(all, Whole(op, message))
}

// Bytes are frames one after the other.
func Bytes(frames ...Frame) []byte {
	var b []byte
	for _, f := range frames {
		b = f.Append(b)
	}
	return b
}
