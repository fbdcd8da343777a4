package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
)

// stockClient speaks Socket.IO as text, over a WebSocket.
type stockClient struct {
	t *testing.T
	c *websocket.Conn
}

func dialStock(t *testing.T, s *gateway.Server, header http.Header) stockClient {
	t.Helper()
	c, r := dialRaw(t, "ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket", header)
	if c == nil {
		t.Fatalf("refused: %d", r.StatusCode)
	}
	one := stockClient{t, c}
	one.want(`0{"sid":`)
	return one
}

// want returns the next packet, which begins like this; pings are not told.
func (c stockClient) want(begins string) string {
	c.t.Helper()
	for {
		_, b, err := c.c.ReadMessage()
		if err != nil {
			c.t.Fatalf("want %s: %v", begins, err)
		}
		if string(b) == "2" {
			c.send("3")
			continue
		}
		if !strings.HasPrefix(string(b), begins) {
			c.t.Fatalf("got %s, want %s", b, begins)
		}
		return string(b)
	}
}

func (c stockClient) send(packet string) {
	c.t.Helper()
	if err := c.c.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// closes waits for the end of the connection.
func (c stockClient) closes() {
	c.t.Helper()
	for {
		if _, b, err := c.c.ReadMessage(); err != nil {
			return
		} else if strings.HasPrefix(string(b), "44") {
			c.t.Errorf("refused: %s", b)
		}
	}
}

func stockOptions(a auth.Authenticator) gateway.Options {
	return gateway.Options{Auth: a, TokenSources: auth.Sources{Cookie: "session"}, SocketIO: gateway.SocketIO{Path: "/socket.io/",
		Subscribe: []sio.Subscription{{Filter: "events.users.{user}.>"}, {Filter: "events.admin.>"}}}}
}

// The token of a Socket.IO client is in its CONNECT, or in its handshake.
func TestSocketIOTokens(t *testing.T) {
	s, _ := serve(t, stockOptions(guarded(t)))
	good := sign(t, "ann", "chat")
	for name, c := range map[string]stockClient{"bearer": dialStock(t, s, field("Authorization", "Bearer "+good)),
		"cookie": dialStock(t, s, field("Cookie", "session="+good, "Origin", "http://"+s.Addr().String()))} {
		c.send("40")
		if got := c.want("4"); !strings.HasPrefix(got, `40{"sid":`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	c := dialStock(t, s, nil)
	c.send(`40{"token":"` + good + `"}`)
	c.want(`40{"sid":`)
	// It has what its roles allow of the connect subscriptions, and is ann.
	c.send(`420["events.chat.1",1]`)
	c.want(`430[{"ok":true`)
	c.send(`421["events.users.ann.x",1]`)
	c.want(`431[{"ok":false,"code":"forbidden"`)
	c.send(`422["jetway:sub",{"sub":"events.users.*.x"}]`)
	if got := c.want(`432[{"ok":false`); !strings.Contains(got, "allowed within it: events.users.ann.x") {
		t.Errorf("got %s", got)
	}
}

// A01, A02, A13: what is no good is refused with a reason that the page can
// read; a cookie from elsewhere does not even open a connection.
func TestSocketIORefusals(t *testing.T) {
	s, _ := serve(t, stockOptions(guarded(t)))
	good := sign(t, "ann", "chat")
	for name, connect := range map[string]string{
		"none": "40", "null": `40{"token":null}`, "bad": `40{"token":"` + good + `x"}`, "empty": `40{"token":""}`, "number": `40{"token":1}`, "object": `40{"token":{}}`,
	} {
		c := dialStock(t, s, nil)
		c.send(connect)
		var refusal struct {
			Message string
			Data    struct{ Code, Hint string }
		}
		if err := json.Unmarshal([]byte(c.want("44")[2:]), &refusal); err != nil || refusal.Data.Code != "unauthenticated" || refusal.Data.Hint == "" || refusal.Message == "" {
			t.Errorf("%s: %+v, %v", name, refusal, err)
		}
	}
	for name, header := range map[string]http.Header{"A01": field("Cookie", "session="+good, "Origin", "https://evil.example"), "A02": field("Cookie", "session="+good)} {
		for _, transport := range []string{"polling", "websocket"} {
			base := "://" + s.Addr().String() + "/socket.io/?EIO=4&transport=" + transport
			status := 0
			if transport == "polling" {
				status, _ = get(t, "http"+base, header)
			} else {
				_, r := dialRaw(t, "ws"+base, header)
				status = r.StatusCode
			}
			if status < 400 {
				t.Errorf("%s by %s: %d", name, transport, status)
			}
		}
	}
}

// busy cannot decide.
type busy struct{ auth.Policy }

func (busy) Takes() bool { return true }
func (busy) Authenticate(context.Context, auth.Credentials) (*auth.Identity, error) {
	return nil, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "later"}
}

// What is temporary closes the transport: a stock client does not come back
// after a refusal.
func TestSocketIOTemporary(t *testing.T) {
	s, _ := serve(t, stockOptions(&busy{}))
	c := dialStock(t, s, nil)
	c.send(`40{"token":"x"}`)
	c.closes()
}

// scripted knows tokens by their text.
type scripted struct {
	auth.Policy
	users map[string]*auth.Identity
}

func (*scripted) Takes() bool { return true }
func (s *scripted) Authenticate(_ context.Context, c auth.Credentials) (*auth.Identity, error) {
	if id := s.users[c.Token]; id != nil {
		return id, nil
	}
	return nil, auth.Refuse("bad_signature", "no good", "another")
}

// A09: the end of a token closes the transport; a refresh moves it, and ends
// what is not allowed any more; another user's token closes at once.
func TestA09SocketIO(t *testing.T) {
	const life = 5 * time.Second // more than all that happens before its end
	now := time.Now()
	all := bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}}
	s, _ := serve(t, stockOptions(&scripted{users: map[string]*auth.Identity{
		"short": {User: "ann", Permissions: &all, Expires: now.Add(life)},
		"long":  {User: "ann", Permissions: &bridge.Permissions{Sub: []string{"events.users.ann.>"}, Pub: []string{">"}}, Expires: now.Add(time.Hour)},
		"bob":   {User: "bob", Permissions: &all},
	}}))
	short := dialStock(t, s, nil)
	short.send(`40{"token":"short"}`)
	short.want(`40{"sid":`)

	c := dialStock(t, s, nil)
	c.send(`40{"token":"short"}`)
	c.want(`40{"sid":`)
	c.send(`420["jetway:auth","long"]`)
	c.want(`42`) // events.admin.> of the connect subscriptions has ended
	c.want(`430[{"ok":true,"user":"ann","expires":"`)

	short.closes()
	if time.Now().Before(now.Add(life)) {
		t.Error("closed too early")
	}
	c.send(`421["events.admin.x",1]`)
	c.want(`431[{"ok":true`)
	c.send(`422["events.users.ann.x",2]`)
	var got []string
	for range 2 { // the ack and the event, in any order
		got = append(got, c.want("4"))
	}
	if all := strings.Join(got, " "); strings.Contains(all, "events.admin") || !strings.Contains(all, "events.users.ann.x") {
		t.Errorf("got %v", got)
	}
	c.send(`423["jetway:auth",{"auth":"nonsense"}]`)
	c.want(`433[{"ok":false,"code":"unauthenticated"`)
	c.send(`424["jetway:auth",{"auth":"bob"}]`)
	c.closes()
}

// storing is a broker that keeps sessions.
type storing struct {
	*memory.Broker
	mu       sync.Mutex
	sessions map[string][]byte
	revision uint64
}

func (s *storing) SaveSession(_ context.Context, key string, record []byte, _ uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[key] = bytes.Clone(record)
	s.revision++
	return s.revision, nil
}

func (s *storing) LoadSession(_ context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if record, ok := s.sessions[key]; ok {
		return record, s.revision, nil
	}
	return nil, 0, &bridge.Error{Code: bridge.CodeNotFound, Msg: "no such session"}
}

func (s *storing) DropSession(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, key)
	return nil
}

// A11, A12: the id of a session is a secret of 128 bits, which no log has, and
// of no use to another user.
func TestA11(t *testing.T) {
	s, log := serveSessions(t, guarded(t))
	join := func(user, pid string) (c stockClient, told map[string]string) {
		c = dialStock(t, s, nil)
		payload, _ := json.Marshal(map[string]string{"token": sign(t, user, "chat"), "pid": pid, "offset": "0"}) // texts marshal
		c.send("40" + string(payload))
		if err := json.Unmarshal([]byte(c.want("40")[2:]), &told); err != nil {
			t.Fatal(err)
		}
		return c, told
	}
	c, ann := join("ann", "")
	if len(ann["pid"]) < 22 || ann["pid"] == ann["sid"] {
		t.Fatalf("the ids are %v", ann)
	}
	c.c.Close()
	if _, bob := join("bob", ann["pid"]); bob["pid"] == ann["pid"] || bob["sid"] == ann["sid"] {
		t.Errorf("bob has ann's session: %v", bob)
	}
	if _, again := join("ann", ann["pid"]); again["pid"] != ann["pid"] || again["sid"] != ann["sid"] {
		t.Errorf("ann has lost her session: %v, was %v", again, ann)
	}
	if strings.Contains(log.String(), ann["pid"]) {
		t.Error("the id is in the log")
	}
}
