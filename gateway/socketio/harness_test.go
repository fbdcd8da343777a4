package socketio_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
	"github.com/jetway-io/jetway/internal/rawws"
)

// site is a server, in a bubble.
type site struct {
	t      *testing.T
	engine *engineio.Server
	pipes  *rawws.Listener
	http   *http.Client
}

func (s *site) connect(context.Context, string, string) (net.Conn, error) { return s.pipes.Dial() }

// timings are those of the protocols' test suites.
var timings = engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}

// serve runs a test of a handler of sessions in a synctest bubble.
func serve(t *testing.T, h engineio.Handler, o engineio.Options, test func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Handler = h
		s := &site{t: t, engine: engineio.NewServer(o), pipes: rawws.Listen()}
		transport := &http.Transport{DialContext: s.connect}
		s.http = &http.Client{Transport: transport}
		server := &http.Server{Handler: s.engine}
		var served sync.WaitGroup
		served.Go(func() { _ = server.Serve(s.pipes) }) // until it is closed
		test(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.engine.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		transport.CloseIdleConnections()
		_ = server.Close()
		served.Wait()
	})
}

// client is a WebSocket client that speaks Engine.IO by hand.
type client struct {
	t      *testing.T
	ws     *websocket.Conn
	turn   chan struct{} // holds one element while somebody writes; a mutex would stop the bubble's clock
	frames chan string
}

func (c *client) write(kind int, data string) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	_ = c.ws.WriteMessage(kind, []byte(data)) // that the server has closed is seen by want
}

// closed is the frame after the last.
const closed = "(closed)"

// dial opens a session over WebSocket. Pings are answered, and seen only with
// pings.
func (s *site) dial(pings bool) *client {
	s.t.Helper()
	d := websocket.Dialer{NetDialContext: s.connect}
	ws, _, err := d.Dial("ws://jetway.test/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ws.Close() })
	c := &client{t: s.t, ws: ws, turn: make(chan struct{}, 1), frames: make(chan string, 10_000)}
	go c.read(pings)
	if f := c.next(); !strings.HasPrefix(f, `0{"sid":"`) {
		s.t.Fatalf("handshake: %s", f)
	}
	return c
}

func (c *client) read(pings bool) {
	defer close(c.frames)
	for {
		kind, data, err := c.ws.ReadMessage()
		switch {
		case err != nil:
			return
		case kind == websocket.BinaryMessage:
			c.frames <- "b:" + string(data)
		case string(data) == "2":
			c.write(websocket.TextMessage, "3")
			if !pings {
				continue
			}
			fallthrough
		default:
			c.frames <- string(data)
		}
	}
}

// next returns the next frame: text as it is, binary after "b:".
func (c *client) next() string {
	select {
	case f, ok := <-c.frames:
		if !ok {
			return closed
		}
		return f
	case <-time.After(time.Hour): // of a bubble's time
		return "(nothing)"
	}
}

// send sends frames, in the form in which next returns them.
func (c *client) send(frames ...string) *client {
	c.t.Helper()
	for _, f := range frames {
		kind := websocket.TextMessage
		if data, binary := strings.CutPrefix(f, "b:"); binary {
			kind, f = websocket.BinaryMessage, data
		}
		c.write(kind, f)
	}
	return c
}

// want compares the next frames. In "40*" and the like, * is a sid, which is
// returned.
func (c *client) want(frames ...string) (sid string) {
	c.t.Helper()
	for _, want := range frames {
		got := c.next()
		if head, ok := strings.CutSuffix(want, "*"); ok {
			rest, ok := strings.CutPrefix(got, head+`{"sid":"`)
			if sid, ok = cutLast(rest, ok, `"}`); !ok || len(sid) != 20 {
				c.t.Fatalf("frame %.200q, want %s{\"sid\":…}", got, head)
			}
			continue
		}
		if got != want {
			c.t.Fatalf("frame %.200q, want %.200q", got, want)
		}
	}
	return sid
}

func cutLast(s string, ok bool, suffix string) (string, bool) {
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

// wantQuiet wants no frame for a while.
func (c *client) wantQuiet(d time.Duration) {
	c.t.Helper()
	select {
	case f := <-c.frames:
		c.t.Fatalf("frame %.200q, want none", f)
	case <-time.After(d):
	}
}

// echo is the server of the protocol's test suite.
func echo() *socketio.Server {
	auth := func(s *socketio.Socket) {
		data := s.Auth()
		if data == nil {
			data = []byte("{}")
		}
		_ = s.Emit("auth", data)
	}
	return socketio.NewServer(socketio.Options{
		ConnectTimeout: time.Second,
		Namespaces: map[string]func(*socketio.Socket){
			"/": func(s *socketio.Socket) {
				s.On("message", func(args socketio.Args, _ socketio.Ack) { _ = s.Emit("message-back", args) })
				s.On("message-with-ack", func(args socketio.Args, ack socketio.Ack) { ack(args) })
				auth(s)
			},
			"/custom": auth,
		},
	})
}

// joined opens a session that has joined "/" of the echo server.
func (s *site) joined() *client {
	s.t.Helper()
	c := s.dial(false).send("40")
	c.want("40*", `42["auth",{}]`)
	return c
}

// poll does one request of HTTP long-polling.
func (s *site) poll(method, sid, body string) string {
	s.t.Helper()
	url := "http://jetway.test/socket.io/?EIO=4&transport=polling"
	if sid != "" {
		url += "&sid=" + sid
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
