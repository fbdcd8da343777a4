package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
)

// stock is a Socket.IO client that has joined the main namespace.
type stock struct {
	t  *testing.T
	ws *websocket.Conn
}

func dialStock(t *testing.T, s *gateway.Server) *stock {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	c := &stock{t, ws}
	c.want("0{")
	c.send("40")
	c.want("40{")
	return c
}

func (c *stock) send(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads the next message, which begins so.
func (c *stock) want(prefix string) string {
	c.t.Helper()
	if err := c.ws.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	_, text, err := c.ws.ReadMessage()
	if err != nil || !strings.HasPrefix(string(text), prefix) {
		c.t.Fatalf("got %q (%v), want %s…", text, err, prefix)
	}
	return string(text)
}

// Every control event is answered, and the connection goes on.
func TestSocketIOControlEvents(t *testing.T) {
	all := []string{">"}
	s, _ := serve(t, gateway.Options{
		Anonymous: &bridge.Permissions{Pub: all, Sub: all, Work: all, Req: all},
		SocketIO:  gateway.SocketIO{Path: "/socket.io/"},
	})
	c := dialStock(t, s)
	for _, tt := range []struct{ emit, answer string }{
		{`421["jetway:pub",{"pub":"events.a","data":1}]`, `431[{"ok":true,"pos":`},
		{`422["jetway:sub",{"sub":"events.b"}]`, `432[{"ok":true,"sid":"b1"}]`},
		{`423["jetway:sub",{"sub":"events.c","as":"desk"}]`, `433[{"ok":true,"sid":"s`},
		{`424["jetway:sub",{"sub":"live.x"}]`, `434[{"ok":true,"sid":"s`},
		{`425["jetway:off","b1"]`, `435[{"ok":true}]`},
		{`426["jetway:req",{"req":"svc.nobody","data":1}]`, `436[{"ok":false,"code":"no_responders"`},
		{`427["jetway:ack",{"ack":"nothing"}]`, `437[{"ok":false,"code":"lease_lost"`},
		{`428["jetway:ping",{"ping":8}]`, `438[{"ok":true,"pong":8}]`},
		{`429["jetway:work",{"work":"jobs.none"}]`, `439[{"ok":`},
		{`4210["jetway:sub",{"sub":"events.d","from":"first"}]`, `4310[{"ok":true,"sid":"s`},
	} {
		c.send(tt.emit)
		c.want(tt.answer)
		if strings.Contains(tt.emit, `"as"`) || strings.Contains(tt.emit, `"from"`) {
			if live := c.want(`42`); !strings.Contains(live, `["jetway:live",{"sid":"s`) {
				t.Fatal(live)
			}
		}
	}
}

// An event that is too big is refused, and the connection goes on.
func TestSocketIOTooBig(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, MaxMessageBytes: 1000, SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	c := dialStock(t, s)
	c.send(`421["events.a","` + strings.Repeat("x", 1000) + `"]`)
	c.want(`431[{"ok":false,"code":"too_big"`)
	c.send(`422["events.a","` + strings.Repeat("x", 998) + `"]`)
	c.want(`432[{"ok":true`)
}
