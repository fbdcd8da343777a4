package websock

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// Messages are read into pooled buffers, because their length is not known
// before their end. Larger ones than keptBytes are left to the collector, lest
// one large message per client pin the limit times the clients.
const (
	firstBytes = 4 << 10
	keptBytes  = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, firstBytes)) }}

// ReadMessage waits for the next whole message, and answers nothing by itself.
// The message is written over dst, which grows if it is too small; with a nil
// dst it is a slice of its own, of the right size, that the caller may keep.
// text tells a text message, which is then UTF-8, from a binary one. After an
// error, which is one of those listed at [ErrTooBig], every call returns it.
func (c *Conn) ReadMessage(dst []byte) (msg []byte, text bool, err error) {
	if c.readErr != nil {
		return nil, false, c.readErr
	}
	c.pace.Wait()
	c.setReadDeadline(c.idleTimeout)
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, false, c.fail(err)
	}
	c.inMessage = true
	c.setReadDeadline(c.messageTimeout)
	text = kind == websocket.TextMessage

	buf := buffers.Get().(*[]byte)
	*buf, err = c.readAll((*buf)[:0], r, text)
	if err != nil {
		err = c.fail(err)
	} else {
		msg = append(dst[:0], *buf...)
	}
	if cap(*buf) <= keptBytes {
		buffers.Put(buf)
	}
	c.inMessage = false
	return msg, text, err
}

// readAll reads to the end of the message, but not further than one byte over
// the limit: a bomb of deflate costs what a message may cost.
func (c *Conn) readAll(b []byte, r io.Reader, text bool) ([]byte, error) {
	checked := 0
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), c.limit+1)])
		b = b[:len(b)+n]
		if len(b) > c.limit {
			return b, ErrTooBig
		}
		if err != nil && err != io.EOF {
			return b, err
		}
		if text {
			// Checked as it arrives, a long message that is wrong at its start
			// ends at its start (RFC 6455 section 8.1).
			valid := validUTF8(b[checked:], err == io.EOF)
			if valid < 0 {
				return b, fmt.Errorf("%w: text is not UTF-8", ErrInvalidData)
			}
			checked += valid
		}
		if err == io.EOF {
			return b, nil
		}
	}
}

// validUTF8 returns how much of b is known to be UTF-8, -1 if it is not. A rune
// cut off at the end may go on in the next part, unless this is the last.
func validUTF8(b []byte, last bool) int {
	n := len(b)
	if !last {
		for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
			if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					n -= i
				}
				break
			}
		}
	}
	if !utf8.Valid(b[:n]) {
		return -1
	}
	return n
}

// fail turns what gorilla returned into one of this package's errors, and
// keeps it.
func (c *Conn) fail(err error) error {
	c.readErr = c.classify(err)
	return c.readErr
}

func (c *Conn) classify(err error) error {
	var (
		closed  *websocket.CloseError
		corrupt flate.CorruptInputError
		network net.Error
	)
	switch {
	case errors.Is(err, ErrTooBig), errors.Is(err, ErrInvalidData), errors.Is(err, ErrProtocol):
		return err
	case errors.Is(err, websocket.ErrReadLimit):
		return ErrTooBig
	case errors.As(err, &closed) && Code(closed.Code) != CodeAbnormal:
		return &PeerClosed{Code: Code(closed.Code), Reason: closed.Text}
	case errors.As(err, &corrupt), err == io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: %w", ErrInvalidData, err)
	case errors.As(err, &network), errors.As(err, &closed), c.wire.err == err:
		return c.ioError()
	case strings.HasPrefix(err.Error(), "websocket: "): // gorilla has no type for it
		return fmt.Errorf("%w: %s", ErrProtocol, strings.TrimPrefix(err.Error(), "websocket: "))
	}
	return err
}

// ioError is the error of the connection itself.
func (c *Conn) ioError() error {
	switch err := c.wire.err; {
	case errors.Is(err, os.ErrDeadlineExceeded) && c.inMessage:
		return ErrSlowMessage
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrIdle
	case err == nil, errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF // an end without a close frame
	default:
		return fmt.Errorf("websock: read: %w", err)
	}
}
