package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// room is the event that is published, and the subject of it.
const room = "events.bench.room"

// client is the least that a Socket.IO server takes for a client: a WebSocket
// from the start, one namespace. It counts instead of calling handlers.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte

	mu sync.Mutex // one frame at a time: pongs and events

	// Owned by listen.
	last      int64 // number of the event that came last
	latencies []uint32
}

// dial connects, and returns when the namespace has let the client in.
func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := c.enter(addr); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 4096)}
}

func (c *client) enter(addr string) error {
	if err := c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	// RFC 6455 section 4.1; the key is that of its example.
	fmt.Fprintf(c.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the WebSocket is refused: %s", answer.Status)
	}
	if p, err := c.read(); err != nil || len(p) == 0 || p[0] != '0' {
		return fmt.Errorf("no Engine.IO handshake: %q, %v", p, err)
	}
	if err := c.write([]byte("40")); err != nil {
		return err
	}
	if p, err := c.read(); err != nil || !bytes.HasPrefix(p, []byte(`40{`)) {
		return fmt.Errorf("the namespace is refused: %q, %v", p, err)
	}
	return c.conn.SetDeadline(time.Time{})
}

// read returns the next packet, which is good until the next call. Servers do
// not mask their frames, and neither of these fragments a message.
func (c *client) read() ([]byte, error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return nil, err
	}
	if h[0] != 0x81 {
		return nil, fmt.Errorf("a frame that begins with %#x", h[0])
	}
	n := int(h[1])
	switch n {
	case 126:
		if _, err := io.ReadFull(c.r, h[:2]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(h[:]))
	case 127:
		return nil, errors.New("a frame of 64 KiB or more")
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err := io.ReadFull(c.r, c.buf)
	return c.buf, err
}

// write sends one packet. The mask is zero: nobody is protected by it here.
func (c *client) write(p []byte) error {
	frame := []byte{0x81, 0x80 | byte(len(p))}
	if len(p) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(p)))
	}
	frame = append(append(frame, 0, 0, 0, 0), p...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(frame)
	return err
}

func (c *client) close() { c.conn.Close() }

// counters is what listen reports to.
type counters interface {
	received(n int64) // event n has come to one client more
	acked(p []byte) error
}

// prefix is how each event's packet begins.
var prefix = []byte(`42["` + room + `",{"n":`)

// listen takes what comes until the connection ends. It returns why the client
// is not content: an event is missing, comes twice or out of order.
func (c *client) listen(to counters) error {
	for {
		p, err := c.read()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		switch {
		case len(p) == 1 && p[0] == '2': // ping
			if err := c.write([]byte("3")); err != nil {
				return err
			}
		case bytes.HasPrefix(p, prefix):
			n, err := c.event(p[len(prefix):])
			if err != nil {
				return err
			}
			to.received(n)
		case bytes.HasPrefix(p, []byte("43")):
			if err := to.acked(p); err != nil {
				return err
			}
		default:
			return fmt.Errorf("an unexpected packet: %q", p)
		}
	}
}

// event takes an event's number, and how long it has been on the way.
func (c *client) event(rest []byte) (int64, error) {
	number, rest, _ := bytes.Cut(rest, []byte(`,"t":`))
	sent, _, _ := bytes.Cut(rest, []byte(`,`))
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return 0, err
	}
	if n != c.last+1 {
		return 0, fmt.Errorf("event %d after event %d", n, c.last)
	}
	c.last = n
	at, err := strconv.ParseInt(string(sent), 10, 64)
	c.latencies = append(c.latencies, uint32(min((time.Now().UnixNano()-at)/1000, 1<<32-1)))
	return n, err
}

// appendEvent is the packet that publishes event n, with an argument of size
// bytes.
func appendEvent(dst []byte, n int64, size int) []byte {
	dst = append(append(dst, "42"...), strconv.FormatInt(n, 10)...)
	dst = append(dst, `["`+room+`",`...)
	start := len(dst)
	dst = append(strconv.AppendInt(append(dst, `{"n":`...), n, 10), `,"t":`...)
	dst = append(strconv.AppendInt(dst, time.Now().UnixNano(), 10), `,"pad":"`...)
	for len(dst)-start < size-2 {
		dst = append(dst, '.')
	}
	return append(dst, `"}]`...)
}
