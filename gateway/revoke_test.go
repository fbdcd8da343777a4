package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/websock"
)

// deliberate is an Authenticator that thinks about the tokens "slow…" until it
// is told not to.
type deliberate struct {
	scripted
	asked   chan struct{} // one for each slow token that is being judged
	release chan struct{}
}

func (d *deliberate) Authenticate(ctx context.Context, c auth.Credentials) (*auth.Identity, error) {
	if strings.HasPrefix(c.Token, "slow") {
		d.asked <- struct{}{}
		<-d.release
	}
	return d.scripted.Authenticate(ctx, c)
}

// trial is a gateway with a client whose token is being judged.
type trial struct {
	t      *testing.T
	judge  *deliberate
	server *gateway.Server
	broker *memory.Broker
}

func newTrial(t *testing.T) *trial {
	may := *everything
	now := time.Now()
	d := &deliberate{asked: make(chan struct{}), release: make(chan struct{}), scripted: scripted{users: map[string]*auth.Identity{
		"slow":     {User: "ann", Permissions: &may},
		"slow old": {User: "ann", Permissions: &may, Issued: now.Add(-time.Hour)},
		"slow new": {User: "ann", Permissions: &may, Issued: now.Add(time.Hour)},
		"slow bob": {User: "bob", Permissions: &may},
		"new":      {User: "ann", Permissions: &may, Issued: now.Add(time.Hour)},
		"bob":      {User: "bob", Permissions: &may},
		"witness":  {User: "ann", Permissions: &may, Issued: now.Add(-2 * time.Hour)},
	}}}
	o := stockOptions(d)
	o.AdminListen = "127.0.0.1:0"
	s, broker := serve(t, o)
	return &trial{t, d, s, broker}
}

// revoke has a revocation heard while a token is judged, and then judges it.
func (c *trial) revoke(revocation string) {
	c.t.Helper()
	<-c.judge.asked
	witness, _ := dialRaw(c.t, url(c.server), field("Authorization", "Bearer witness"))
	readText(c.t, witness) // hi
	if err := c.broker.Signal("revoke", []byte(revocation)); err != nil {
		c.t.Fatal(err)
	}
	if code := closeCode(witness); code != int(websock.CodeUnauthenticated) {
		c.t.Fatalf("the witness was closed with %d", code)
	}
	c.judge.release <- struct{}{}
}

// A10: a client that is being judged while its user is revoked, which a
// callout may take seconds for, is not there afterwards; whoever the revocation
// is not about is.
func TestA10WhileJudged(t *testing.T) {
	before := func(at time.Time) string {
		return fmt.Sprintf(`{"user":"ann","before":%q}`, at.Format(time.RFC3339Nano))
	}
	now := time.Now()
	for _, tt := range []struct {
		token, revocation string
		stays             bool
	}{
		{"slow", `{"user":"ann"}`, false},
		{"slow new", `{"user":"ann"}`, false},
		{"slow old", before(now.Add(-time.Minute)), false},
		{"slow new", before(now.Add(time.Minute)), true},
		{"slow", before(now.Add(time.Minute)), false}, // it does not say when it was issued, and was shown before
		{"slow bob", `{"user":"ann"}`, true},
	} {
		for name, come := range map[string]func(*trial, string) (alive func() bool){
			"handshake": (*trial).byHandshake, "auth": (*trial).byAuth, "refresh": (*trial).byRefresh, "socket": (*trial).bySocket, "refresh of a socket": (*trial).bySocketRefresh,
		} {
			t.Run(fmt.Sprint(name, " ", tt.token, " ", tt.stays), func(t *testing.T) {
				c := newTrial(t)
				alive := come(c, tt.token)
				c.revoke(tt.revocation)
				got := alive()
				for end := time.Now().Add(10 * time.Second); got && !tt.stays && time.Now().Before(end); {
					got = alive() // sockets are closed by another goroutine
				}
				if got != tt.stays {
					t.Errorf("connected: %t", got)
				}
				want := map[bool]string{true: "1", false: "2"}[tt.stays] // the witness, too
				if got := metric(t, c.server, `jetway_auth_refused_total{reason="revoked"}`); got != want {
					t.Errorf("counted %s", got)
				}
			})
		}
	}
}

// first is the token of a client that refreshes it.
func first(token string) string {
	if token == "slow bob" {
		return "bob"
	}
	return "new"
}

// byHandshake shows the token in the handshake. What it returns waits for the
// judgement, and reports whether the client is connected after it.
func (c *trial) byHandshake(token string) func() bool {
	came := make(chan *websocket.Conn, 1)
	go func() {
		ws, _, err := websocket.DefaultDialer.Dial(url(c.server), field("Authorization", "Bearer "+token))
		if err != nil {
			c.t.Error(err)
		}
		came <- ws
	}()
	c.t.Cleanup(func() {
		if ws := <-came; ws != nil {
			ws.Close()
		}
	})
	return func() bool {
		ws := <-came
		defer func() { came <- ws }()
		return ws != nil && isAnswered(c.t, ws, `{"ping":1}`, `{"pong":1}`)
	}
}

// byAuth shows it in the first frame.
func (c *trial) byAuth(token string) func() bool {
	ws, _ := dialRaw(c.t, url(c.server), nil)
	return c.sends(ws, `{"auth":"`+token+`"}`, `{"ping":1}`, `{"pong":1}`)
}

// byRefresh shows it after another one.
func (c *trial) byRefresh(token string) func() bool {
	ws, _ := dialRaw(c.t, url(c.server), field("Authorization", "Bearer "+first(token)))
	return c.sends(ws, `{"auth":"`+token+`"}`, `{"ping":1}`, `{"pong":1}`)
}

// bySocket joins with it.
func (c *trial) bySocket(token string) func() bool {
	return c.sends(dialStock(c.t, c.server, nil).c, `40{"token":"`+token+`"}`, `421["jetway:ping",{"ping":1}]`, `431[{"ok":true,"pong":1}]`)
}

// bySocketRefresh shows it after another one.
func (c *trial) bySocketRefresh(token string) func() bool {
	one := dialStock(c.t, c.server, nil)
	one.send(`40{"token":"` + first(token) + `"}`)
	one.want(`40{"sid":`)
	return c.sends(one.c, `42["jetway:auth",{"auth":"`+token+`"}]`, `421["jetway:ping",{"ping":1}]`, `431[{"ok":true,"pong":1}]`)
}

func (c *trial) sends(ws *websocket.Conn, text, ping, pong string) func() bool {
	c.t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
	return func() bool { return isAnswered(c.t, ws, ping, pong) }
}

// isAnswered reports whether a ping is, before the connection ends.
func isAnswered(t *testing.T, ws *websocket.Conn, ping, pong string) bool {
	t.Helper()
	if ws.WriteMessage(websocket.TextMessage, []byte(ping)) != nil {
		return false
	}
	for {
		_, b, err := ws.ReadMessage()
		if err != nil || string(b) == pong {
			return err == nil
		}
	}
}
