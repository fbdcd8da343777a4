package websock_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

func TestAppendHeader(t *testing.T) {
	for n, want := range map[int]string{
		0: "81 00", 125: "81 7d", 126: "81 7e 00 7e", 65535: "81 7e ff ff", 65536: "81 7f 00 00 00 00 00 01 00 00",
	} {
		if got := fmt.Sprintf("% x", websock.AppendHeader(nil, websock.OpText, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestAppendControl(t *testing.T) {
	tests := map[string]struct {
		fill func(*bridge.Output)
		want string
	}{
		"ping":              {func(o *bridge.Output) { websock.AppendPing(o, []byte("p")) }, "\x89\x01p"},
		"pong":              {func(o *bridge.Output) { websock.AppendPong(o, nil) }, "\x8a\x00"},
		"ping, too long":    {func(o *bridge.Output) { websock.AppendPing(o, []byte(long(200))) }, "\x89\x7d" + long(125)},
		"binary":            {func(o *bridge.Output) { websock.AppendBinary(o, []byte{1}) }, "\x82\x01\x01"},
		"close":             {func(o *bridge.Output) { websock.AppendClose(o, 4401, "token") }, "\x88\x07\x11\x31token"},
		"close, no status":  {func(o *bridge.Output) { websock.AppendClose(o, websock.CodeNoStatus, "x") }, "\x88\x00"},
		"close, no code":    {func(o *bridge.Output) { websock.AppendClose(o, 0, "") }, "\x88\x00"},
		"close, abnormal":   {func(o *bridge.Output) { websock.AppendClose(o, websock.CodeAbnormal, "") }, "\x88\x00"},
		"close, cut a rune": {func(o *bridge.Output) { websock.AppendClose(o, 1000, long(122)+"é") }, "\x88\x7c\x03\xe8" + long(122)},
	}
	for name, tt := range tests {
		out := output(tt.fill)
		if got := bytes.Join(out.Buffers(nil), nil); string(got) != tt.want || out.Frames() != 1 {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestCodes(t *testing.T) {
	for code, may := range map[websock.Code]bool{1001: true, 1012: true, 4400: false, 4401: false, 4403: false, 4408: false, 4409: false, 4413: false, 4429: true, 4503: true, 3000: true} {
		if code.MayReconnect() != may || code.String() == "" {
			t.Errorf("%d (%s): may reconnect %v", code, code, !may)
		}
	}
}

// server upgrades every request and hands the connections over. The handler
// returns at once: a connection must not end with its request.
func server(t *testing.T, o websock.Options, start func(*httptest.Server)) (*httptest.Server, <-chan *websock.Conn) {
	t.Helper()
	conns := make(chan *websock.Conn, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websock.Upgrade(w, r, o); err == nil {
			conns <- c
		}
	}))
	start(s)
	t.Cleanup(s.Close)
	return s, conns
}

func dial(t *testing.T, s *httptest.Server, conns <-chan *websock.Conn) (*websocket.Conn, *websock.Conn) {
	t.Helper()
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Subprotocols: []string{"other", "jetway.v1"}, EnableCompression: true}
	ws, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := <-conns
	t.Cleanup(func() { ws.Close(); c.Close() })
	return ws, c
}

// Many frames, small and large, leave in one system call over TCP, and arrive
// as a stock client expects them, over TLS too.
func TestWriteManyFramesAtOnce(t *testing.T) {
	large := []byte(long(20_000))
	for name, tt := range map[string]struct {
		start  func(*httptest.Server)
		writes uint64
	}{
		"TCP": {(*httptest.Server).Start, 1},
		"TLS": {(*httptest.Server).StartTLS, 2}, // 16 KiB each
	} {
		t.Run(name, func(t *testing.T) {
			stats := new(websock.Stats)
			s, conns := server(t, websock.Options{Stats: stats, Subprotocols: []string{"jetway.v1"}}, tt.start)
			ws, c := dial(t, s, conns)
			if c.Subprotocol() != "jetway.v1" || c.RemoteAddr() == nil {
				t.Errorf("sub-protocol %q, address %v", c.Subprotocol(), c.RemoteAddr())
			}
			out := output(func(o *bridge.Output) {
				for i := range 50 {
					websock.AppendText(o, fmt.Append(nil, i))
				}
				o.Append(websock.AppendHeader(nil, websock.OpText, len(large))...)
				o.AppendShared(large)
				o.EndFrame()
				websock.AppendText(o, []byte("last"))
			})
			if err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			if f, w, b := stats.Frames.Load(), stats.Writes.Load(), stats.Bytes.Load(); f != 52 || w != tt.writes || b != uint64(out.Size()) {
				t.Errorf("%d frames, %d bytes in %d writes", f, b, w)
			}
			for i := range 52 {
				_, msg, err := ws.ReadMessage()
				want := map[bool]string{true: fmt.Sprint(i), false: string(large)}[i < 50]
				if i == 51 {
					want = "last"
				}
				if err != nil || string(msg) != want {
					t.Fatalf("message %d: %.20q, %v", i, msg, err)
				}
			}
		})
	}
}

// W09: a flood of pings is answered by one pong, the newest.
func TestW09PingFlood(t *testing.T) {
	client, c := upgraded(t, websock.Options{}, nil)
	calls := 0
	c.OnPing(func() { calls++ })
	var flood [][]byte
	for i := range 10_000 {
		flood = append(flood, frame(0x89, fmt.Append(nil, i)))
	}
	send(client, append(flood, text("done"))...)
	if _, _, err := c.ReadMessage(nil); err != nil {
		t.Fatal(err)
	}
	var out bridge.Output
	if !c.AppendPong(&out) || calls != 1 || string(bytes.Join(out.Buffers(nil), nil)) != "\x8a\x049999" {
		t.Errorf("%d calls, %q", calls, out.Buffers(nil))
	}
	if c.AppendPong(&out) || out.Frames() != 1 {
		t.Error("a second pong is owed")
	}
}

// W10: a client that does not read is given up after the write timeout.
func TestW10WriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := upgraded(t, websock.Options{WriteTimeout: 20 * time.Second}, nil)
		start := time.Now()
		err := c.Write(output(func(o *bridge.Output) { websock.AppendText(o, []byte("x")) }))
		if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != 20*time.Second {
			t.Errorf("%v after %s", err, d)
		}
		c.Close()
	})
}

// A client that reads slowly gets everything, however long it takes.
func TestWriteToSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := upgraded(t, websock.Options{WriteTimeout: 20 * time.Second}, nil)
		got := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			buf := make([]byte, 8<<10)
			for {
				time.Sleep(8 * time.Second)
				n, err := client.Read(buf)
				if got += n; err != nil {
					return
				}
			}
		})
		out := output(func(o *bridge.Output) { websock.AppendText(o, []byte(long(200_000))) })
		if err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		c.Close()
		wg.Wait()
		if got != out.Size() {
			t.Errorf("%d bytes of %d", got, out.Size())
		}
	})
}

// Over TCP a deadline that passes after some bytes have left is no failure yet:
// only the next one, without any, is.
func TestWriteProgressOverTCP(t *testing.T) {
	stats := new(websock.Stats)
	s, conns := server(t, websock.Options{WriteTimeout: 500 * time.Millisecond, Stats: stats}, (*httptest.Server).Start)
	ws, c := dial(t, s, conns)
	out := output(func(o *bridge.Output) { websock.AppendText(o, make([]byte, 16<<20)) })
	err := c.Write(out) // nobody reads: the kernel's buffers fill up
	if n := stats.Writes.Load(); !errors.Is(err, os.ErrDeadlineExceeded) || n < 2 {
		t.Errorf("%v after %d writes", err, n)
	}
	ws.Close()
}

// What was written before the end reaches a client that is still sending.
func TestFinish(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"TCP": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			s, conns := server(t, websock.Options{MaxMessageBytes: 1000}, start)
			ws, c := dial(t, s, conns)
			go func() { _ = ws.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)) }()
			_, _, err := c.ReadMessage(nil)
			out := output(func(o *bridge.Output) { websock.AppendClose(o, websock.CloseCode(err), "too big") })
			if err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			finished := make(chan error, 1)
			go func() { finished <- c.Finish(5 * time.Second) }()
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, 4413) {
				t.Errorf("the client sees %v", err)
			}
			ws.Close()
			if err := <-finished; err != nil {
				t.Error(err)
			}
		})
	}
}

// Finish does not wait for a client that never closes.
func TestFinishIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := upgraded(t, websock.Options{}, nil)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for {
				if _, err := client.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		start := time.Now()
		if err := c.Finish(5 * time.Second); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func extensions(lines ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header["Sec-Websocket-Extensions"] = lines }
}

func TestUpgradeRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*http.Request)
		status int
	}{
		"other origin":    {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"not a handshake": {func(r *http.Request) { r.Header.Del("Upgrade") }, http.StatusBadRequest},
		"old version":     {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, http.StatusBadRequest},
		"POST":            {func(r *http.Request) { r.Method = "POST" }, http.StatusMethodNotAllowed},

		// RFC 6455 section 9.1: what is no list of extensions fails the handshake.
		"extensions, no name":          {extensions("; x"), http.StatusBadRequest},
		"extensions, no parameter":     {extensions("permessage-deflate;"), http.StatusBadRequest},
		"extensions, no value":         {extensions("permessage-deflate; client_max_window_bits="), http.StatusBadRequest},
		"extensions, two words":        {extensions("permessage deflate"), http.StatusBadRequest},
		"extensions, open quotes":      {extensions(`permessage-deflate; client_max_window_bits="9`), http.StatusBadRequest},
		"extensions, escaped end":      {extensions(`x; y="\`), http.StatusBadRequest},
		"extensions, after the quotes": {extensions(`x; y="1"2`), http.StatusBadRequest},
		"extensions, bad after good":   {extensions("permessage-deflate, ="), http.StatusBadRequest},
		"extensions, in a second line": {extensions("permessage-deflate", "="), http.StatusBadRequest},
	}
	for name, tt := range tests {
		r, w := request(), httptest.NewRecorder()
		tt.change(r)
		if _, err := websock.Upgrade(w, r, websock.Options{}); err == nil || w.Code != tt.status {
			t.Errorf("%s: %d, %v", name, w.Code, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conns := make(chan *websock.Conn, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := websock.Upgrade(w, r, websock.Options{})
		conns <- c
	})}
	go s.Serve(l)
	defer s.Close()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, ws.NetConn())
	c := <-conns
	defer c.Close()
	for _, frames := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("128B_frames_%d", frames), func(b *testing.B) {
			b.ReportAllocs()
			payload := []byte(long(128))
			var out bridge.Output
			for b.Loop() {
				out.Reset()
				for range frames {
					websock.AppendText(&out, payload)
				}
				if err := c.Write(&out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(frames), "ns/frame")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	client, srv := net.Pipe()
	r := request()
	go io.ReadFull(client, make([]byte, 129))
	c, err := websock.Upgrade(&hijackable{httptest.NewRecorder(), srv}, r, websock.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	go func() {
		burst := bytes.Repeat(text(long(128)), 16)
		for {
			if _, err := client.Write(burst); err != nil {
				return
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.ReadMessage(nil); err != nil {
			b.Fatal(err)
		}
	}
}
