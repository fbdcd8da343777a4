//go:build linux || darwin

package websock_test

import (
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// watched notes the write deadline that its connections were given last.
type watched struct {
	net.Listener
	deadline atomic.Value // a time.Time
}

func (w *watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{c.(*net.TCPConn), w}, nil
}

type watchedConn struct {
	*net.TCPConn
	w *watched
}

func (c watchedConn) SetWriteDeadline(t time.Time) error {
	c.w.deadline.Store(t)
	return c.TCPConn.SetWriteDeadline(t)
}

// WriteSome takes what the kernel has room for, and never waits; Write goes on
// where it stopped, and leaves no deadline behind that would fail the next one.
func TestWriteSome(t *testing.T) {
	stats, w := new(websock.Stats), new(watched)
	s, conns := server(t, websock.Options{Stats: stats}, func(s *httptest.Server) {
		w.Listener = s.Listener
		s.Listener = w
		s.Start()
	})
	ws, c := dial(t, s, conns)
	texts := 0
	fill := func(o *bridge.Output) {
		for range 40 {
			text := strings.Repeat(string(rune('a'+texts%26)), 300*(texts%40)) // the large ones are not copied
			o.Append(websock.AppendHeader(nil, websock.OpText, len(text))...)
			o.AppendShared([]byte(text))
			o.EndFrame()
			texts++
		}
	}
	var out *bridge.Output
	for full := false; !full; { // nobody reads
		out = output(fill)
		size := out.Size()
		if err := c.WriteSome(out); err != nil {
			t.Fatal(err)
		}
		full = out.Size() > 0
		if out.Size() == size {
			t.Fatal("nothing was taken")
		}
	}
	left := out.Size()
	if err := c.WriteSome(out); err != nil || out.Size() > left {
		t.Fatalf("%v, %d bytes more", err, out.Size()-left)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- c.Write(out) }()
	for i := range texts {
		_, msg, err := ws.ReadMessage()
		if err != nil || string(msg) != strings.Repeat(string(rune('a'+i%26)), 300*(i%40)) {
			t.Fatalf("message %d of %d: %.20q, %v", i, texts, msg, err)
		}
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if n := stats.Frames.Load(); n != uint64(texts) {
		t.Errorf("%d frames are counted, of %d", n, texts)
	}
	if d, _ := w.deadline.Load().(time.Time); !d.IsZero() {
		t.Errorf("the deadline %v is left", d)
	}
	last := output(func(o *bridge.Output) { websock.AppendText(o, []byte("last")) })
	if err := c.WriteSome(last); err != nil || last.Size() > 0 {
		t.Errorf("%v, %d bytes are left", err, last.Size())
	}
	if _, msg, err := ws.ReadMessage(); string(msg) != "last" {
		t.Errorf("%q, %v", msg, err)
	}
	c.Close()
	if err := c.WriteSome(output(func(o *bridge.Output) { websock.AppendText(o, []byte("x")) })); err == nil {
		t.Error("a closed connection takes more")
	}
}

// Who is gone is an error, and one system call.
func TestWriteSomeGone(t *testing.T) {
	s, conns := server(t, websock.Options{}, (*httptest.Server).Start)
	ws, c := dial(t, s, conns)
	if err := ws.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	ws.Close()
	if _, _, err := c.ReadMessage(nil); err == nil { // the reset has come
		t.Fatal("no error")
	}
	err := c.WriteSome(output(func(o *bridge.Output) { websock.AppendText(o, []byte("x")) }))
	if err == nil || os.IsTimeout(err) {
		t.Errorf("%v", err)
	}
}

// Over TLS all is left to Write.
func TestWriteSomeTLS(t *testing.T) {
	s, conns := server(t, websock.Options{}, (*httptest.Server).StartTLS)
	ws, c := dial(t, s, conns)
	out := output(func(o *bridge.Output) { websock.AppendText(o, []byte("x")) })
	size := out.Size()
	if err := c.WriteSome(out); err != nil || out.Size() != size {
		t.Fatalf("%v, %d bytes of %d are left", err, out.Size(), size)
	}
	if err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	if kind, msg, err := ws.ReadMessage(); kind != websocket.TextMessage || string(msg) != "x" {
		t.Errorf("%d %q, %v", kind, msg, err)
	}
}
