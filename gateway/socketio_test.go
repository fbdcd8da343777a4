package gateway_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/sio"
)

// stock is a Socket.IO client that has joined the main namespace.
type stock struct {
	t  *testing.T
	ws *websocket.Conn
}

func joinStock(t *testing.T, s *gateway.Server) *stock {
	t.Helper()
	c := openStock(t, s)
	c.send("40")
	c.want("40{")
	return c
}

// openStock returns one that has not joined yet.
func openStock(t *testing.T, s *gateway.Server) *stock {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	c := &stock{t, ws}
	c.want("0{")
	return c
}

func (c *stock) send(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads the next message, which begins so; pings are answered.
func (c *stock) want(prefix string) string {
	c.t.Helper()
	if err := c.ws.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	_, text, err := c.ws.ReadMessage()
	for err == nil && string(text) == "2" {
		c.send("3")
		_, text, err = c.ws.ReadMessage()
	}
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
	c := joinStock(t, s)
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

// A cursor follows every event: a text as its last argument would be the
// client's offset.
func TestSocketIOCursor(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, SocketIO: gateway.SocketIO{Path: "/socket.io/", Recovery: sio.RecoveryEvent}})
	c := joinStock(t, s)
	const cursor = `42["jetway:cursor","`
	first := c.want(cursor)
	c.send(`421["jetway:sub",{"sub":"live.x"}]`)
	c.want(`431[{"ok":true`)
	c.send(`42["live.x","no offset"]`)
	c.want(`42["live.x","no offset"]`)
	if again := c.want(cursor); again != first {
		t.Errorf("the cursor moved from %s to %s", first, again)
	}
}

// flaky is a broker that fails to store what has a key, some times.
type flaky struct {
	*memory.Broker
	fails atomic.Int32
}

func (f *flaky) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	if p.ID != "" && f.fails.Add(-1) >= 0 {
		done(bridge.Receipt{}, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "not now"})
		return
	}
	f.Broker.Publish(p, done)
}

// An event with a key is tried until it is stored: a stock client with retries
// does not send it again when it is refused.
func TestSocketIOTriesAgain(t *testing.T) {
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	f := &flaky{Broker: broker}
	f.fails.Store(3)
	key := 1
	mapping, err := bridge.NewMapping([]bridge.MapRule{{Event: "chat", Subject: "events.chat", Key: &key}})
	if err != nil {
		t.Fatal(err)
	}
	c := joinStock(t, serveOver(t, f, gateway.Options{Anonymous: everything, SocketIO: gateway.SocketIO{Path: "/socket.io/", Mapping: mapping}}))
	c.send(`421["chat","hi","key-1"]`)
	c.want(`431[{"ok":true,"pos":"`)
	if left := f.fails.Load(); left != -1 {
		t.Errorf("tried %d times", 3-left)
	}
	c.send(`422["chat","hi","key-1"]`)
	if text := c.want(`432[{"ok":true`); !strings.Contains(text, `"dup":true`) {
		t.Error(text)
	}
}

// A page that says what it has goes on there, also when its session is over.
func TestSocketIOServerOffset(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, SocketIO: gateway.SocketIO{Path: "/socket.io/",
		Subscribe: []sio.Subscription{{Filter: "events.>", From: "first"}}}})
	c := joinStock(t, s)
	for _, n := range []string{"1", "2"} {
		c.send(`42["events.a",` + n + `]`)
		c.want(`42["events.a",` + n + `,"`)
	}
	c.send(`42["events.a",3]`)
	third := c.want(`42["events.a",3,"`)
	var args []any
	if err := json.Unmarshal([]byte(third[2:]), &args); err != nil {
		t.Fatal(err)
	}
	second := strings.TrimSuffix(args[2].(string), "3") + "2"
	for _, tt := range []struct{ name, auth, first string }{
		{"offset of the client", `{"pid":"gone","offset":"` + second + `"}`, `42["events.a",1,`},
		{"offset of the page", `{"pid":"gone","serverOffset":"` + second + `"}`, `42["events.a",3,`},
		{"both", `{"pid":"gone","offset":"` + args[2].(string) + `","serverOffset":"` + second + `"}`, `42["events.a",3,`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openStock(t, s)
			c.send("40" + tt.auth)
			c.want("40{")
			expired, first := false, ""
			for !expired || first == "" { // in either order
				switch got := c.want("42"); {
				case strings.HasSuffix(got, `["jetway:expired",{}]`):
					expired = true
				case first == "":
					first = got
				}
			}
			if !strings.HasPrefix(first, tt.first) {
				t.Errorf("the first event is %s", first)
			}
		})
	}
}

// An event that is too big is refused, and the connection goes on.
func TestSocketIOTooBig(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, MaxMessageBytes: 1000, SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	c := joinStock(t, s)
	c.send(`421["events.a","` + strings.Repeat("x", 1000) + `"]`)
	c.want(`431[{"ok":false,"code":"too_big"`)
	c.send(`422["events.a","` + strings.Repeat("x", 998) + `"]`)
	c.want(`432[{"ok":true`)
}
