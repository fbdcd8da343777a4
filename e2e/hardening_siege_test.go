package e2e

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// siege is a gateway under attack. Whatever is done to it, somebody else on it
// is served, what it holds stays bounded, and NATS has got nothing of the
// attacker but what the test says.
type siege struct {
	t *testing.T
	*node
	other raw // subscribed to its own events

	before   uint64 // heap
	mu       sync.Mutex
	subjects []string // of what clients have sent to NATS, but for the other's
}

const otherSubject = "events.other"

func besiege(t *testing.T, o nodeOptions) *siege {
	t.Helper()
	o.interval, o.gateway.AdminListen = true, "127.0.0.1:0"
	if o.gateway.SocketIO.Path == "" {
		o.gateway.SocketIO.Path = "/socket.io/"
	}
	s := &siege{t: t, node: startNode(t, o)}
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe(">", func(m *nats.Msg) {
		delivered := strings.HasPrefix(m.Reply, "$JS.") // by a stream, to a gateway
		if m.Header.Get(bridge.UserHeader) != "" && m.Subject != otherSubject && !delivered {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.subjects = append(s.subjects, m.Subject)
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	if !o.strict {
		s.other = dialRaw(t, s.node)
		s.other.call(`{"sub":"` + otherSubject + `","id":"other"}`)
		s.other.recv() // live
	}
	s.before = heap()
	return s
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mostHeap is how much more a gateway and its NATS server may hold after an
// attack: their caches, and the garbage of a moment.
const mostHeap = 64 << 20

// holds checks that the siege has had no effect. These are the subjects of what
// has reached NATS.
func (s *siege) holds(subjects ...string) {
	s.t.Helper()
	s.other.send(`{"pub":"` + otherSubject + `","data":"still"}`)
	if m := s.other.recv(); m["msg"] != otherSubject || m["data"] != "still" {
		s.t.Errorf("somebody else got %v", m)
	}
	if now := heap(); now > s.before+mostHeap {
		s.t.Errorf("holds %d bytes, %d before", now, s.before)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		s.mu.Lock()
		got := fmt.Sprintf("%q", s.subjects)
		s.mu.Unlock()
		if got == fmt.Sprintf("%q", subjects) {
			return
		}
		if len(got) > len(fmt.Sprintf("%q", subjects)) || time.Now().After(deadline) {
			s.t.Errorf("NATS got %s, want %q", got, subjects)
			return
		}
		runtime.Gosched()
	}
}

// refused is how often clients were refused with a code, as /metrics says.
func (s *siege) refused(code bridge.Code) int {
	s.t.Helper()
	return s.metric(`jetway_refused_total{code="` + string(code) + `"}`)
}

func (s *siege) metric(name string) int {
	s.t.Helper()
	answer, err := http.Get("http://" + s.server.AdminAddr().String() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int(n)
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// counts checks that an attack of n frames has moved the counter of a code by
// as much.
func (s *siege) counts(code bridge.Code, n int, attack func()) {
	s.t.Helper()
	before := s.refused(code)
	attack()
	if got := s.refused(code) - before; got != n {
		s.t.Errorf("%d refusals with %s are counted, want %d", got, code, n)
	}
}

// emitter is a Socket.IO client that emits what it likes.
type emitter struct {
	t  *testing.T
	c  *websocket.Conn
	id int
}

// join opens one; auth is the payload of its CONNECT, "" for none.
func (s *siege) join(auth string) *emitter {
	s.t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(strings.TrimSuffix(s.url, "/ws")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	e := &emitter{t: s.t, c: c}
	e.send("40" + auth)
	e.want("40")
	return e
}

func (e *emitter) send(packet string) {
	e.t.Helper()
	if err := e.c.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		e.t.Fatal(err)
	}
}

// want returns what follows in the next packet that begins like this.
func (e *emitter) want(begins string) string {
	e.t.Helper()
	_ = e.c.SetReadDeadline(time.Now().Add(30 * time.Second)) // it would only wait longer
	for {
		_, b, err := e.c.ReadMessage()
		if err != nil {
			e.t.Fatalf("waiting for %s: %v", begins, err)
		}
		if string(b) == "2" {
			e.send("3")
		}
		if rest, ok := strings.CutPrefix(string(b), begins); ok {
			return rest
		}
	}
}

// ask emits an event, whose name and arguments are JSON text, and returns its
// acknowledgement.
func (e *emitter) ask(elements string) string {
	e.t.Helper()
	e.id++
	e.send(fmt.Sprintf("42%d[%s]", e.id, elements))
	return e.want(fmt.Sprintf("43%d", e.id))
}

func (e *emitter) refused(elements string, code bridge.Code) {
	e.t.Helper()
	if got := e.ask(elements); !strings.HasPrefix(got, `[{"ok":false,"code":"`+string(code)+`"`) {
		e.t.Errorf("%.200s was answered %.300s, want %s", elements, got, code)
	}
}

// ended checks that the server closes the connection.
func (e *emitter) ended() {
	e.t.Helper()
	_ = e.c.SetReadDeadline(time.Now().Add(30 * time.Second)) // it would only wait longer
	for {
		_, _, err := e.c.ReadMessage()
		if err == nil {
			continue
		}
		if timeout, ok := err.(interface{ Timeout() bool }); ok && timeout.Timeout() {
			e.t.Error("the connection stays open")
		}
		return
	}
}
