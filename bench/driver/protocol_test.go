package driver

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bench/wire"
)

// heard is what a client has made of what it was sent.
type heard struct {
	last      int64
	acks      []int64
	confirmed bool
	wrote     string
	cursor    Cursor
}

// hear gives a client messages until it is not content.
func hear(t *testing.T, p protocol, o Options, messages ...string) (heard, error) {
	t.Helper()
	here, there := net.Pipe()
	var h heard
	o.Acked = func(id int64) { h.acks = append(h.acks, id) }
	c := &Client{conn: wire.New(here, 0), proto: p, opts: o}
	wrote := make(chan string)
	go func() {
		text, _ := io.ReadAll(there) // ends when the client is closed
		wrote <- string(text)
	}()
	var err error
	for _, m := range messages {
		if err = p.take(c, []byte(m)); err != nil {
			break
		}
	}
	c.Close()
	h.last, h.confirmed, h.wrote, h.cursor = c.Last(), c.confirmed, <-wrote, c.Cursor()
	return h, err
}

func event(n int) string { return string(AppendEvent(nil, int64(n), 5, 40)) }

// What each protocol's server says, as it was seen on the wire.
func TestTake(t *testing.T) {
	inbox := func(p protocol) string { return p.(*natsWire).inbox }
	for _, tt := range []struct {
		name  string
		proto func() protocol
		// messages may have INBOX in them.
		messages []string
		want     heard
		fail     string
	}{
		{"native", func() protocol { return new(native) }, []string{
			`{"hi":"jetway/1","session":"x","user":"anonymous","ping":"25s","max_message_bytes":1048576,"dedupe":"1h"}`,
			`{"ok":"sub","sid":"s1","from":"a-0","behind":0}`,
			`{"msg":"events.a","sid":"s1","pos":"a-7","t":"2026-01-02T15:04:05Z","lag":0,"data":` + event(1) + `}`,
			`{"live":"s1","pos":"a-7"}`,
			`{"ok":12,"pos":"a-8"}`,
		}, heard{last: 1, acks: []int64{12}, confirmed: true, cursor: Cursor{N: 1, offset: "a-7"}}, ""},
		{"native, gap", func() protocol { return new(native) }, []string{`{"ok":"sub","sid":"s1","from":"a-0","behind":0,"gap":{"after":"a-1","next":"a-9"}}`}, heard{}, "unexpected"},
		{"native, refused", func() protocol { return new(native) }, []string{`{"err":12,"code":"rate_limited"}`}, heard{}, "unexpected"},
		{"native, not stored", func() protocol { return new(native) }, []string{`{"ok":12}`}, heard{}, "unexpected"},
		{"native, missing", func() protocol { return new(native) }, []string{`{"msg":"events.a","data":` + event(2) + `}`}, heard{}, "event 2 after event 0"},
		{"Socket.IO", func() protocol { return new(socketIO) }, []string{
			`0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
			`40{"sid":"y","pid":"z"}`, `430[{"ok":true}]`, "2",
			`42["events.a",` + event(1) + `,"a-7"]`, `4312[{"ok":true,"pos":"a-8"}]`,
		}, heard{last: 1, acks: []int64{12}, confirmed: true, wrote: "403", cursor: Cursor{N: 1, session: "z", offset: "a-7"}}, ""},
		{"Socket.IO, not recovered", func() protocol { return &socketIO{from: &Cursor{session: "old"}} }, []string{`40{"sid":"y","pid":"z"}`}, heard{}, "not recovered"},
		{"Socket.IO, refused", func() protocol { return new(socketIO) }, []string{`4312[{"ok":false}]`}, heard{}, "unexpected"},
		{"Socket.IO, twice", func() protocol { return new(socketIO) }, []string{`42["a",` + event(1) + `,"a-7"]`, `42["a",` + event(1) + `,"a-7"]`}, heard{last: 1}, "event 1 after event 1"},
		{"centrifuge", func() protocol { return new(centrifuge) }, []string{
			`{"id":1,"connect":{"client":"x","version":"","ping":25,"pong":true}}`,
			`{"id":2,"subscribe":{"recoverable":true,"epoch":"e","positioned":true}}`,
			`{"push":{"channel":"a","pub":{"data":` + event(1) + `,"offset":1}}}` + "\n" + `{"push":{"channel":"a","pub":{"data":` + event(2) + `,"offset":2}}}` + "\n" + `{"id":14,"publish":{}}`,
			"{}",
		}, heard{last: 2, acks: []int64{12}, confirmed: true, wrote: "{}", cursor: Cursor{N: 2, session: "e", offset: "2"}}, ""},
		{"centrifuge, error", func() protocol { return new(centrifuge) }, []string{`{"id":14,"error":{"code":100,"message":"internal server error"}}`}, heard{}, "unexpected"},
		{"centrifuge, unsubscribed", func() protocol { return new(centrifuge) }, []string{`{"push":{"channel":"a","unsubscribe":{"code":2500}}}`}, heard{}, "unexpected"},
		{"NATS", func() protocol { return newNATS(false) }, []string{
			"INFO {}\r\nPONG\r\nPING\r\n",
			"MSG INBOXa.created 1 9\r\n{\"type\":1\r\n", // nobody looks further
			"MSG events.a 2 $JS.ACK.EVENTS.c.1.7.1.1700000000.0 40\r\n" + event(1)[:10], event(1)[10:] + "\r\nMSG INBOX",
			"a.12 1 27\r\n{\"stream\":\"EVENTS\",\"seq\":8}\r\n",
			"HMSG events.a 2 $JS.FC.x 40 40\r\nNATS/1.0 100 FlowControl Request\r\n\r\n....\r\n",
			"HMSG events.a 2 18 18\r\nNATS/1.0 100 I\r\n\r\n",
		}, heard{last: 1, acks: []int64{12}, confirmed: true, wrote: "PONG\r\nPUB $JS.FC.x 0\r\n\r\n", cursor: Cursor{N: 1, offset: "7"}}, ""},
		{"NATS, refused", func() protocol { return newNATS(false) }, []string{"MSG INBOXa.12 1 13\r\n{\"error\":{}}..\r\n"}, heard{}, "unexpected"},
		{"NATS, error", func() protocol { return newNATS(false) }, []string{"-ERR 'Slow Consumer'\r\n"}, heard{}, "Slow Consumer"},
		{"limit", func() protocol { return new(limit) }, []string{"sub", event(1), "pub 12"}, heard{last: 1, acks: []int64{12}, confirmed: true, cursor: Cursor{N: 1}}, ""},
		{"limit, what", func() protocol { return new(limit) }, []string{"what"}, heard{}, "unexpected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.proto()
			for i, m := range tt.messages {
				if strings.Contains(m, "INBOX") {
					tt.messages[i] = strings.ReplaceAll(m, "INBOX", inbox(p))
				}
			}
			got, err := hear(t, p, Options{Keep: true}, tt.messages...)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) || got.last != tt.want.last {
					t.Errorf("got %v after event %d", err, got.last)
				}
				return
			}
			got.wrote = unmasked(got.wrote)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

// unmasked takes the frames off, which are short and masked with zero.
func unmasked(frames string) string {
	var text strings.Builder
	for len(frames) > 6 {
		n := int(frames[1] & 0x7f)
		text.WriteString(frames[6 : 6+n])
		frames = frames[6+n:]
	}
	return text.String()
}

// An answer to who comes back has the events that were missed in it.
func TestCentrifugeRecovers(t *testing.T) {
	const head = `{"id":2,"subscribe":{"recoverable":true,"epoch":"e","publications":[{"data":`
	from := &Cursor{N: 1, session: "e", offset: "1"}
	reply := head + event(1) + `,"offset":1},{"data":` + event(2) + `,"offset":2}],"recovered":true,"offset":2}}`
	got, err := hear(t, new(centrifuge), Options{From: from}, reply)
	if err != nil || got.last != 2 || !got.confirmed {
		t.Errorf("got %+v, %v", got, err)
	}
	reply = strings.Replace(reply, `,"recovered":true`, "", 1)
	if _, err := hear(t, new(centrifuge), Options{From: from}, reply); err == nil {
		t.Error("what is not recovered is taken for recovered")
	}
}

// Who publishes and who receives agree on what an event is.
func TestEvent(t *testing.T) {
	for _, size := range []int{0, 40, 128, 4096} {
		p := AppendEvent([]byte("before "), 12, 34, size)
		n, at, rest, err := nextEvent(p)
		if n != 12 || at != 34 || rest == nil || err != nil {
			t.Errorf("%s: got %d, %d, %q, %v", p, n, at, rest, err)
		}
		if got := len(p) - len("before "); got != max(size, len(`{"n":12,"t":34,"pad":""}`)) {
			t.Errorf("%d bytes instead of %d", got, size)
		}
	}
	for _, p := range []string{`{"n":`, `{"n":0,"t":1}`, `{"n":1}`, `{"n":"1","t":1}`} {
		if _, _, _, err := nextEvent([]byte(p)); err == nil {
			t.Errorf("%s is an event", p)
		}
	}
}

// Latencies are noted while they are asked for.
func TestTime(t *testing.T) {
	c := &Client{proto: new(limit)}
	take := func(n, now int64) {
		c.now = now
		if _, err := c.events(AppendEvent(nil, n, 5000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	take(1, 0)
	take(2, 12_000)
	take(3, 4000) // clocks may differ
	if got := c.TakeLatencies(); !slices.Equal(got, []uint32{7, 0}) {
		t.Errorf("got %d µs", got)
	}
	if got := c.TakeLatencies(); got != nil {
		t.Errorf("got %d again", got)
	}
}
