package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

const someSID = "abcdefghijklmnopqrst"

// acceptAll lets everybody in, and looks at nothing.
type acceptAll struct{}

func (acceptAll) Connect(c *socketio.Conn, namespace string, _ []byte) {
	_ = c.Accept(namespace, someSID, "")
}
func (acceptAll) Event(*socketio.Conn, *socketio.Packet) {}
func (acceptAll) Ack(*socketio.Conn, *socketio.Packet)   {}
func (acceptAll) Disconnect(*socketio.Conn, string)      {}
func (acceptAll) Close(*socketio.Conn, string)           {}

// gateway notes the calls, and does what a test wants of it.
type gateway struct {
	connect func(c *socketio.Conn, namespace string, auth []byte)
	event   func(c *socketio.Conn, p *socketio.Packet)

	mu    sync.Mutex
	calls []string
}

func (g *gateway) note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, fmt.Sprintf(format, args...))
}

func (g *gateway) Connect(c *socketio.Conn, namespace string, auth []byte) {
	g.note("connect %s %s", namespace, auth)
	if g.connect != nil {
		g.connect(c, namespace, auth)
	}
}

func (g *gateway) Event(c *socketio.Conn, p *socketio.Packet) {
	g.note("event %s %s %d %t %q", p.Namespace, p.Data, p.ID, p.HasID, p.Attachments)
	if g.event != nil {
		g.event(c, p)
	}
}

func (g *gateway) Ack(_ *socketio.Conn, p *socketio.Packet) {
	g.note("ack %s %s %d", p.Namespace, p.Data, p.ID)
}

func (g *gateway) Disconnect(_ *socketio.Conn, namespace string) { g.note("disconnect %s", namespace) }

func (g *gateway) Close(_ *socketio.Conn, reason string) { g.note("close %s", reason) }

// want compares the calls since the last time, once all is quiet.
func (g *gateway) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.calls, want) {
		t.Errorf("the gateway was told %q, want %q", g.calls, want)
	}
	g.calls = nil
}

// gatewayed serves a gateway.
func gatewayed(t *testing.T, g *gateway, test func(*testing.T, *site)) {
	t.Helper()
	conns := socketio.NewConns(socketio.ConnOptions{Handler: g, Namespaces: func(name string) bool { return name != "/none" }})
	serve(t, conns, engineio.Options{}, test)
}

// A gateway sees packets, and answers with a pid and with frames of its own.
func TestConn(t *testing.T) {
	var conn *socketio.Conn
	g := &gateway{
		connect: func(c *socketio.Conn, namespace string, _ []byte) {
			conn = c
			if err := c.Accept(namespace, someSID, `p"id`); err != nil {
				t.Error(err)
			}
		},
		event: func(c *socketio.Conn, p *socketio.Packet) {
			var out bridge.Output
			again := socketio.Packet{Type: socketio.PacketEvent, Namespace: p.Namespace, Data: p.Data, Attachments: p.Attachments}
			for range 2 {
				_ = again.AppendFrames(&out, c.Format()) // text does not fail
			}
			if err := c.Session().Write(&out); err != nil {
				t.Error(err)
			}
		},
	}
	gatewayed(t, g, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send(`40/a,{"pid":"x","offset":"y"}`).want(`40/a,{"sid":"` + someSID + `","pid":"p\"id"}`)
		c.send(`451-/a,7["e", `+onePlaceholder+`]`, "b:x").want(`451-/a,["e", `+onePlaceholder+`]`, "b:x", `451-/a,["e", `+onePlaceholder+`]`, "b:x")
		c.send(`43/a,5[1]`, "41/a")
		g.want(t, `connect /a {"pid":"x","offset":"y"}`, `event /a ["e", `+onePlaceholder+`] 7 true ["x"]`, `ack /a [1] 5`, `disconnect /a`)
		if err := conn.Accept("/a", someSID, ""); err != socketio.ErrNotJoined {
			t.Error(err)
		}
		c.send(`40/none`).want(`44/none,{"message":"Invalid namespace"}`)
		c.send("1").want(closed)
		g.want(t, "close transport close")
		if err := conn.Send(&socketio.Packet{Type: socketio.PacketDisconnect}); err != engineio.ErrClosed {
			t.Error(err)
		}
	})
}

// The answer to a CONNECT may come later, from any goroutine, or not at all.
func TestConnAnswersLater(t *testing.T) {
	conns := make(chan *socketio.Conn, 1)
	g := &gateway{connect: func(c *socketio.Conn, _ string, _ []byte) { conns <- c }}
	gatewayed(t, g, func(t *testing.T, s *site) {
		c := s.dial(false).send("40")
		conn := <-conns
		time.Sleep(30 * time.Second)
		if err := conn.Leave("/"); err != socketio.ErrNotJoined {
			t.Error(err)
		}
		if err := conn.Refuse("/", &socketio.ConnectError{Message: "later"}); err != nil {
			t.Error(err)
		}
		c.want(`44{"message":"later"}`)
		if err := errors.Join(conn.Refuse("/", nil), conn.Accept("/", someSID, "")); !errors.Is(err, socketio.ErrNotJoined) {
			t.Error(err)
		}
		c.send("40")
		<-conns
		c.send(`42["early"]`).want(closed) // before it is let in
		g.want(t, "connect / ", "connect / ", "close parse error")

		c = s.dial(false).send("40/slow")
		<-conns
		c.want(closed)
		g.want(t, "connect /slow ", "close connect timeout")
	})
}

func TestConnLeave(t *testing.T) {
	var conn *socketio.Conn
	g := &gateway{connect: func(c *socketio.Conn, namespace string, _ []byte) {
		conn = c
		_ = c.Accept(namespace, someSID, "")
	}}
	gatewayed(t, g, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		if err := conn.Leave("/"); err != nil {
			t.Error(err)
		}
		c.want("41")
		c.send(`42["crossing"]`, `431[]`, "41", "40").want("40*")
		g.want(t, "connect / ", "connect / ")
		if err := conn.Leave("/other"); err != socketio.ErrNotJoined {
			t.Error(err)
		}
		conn.Close()
		c.want(closed)
		g.want(t, "close forced close")
	})
}
