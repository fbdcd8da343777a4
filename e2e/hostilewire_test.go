package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// The opcodes of RFC 6455 section 11.8 that attackers use.
const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
)

// Bits of a frame's first byte.
const (
	bitFin  = 0x80
	bitRSV1 = 0x40 // compressed (RFC 7692)
)

// What may become of an attacker's connection, besides "closed CODE" (a
// WebSocket close frame) and "HTTP STATUS".
const (
	outcomeCut  = "cut"  // ended without a word
	outcomeHeld = "held" // there until the attack was over
	outcomeLeft = "left" // the attacker had done what it wanted
)

// attempt is one connection of an attacker. It is raw: no client library would
// send what it sends.
type attempt struct {
	ctx   context.Context // ends with the attack
	horde *horde
	who   int // the number of the attacker
	conn  net.Conn
	r     *bufio.Reader
	sent  int // messages, or pieces of one
}

// bindLater is IP_BIND_ADDRESS_NO_PORT of ip(7): the port is chosen when it is
// known where to, so that an address has as many connections as ports.
const bindLater = 24

// dialFrom connects from an address of this machine: on Linux all of 127.0.0.0/8
// is.
func dialFrom(address string) func(ctx context.Context, network, to string) (net.Conn, error) {
	d := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)},
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindLater, 1) }) // a wish
		},
	}
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		for tries := 1; ; tries++ {
			c, err := d.DialContext(ctx, network, to)
			if !errors.Is(err, syscall.EADDRNOTAVAIL) || tries == 10 { // Linux says so now and then where it is not so
				return c, err
			}
		}
	}
}

// dial connects; the end of the attack ends all reads and writes. What it
// returns is the outcome if it fails.
func (a *attempt) dial() (outcome string) {
	addresses := a.horde.Addresses
	c, err := dialFrom(addresses[a.who%len(addresses)])(a.ctx, "tcp", a.horde.Target)
	if err != nil {
		return a.ended(err)
	}
	a.conn, a.r = c, bufio.NewReaderSize(c, 2048)
	context.AfterFunc(a.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return ""
}

// ended is what an error of the connection means.
func (a *attempt) ended(err error) string {
	switch {
	case a.ctx.Err() != nil:
		return outcomeHeld
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return outcomeCut
	}
	return "error: " + err.Error()
}

func (a *attempt) write(b []byte) error {
	_, err := a.conn.Write(b)
	return err
}

// head is that of a request, without the empty line at its end.
func (a *attempt) head(method, path string, header ...string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, a.horde.Target, strings.Join(append(header, ""), "\r\n"))
}

// answer reads a whole answer.
func (a *attempt) answer() (outcome string, body []byte) {
	r, err := http.ReadResponse(a.r, nil)
	if err != nil {
		return a.ended(err), nil
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		return a.ended(err), nil
	}
	return fmt.Sprint("HTTP ", r.StatusCode), body
}

// upgrade connects and becomes a WebSocket; otherwise it returns the outcome.
func (a *attempt) upgrade(path, token string, header ...string) (outcome string) {
	if outcome := a.dial(); outcome != "" {
		return outcome
	}
	header = append(header, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	if token != "" {
		header = append(header, "Authorization: Bearer "+token)
	}
	if err := a.write(append(a.head("GET", path, header...), "\r\n"...)); err != nil {
		return a.ended(err)
	}
	r, err := http.ReadResponse(a.r, nil)
	switch {
	case err != nil:
		return a.ended(err)
	case r.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Sprint("HTTP ", r.StatusCode)
	}
	return ""
}

// appendFrameHead begins a frame of a client. The mask is zero: nobody is
// protected by it here.
func appendFrameHead(dst []byte, first byte, size uint64) []byte {
	dst = append(dst, first)
	switch {
	case size < 126:
		dst = append(dst, 0x80|byte(size))
	case size < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(size))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), size)
	}
	return append(dst, 0, 0, 0, 0)
}

func appendFrame(dst []byte, first byte, payload string) []byte {
	return append(appendFrameHead(dst, first, uint64(len(payload))), payload...)
}

func appendTextFrame(dst []byte, payload string) []byte {
	return appendFrame(dst, bitFin|opText, payload)
}

// watch reads until the connection ends, and then says how. on gets the text
// messages; nil reads past them.
func (a *attempt) watch(on func(text []byte)) <-chan string {
	gone := make(chan string, 1)
	go func() {
		for {
			op, payload, err := a.readFrame()
			switch {
			case err != nil:
				gone <- a.ended(err)
				return
			case op == opClose && len(payload) >= 2:
				gone <- fmt.Sprint("closed ", binary.BigEndian.Uint16(payload))
				return
			case op == opClose:
				gone <- "closed 1005"
				return
			case op == opText && on != nil:
				on(payload)
			}
		}
	}()
	return gone
}

// readFrame reads a frame of the server, which does not mask.
func (a *attempt) readFrame() (op byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(a.r, h[:2]); err != nil {
		return 0, nil, err
	}
	op, size := h[0]&0x0f, uint64(h[1])
	switch size {
	case 126:
		_, err = io.ReadFull(a.r, h[:2])
		size = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, err = io.ReadFull(a.r, h[:])
		size = binary.BigEndian.Uint64(h[:])
	}
	if err == nil {
		payload = make([]byte, size)
		_, err = io.ReadFull(a.r, payload)
	}
	return op, payload, err
}

// watchHTTP is watch for who has not finished its request.
func (a *attempt) watchHTTP() <-chan string {
	gone := make(chan string, 1)
	go func() {
		outcome, _ := a.answer()
		gone <- outcome
	}()
	return gone
}

// until does something again and again until the connection is gone.
func (a *attempt) until(gone <-chan string, every time.Duration, do func() error) string {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case outcome := <-gone:
			return outcome
		case <-tick.C:
			if do() != nil {
				return <-gone
			}
			a.sent++
		}
	}
}
