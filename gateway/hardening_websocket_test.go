package gateway_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// W01 to W08, W14 and W17 at the two places where a gateway takes WebSockets.
// What frames mean is tested where they are read, in package websock; here it
// is that both protocols make of it what they should.

// endpoint is one of the two places.
type endpoint struct {
	name, path string
	greeted    func(t *testing.T, c *rawws.Conn)
	ping       string                          // a message of which x is part, and
	pong       string                          // what it is answered
	code       func(websock.Code) websock.Code // with which it closes, for the one of package websock
}

func same(code websock.Code) websock.Code { return code }

// Socket.IO has no code of its own for what is too big.
func standard(code websock.Code) websock.Code {
	if code == websock.CodeTooBig {
		return websock.CodeMessageTooBig
	}
	return code
}

var endpoints = []endpoint{
	{name: "ws", path: "/ws", ping: `{"ping":"%s"}`, pong: `{"pong":"%s"}`, code: same, greeted: func(t *testing.T, c *rawws.Conn) {
		wantText(t, c, `{"hi":"jetway/1"`)
	}},
	{name: "socket.io", path: "/socket.io/?EIO=4&transport=websocket", ping: `421["jetway:ping",{"ping":"%s"}]`, pong: `431[{"ok":true,"pong":"%s"}]`, code: standard, greeted: func(t *testing.T, c *rawws.Conn) {
		wantText(t, c, `0{"sid":`)
		if err := c.Send(rawws.Text("40")); err != nil {
			t.Fatal(err)
		}
		wantText(t, c, `40{"sid":`)
	}},
}

// wantText reads a text message that begins so.
func wantText(t *testing.T, c *rawws.Conn, begins string) {
	t.Helper()
	if f, err := c.Next(); err != nil || f.Op != rawws.OpText || !strings.HasPrefix(string(f.Payload), begins) {
		t.Fatalf("got %v (%v), want %s…", f, err, begins)
	}
}

const deflateLine = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// open is a client that has been greeted.
func (e endpoint) open(t *testing.T, s *gateway.Server) *rawws.Conn {
	t.Helper()
	c, err := rawws.Dial(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Open(e.path, deflateLine); err != nil {
		t.Fatal(err)
	}
	e.greeted(t, c)
	return c
}

// says sends frames and wants these answers, in the order of their kind, since
// a pong may overtake a message. A client that closes then gets its code back.
func (e endpoint) says(t *testing.T, s *gateway.Server, in []rawws.Frame, want ...rawws.Frame) {
	t.Helper()
	c := e.open(t, s)
	if err := c.Send(in...); err != nil {
		t.Fatal(err)
	}
	for range want {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for i, w := range want {
			if w.Op == f.Op {
				if found = bytes.Equal(w.Payload, f.Payload); !found {
					t.Fatalf("got %v, want %v", f, w)
				}
				want[i].Op = 0xFF // it has come
				break
			}
		}
		if !found {
			t.Fatalf("got %v too many", f)
		}
	}
	if err := c.Send(rawws.Close(3999, "enough")); err != nil {
		t.Fatal(err)
	}
	e.closed(t, c, 3999)
}

// closed wants the close frame, and nothing after it, but bye before it if the
// server says why.
func (e endpoint) closed(t *testing.T, c *rawws.Conn, code websock.Code) {
	t.Helper()
	rest, err := c.Rest()
	c.Close()
	if err != nil {
		t.Fatalf("after %v: %v", rest, err)
	}
	if e.name == "ws" && code != 3999 {
		var bye struct {
			Bye bool
			Why string
			websock.Code
		}
		if err := json.Unmarshal(rest[0].Payload, &bye); err != nil || !bye.Bye || bye.Code != code || bye.Why == "" {
			t.Errorf("got %v, want bye with %d", rest[0], code)
		}
		rest = rest[1:]
	}
	if len(rest) != 1 || rest[0].Op != rawws.OpClose {
		t.Fatalf("got %v, want a close frame alone", rest)
	}
	if got, _, _ := rawws.SplitClose(rest[0].Payload); got != uint16(code) {
		t.Errorf("closed with %d, want %d", got, code)
	}
}

// everywhere runs a test at both places of a server whose clients may send
// messages of a MiB, and looks that somebody else does not notice.
func everywhere(t *testing.T, test func(t *testing.T, e endpoint, s *gateway.Server)) {
	t.Helper()
	for _, e := range endpoints {
		t.Run(e.name, func(t *testing.T) {
			s, _ := serve(t, gateway.Options{Anonymous: everything, AdminListen: "127.0.0.1:0", SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
			other, err := client.Dial(t.Context(), url(s), client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			test(t, e, s)
			if err := other.Ping(t.Context()); err != nil {
				t.Errorf("somebody else: %v", err)
			}
		})
	}
}

// squeezed is a message as permessage-deflate has it.
func squeezed(f rawws.Frame) rawws.Frame {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = w.Write(f.Payload)
	_ = w.Flush()
	f.Payload, f.RSV = bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff}), rawws.RSV1
	return f
}

// W01: what is right is understood, however it is cut, compressed and mixed.
// The numbers are those of the suite in package websock.
func TestW01Gateway(t *testing.T) {
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		ping := func(n int) string { return fmt.Sprintf(e.ping, strings.Repeat("é", n)) }
		pong := func(n int) rawws.Frame { return rawws.Text(fmt.Sprintf(e.pong, strings.Repeat("é", n))) }
		parts := func(n, size int) []rawws.Frame { return rawws.Fragments(rawws.OpText, ping(n), size) }
		two := rawws.Fragments(rawws.OpText, ping(50), 30)
		cut := append([]rawws.Frame{two[0], rawws.Ping("p"), rawws.Pong("")}, two[1:]...)
		for _, tt := range []struct {
			id   string
			in   []rawws.Frame
			want []rawws.Frame
		}{
			{"1.1.1", []rawws.Frame{rawws.Text(ping(0))}, []rawws.Frame{pong(0)}},
			{"1.1.4", []rawws.Frame{rawws.Text(ping(60))}, []rawws.Frame{pong(60)}},
			{"1.1.7", []rawws.Frame{rawws.Text(ping(32760))}, []rawws.Frame{pong(32760)}},
			{"2.1", []rawws.Frame{rawws.Ping("")}, []rawws.Frame{rawws.Pong("")}},
			{"2.4", []rawws.Frame{rawws.Ping(strings.Repeat("x", 125))}, []rawws.Frame{rawws.Pong(strings.Repeat("x", 125))}},
			{"2.9", []rawws.Frame{rawws.Pong("unasked"), rawws.Ping("q")}, []rawws.Frame{rawws.Pong("q")}},
			{"5.3", two, []rawws.Frame{pong(50)}},
			{"5.6", cut, []rawws.Frame{rawws.Pong("p"), pong(50)}},
			{"6.2.4", parts(7, 1), []rawws.Frame{pong(7)}},
			{"9.1.3", []rawws.Frame{rawws.Text(ping(490_000))}, []rawws.Frame{pong(490_000)}},
			{"9.3.3", parts(250_000, 1024), []rawws.Frame{pong(250_000)}},
			{"9.9.1", parts(10_000, 1), []rawws.Frame{pong(10_000)}},
			{"10.1.1", parts(32760, 1300), []rawws.Frame{pong(32760)}},
			{"12.1.1", []rawws.Frame{squeezed(rawws.Text(ping(20)))}, []rawws.Frame{pong(20)}},
			{"12.1.10", []rawws.Frame{squeezed(rawws.Text(ping(400_000)))}, []rawws.Frame{pong(400_000)}},
		} {
			t.Run(tt.id, func(t *testing.T) { e.says(t, s, tt.in, tt.want...) })
		}
	})
}

// end is a way of a client to make its connection end.
type end struct {
	about string
	in    []byte
	code  websock.Code
}

// ends tries them, and looks that they are counted.
func (e endpoint) ends(t *testing.T, s *gateway.Server, reason string, all ...end) {
	t.Helper()
	for _, one := range all {
		t.Run(one.about, func(t *testing.T) {
			c := e.open(t, s)
			var sending sync.WaitGroup
			defer sending.Wait()
			defer c.Close()
			sending.Go(func() { _, _ = c.Write(one.in) }) // the server may stop reading
			e.closed(t, c, e.code(one.code))
		})
	}
	if got := metric(t, s, `jetway_connections_failed_total{reason="`+reason+`"}`); got != fmt.Sprint(len(all)) {
		t.Errorf("counted %q of %s, want %d", got, reason, len(all))
	}
}

// W02: frames that RFC 6455 forbids.
func TestW02BadFrames(t *testing.T) {
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		bad := func(about string, frames ...rawws.Frame) end {
			return end{about, rawws.Bytes(frames...), websock.CodeProtocol}
		}
		long := strings.Repeat("x", 126)
		e.ends(t, s, "protocol",
			bad("no mask", rawws.Frame{Op: rawws.OpText, Payload: []byte("{}"), Unmasked: true}),
			bad("RSV1 on a ping", rawws.Frame{Op: rawws.OpPing, RSV: rawws.RSV1}),
			bad("RSV2", rawws.Frame{Op: rawws.OpText, RSV: rawws.RSV2}),
			bad("RSV3", rawws.Frame{Op: rawws.OpBinary, RSV: rawws.RSV3}),
			bad("opcode 3", rawws.Whole(3, "")),
			bad("opcode 15", rawws.Whole(15, long)),
			bad("a ping in two parts", rawws.Begin(rawws.OpPing, ""), rawws.Finish("")),
			bad("a ping of 126 bytes", rawws.Ping(long)),
			bad("a close of 126 bytes", rawws.Close(1000, long[:124])),
			bad("a continuation of nothing", rawws.Finish("x")),
			bad("a message within a message", rawws.Begin(rawws.OpText, "{"), rawws.Text("{}")),
			bad("a length in too many bytes", rawws.Frame{Op: rawws.OpText, Form: rawws.Bits64}),
			bad("half a close code", rawws.Whole(rawws.OpClose, "\x03")),
			bad("close 999", rawws.Close(999, "")),
			bad("close 1005", rawws.Close(1005, "")),
			bad("a reason that is not UTF-8", rawws.Close(1000, "\xff")),
		)
	})
}

// W03, W04, W06: what is too big, and what only says so: 4413 at /ws, 1009 for
// Socket.IO.
func TestW04TooBig(t *testing.T) {
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		const limit = websock.DefaultMaxMessageBytes
		over := strings.Repeat("4", limit+1) // an Engine.IO message, too
		flushed := append(squeezed(rawws.Text(over[:1<<20])).Payload, 0, 0, 0xff, 0xff)
		bomb := rawws.Frame{Op: rawws.OpText, RSV: rawws.RSV1, Payload: bytes.Repeat(flushed, 128)}
		if n := len(bomb.Payload); n > limit {
			t.Fatalf("the bomb itself has %d bytes", n)
		}
		big := func(about string, frames ...rawws.Frame) end {
			return end{about, rawws.Bytes(frames...), websock.CodeTooBig}
		}
		e.ends(t, s, "too_big",
			big("W03 2^63-1", rawws.Frame{Op: rawws.OpText, Length: 1<<63 - 1}),
			big("W03 2^63", rawws.Frame{Op: rawws.OpBinary, Length: 1 << 63}),
			big("W03 overflow in sum", rawws.Begin(rawws.OpText, "x"), rawws.Frame{Op: rawws.OpContinuation, Length: 1<<63 - 1}),
			big("W04 whole", rawws.Text(over)),
			big("W04 in parts", rawws.Fragments(rawws.OpText, over, 1000)...),
			big("W04 in parts without an end", rawws.Begin(rawws.OpText, over[1:]), rawws.Continue("xx")),
			big("W06 bomb", bomb),
		)
	})
}

// W07, W08: what does not inflate, and what is not UTF-8.
func TestW07InvalidData(t *testing.T) {
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		bad := func(about string, f rawws.Frame) end {
			return end{about, rawws.Bytes(f), websock.CodeInvalidData}
		}
		e.ends(t, s, "invalid_data",
			bad("W07 reserved block type", rawws.Frame{Op: rawws.OpText, RSV: rawws.RSV1, Payload: []byte{0x07}}),
			bad("W07 no stream", rawws.Frame{Op: rawws.OpBinary, RSV: rawws.RSV1, Payload: []byte{0xff, 0xfe, 0xfd}}),
			bad("W08 a byte", rawws.Text("4\xff")),
			bad("W08 a surrogate", rawws.Text("{\"ping\":\"\xed\xa0\x80\"}")),
			bad("W08 half a rune at the end", rawws.Text("{}\xf0\x9f")),
			bad("W08 wrong before its end", rawws.Begin(rawws.OpText, "4\xc0")),
			bad("W08 compressed", squeezed(rawws.Text("4\xff"))),
		)
	})
}

// W14: requests, answers, events, pings and the end, all at once on one
// connection: frames stay whole, events in order, and each request is answered
// once. The end is the client's, the gateway's, or nobody's.
func TestW14AllAtOnce(t *testing.T) {
	const events = 300
	for _, how := range []string{"close", "reset", "drain"} {
		t.Run(how, func(t *testing.T) {
			s, _ := serve(t, gateway.Options{Anonymous: everything, PingInterval: 5 * time.Millisecond, PingTimeout: time.Minute, PublishRate: 1e6})
			c := endpoints[0].open(t, s)
			publisher, err := client.Dial(t.Context(), url(s), client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer publisher.Close()
			var work sync.WaitGroup
			defer work.Wait()
			defer c.Close()
			if err := c.Send(rawws.Text(`{"sub":"events.>"}`)); err != nil {
				t.Fatal(err)
			}
			for begun := false; !begun; { // pings are about
				f, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				begun = strings.HasPrefix(string(f.Payload), `{"live":`)
			}
			work.Go(func() {
				for i := range events {
					_, _ = publisher.Publish(t.Context(), "events.a", fmt.Append(nil, i), client.PubOptions{}) // until the drain
				}
			})
			for writer := range 3 {
				work.Go(func() {
					var err error
					for i := 0; err == nil && i < 1000; i++ {
						pub := rawws.Text(fmt.Sprintf(`{"pub":"other.%d","data":%d,"id":"%d-%d"}`, writer, i, writer, i))
						err = c.Send(pub, rawws.Ping("p"), rawws.Text(`{"sub":"live.x"}`), rawws.Text(fmt.Sprintf(`{"ping":%d}`, i)), rawws.Text("[]"))
					}
				})
			}
			seen := allAtOnce{t: t, answered: map[string]bool{}}
			for seen.next < events/2 && seen.read(c) == nil {
			}
			switch how {
			case "close": // it waits behind what the others say, which waits for this reader
				work.Go(func() { _ = c.Send(rawws.Close(1000, "")) })
			case "reset":
				if err := c.Reset(); err != nil {
					t.Fatal(err)
				}
			case "drain":
				work.Go(func() { _ = s.Stop(t.Context()) }) // the test's own Stop tells
			}
			for err = nil; err == nil; {
				err = seen.read(c)
			}
			// What it still sends when it is told goodbye may end in a reset.
			want := map[string]bool{"close": err == io.EOF, "reset": errors.Is(err, net.ErrClosed), "drain": err == io.EOF || isReset(err)}
			if !want[how] {
				t.Error(err)
			}
		})
	}
}

// allAtOnce is what its reader has seen.
type allAtOnce struct {
	t        *testing.T
	next     int // event
	answered map[string]bool
}

func (a *allAtOnce) read(c *rawws.Conn) error {
	f, err := c.Next()
	if err != nil || f.Op != rawws.OpText {
		return err
	}
	var m struct {
		Msg  string
		Data int
		OK   json.RawMessage
	}
	if err := json.Unmarshal(f.Payload, &m); err != nil {
		a.t.Errorf("%v: %v", f, err)
	}
	switch id := string(m.OK); {
	case m.Msg == "events.a":
		if m.Data != a.next {
			a.t.Errorf("event %d, want %d", m.Data, a.next)
		}
		a.next++
	case strings.Contains(id, "-"):
		if a.answered[id] {
			a.t.Errorf("%s is answered twice", id)
		}
		a.answered[id] = true
	}
	return nil
}

// W17: a client that ends its own direction, or resets, before, within and
// between frames, is gone; nothing is said to it, and nothing waits for it.
func TestW17Gone(t *testing.T) {
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		for _, begun := range []string{"", "\x81", "\x81\xfe\x01", "\x81\x85\x00\x00\x00\x004h", string(rawws.Bytes(rawws.Begin(rawws.OpText, "4a")))} {
			c := e.open(t, s)
			_, _ = io.WriteString(c, begun)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			f, err := c.Next()
			if err != io.EOF && !errors.Is(err, net.ErrClosed) && !isReset(err) {
				t.Errorf("half closed after %q: %v, %v", begun, f, err)
			}
			c.Close()
			c = e.open(t, s)
			_, _ = io.WriteString(c, begun)
			if err := c.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, func() string {
			if n := metric(t, s, "jetway_clients"); n != "1" { // somebody else
				return n + " clients are left"
			}
			return ""
		})
	})
}

func isReset(err error) bool {
	return err != nil && strings.Contains(err.Error(), "connection reset by peer")
}

// waitFor asks until nothing is wrong any more.
func waitFor(t *testing.T, wrong func() string) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for what := wrong(); what != ""; what = wrong() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(what)
		}
	}
}

// W17: clients that come and go, ten thousand of them in the full suite, leave
// no goroutine and no file behind.
func TestW17Churn(t *testing.T) {
	cycles := 1000
	if os.Getenv("JETWAY_CONFORMANCE") == "full" {
		cycles = 10_000
	}
	everywhere(t, func(t *testing.T, e endpoint, s *gateway.Server) {
		leave := []func(c *rawws.Conn){
			func(c *rawws.Conn) { _ = c.Send(rawws.Close(1000, "")) },
			func(c *rawws.Conn) { _ = c.Send(rawws.Close(1000, "")); _, _ = c.Rest() },
			func(c *rawws.Conn) { _ = c.CloseWrite() },
			func(c *rawws.Conn) { _ = c.Send(rawws.Whole(3, "")) },
			func(c *rawws.Conn) { _, _ = io.WriteString(c, "\x81\x85\x00"); _ = c.Reset() },
			func(c *rawws.Conn) { _ = c.Reset() },
		}
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		for i := range cycles {
			c, err := rawws.Dial(s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Open(e.path); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				e.greeted(t, c)
			}
			leave[i%len(leave)](c)
			c.Close()
		}
		waitFor(t, func() string {
			if g, f := runtime.NumGoroutine(), openFiles(t); g > goroutines || f > files {
				return fmt.Sprintf("%d goroutines and %d files, there were %d and %d", g, f, goroutines, files)
			}
			return ""
		})
	})
}

// openFiles counts the files of this process, where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(all)
}
