package websock

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
)

// deflateTail is what a sender leaves away (RFC 7692 section 7.2.2), and an
// empty last block, without which flate waits for more.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater inflates messages, one at a time: there is no context takeover.
type inflater struct {
	in  deflated
	out io.ReadCloser
}

var inflaters = sync.Pool{New: func() any { return &inflater{out: flate.NewReader(&deflated{})} }}

// inflate appends what a message inflates to, and no more than one byte over
// the limit: a bomb of deflate costs what a message may cost.
func inflate(dst, message []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.in = deflated{message: message, tail: deflateTail}
	defer func() { f.in = deflated{} }()
	if err := f.out.(flate.Resetter).Reset(&f.in, nil); err != nil {
		return dst, err
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := f.out.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		var corrupt flate.CorruptInputError
		switch {
		case len(dst) > limit:
			return dst, ErrTooBig
		case err == io.EOF && f.in.more():
			return dst, fmt.Errorf("%w: data after the last block of deflate", ErrInvalidData)
		case err == io.EOF:
			return dst, nil
		case errors.As(err, &corrupt), err == io.ErrUnexpectedEOF:
			return dst, fmt.Errorf("%w: %w", ErrInvalidData, err)
		case err != nil:
			return dst, err
		}
	}
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
