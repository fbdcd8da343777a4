package websock

import (
	"bytes"
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
	in   bytes.Reader
	tail bytes.Reader
	all  io.Reader
	out  io.ReadCloser
}

var inflaters = sync.Pool{New: func() any { return &inflater{out: flate.NewReader(nil)} }}

// inflate appends what compressed inflates to, and no more than one byte over
// the limit: a bomb of deflate costs what a message may cost.
func inflate(dst, compressed []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer f.free()
	f.in.Reset(compressed)
	f.tail.Reset([]byte(deflateTail))
	f.all = io.MultiReader(&f.in, &f.tail)
	if err := f.out.(flate.Resetter).Reset(f.all, nil); err != nil {
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
		case err == io.EOF:
			return dst, nil
		case errors.As(err, &corrupt), err == io.ErrUnexpectedEOF:
			return dst, fmt.Errorf("%w: %w", ErrInvalidData, err)
		case err != nil:
			return dst, err
		}
	}
}

func (f *inflater) free() {
	f.in.Reset(nil)
	inflaters.Put(f)
}
