package rawws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ErrViolation is returned for what RFC 6455 forbids; the text says what.
var ErrViolation = errors.New("rawws: the peer breaks RFC 6455")

// ErrTooLong is returned for a message over [Reader.Max].
var ErrTooLong = errors.New("rawws: a message over the limit")

// maxControl bounds the payload of a control frame (RFC 6455 section 5.5).
const maxControl = 125

// Reader reads what one side of a connection has sent. It knows no extension,
// so that a reserved bit is a violation: Jetway compresses nothing of what it
// sends.
type Reader struct {
	R      io.Reader
	Masked bool // the other side is a client
	Max    int  // bytes of one message; 0 means 1 GiB

	message []byte // parts of the one that is not complete
	op      Op     // of it; 0: none has begun
	closed  bool   // a close frame has come
}

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrViolation, fmt.Sprintf(format, args...))
}

// Next returns the next whole message, or control frame, whichever comes first.
// io.EOF is the end between two frames; after a close frame it must be next.
func (r *Reader) Next() (Frame, error) {
	for {
		f, err := r.frame()
		if err != nil {
			return f, err
		}
		switch {
		case r.closed:
			return f, violation("a frame after the close frame: %v", f)
		case f.Op == OpClose:
			r.closed = true
			return f, checkClose(f.Payload)
		case f.Op.control():
			return f, nil
		}
		whole, err := r.part(f)
		if err != nil || whole {
			f = Frame{Op: r.op, Payload: r.message}
			r.op, r.message = 0, nil
			return f, err
		}
	}
}

// part takes a part of a message, and reports whether it was the last.
func (r *Reader) part(f Frame) (whole bool, err error) {
	switch {
	case f.Op == OpContinuation && r.op == 0:
		return false, violation("a continuation of nothing: %v", f)
	case f.Op != OpContinuation && r.op != 0:
		return false, violation("a message within a message: %v", f)
	case f.Op != OpContinuation:
		r.op = f.Op
	}
	if r.message = append(r.message, f.Payload...); len(r.message) > r.max() {
		return false, ErrTooLong
	}
	text := r.message
	if f.More {
		text = text[:len(text)-unfinished(text)]
	}
	if r.op == OpText && !utf8.Valid(text) {
		return false, violation("text that is not UTF-8: %v", f)
	}
	return !f.More, nil
}

// unfinished is how many bytes at the end of a text may become a rune when more
// of it comes.
func unfinished(text []byte) int {
	for n := 1; n <= min(len(text), utf8.UTFMax-1); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// frame reads one frame and checks what can be said of it alone.
func (r *Reader) frame() (Frame, error) {
	var h [2]byte
	if _, err := io.ReadFull(r.R, h[:]); err != nil {
		return Frame{}, err // io.EOF, if there was not even one byte
	}
	f := Frame{Op: Op(h[0] & 0xF), RSV: h[0] >> 4 & 7, More: h[0]&finBit == 0, Unmasked: h[1]&maskBit == 0}
	short := uint64(h[1] &^ maskBit)
	switch {
	case f.RSV != 0:
		return f, violation("a reserved bit: %v", f)
	case f.Op > OpBinary && f.Op < OpClose || f.Op > OpPong:
		return f, violation("an opcode without meaning: %v", f)
	case f.Unmasked == r.Masked:
		return f, violation("masked is %t: %v", !f.Unmasked, f)
	case f.Op.control() && f.More:
		return f, violation("part of a control frame: %v", f)
	case f.Op.control() && short > maxControl:
		return f, violation("a control frame of more than %d bytes: %v", maxControl, f)
	}
	n, err := r.length(short)
	if err != nil {
		return f, err
	}
	if !f.Unmasked {
		if err := r.fill(f.Key[:]); err != nil {
			return f, err
		}
	}
	f.Payload = make([]byte, n)
	if err := r.fill(f.Payload); err != nil {
		return f, err
	}
	for i := range f.Payload {
		f.Payload[i] ^= f.Key[i%4]
	}
	return f, nil
}

func (r *Reader) max() int {
	if r.Max > 0 {
		return r.Max
	}
	return 1 << 30
}

// length reads the rest of a frame's length.
func (r *Reader) length(short uint64) (uint64, error) {
	n, form := short, Bits7
	var b [8]byte
	switch Form(short) {
	case Bits16:
		form = Bits16
		if err := r.fill(b[:2]); err != nil {
			return 0, err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case Bits64:
		form = Bits64
		if err := r.fill(b[:]); err != nil {
			return 0, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if form != shortest(n) {
		return 0, violation("a length of %d in a form that is too long", n)
	}
	if n > uint64(r.max()) {
		return 0, ErrTooLong
	}
	return n, nil
}

// fill reads what has to come: an end is not an end here.
func (r *Reader) fill(b []byte) error {
	_, err := io.ReadFull(r.R, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// checkClose looks into a close frame (RFC 6455 sections 5.5.1 and 7.4; 1012 to
// 1014 have been registered since).
func checkClose(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	code, reason, err := SplitClose(p)
	switch {
	case err != nil:
		return err
	case code < 1000, code == 1004, code == 1005, code == 1006, code > 1014 && code < 3000, code > 4999:
		return violation("close code %d", code)
	case !utf8.ValidString(reason):
		return violation("a reason that is not UTF-8: %q", reason)
	}
	return nil
}

// SplitClose returns what a close frame says. A frame that says nothing has the
// code 1005.
func SplitClose(p []byte) (code uint16, reason string, err error) {
	switch len(p) {
	case 0:
		return 1005, "", nil
	case 1:
		return 0, "", violation("half a close code")
	}
	return binary.BigEndian.Uint16(p), string(p[2:]), nil
}
