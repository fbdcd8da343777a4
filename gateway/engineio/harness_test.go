package engineio_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/internal/rawws"
)

// recorder notes the calls of a Handler, and does what a test wants of it.
type recorder struct {
	onOpen    func(*engineio.Session)
	onMessage func(s *engineio.Session, data []byte, binary bool)

	mu       sync.Mutex
	calls    []string
	sessions []*engineio.Session
}

func (h *recorder) note(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
}

func (h *recorder) Open(s *engineio.Session) {
	h.mu.Lock()
	h.sessions = append(h.sessions, s)
	h.mu.Unlock()
	h.note("open")
	if h.onOpen != nil {
		h.onOpen(s)
	}
}

func (h *recorder) Message(s *engineio.Session, data []byte, binary bool) {
	h.note(fmt.Sprintf("%s %s", map[bool]string{false: "text", true: "binary"}[binary], data))
	if h.onMessage != nil {
		h.onMessage(s, data, binary)
	}
}

func (h *recorder) Close(_ *engineio.Session, reason string) { h.note("close " + reason) }

// want compares the calls since the last time, once all is quiet.
func (h *recorder) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.calls, want) {
		t.Errorf("the handler was told %q, want %q", h.calls, want)
	}
	h.calls = nil
}

// last returns the newest session.
func (h *recorder) last() *engineio.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[len(h.sessions)-1]
}

// echo sends back what comes.
func echo(t *testing.T) *recorder {
	return &recorder{onMessage: func(s *engineio.Session, data []byte, binary bool) {
		if err := s.Send(data, binary); err != nil {
			t.Errorf("echo: %v", err)
		}
	}}
}

// site is a server and its HTTP client, in a bubble.
type site struct {
	t      *testing.T
	rec    *recorder
	server *engineio.Server
	pipes  *rawws.Listener
	client *http.Client
}

// bubble runs a test of a server in a synctest bubble.
func bubble(t *testing.T, rec *recorder, o engineio.Options, test func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if rec != nil {
			o.Handler = rec
		}
		s := &site{t: t, rec: rec, server: engineio.NewServer(o), pipes: rawws.Listen()}
		s.serve(s.server)
		test(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}

func (s *site) serve(h http.Handler) {
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return s.pipes.Dial() },
		DisableCompression: true,
	}
	s.client = &http.Client{Transport: transport}
	// The timeouts that the gateway has: polls must outlast them.
	server := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(s.pipes) // until it is closed
		close(served)
	}()
	s.t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
		time.Sleep(time.Second) // net/http lingers after it has refused a body
	})
}

// answer is a response, or the error in its place.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

// is compares the answer with what a test wants.
func (a answer) is(t *testing.T, status int, body string) {
	t.Helper()
	if a.err != nil || a.status != status || a.body != body {
		t.Errorf("answer %d %.200q (%v), want %d %.200q", a.status, a.body, a.err, status, body)
	}
}

const unknownSID = `{"code":1,"message":"Session ID unknown"}`

const badRequest = `{"code":3,"message":"Bad request"}`

func (s *site) do(r *http.Request) answer {
	res, err := s.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(body), res.Header, err}
}

func (s *site) request(method, query, body string) *http.Request {
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://jetway.test/engine.io/?"+query, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	return r
}

const polling = "EIO=4&transport=polling"

func (s *site) get(query string) answer { return s.do(s.request("GET", query, "")) }

// open opens a session by polling.
func (s *site) open() (sid string) {
	s.t.Helper()
	return s.opened(s.get(polling).body)
}

// opened returns the sid of an open packet.
func (s *site) opened(packet string) string {
	s.t.Helper()
	var h struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "0")), &h); err != nil || h.SID == "" {
		s.t.Fatalf("no handshake: %q, %v", packet, err)
	}
	return h.SID
}

func (s *site) poll(sid string) answer { return s.get(polling + "&sid=" + sid) }

func (s *site) post(sid, body string) answer {
	return s.do(s.request("POST", polling+"&sid="+sid, body))
}

// later does something and returns once it waits for the server; its answer
// comes later.
func later(f func() answer) <-chan answer {
	c := make(chan answer, 1)
	go func() { c <- f() }()
	synctest.Wait()
	return c
}

// laterPoll begins a poll.
func (s *site) laterPoll(sid string) <-chan answer {
	return later(func() answer { return s.poll(sid) })
}

// frame is what a server has sent. The op is 0 at the end of the connection.
type frame struct {
	op      byte
	payload string
}

const (
	text, bin, closing, ping, pong = 0x1, 0x2, 0x8, 0x9, 0xA
)

// client is a raw WebSocket client.
type client struct {
	t      *testing.T
	nc     net.Conn
	frames chan frame
}

const upgradeHeader = "Host: jetway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// handshake sends the handshake of a WebSocket and returns the answer to it.
func (s *site) handshake(query, header string) (net.Conn, *bufio.Reader, *http.Response) {
	s.t.Helper()
	nc, err := s.pipes.Dial()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	_, _ = io.WriteString(nc, "GET /engine.io/?"+query+" HTTP/1.1\r\n"+upgradeHeader+header+"\r\n")
	br := bufio.NewReader(nc)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, br, res
}

// ws opens a WebSocket.
func (s *site) ws(query string) *client {
	s.t.Helper()
	nc, br, res := s.handshake(query, "")
	if res.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("handshake: %s", res.Status)
	}
	return newClient(s.t, nc, br)
}

func newClient(t *testing.T, nc net.Conn, br *bufio.Reader) *client {
	c := &client{t: t, nc: nc, frames: make(chan frame, 1000)}
	go c.read(br)
	return c
}

func (c *client) read(br *bufio.Reader) {
	defer close(c.frames)
	for {
		f, err := readFrame(br)
		if err != nil {
			return
		}
		c.frames <- f
		if f.op == closing {
			c.nc.Close()
			return
		}
	}
}

// readFrame reads what a server has sent, which must be right in every detail.
func readFrame(r io.Reader) (frame, error) {
	f, err := (&rawws.Reader{R: r}).Next()
	return frame{byte(f.Op), string(f.Payload)}, err
}

// masked is a client's frame; above the opcode are the reserved bits.
func masked(op byte, payload string) []byte {
	return rawws.Bytes(rawws.Frame{Op: rawws.Op(op & 0xF), RSV: op >> 4, Payload: []byte(payload)})
}

// send sends frames; that the server has closed is seen by want.
func (c *client) send(op byte, payloads ...string) {
	for _, p := range payloads {
		_, _ = c.nc.Write(masked(op, p))
	}
}

func (c *client) next() frame {
	select {
	case f := <-c.frames:
		return f
	case <-time.After(10 * time.Minute): // of a bubble's time
		c.t.Fatal("no frame comes")
		return frame{}
	}
}

// want compares the next text frames.
func (c *client) want(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		if f := c.next(); f != (frame{text, p}) {
			c.t.Errorf("frame %x %.200q, want text %.200q", f.op, f.payload, p)
		}
	}
}

// wantClosed wants the close frame next, and then the end.
func (c *client) wantClosed(code uint16) {
	c.t.Helper()
	f := c.next()
	if f.op != closing || len(f.payload) < 2 || binary.BigEndian.Uint16([]byte(f.payload)) != code {
		c.t.Errorf("frame %x %q, want a close frame with %d", f.op, f.payload, code)
		return
	}
	if f := c.next(); f.op != 0 {
		c.t.Errorf("frame %x %q after the close frame", f.op, f.payload)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
