package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/websock"
)

// fakeGateway is a gateway whose connections follow a script. Each command
// line that runs against it makes one connection.
type fakeGateway struct {
	t      *testing.T
	url    string
	script func(p *fakePeer)
	ended  chan struct{} // one for each script that has ended
}

func newFakeGateway(t *testing.T, script func(p *fakePeer)) *fakeGateway {
	g := &fakeGateway{t: t, script: script, ended: make(chan struct{}, 100)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Upgrade(w, r, websock.Options{Subprotocols: []string{"jetway.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		p := &fakePeer{t: t, c: c}
		p.send(string(native.AppendHi(nil, &native.Hi{Session: "S", User: "ann", MaxMessageBytes: 1 << 20})))
		script(p)
		g.ended <- struct{}{}
	}))
	t.Cleanup(s.Close)
	g.url = "ws" + strings.TrimPrefix(s.URL, "http")
	return g
}

// run executes a command line against the gateway, and returns when the script
// of its connection has ended too.
func (g *fakeGateway) run(stdin string, args ...string) (code int, stdout, stderr string) {
	g.t.Helper()
	out, errs := newScreen(), newScreen()
	m := &Main{Stdin: strings.NewReader(stdin), Stdout: out, Stderr: errs, Env: []string{"JETWAY_URL=" + g.url}}
	code = m.Run(g.t.Context(), args)
	<-g.ended
	return code, out.text.String(), errs.text.String()
}

// fakePeer is the gateway's end of one connection.
type fakePeer struct {
	t *testing.T
	c *websock.Conn
}

func (p *fakePeer) send(texts ...string) {
	var out bridge.Output
	for _, s := range texts {
		websock.AppendText(&out, []byte(s))
	}
	_ = p.c.Write(&out) // the client may be gone
}

// recv returns the client's next frame; nil when it has gone.
func (p *fakePeer) recv() *native.Frame {
	b, _, err := p.c.ReadMessage(nil)
	if err != nil {
		return nil
	}
	f := new(native.Frame)
	if err := native.Parse(b, f); err != nil {
		p.t.Errorf("the client sent %s: %v", b, err)
	}
	return f
}

// answer answers every frame with what f makes of it, until the client goes.
// "%s" in it is the frame's id.
func (p *fakePeer) answer(f func(f *native.Frame) []string) {
	for q := p.recv(); q != nil; q = p.recv() {
		for _, text := range f(q) {
			p.send(strings.Replace(text, "%s", q.ID, 1))
		}
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}

// frameText is what a frame says, in one line, for tests.
func frameText(f *native.Frame) string {
	text := fmt.Sprintf("%s %s", f.Verb, f.Text)
	if p, ok := f.Payload(); ok {
		text += " " + string(p)
	}
	if f.Why != "" {
		text += ": " + f.Why
	}
	return text
}
