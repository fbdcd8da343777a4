package rawws

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// patience is how long a test waits for a server that says nothing. No test
// needs it, unless it fails.
const patience = 30 * time.Second

// Conn is the client's end of a connection.
type Conn struct {
	net.Conn
	Patience time.Duration // how long a read waits, 30s
	br       *bufio.Reader
	reader   Reader
}

// New makes a client of a connection on which nothing has been said yet.
func New(nc net.Conn) *Conn {
	br := bufio.NewReader(nc)
	return &Conn{Conn: nc, Patience: patience, br: br, reader: Reader{R: br}}
}

// Dial connects over TCP.
func Dial(address string) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return New(nc), nil
}

// key is the one of RFC 6455 section 1.3.
const key = "dGhlIHNhbXBsZSBub25jZQ=="

// Request is a handshake for a target with more header lines.
func Request(target string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: jetway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n" + strings.Join(slices.Concat(lines, []string{"", ""}), "\r\n")
}

// Ask sends a request as it is and returns the answer to it, whose body is read
// from the connection.
func (c *Conn) Ask(request string) (*http.Response, error) {
	if _, err := io.WriteString(c, request); err != nil {
		return nil, err
	}
	c.hurry()
	return http.ReadResponse(c.br, nil)
}

// Open does the handshake and checks the server's part of it (RFC 6455 section
// 4.1). The header lines are sent as they are. The answer is returned with the
// error, too, if there was one.
func (c *Conn) Open(target string, lines ...string) (*http.Response, error) {
	res, err := c.Ask(Request(target, lines...))
	if err != nil {
		return nil, err
	}
	return res, checkAnswer(res, lines)
}

func checkAnswer(res *http.Response, lines []string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	offered := func(field, value string) bool {
		for _, line := range lines {
			name, list, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, field) && slices.ContainsFunc(strings.Split(list, ","), func(offer string) bool {
				token, _, _ := strings.Cut(offer, ";")
				return strings.TrimSpace(token) == value
			}) {
				return true
			}
		}
		return value == ""
	}
	extension, _, _ := strings.Cut(res.Header.Get("Sec-Websocket-Extensions"), ";")
	switch h := res.Header; {
	case res.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("rawws: the handshake is answered with %s", res.Status)
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"), !strings.EqualFold(h.Get("Connection"), "upgrade"):
		return violation("Upgrade: %s, Connection: %s", h.Get("Upgrade"), h.Get("Connection"))
	case h.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return violation("Sec-WebSocket-Accept: %s", h.Get("Sec-Websocket-Accept"))
	case len(h["Sec-Websocket-Extensions"]) > 1, !offered("Sec-WebSocket-Extensions", extension):
		return violation("Sec-WebSocket-Extensions: %q", h["Sec-Websocket-Extensions"])
	case len(h["Sec-Websocket-Protocol"]) > 1, !offered("Sec-WebSocket-Protocol", h.Get("Sec-Websocket-Protocol")):
		return violation("Sec-WebSocket-Protocol: %q", h["Sec-Websocket-Protocol"])
	}
	return nil
}

// Send writes frames in one go.
func (c *Conn) Send(frames ...Frame) error {
	_, err := c.Write(Bytes(frames...))
	return err
}

// SendChopped writes b in pieces of n bytes, or whole if n is 0.
func (c *Conn) SendChopped(b []byte, n int) error {
	if n <= 0 || len(b) == 0 {
		n = max(1, len(b))
	}
	for piece := range slices.Chunk(b, n) {
		if _, err := c.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// Next returns the server's next message or control frame, see [Reader.Next].
func (c *Conn) Next() (Frame, error) {
	c.hurry()
	return c.reader.Next()
}

// Rest returns all that comes until the connection ends. It ends well after a
// close frame, if nothing more comes before io.EOF.
func (c *Conn) Rest() ([]Frame, error) {
	var all []Frame
	for {
		f, err := c.Next()
		switch {
		case err == io.EOF && c.reader.closed:
			return all, nil
		case err == io.EOF:
			return all, violation("an end without a close frame")
		case err != nil:
			return all, err
		}
		all = append(all, f)
	}
}

// CloseWrite ends the client's direction alone.
func (c *Conn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Reset ends a TCP connection with RST.
func (c *Conn) Reset() error {
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	return c.Close()
}

// hurry cannot fail in a way that the next read would not show.
func (c *Conn) hurry() { _ = c.SetReadDeadline(time.Now().Add(c.Patience)) }
