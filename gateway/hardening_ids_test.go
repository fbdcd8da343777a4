package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
)

// serveSessions starts a gateway that keeps sessions, and has queues, and a log
// of everything.
func serveSessions(t *testing.T, policy *auth.Policy) (*gateway.Server, *syncBuffer) {
	t.Helper()
	log := new(syncBuffer)
	o := stockOptions(policy)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Listen = "127.0.0.1:0"
	broker, err := memory.New(memory.Options{
		Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}, {Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}}, {Name: "DEAD", Subjects: []string{"dead.jobs.*"}}},
		Queues:  memory.Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	o.Bridge = bridge.New(&storing{Broker: broker, sessions: map[string][]byte{}}, bridge.Options{Logger: o.Logger})
	s, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Start(t.Context()), o.Bridge.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), o.Bridge.Stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return s, log
}

// polled is the answer to a request of Engine.IO.
func polled(t *testing.T, s *gateway.Server, method, query, body string, h http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodGet {
		r.Body = nil
	}
	r.Header = h.Clone()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// opening is the first packet of a connection, or of a socket.
func opening(t *testing.T, packet, prefix string) (ids struct{ SID, PID string }) {
	t.Helper()
	text, ok := strings.CutPrefix(packet, prefix)
	if !ok || json.Unmarshal([]byte(text), &ids) != nil || ids.SID == "" {
		t.Fatalf("the first packet is %s", packet)
	}
	return ids
}

// A11: the sid of a polling client, with the token of somebody else, is that
// of no session: by GET, by POST, and by a WebSocket that would take it over.
func TestA11EngineIO(t *testing.T) {
	policy := guarded(t)
	policy.Roles["chat"] = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}}
	s, _ := serveSessions(t, policy)
	for name, as := range map[string]func(user string) http.Header{
		"bearer": func(user string) http.Header { return field("Authorization", "Bearer "+sign(t, user, "chat")) },
		"cookie": func(user string) http.Header {
			return field("Cookie", "session="+sign(t, user, "chat"), "Origin", "http://"+s.Addr().String())
		},
	} {
		ann, bob := as("ann"), as("bob")
		_, first := polled(t, s, http.MethodGet, "", "", ann)
		sid := "&sid=" + opening(t, first, "0").SID
		const unknown = `{"code":1,"message":"Session ID unknown"}`
		for _, tt := range []struct {
			what, method, query, body string
			header                    http.Header
		}{
			{"another user's token", http.MethodGet, sid, "", bob},
			{"another user's token", http.MethodPost, sid, `40`, bob},
			{"a token that is no good", http.MethodPost, sid, `40`, field("Authorization", "Bearer x")},
			{"two tokens", http.MethodGet, sid, "", field("Authorization", "Bearer x", "Authorization", "Bearer y")},
			{"another sid", http.MethodGet, sid + "x", "", ann},
			{"no sid", http.MethodPost, "&sid=AAAAAAAAAAAAAAAAAAAAAA", `40`, ann},
		} {
			if status, body := polled(t, s, tt.method, tt.query, tt.body, tt.header); status != 400 || body != unknown {
				t.Errorf("%s, %s %s: %d %s", name, tt.what, tt.method, status, body)
			}
		}
		if _, r := dialRaw(t, "ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket"+sid, bob); r.StatusCode != 400 {
			t.Errorf("%s: upgraded by somebody else: %d", name, r.StatusCode)
		}
		// It goes on for whose it is, who may upgrade without a token: a page
		// cannot send a header with that.
		if status, body := polled(t, s, http.MethodPost, sid, `40`, ann); status != 200 || body != "ok" {
			t.Fatalf("%s: %d %s", name, status, body)
		}
		if _, body := polled(t, s, http.MethodGet, sid, "", ann); !strings.HasPrefix(body, `40{"sid":`) {
			t.Errorf("%s: %s", name, body)
		}
		if _, r := dialRaw(t, "ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket"+sid, nil); r.StatusCode != 101 {
			t.Errorf("%s: its own upgrade: %d", name, r.StatusCode)
		}
	}
}

// A12: the ids that give something away, to who knows them, are 128 random bits
// each and never the same; the log of everything, of whole conversations, has
// none of them.
func TestA12(t *testing.T) {
	policy := guarded(t)
	policy.Roles["chat"] = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}}
	s, log := serveSessions(t, policy)
	secrets := map[string]string{} // what it is, by text
	note := func(what, id string, decode func(string) ([]byte, error)) {
		t.Helper()
		if b, err := decode(id); err != nil || len(b) < 16 {
			t.Errorf("%s: %q is not 128 bits: %v", what, id, err)
		}
		if before := secrets[id]; before != "" {
			t.Errorf("%s: %q is %s, too", what, id, before)
		}
		secrets[id] = what
	}
	base64URL := func(id string) ([]byte, error) {
		_, random, named := strings.Cut(id, "-") // of a gateway among others
		if !named || len(random) < 22 {
			random = id
		}
		return base64.RawURLEncoding.DecodeString(random)
	}
	for range 20 {
		native, _ := dialRaw(t, url(s), field("Authorization", "Bearer "+sign(t, "ann", "chat")))
		var hi struct{ Session string }
		if err := json.Unmarshal([]byte(readText(t, native)), &hi); err != nil {
			t.Fatal(err)
		}
		note("session of jetway.v1", hi.Session, hex.DecodeString)
		converse(t, native, note, base64URL)

		_, first := polled(t, s, http.MethodGet, "", "", nil)
		note("polling sid", opening(t, first, "0").SID, base64URL)
		stock, _ := dialRaw(t, "ws://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket", nil)
		note("sid", opening(t, readText(t, stock), "0").SID, base64URL)
		c := stockClient{t, stock}
		c.send(`40{"token":"` + sign(t, "ann", "chat") + `"}`)
		ids := opening(t, c.want("40"), "40")
		note("pid", ids.PID, base64URL)
		note("socket", ids.SID, base64URL)
		for _, frame := range []string{`420["events.chat.a",1]`, `421["jetway:sub",{"sub":"events.chat.a"}]`, `422["jetway:nonsense",{}]`, `423["jetway:seen",{"seen":"x","sid":"s1"}]`} {
			c.send(frame)
			for !strings.HasPrefix(c.want("4"), "43") { // events come in between
			}
		}
		c.send("41")
		stock.Close()
	}
	if err := s.Stop(t.Context()); err != nil { // all of them have left
		t.Fatal(err)
	}
	text := log.String()
	if !strings.Contains(text, "client left") {
		t.Fatalf("there is no log: %s", text)
	}
	for id, what := range secrets {
		if strings.Contains(text, id) {
			t.Errorf("the log has a %s: %s", what, id)
		}
	}
}

// converse has a client do this and that, also what is refused, and a job.
func converse(t *testing.T, c *websocket.Conn, note func(what, id string, decode func(string) ([]byte, error)), base64URL func(string) ([]byte, error)) {
	t.Helper()
	for _, frame := range []string{`{"pub":"jobs.a","data":1}`, `{"sub":"events.>","as":"desk"}`, `nonsense`, `{"ack":"nothing"}`, `{"auth":"nonsense"}`, `{"work":"jobs.a"}`} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		frame := []byte(readText(t, c))
		if !bytes.HasPrefix(frame, []byte(`{"job":`)) {
			continue
		}
		var job struct{ Lease string }
		if err := json.Unmarshal(frame, &job); err != nil {
			t.Fatal(err)
		}
		note("lease", job.Lease, base64URL)
		if err := c.WriteMessage(websocket.TextMessage, []byte(`{"ack":"`+job.Lease+`","id":9}`)); err != nil {
			t.Fatal(err)
		}
		for !strings.HasPrefix(readText(t, c), `{"ok":9`) {
		}
		c.Close()
		return
	}
}
