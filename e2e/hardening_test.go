package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/token"
	"github.com/jetway-io/jetway/gateway/websock"
)

var tokenSecret = []byte("0123456789abcdef0123456789abcdef")

// tokenOf makes a token that was issued some time ago.
func tokenOf(t *testing.T, user string, ago time.Duration) string {
	t.Helper()
	raw, err := token.Sign(token.SignOptions{Secret: tokenSecret, User: user, Roles: []string{"all"}, Issued: time.Now().Add(-ago), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// guarded is a gateway that takes tokens, of native and Socket.IO clients.
func guarded(t *testing.T) gateway.Options {
	t.Helper()
	v, err := token.New(token.Options{Secret: tokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return gateway.Options{Auth: &auth.Policy{Verifier: v, Roles: map[string]bridge.Permissions{"all": anyone}},
		SocketIO: gateway.SocketIO{Path: "/socket.io/"}}
}

// stock is a Socket.IO client that has joined with a token.
func stock(t *testing.T, n *node, token string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(strings.TrimSuffix(n.url, "/ws")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.WriteMessage(websocket.TextMessage, []byte(`40{"token":"`+token+`"}`)); err != nil {
		t.Fatal(err)
	}
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), "40") {
			return c
		}
	}
}

func gone(c *websocket.Conn) {
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
	}
}

// A10: a user that is revoked is gone from all gateways, whatever protocol it
// speaks; others stay, and so do those with a newer token if a time is said.
func TestA10(t *testing.T) {
	first := startNode(t, nodeOptions{gateway: guarded(t), strict: true})
	second := startNode(t, nodeOptions{gateway: guarded(t), strict: true, nats: first.nats})
	nc, err := nats.Connect(first.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	as := func(n *node, user string, ago time.Duration) *client.Client {
		return dial(t, n, client.Options{Token: tokenOf(t, user, ago)})
	}
	bob, fresh := as(first, "bob", time.Hour), as(second, "ann", time.Second)
	old := []*client.Client{as(first, "ann", time.Hour), as(second, "ann", time.Hour)}
	oldStock := stock(t, second, tokenOf(t, "ann", time.Hour))
	closed := func(c *client.Client) {
		t.Helper()
		select {
		case <-c.Done():
		case <-testContext(t).Done():
			t.Fatal("still connected")
		}
		var e *client.ClosedError
		if !errors.As(c.Err(), &e) || e.Code != websock.CodeUnauthenticated || e.MayReconnect() {
			t.Errorf("closed with %v", c.Err())
		}
	}
	signal := func(data string) {
		t.Helper()
		if err := errors.Join(nc.Publish("jetway.ctl.revoke", []byte(data)), nc.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	// What is not understood revokes nobody; it comes before what follows.
	for _, bad := range []string{`{"user":"bob","befor":"x"}`, `{}`, `bob`, `{"user":"bob"} {}`, `{"user":"bob","sub":"bob"}`} {
		signal(bad)
	}
	signal(`{"sub":"ann","before":"` + time.Now().Add(-time.Minute).Format(time.RFC3339) + `"}`)
	for _, c := range old {
		closed(c)
	}
	gone(oldStock)
	if err := errors.Join(bob.Ping(t.Context()), fresh.Ping(t.Context())); err != nil {
		t.Errorf("somebody else was closed: %v", err)
	}
	signal(`{"user":"ann"}`)
	closed(fresh)
	if err := bob.Ping(t.Context()); err != nil {
		t.Errorf("bob was closed: %v", err)
	}
	// No client can revoke, whatever its roles are.
	if _, err := bob.Publish(t.Context(), "jetway.ctl.revoke", []byte(`{"user":"ann"}`), client.PubOptions{}); !errors.Is(err, &bridge.Error{Code: bridge.CodeForbidden}) {
		t.Errorf("a client published a revocation: %v", err)
	}
}
