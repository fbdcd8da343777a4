package websock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"
)

// Messages of several frames, and such as do not fit an input's buffer, are
// put together in pooled buffers. Larger ones than keptBytes are left to the
// collector, lest one large message per client pin the limit times the
// clients.
const (
	firstBytes = 4 << 10
	keptBytes  = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, firstBytes)) }}

// message is one that has begun and is not finished.
type message struct {
	open       bool
	text       bool
	compressed bool
	buf        *[]byte // what has come of it, as it came; nil before the first byte
	checked    int     // how much of a text is known to be UTF-8
}

// ReadMessage waits for the next whole message, and answers nothing by itself.
// The message is written over dst, which grows if it is too small; with a nil
// dst it is a slice of its own, of the right size, that the caller may keep.
// text tells a text message, which is then UTF-8, from a binary one. After an
// error, which is one of those listed at [ErrTooBig], every call returns it.
func (c *Conn) ReadMessage(dst []byte) (msg []byte, text bool, err error) {
	if c.readErr == nil {
		c.setReadDeadline(c.idleTimeout)
	}
	for done := false; !done; {
		c.wait()
		msg, text, done = c.advance(dst)
	}
	return msg, text, c.readErr
}

// wait returns when there is something to read, or never will be. It is called
// on the stack of who reads, not further down: see input.
func (c *Conn) wait() {
	if c.readErr == nil {
		if err := c.in.wait(); err != nil {
			c.fail(err)
		}
	}
}

// advance reads one frame. done says that a message is complete, or that there
// will be none: readErr says why.
func (c *Conn) advance(dst []byte) (msg []byte, text, done bool) {
	if c.readErr != nil {
		return nil, false, true
	}
	msg, done, err := c.readFrame(dst)
	if err != nil {
		c.fail(err)
		return nil, false, true
	}
	if text = c.msg.text; done {
		c.msg.free()
	}
	return msg, text, done
}

// fail is the end of the reading.
func (c *Conn) fail(err error) {
	c.readErr = classify(err, c.msg.open)
	c.stats.count(c.readErr)
	c.in.release()
	c.msg.free()
}

// readFrame reads one frame. done says that it was the last of a message.
func (c *Conn) readFrame(dst []byte) (msg []byte, done bool, err error) {
	b, err := c.in.need(2)
	if err != nil {
		return nil, false, err
	}
	if err := checkHeader(b, c.deflate, c.msg.open); err != nil {
		return nil, false, err
	}
	n := headerBytes(b)
	if b, err = c.in.need(n); err != nil {
		return nil, false, err
	}
	h := parseHeader(b)
	if !h.shortest {
		return nil, false, fmt.Errorf("%w: a length of %d in too many bytes", ErrProtocol, h.length)
	}
	c.in.skip(n)
	c.pace.Wait()
	if h.control() {
		return nil, false, c.readControl(h)
	}
	if !c.msg.open {
		c.msg = message{open: true, text: h.op == OpText, compressed: h.compressed}
		c.setReadDeadline(c.messageTimeout)
	}
	return c.readData(h, dst)
}

// readData reads the payload of a text or binary frame, or of a continuation.
func (c *Conn) readData(h receivedHeader, dst []byte) (msg []byte, done bool, err error) {
	m := &c.msg
	have := 0
	if m.buf != nil {
		have = len(*m.buf)
	}
	limit := c.limit
	if m.compressed {
		// What cannot be compressed grows by 5 bytes for every 64 KiB.
		limit += limit/1000 + 64
	}
	if h.length > uint64(limit-have) {
		return nil, false, ErrTooBig
	}
	length := int(h.length)
	if b := c.in.have(); h.fin && m.buf == nil && !m.compressed && len(b) >= length {
		// Most messages are there already, whole.
		h.key.unmask(b[:length], 0)
		if m.text && !utf8.Valid(b[:length]) {
			return nil, false, errNotUTF8
		}
		msg = append(dst[:0], b[:length]...)
		if length > 0 {
			c.in.skip(length)
		}
		return msg, true, nil
	}
	if m.buf == nil {
		m.buf = buffers.Get().(*[]byte)
		*m.buf = (*m.buf)[:0]
	}
	for pos := 0; pos < length; {
		if err := c.in.wait(); err != nil {
			return nil, false, err
		}
		b := c.in.have()
		b = b[:min(len(b), length-pos)]
		h.key.unmask(b, pos)
		*m.buf = append(*m.buf, b...)
		pos += len(b)
		c.in.skip(len(b))
		if err := m.check(h.fin && pos == length); err != nil {
			return nil, false, err
		}
	}
	if !h.fin {
		return nil, false, nil
	}
	return c.finishMessage(dst)
}

// finishMessage makes a message of the frames that have come.
func (c *Conn) finishMessage(dst []byte) (msg []byte, done bool, err error) {
	m := &c.msg
	if !m.compressed {
		return append(dst[:0], *m.buf...), true, m.check(true)
	}
	if msg, err = inflate(dst, *m.buf, c.limit); err != nil {
		return nil, false, err
	}
	if m.text && !utf8.Valid(msg) {
		return nil, false, errNotUTF8
	}
	return msg, true, nil
}

var errNotUTF8 = fmt.Errorf("%w: text is not UTF-8", ErrInvalidData)

// check looks at what has come of a text. Checked as it arrives, a long message
// that is wrong at its start ends at its start (RFC 6455 section 8.1).
func (m *message) check(last bool) error {
	if !m.text || m.compressed {
		return nil
	}
	valid := validUTF8((*m.buf)[m.checked:], last)
	if valid < 0 {
		return errNotUTF8
	}
	m.checked += valid
	return nil
}

// free lets go of a message, finished or not.
func (m *message) free() {
	if m.buf != nil {
		free(m.buf)
	}
	*m = message{}
}

func free(buf *[]byte) {
	if cap(*buf) <= keptBytes {
		buffers.Put(buf)
	}
}

// readControl reads the payload of a control frame and does what it says.
func (c *Conn) readControl(h receivedHeader) error {
	var payload [maxControlBytes]byte
	b := payload[:h.length]
	if len(b) > 0 {
		have, err := c.in.need(len(b))
		if err != nil {
			return err
		}
		copy(b, have)
		c.in.skip(len(b))
		h.key.unmask(b, 0)
	}
	switch h.op {
	case OpPing:
		c.alive()
		c.owe(string(b))
		return nil
	case OpPong:
		c.alive()
		return nil
	}
	return peerClosed(b)
}

// peerClosed is the error of a close frame.
func peerClosed(b []byte) error {
	if len(b) == 0 {
		return &PeerClosed{Code: CodeNoStatus}
	}
	code := Code(binary.BigEndian.Uint16(b))
	switch {
	case !code.mayArrive():
		return fmt.Errorf("%w: close code %d", ErrProtocol, code)
	case !utf8.Valid(b[2:]):
		return fmt.Errorf("%w: the reason of a close frame is not UTF-8", ErrProtocol)
	}
	return &PeerClosed{Code: code, Reason: string(b[2:])}
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

// alive starts the idle timeout anew, unless a message is being read: then
// pings and pongs must not keep an unfinished message alive.
func (c *Conn) alive() {
	if !c.msg.open {
		c.setReadDeadline(c.idleTimeout)
	}
}

// setReadDeadline cannot fail in a way that the next read would not show.
func (c *Conn) setReadDeadline(d time.Duration) {
	_ = c.nc.SetReadDeadline(time.Now().Add(d))
}

// classify turns an error of the connection into one of this package's. open
// says that a message had begun.
func classify(err error, open bool) error {
	var closed *PeerClosed
	switch {
	case errors.Is(err, ErrTooBig), errors.Is(err, ErrInvalidData), errors.Is(err, ErrProtocol), errors.As(err, &closed):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded) && open:
		return ErrSlowMessage
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrIdle
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF // an end without a close frame
	}
	return fmt.Errorf("websock: read: %w", err)
}
