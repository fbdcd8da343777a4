package sio_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// TestRulesChangeDuringConnect has the roles change after a client's token was
// judged and before its socket is known to Renew; and again while it shows
// another token.
func TestRulesChangeDuringConnect(t *testing.T) {
	g := startRig(t, newBroker(t), func(o *sio.Options) {
		o.Identify = func(context.Context, *socketio.Conn, string, string) (*auth.Identity, error) {
			return &auth.Identity{User: "ann", Permissions: &everything}, nil
		}
		o.Current = func(id *auth.Identity) *auth.Identity {
			now := *id
			now.Permissions = &bridge.Permissions{Sub: []string{"events.>"}}
			return &now
		}
	})
	p := g.dial(t)
	p.connect("")
	forbidden := func(when string) {
		t.Helper()
		p.send(`421["jetway:pub",{"pub":"events.a","data":1}]`)
		if got := p.text(); !strings.Contains(got, `"forbidden"`) {
			t.Errorf("%s, pub was answered %s", when, got)
		}
	}
	forbidden("connected with the roles as they were")
	p.send(`422["jetway:auth",{"auth":"token"}]`)
	p.expect(`432[{"ok":true`)
	forbidden("with a token by the roles as they were")
}

// TestEmptyToken shows no token where the handshake's would make the client
// somebody else.
func TestEmptyToken(t *testing.T) {
	g := startRig(t, newBroker(t), func(o *sio.Options) {
		o.Identify = func(_ context.Context, _ *socketio.Conn, _, token string) (*auth.Identity, error) {
			if token == "" {
				return &auth.Identity{User: "anonymous", Anonymous: true}, nil
			}
			return &auth.Identity{User: token, Permissions: &everything}, nil
		}
	})
	p := g.dial(t)
	p.connect(`{"token":"ann"}`)
	p.send(`421["jetway:auth",{"auth":""}]`)
	if got := p.expect("431"); !strings.Contains(got, `"unauthenticated"`) {
		t.Errorf("an empty token was answered %s", got)
	}
	p.send(`422["jetway:auth",{"auth":"ann"}]`)
	p.expect(`432[{"ok":true,"user":"ann"`)
}
