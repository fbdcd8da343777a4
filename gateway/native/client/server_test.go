package client_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

const url = "ws://fake/ws"

// fake is a server whose connections follow a script. It listens on pipes, so
// that it works in a synctest bubble.
type fake struct {
	t      *testing.T
	script func(n int, p *peer) // n counts the connections from 0
	wg     sync.WaitGroup

	mu    sync.Mutex
	dials []time.Time
	heads []http.Header
}

// serve returns options that dial a server with this script.
func serve(t *testing.T, script func(n int, p *peer)) (*fake, client.Options) {
	f := &fake{t: t, script: script}
	t.Cleanup(f.wg.Wait)
	return f, client.Options{Dial: f.dial}
}

func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	f.mu.Lock()
	n := len(f.dials)
	f.dials = append(f.dials, time.Now())
	f.mu.Unlock()
	f.wg.Go(func() { f.accept(n, far) })
	return near, nil
}

func (f *fake) accept(n int, nc net.Conn) {
	defer nc.Close()
	r, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		f.t.Error(err)
		return
	}
	f.mu.Lock()
	f.heads = append(f.heads, r.Header)
	f.mu.Unlock()
	c, err := websock.Upgrade(&hijackable{httptest.NewRecorder(), nc}, r, websock.Options{Subprotocols: []string{"jetway.v1"}})
	if err != nil {
		f.t.Error(err)
		return
	}
	f.script(n, &peer{t: f.t, c: c})
}

type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// peer is the server's end of one connection.
type peer struct {
	t *testing.T
	c *websock.Conn
}

func (p *peer) hi() {
	p.send(string(native.AppendHi(nil, &native.Hi{Session: "S", User: "ann", Ping: 25 * time.Second, MaxMessageBytes: 1000})))
}

// send sends text messages in one write; the client may be gone.
func (p *peer) send(texts ...string) {
	var out bridge.Output
	for _, s := range texts {
		websock.AppendText(&out, []byte(s))
	}
	_ = p.c.Write(&out)
}

// close says goodbye.
func (p *peer) close(code websock.Code, bye string) {
	var out bridge.Output
	if bye != "" {
		websock.AppendText(&out, []byte(bye))
	}
	websock.AppendClose(&out, code, "")
	_ = p.c.Write(&out)
}

// recv returns the client's next frame; nil when it has gone.
func (p *peer) recv() *native.Frame {
	b, _, err := p.c.ReadMessage(nil)
	if err != nil {
		if code := websock.CloseCode(err); code != 0 {
			p.close(code, "")
		}
		return nil
	}
	f := new(native.Frame)
	if err := native.Parse(b, f); err != nil {
		p.t.Errorf("the client sent %s: %v", b, err)
	}
	return f
}

// until reads to the end of the connection.
func (p *peer) until() {
	for p.recv() != nil {
	}
}

func dial(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
