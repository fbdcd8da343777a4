package sio_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// rig is a gateway over a memory broker.
type rig struct {
	bridge  *bridge.Bridge
	broker  *memory.Broker
	handler *sio.Handler
	url     string
	dialer  *websocket.Dialer
}

func newBroker(t *testing.T) *memory.Broker {
	t.Helper()
	broker, err := memory.New(memory.Options{
		Streams: []memory.Stream{
			{Name: "EVENTS", Subjects: []string{"events.>"}},
			{Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}},
			{Name: "DEAD", Subjects: []string{"dead.jobs.*"}},
		},
		Queues: memory.Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	return broker
}

var everything = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}, Req: []string{">"}}

// everybodyIs lets everybody in as one user, who may do everything.
func everybodyIs(user string) func(context.Context, *socketio.Conn, string, string) (*auth.Identity, error) {
	return func(context.Context, *socketio.Conn, string, string) (*auth.Identity, error) {
		return &auth.Identity{User: user, Permissions: &everything}, nil
	}
}

// startRig starts a gateway; edit changes its options.
func startRig(t *testing.T, broker *memory.Broker, edit ...func(*sio.Options)) *rig {
	t.Helper()
	g, server := newRig(t, broker, engineio.Options{}, edit)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	g.url = "ws" + strings.TrimPrefix(web.URL, "http") + "/?EIO=4&transport=websocket"
	g.dialer = websocket.DefaultDialer
	return g
}

// pipedRig is startRig over pipes, for synctest bubbles. Nobody is pinged.
func pipedRig(t *testing.T, broker *memory.Broker, edit ...func(*sio.Options)) *rig {
	t.Helper()
	g, server := newRig(t, broker, engineio.Options{PingInterval: 100 * time.Hour}, edit)
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	g.url = "ws://gateway/?EIO=4&transport=websocket"
	g.dialer = &websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		serving.Go(func() {
			r, err := http.ReadRequest(bufio.NewReader(there))
			if err != nil {
				t.Error(err)
				return
			}
			server.ServeHTTP(&hijackable{httptest.NewRecorder(), there}, r)
		})
		return here, nil
	}}
	return g
}

type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

func newRig(t *testing.T, broker *memory.Broker, eo engineio.Options, edit []func(*sio.Options)) (*rig, *engineio.Server) {
	t.Helper()
	b := bridge.New(broker, bridge.Options{Queues: bridge.QueueOptions{Lease: 10 * time.Second, Backoff: []time.Duration{time.Millisecond}}})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := sio.Options{Bridge: b, Identify: everybodyIs("ann")}
	for _, e := range edit {
		e(&o)
	}
	h, err := sio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	eo.Handler = socketio.NewConns(h.ConnOptions())
	server := engineio.NewServer(eo)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		h.Wait()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &rig{bridge: b, broker: broker, handler: h}, server
}

// peer is a client that sends and sees packets as they are.
type peer struct {
	t        *testing.T
	ws       *websocket.Conn
	patience time.Duration // 0: 20 s
}

func (g *rig) dial(t *testing.T) *peer {
	t.Helper()
	ws, _, err := g.dialer.Dial(g.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, ws: ws}
	t.Cleanup(func() { ws.Close() })
	if open := p.text(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("the first packet is %s", open)
	}
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// text returns the next packet, pings aside.
func (p *peer) text() string {
	p.t.Helper()
	for {
		_ = p.ws.SetReadDeadline(time.Now().Add(cmp.Or(p.patience, 20*time.Second)))
		_, b, err := p.ws.ReadMessage()
		if err != nil {
			p.t.Fatalf("waiting for a packet: %v", err)
		}
		if string(b) != "2" {
			return string(b)
		}
	}
}

// expect returns what follows a prefix in the next packet.
func (p *peer) expect(prefix string) string {
	p.t.Helper()
	got := p.text()
	rest, ok := strings.CutPrefix(got, prefix)
	if !ok {
		p.t.Fatalf("got %s, want %s…", got, prefix)
	}
	return rest
}

// welcome is the answer to a CONNECT.
type welcome struct{ SID, PID string }

// connect joins the namespace with this auth.
func (p *peer) connect(auth string) (w welcome) {
	p.t.Helper()
	p.send("40" + auth)
	if err := json.Unmarshal([]byte(p.expect("40")), &w); err != nil || w.SID == "" {
		p.t.Fatalf("CONNECT was answered %+v: %v", w, err)
	}
	return w
}

// subscribe adds a filter to the bundle.
func (p *peer) subscribe(filter string) {
	p.t.Helper()
	p.send(`420["jetway:sub",{"sub":"` + filter + `"}]`)
	p.expect(`430[{"ok":true,"sid":"`)
}

// emit publishes an event, and waits for its acknowledgement; what comes before
// that is dropped.
func (p *peer) emit(event string) {
	p.t.Helper()
	p.send("427" + event)
	for {
		got := p.text()
		if rest, ok := strings.CutPrefix(got, "437["); ok {
			if !strings.HasPrefix(rest, `{"ok":true`) {
				p.t.Fatalf("%s was answered %s", event, got)
			}
			return
		}
	}
}

// event returns the arguments of the next event of this name.
func (p *peer) event(name string) (args []json.RawMessage) {
	p.t.Helper()
	rest := p.expect("42")
	rest = strings.TrimLeft(rest, "0123456789")
	if err := json.Unmarshal([]byte(rest), &args); err != nil || string(args[0]) != `"`+name+`"` {
		p.t.Fatalf("got %s, want the event %s: %v", rest, name, err)
	}
	return args[1:]
}

// number returns the next event's number and its offset.
func (p *peer) number(name string) (n, offset string) {
	p.t.Helper()
	args := p.event(name)
	if len(args) != 2 {
		p.t.Fatalf("%s has the arguments %s, want a number and an offset", name, args)
	}
	return string(args[0]), string(args[1])
}
