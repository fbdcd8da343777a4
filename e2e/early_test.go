package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/gateway/websock"
)

// stranger opens a WebSocket of a client that nobody knows.
func stranger(t *testing.T, n *node, path string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(strings.TrimSuffix(n.url, "/ws")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// endOf reads to the end and returns the close code, 0 if there is none.
func endOf(c *websocket.Conn) int {
	for {
		_, _, err := c.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			return 0
		}
	}
}

// traces are what there is in NATS of what clients do. What follows a stream is
// none: no client can have it made, and it comes and goes.
func traces(t *testing.T, js natsjs.JetStream) []string {
	t.Helper()
	ctx := testContext(t)
	var all []string
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		all = append(all, fmt.Sprint(info.Config.Name, ": ", info.State.Msgs))
		stream, err := js.Stream(ctx, info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := stream.ConsumerNames(ctx)
		for name := range consumers.Name() {
			if !strings.HasPrefix(name, "jw-tail-") {
				all = append(all, info.Config.Name+" "+name)
			}
		}
		if consumers.Err() != nil {
			t.Fatal(consumers.Err())
		}
	}
	if streams.Err() != nil {
		t.Fatal(streams.Err())
	}
	slices.Sort(all)
	return all
}

// A08: nothing but auth, in time; whatever else a client says before that is
// its end, and leaves no trace in NATS: no consumer, no subscription, no
// message, no session.
func TestA08(t *testing.T) {
	o := guarded(t)
	n := startNode(t, nodeOptions{gateway: o, strict: true, queues: true})
	js := admin(t, n)
	nc, err := nats.Connect(n.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var before []string
	poll(t, "the mover is there", func() bool { // the gateway's own, and not made at once
		before = traces(t, js)
		return slices.Contains(before, "JOBS_DELAYED jw-due")
	})
	good := tokenOf(t, "ann", time.Second)
	long := `{"auth":"` + good + `"` + strings.Repeat(" ", 4<<10) + `}`
	const text, binary = websocket.TextMessage, websocket.BinaryMessage
	for _, tt := range []struct {
		kind  int
		frame string
	}{
		{text, `{"sub":"events.>","from":"first"}`}, {text, `{"sub":"events.>","as":"desk"}`}, {text, `{"sub":"live.x"}`}, {text, `{"work":"jobs.a"}`},
		{text, `{"pub":"events.a","data":1}`}, {text, `{"pub":"jobs.a","data":1}`}, {text, `{"req":"svc.a"}`}, {text, `{"seen":"x","sid":"s1"}`}, {text, `{"off":"s1"}`},
		{text, `{"ack":"x"}`}, {text, `nonsense`}, {text, ``}, {text, `{"auth":"` + good + `","sub":"live.x"}`}, {text, `{"auth":""}`}, {text, `{"auth":"bad"}`}, {text, long},
		{binary, `{"auth":"` + good + `"}`}, {binary, `x`}, {binary, ``},
	} {
		c := stranger(t, n, "/ws")
		if err := c.WriteMessage(tt.kind, []byte(tt.frame)); err != nil {
			t.Fatal(err)
		}
		if code := endOf(c); code != int(websock.CodeUnauthenticated) {
			t.Errorf("%d %.60q: closed with %d", tt.kind, tt.frame, code)
		}
	}
	// In pieces, none of which is too large, with more to come.
	c := stranger(t, n, "/ws")
	w, err := c.NextWriter(text)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if _, err := w.Write([]byte(strings.Repeat(" ", 1<<10))); err != nil {
			break // it has been closed already
		}
	}
	if code := endOf(c); code != int(websock.CodeUnauthenticated) {
		t.Errorf("in pieces: closed with %d", code)
	}
	for _, packet := range []string{`42["events.a",1]`, `42["jetway:sub",{"sub":"live.x"}]`, `421["jetway:work",{"work":"jobs.a"}]`, `41`, `4`, `40{"token":"bad"}`, `40`} {
		c := stranger(t, n, "/socket.io/?EIO=4&transport=websocket")
		if err := c.WriteMessage(text, []byte(packet)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(packet, "40") { // who is refused may try again
			endOf(c)
			continue
		}
		for {
			_, b, err := c.ReadMessage()
			if err != nil {
				t.Fatalf("%s: %v", packet, err)
			}
			if strings.HasPrefix(string(b), "44") {
				break
			}
		}
	}
	if after := traces(t, js); !slices.Equal(after, before) {
		t.Errorf("there is %q, there was %q", after, before)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := nc.RequestWithContext(ctx, "live.x", nil); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("somebody is subscribed to live.x: %v", err)
	}
}

// A08: a client that says nothing in time, or only what it may say.
func TestA08Late(t *testing.T) {
	o := guarded(t)
	o.AuthTimeout = 300 * time.Millisecond
	n := startNode(t, nodeOptions{gateway: o, strict: true})
	silent, chatty := stranger(t, n, "/ws"), stranger(t, n, "/ws")
	for _, frame := range []string{`{"ping":1}`, `help`} {
		_ = chatty.WriteMessage(websocket.TextMessage, []byte(frame)) // its time may be over
	}
	for name, c := range map[string]*websocket.Conn{"silent": silent, "chatty": chatty} {
		if code := endOf(c); code != int(websock.CodeAuthTimeout) {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
}
