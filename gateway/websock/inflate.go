package websock

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// deflateTail is what a sender leaves away (RFC 7692 section 7.2.2), and an
// empty last block, without which flate waits for more.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater inflates messages, one at a time: there is no context takeover.
type inflater struct {
	in     deflated
	out    io.ReadCloser
	pieces []*piece // what came out
}

// A piece is a part of what a message inflates to. How long that will be is
// known at its end: a buffer that grows with it would leave several times the
// limit to the collector, for each bomb of deflate.
type piece [16 << 10]byte

var (
	inflaters = sync.Pool{New: func() any { return &inflater{out: flate.NewReader(&deflated{})} }}
	pieces    = sync.Pool{New: func() any { return new(piece) }}
)

// inflate writes over dst what a message inflates to, unless that is longer than
// the limit. dst grows if it is too small.
func inflate(dst, message []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer f.free()
	f.in = deflated{message: message, tail: deflateTail}
	if err := f.out.(flate.Resetter).Reset(&f.in, nil); err != nil {
		return nil, err
	}
	length, err := f.inflate(limit)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst[:0], length)
	for _, p := range f.pieces {
		dst = append(dst, p[:min(len(p), length-len(dst))]...)
	}
	return dst, nil
}

// inflate fills pieces, and returns how many bytes they have in all. It stops
// a piece over the limit at most: a bomb costs what a message may cost.
func (f *inflater) inflate(limit int) (length int, err error) {
	for {
		at := length % len(piece{})
		if length == len(f.pieces)*len(piece{}) {
			f.pieces = append(f.pieces, pieces.Get().(*piece))
		}
		n, err := f.out.Read(f.pieces[len(f.pieces)-1][at:])
		length += n
		var corrupt flate.CorruptInputError
		switch {
		case length > limit:
			return 0, ErrTooBig
		case err == io.EOF && f.in.more():
			return 0, fmt.Errorf("%w: data after the last block of deflate", ErrInvalidData)
		case err == io.EOF:
			return length, nil
		case errors.As(err, &corrupt), err == io.ErrUnexpectedEOF:
			return 0, fmt.Errorf("%w: %w", ErrInvalidData, err)
		case err != nil:
			return 0, err
		}
	}
}

func (f *inflater) free() {
	for i, p := range f.pieces {
		pieces.Put(p)
		f.pieces[i] = nil
	}
	f.pieces, f.in = f.pieces[:0], deflated{}
	inflaters.Put(f)
}

// deflated is a message with its tail. Flate reads it byte by byte, and so no
// further than its last block.
type deflated struct {
	message []byte
	tail    string
}

// more reports whether something of the message is left, but for the byte that
// stands after a last block (RFC 7692 section 7.2.3.4).
func (d *deflated) more() bool {
	return len(d.message) > 1 || len(d.message) == 1 && d.message[0] != 0
}

// ReadByte implements [io.ByteReader].
func (d *deflated) ReadByte() (b byte, err error) {
	switch {
	case len(d.message) > 0:
		b, d.message = d.message[0], d.message[1:]
	case d.tail != "":
		b, d.tail = d.tail[0], d.tail[1:]
	default:
		err = io.EOF
	}
	return b, err
}

// Read implements [io.Reader], of stored blocks.
func (d *deflated) Read(p []byte) (int, error) {
	n := copy(p, d.message)
	d.message = d.message[n:]
	if m := copy(p[n:], d.tail); n+m > 0 || len(p) == 0 {
		d.tail = d.tail[m:]
		return n + m, nil
	}
	return 0, io.EOF
}
