// Package wire is a WebSocket as the load generator needs it: one small client
// for every server, so that what the client costs is the same for all of them.
// It reads frames into a buffer of its own and copies nothing else.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Options are where a connection comes from, and what it may hold.
type Options struct {
	From    string // the local address, such as 127.0.0.2; "" is any
	Buffer  int    // bytes that are read at a time; 0 is 4,096
	Receive int    // SO_RCVBUF in bytes, for a client that shall be slow; 0 is the kernel's
	Timeout time.Duration
}

// control sets what has to be set before the socket is bound.
func (o Options) control(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if o.From != "" {
			// Else the kernel takes a port that is free for all destinations,
			// of which there are few where many connections have just ended.
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, ipBindAddressNoPort, 1)
		}
		if o.Receive > 0 && failed == nil {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, o.Receive)
		}
	})
	return errors.Join(err, failed)
}

// ipBindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of ip(7).
const ipBindAddressNoPort = 24

// Conn is one connection. Reads are for one goroutine, writes for any.
type Conn struct {
	net  net.Conn
	r    *bufio.Reader
	buf  []byte // the message that Read returned last
	bare bool   // no WebSocket: bytes as they come

	mu  sync.Mutex // one write at a time
	out []byte     // Guarded by mu.
}

// MaxMessage is more than any server sends at a time: 100,000 events.
const MaxMessage = 256 << 20

// Dial connects to a WebSocket. Until the first Deadline everything must be
// done within the options' timeout.
func Dial(addr, path, protocol string, o Options) (*Conn, error) {
	c, err := DialBare(addr, o)
	if err != nil {
		return nil, err
	}
	c.bare = false
	if err := c.upgrade(addr, path, protocol); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// DialBare connects without a WebSocket: Read returns what has arrived, and
// Write sends what it is given.
func DialBare(addr string, o Options) (*Conn, error) {
	d := net.Dialer{Timeout: o.Timeout, KeepAlive: -1, Control: o.control}
	if o.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.From)}
	}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if o.Timeout > 0 {
		_ = nc.SetDeadline(time.Now().Add(o.Timeout)) // fails on a closed connection only, as does what follows
	}
	c := New(nc, o.Buffer)
	c.bare = true
	return c, nil
}

// New is a connection that has been upgraded already.
func New(nc net.Conn, buffer int) *Conn {
	if buffer == 0 {
		buffer = 4096
	}
	return &Conn{net: nc, r: bufio.NewReaderSize(nc, buffer)}
}

// upgrade is RFC 6455 section 4.1; the key is that of its example.
func (c *Conn) upgrade(addr, path, protocol string) error {
	if protocol != "" {
		protocol = "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	_, err := fmt.Fprintf(c.net, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, addr, protocol)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return fmt.Errorf("the WebSocket is refused: %s %s", answer.Status, text)
	}
	return nil
}

// Close ends the connection without a farewell, as a cable that is pulled.
func (c *Conn) Close() error { return c.net.Close() }

// Deadline is when the connection fails; the zero time is never.
func (c *Conn) Deadline(t time.Time) error { return c.net.SetDeadline(t) }

// ErrClosed is wrapped by the error of Read when the server has closed the
// WebSocket.
var ErrClosed = errors.New("closed by the server")

// RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	final          = 0x80
)

// Read returns the next message, which is good until the next call. It answers
// pings.
func (c *Conn) Read() ([]byte, error) {
	if c.bare {
		return c.chunk()
	}
	c.buf = c.buf[:0]
	for {
		op, start, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch op &^ final {
		case opText, opBinary, opContinuation:
			if op&final != 0 {
				return c.buf, nil
			}
			continue
		case opPing:
			if err := c.send(opPong, c.buf[start:]); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			return nil, closing(c.buf[start:])
		default:
			return nil, fmt.Errorf("a frame that begins with %#x", op)
		}
		c.buf = c.buf[:start]
	}
}

// chunk is all that has arrived.
func (c *Conn) chunk() ([]byte, error) {
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	n := c.r.Buffered()
	c.grow(n)
	return c.buf, c.take(c.buf)
}

func (c *Conn) take(p []byte) error {
	_, err := io.ReadFull(c.r, p)
	return err
}

// frame appends a frame's payload to the buffer, and says where it begins.
// Servers do not mask.
func (c *Conn) frame() (op byte, start int, err error) {
	h, err := c.r.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	op = h[0]
	n, head := uint64(h[1]), 2
	switch n {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if h, err = c.r.Peek(head); err != nil {
		return 0, 0, err
	}
	switch head {
	case 4:
		n = uint64(binary.BigEndian.Uint16(h[2:]))
	case 10:
		n = binary.BigEndian.Uint64(h[2:])
	}
	start = len(c.buf)
	if n > MaxMessage || uint64(start)+n > MaxMessage {
		return 0, 0, fmt.Errorf("a message of %d bytes", n)
	}
	if _, err := c.r.Discard(head); err != nil {
		return 0, 0, err
	}
	c.grow(start + int(n))
	return op, start, c.take(c.buf[start:])
}

func (c *Conn) grow(n int) {
	if n > cap(c.buf) {
		c.buf = append(make([]byte, 0, max(n, 2*cap(c.buf))), c.buf...)
	}
	c.buf = c.buf[:n]
}

// closing is the error of a close frame: RFC 6455 section 5.5.1.
func closing(p []byte) error {
	if len(p) < 2 {
		return ErrClosed
	}
	return fmt.Errorf("%w: %d %s", ErrClosed, binary.BigEndian.Uint16(p), p[2:])
}

// Write sends one text message.
func (c *Conn) Write(p []byte) error { return c.send(opText, p) }

func (c *Conn) send(op byte, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = c.append(c.out[:0], op, p)
	_, err := c.net.Write(c.out)
	return err
}

// WriteMany sends many messages with one system call. A message is made by
// next, which appends it, or returns nil after the last one.
func (c *Conn) WriteMany(next func(dst []byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = c.out[:0]
	var p []byte
	for {
		q := next(p[:0])
		if q == nil {
			break
		}
		p = q
		c.out = c.append(c.out, opText, p)
	}
	_, err := c.net.Write(c.out)
	return err
}

// append appends a message as it is sent. The mask is zero: nobody is protected
// by it here.
func (c *Conn) append(dst []byte, op byte, p []byte) []byte {
	if c.bare {
		return append(dst, p...)
	}
	const masked = 0x80
	dst = append(dst, final|op)
	switch n := len(p); {
	case n < 126:
		dst = append(dst, masked|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), p...)
}
