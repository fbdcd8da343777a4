package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/websock"
)

// New rules are for those who come, and the rights for those who are there.
func TestReloadRules(t *testing.T) {
	o := stockOptions(guarded(t))
	s, _ := serve(t, o)
	ann := field("Authorization", "Bearer "+sign(t, "ann", "chat"))
	native, _ := dialRaw(t, url(s), ann)
	readText(t, native) // hi
	wide, narrow := dialStock(t, s, ann), dialStock(t, s, ann)
	for _, c := range []stockClient{wide, narrow} {
		c.send("40")
		c.want(`40{"sid":`)
	}
	wide.send(`420["jetway:sub",{"sub":"events.chat.>"}]`)
	wide.want(`430[{"ok":true`)

	page := field("Origin", "https://new.example")
	if _, r := dialRaw(t, url(s), page); r.StatusCode != 403 {
		t.Errorf("before: %d", r.StatusCode)
	}
	policy := guarded(t)
	policy.Roles = map[string]bridge.Permissions{"chat": {Pub: []string{"events.b"}, Sub: []string{"events.users.{user}.>"}}}
	s.Reload(gateway.Rules{Auth: policy, AllowedOrigins: []string{"https://new.example"}, MaxSubscriptions: 1, TokenSources: auth.Sources{Query: "t"}})
	if _, r := dialRaw(t, url(s), page); r.StatusCode != 101 {
		t.Errorf("after: %d", r.StatusCode)
	}
	if err := native.WriteMessage(1, []byte(`{"pub":"events.chat.a","data":1,"id":1}`)); err != nil {
		t.Fatal(err)
	}
	if got := readText(t, native); !strings.Contains(got, `"code":"forbidden"`) {
		t.Errorf("got %s", got)
	}
	wide.closes() // it has a subscription that is not allowed any more
	narrow.send(`420["events.b",1]`)
	narrow.want(`430[{"ok":true`)
	narrow.send(`421["events.chat.a",1]`)
	narrow.want(`431[{"ok":false,"code":"forbidden"`)

	// Nobody is anonymous any more.
	policy.Anonymous = everything
	s.Reload(gateway.Rules{Auth: policy})
	anonymous, _ := dialRaw(t, url(s), nil)
	readText(t, anonymous)
	closed := *policy
	closed.Anonymous = nil
	s.Reload(gateway.Rules{Auth: &closed})
	if code := closeCode(anonymous); code != int(websock.CodeUnauthenticated) {
		t.Errorf("closed with %d", code)
	}
}

// New limits are for those who come; who is there keeps those that it had.
func TestReloadLimits(t *testing.T) {
	o := stockOptions(nil)
	o.Auth, o.PublishRate = &auth.Policy{Anonymous: everything}, 1./3600
	o.SocketIO.Subscribe = nil
	s, _ := serve(t, o)
	publish := func(c *websocket.Conn, ok bool) {
		t.Helper()
		if got := ask(t, c, `{"pub":"events.a","data":1,"id":1}`); ok != strings.HasPrefix(got, `{"ok":1`) {
			t.Errorf("got %s", got)
		}
	}
	old, _ := dialRaw(t, url(s), nil)
	readText(t, old)
	publish(old, true)
	publish(old, false)

	o.PublishRate, o.MaxSubscriptions = 2, 1
	s.Reload(o.Rules())
	young, _ := dialRaw(t, url(s), nil)
	readText(t, young)
	stock := dialStock(t, s, nil)
	stock.send("40")
	stock.want(`40{"sid":`)
	publish(old, false)
	publish(young, true)
	publish(young, true)
	for i := range 2 {
		stock.send(fmt.Sprintf(`42%d["events.a",1]`, i))
		stock.want(fmt.Sprintf(`43%d[{"ok":true`, i))
	}
	stock.send(`424["jetway:sub",{"sub":"events.a"}]`)
	stock.want(`434[{"ok":true`)
	stock.send(`425["jetway:sub",{"sub":"events.b"}]`)
	if got := stock.want(`435[{"ok":false,"code":"rate_limited"`); !strings.Contains(got, "limits.max_subscriptions ") {
		t.Errorf("got %s", got)
	}
}
