package websock_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// hijackable is a ResponseWriter over one end of a pipe.
type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

func request() *http.Request {
	r := httptest.NewRequest("GET", "/ws", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return r
}

// upgraded returns a connection over a net.Pipe and the client's end of it,
// after the handshake. It works in a synctest bubble. The pipe has no buffer:
// whatever the server writes must be read.
func upgraded(t *testing.T, o websock.Options, offer func(*http.Request)) (net.Conn, *websock.Conn) {
	t.Helper()
	client, server := net.Pipe()
	r := request()
	if offer != nil {
		offer(r)
	}
	head := make(chan error, 1)
	go func() {
		_, err := http.ReadResponse(bufio.NewReaderSize(client, 16), r)
		head <- err
	}()
	c, err := websock.Upgrade(&hijackable{httptest.NewRecorder(), server}, r, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-head; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); client.Close() })
	return client, c
}

func offerDeflate(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate") }

// frame is one masked client frame; b0 is FIN, RSV and opcode.
func frame(b0 byte, payload []byte) []byte {
	return rawws.Bytes(rawws.Frame{Op: rawws.Op(b0 & 0xF), RSV: b0 >> 4 & 7, More: b0&0x80 == 0, Payload: payload})
}

// header is a frame's without its payload.
func header(b0 byte, n uint64) []byte {
	return rawws.Bytes(rawws.Frame{Op: rawws.Op(b0 & 0xF), RSV: b0 >> 4 & 7, More: b0&0x80 == 0, Length: n})
}

func text(s string) []byte { return frame(0x81, []byte(s)) }

func closing(code uint16, reason string) []byte { return rawws.Bytes(rawws.Close(code, reason)) }

// send writes parts on its own goroutine; the reader may stop before the end.
func send(client net.Conn, parts ...[]byte) {
	go func() { _, _ = client.Write(bytes.Join(parts, nil)) }()
}

// received reads what arrives at the client into the background.
func received(client net.Conn) func() []byte {
	var b bytes.Buffer
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(&b, client)
		close(done)
	}()
	return func() []byte { <-done; return b.Bytes() }
}

func output(fill func(*bridge.Output)) *bridge.Output {
	out := new(bridge.Output)
	fill(out)
	return out
}

func long(n int) string { return strings.Repeat("x", n) }
