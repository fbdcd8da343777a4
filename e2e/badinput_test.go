package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

// raw is a client that sends and sees the frames as they are.
type raw struct {
	t *testing.T
	c *client.Client
}

func dialRaw(t *testing.T, n *node) raw {
	t.Helper()
	r := raw{t, dial(t, n, client.Options{Raw: true})}
	if hi := r.recv(); hi["hi"] != "jetway/1" {
		t.Fatalf("the first frame is %v", hi)
	}
	return r
}

func (r raw) send(frames ...string) {
	r.t.Helper()
	for _, f := range frames {
		if err := r.c.Send(f); err != nil {
			r.t.Fatalf("send %.100s: %v", f, err)
		}
	}
}

// text returns the next frame as it came.
func (r raw) text() string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	b, err := r.c.Recv(ctx)
	if err != nil {
		b, err = r.c.Recv(ctx) // it may have come together with the end
	}
	if err != nil {
		r.t.Fatalf("waiting for a frame: %v", err)
	}
	return string(b)
}

func (r raw) recv() map[string]any {
	r.t.Helper()
	text := r.text()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		r.t.Fatalf("the server sent %.200s: %v", text, err)
	}
	return m
}

// call sends a frame and returns the answer.
func (r raw) call(frame string) map[string]any {
	r.t.Helper()
	r.send(frame)
	return r.recv()
}

// pings checks that the connection is of use, and that nothing else came.
func (r raw) pings() {
	r.t.Helper()
	r.send(`{"ping":"still there?"}`)
	if got := r.text(); got != `{"pong":"still there?"}` {
		r.t.Errorf("got %.200s, want a pong", got)
	}
}

// closes checks that the server says goodbye with this code and closes with it.
func (r raw) closes(code websock.Code) {
	r.t.Helper()
	bye := r.recv()
	if bye["bye"] == nil || bye["code"] != float64(code) || bye["why"] == "" || bye["why"] == nil {
		r.t.Errorf("got %v, want bye with %d", bye, code)
	}
	r.ended(code)
}

func (r raw) ended(code websock.Code) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	b, err := r.c.Recv(ctx)
	var closed *client.ClosedError
	if !errors.As(err, &closed) || closed.Code != code {
		r.t.Errorf("got %.200s and %v, want the end with %d", b, err, code)
	}
}

// refused checks an answer to a frame with this id, as JSON text.
func (r raw) refused(frame, id string, code bridge.Code, hint bool) {
	r.t.Helper()
	r.send(frame)
	text := r.text()
	var e struct {
		Err             json.RawMessage
		Code            bridge.Code
		Msg, Hint, Pong string
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		r.t.Fatalf("the server sent %.200s: %v", text, err)
	}
	if string(e.Err) != id || e.Code != code || e.Msg == "" || hint && e.Hint == "" {
		r.t.Errorf("%.200s\nanswered %.400s\nwant err %s, %s, with a hint: %v", frame, text, id, code, hint)
	}
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// Every error code of the contract, but for those that need a state of their
// own (below).
var badFrames = []struct {
	name, frame string
	id          string // what err names, as JSON text
	code        bridge.Code
	hint        bool
}{
	{"empty", ``, `"frame"`, "bad_frame", true},
	{"text", `hello`, `"frame"`, "bad_frame", true},
	{"array", `[1]`, `"frame"`, "bad_frame", true},
	{"number", `7`, `"frame"`, "bad_frame", true},
	{"cut off after a number id", `{"id":7,"pub":"events.a","da`, `7`, "bad_frame", true},
	{"cut off after a string id", `{"id":"7","pub":"events.a","da`, `"7"`, "bad_frame", true},
	{"byte order mark (J03)", "\uFEFF" + `{"ping":1}`, `"frame"`, "bad_frame", true},
	{"trailing garbage (J03)", `{"ping":1,"id":1}x`, `1`, "bad_frame", true},
	{"NUL (J03)", "{\"ping\":1,\"id\":1}\x00", `1`, "bad_frame", true},
	{"lone surrogate (J03)", `{"pub":"events.\ud800","data":1,"id":1}`, `1`, "bad_frame", true},
	{"depth 65 (J01)", `{"id":1,"pub":"events.a","data":` + deep(65) + `}`, `1`, "bad_frame", true},
	{"depth 10,001 (J01)", `{"id":1,"pub":"events.a","data":` + deep(10_001) + `}`, `1`, "bad_frame", true},
	{"depth 500,000 (J01)", `{"id":1,"pub":"events.a","data":` + deep(500_000) + `}`, `1`, "bad_frame", true},
	{"duplicate field (J02)", `{"pub":"events.a","id":1,"key":"a","key":"b","data":1}`, `1`, "bad_frame", true},
	{"duplicate field, escaped (J02)", `{"pub":"events.a","id":1,"key":"a","\u006bey":"b","data":1}`, `1`, "bad_frame", true},
	{"duplicate name in head (J02)", `{"pub":"events.a","id":1,"head":{"A":"1","A":"2"},"data":1}`, `1`, "bad_frame", true},
	{"duplicate name in head, other case (J02)", `{"pub":"events.a","id":1,"head":{"A":"1","a":"2"},"data":1}`, `1`, "bad_frame", true},
	{"two verbs (J02)", `{"pub":"events.a","sub":"events.a","id":1,"data":1}`, `1`, "bad_frame", true},
	{"the verb's value is an array (J05)", `{"pub":["events.a"],"id":1,"data":1}`, `1`, "bad_frame", true},
	{"the verb's value is null (J05)", `{"sub":null,"id":"a"}`, `"a"`, "bad_frame", true},
	{"id is an object (J05)", `{"pub":"events.a","id":{},"data":1}`, `"pub"`, "bad_frame", true},
	{"no payload (J05)", `{"pub":"events.a","id":1}`, `1`, "bad_frame", true},
	{"two payloads", `{"pub":"events.a","id":1,"data":1,"b64":""}`, `1`, "bad_frame", true},
	{"reserved header", `{"pub":"events.a","id":1,"data":1,"head":{"nats-Rollup":"all"}}`, `1`, "bad_frame", true},
	{"header with a line break", `{"pub":"events.a","id":1,"data":1,"head":{"A":"1\r\nNats-Rollup: all"}}`, `1`, "bad_frame", true},
	{"head is nested", `{"pub":"events.a","id":1,"data":1,"head":{"A":{"b":1}}}`, `1`, "bad_frame", true},
	{"ttl is a number", `{"pub":"events.a","id":1,"data":1,"ttl":5}`, `1`, "bad_frame", true},
	{"ttl of half a second", `{"pub":"events.a","id":1,"data":1,"ttl":"500ms"}`, `1`, "bad_frame", true},
	{"key with a space", `{"pub":"events.a","id":1,"data":1,"key":"a b"}`, `1`, "bad_frame", true},
	{"max is zero", `{"sub":"events.a","id":1,"max":0}`, `1`, "bad_frame", true},
	{"max is a fraction", `{"sub":"events.a","id":1,"max":1.5}`, `1`, "bad_frame", true},
	{"until is not now", `{"sub":"events.a","id":1,"until":"later"}`, `1`, "bad_frame", true},
	{"as is no name", `{"sub":"events.a","id":1,"as":"a.b"}`, `1`, "bad_frame", false},
	{"seen without sid", `{"seen":"abcdefgh-1","id":1}`, `1`, "bad_frame", true},
	{"without an id, the verb is named", `{"sub":7}`, `"sub"`, "bad_frame", true},

	{"no verb", `{"id":"x","data":1}`, `"x"`, "unknown_verb", true},
	{"empty object", `{}`, `"frame"`, "unknown_verb", true},
	{"misspelt verb", `{"publish":"events.a","id":1,"data":1}`, `1`, "unknown_verb", true},
	{"__proto__ as a verb (J04)", `{"__proto__":"events.a","id":1}`, `1`, "unknown_verb", true},
	{"constructor as a verb (J04)", `{"constructor":"events.a","id":1}`, `1`, "unknown_verb", true},
	{"auth", `{"auth":"t","id":1}`, `1`, "unauthenticated", true},

	{"ack of no lease", `{"ack":"l","id":1}`, `1`, "lease_lost", true},
	{"ack of no lease, silent", `{"ack":"l"}`, `"ack"`, "lease_lost", true},
	{"nak of no lease", `{"nak":"l","id":1,"delay":"1s"}`, `1`, "lease_lost", true},
	{"wip of no lease", `{"wip":"l","id":1,"data":1}`, `1`, "lease_lost", true},
	{"term of no lease", `{"term":"l","id":1,"why":"x"}`, `1`, "lease_lost", true},
	{"a lease that is a number", `{"ack":1,"id":1}`, `1`, "bad_frame", true},
	{"delay is a number", `{"nak":"l","id":1,"delay":5}`, `1`, "bad_frame", true},
	{"delay is negative", `{"nak":"l","id":1,"delay":"-5s"}`, `1`, "bad_frame", true},
	{"delay is no duration", `{"nak":"l","id":1,"delay":"soon"}`, `1`, "bad_frame", true},
	{"delay of two years", `{"nak":"l","id":1,"delay":"17520h"}`, `1`, "bad_frame", true},
	{"why is an object", `{"nak":"l","id":1,"why":{}}`, `1`, "bad_frame", true},
	{"a long why", `{"term":"l","id":1,"why":"` + strings.Repeat("x", 2000) + `"}`, `1`, "bad_frame", true},
	{"work on what is no queue", `{"work":"events.a","id":1}`, `1`, "no_stream", true},
	{"work on two tokens", `{"work":"jobs.a.b","id":1}`, `1`, "no_stream", true},
	{"work without an id, the verb is named", `{"work":"events.a"}`, `"work"`, "no_stream", true},
	{"work on a filter", `{"work":"jobs.*","id":1}`, `1`, "bad_subject", true},
	{"work on all", `{"work":">","id":1}`, `1`, "bad_subject", true},
	{"work on 1,000,000", `{"work":"jobs.a","id":1,"max":1000000}`, `1`, "bad_frame", true},
	{"work on 1e6", `{"work":"jobs.a","id":1,"max":1e6}`, `1`, "bad_frame", true},
	{"work on NATS", `{"work":"$JS.ACK.a","id":1}`, `1`, "forbidden", true},
	{"sub to a queue", `{"sub":"jobs.a","id":1}`, `1`, "no_stream", true},
	{"sub to all queues", `{"sub":"jobs.*","id":1}`, `1`, "no_stream", true},
	{"pub of a job's event", `{"pub":"jobs.events.a.1","id":1,"data":1}`, `1`, "forbidden", true},
	{"pub of a dead letter", `{"pub":"dead.jobs.a","id":1,"data":1}`, `1`, "forbidden", true},
	{"a job with ttl", `{"pub":"jobs.a","id":1,"data":1,"ttl":"1s"}`, `1`, "bad_frame", true},
	{"a job with if", `{"pub":"jobs.a","id":1,"data":1,"if":"abcdefgh-1"}`, `1`, "bad_frame", true},
	{"a job later and later", `{"pub":"jobs.a","id":1,"data":1,"delay":"1s","at":"2030-01-02T15:04:05Z"}`, `1`, "bad_frame", true},
	{"a job in a thousand years", `{"pub":"jobs.a","id":1,"data":1,"at":"3030-01-02T15:04:05Z"}`, `1`, "bad_frame", true},
	{"at is no time", `{"pub":"jobs.a","id":1,"data":1,"at":"tomorrow"}`, `1`, "bad_frame", true},
	{"an event later", `{"pub":"events.a","id":1,"data":1,"delay":"1s"}`, `1`, "no_stream", true},
	{"req to a stream", `{"req":"events.a","id":1,"data":1}`, `1`, "bad_subject", true},
	{"req to a queue", `{"req":"jobs.a","id":1,"data":1}`, `1`, "bad_subject", true},
	{"req to a filter", `{"req":"svc.*","id":1}`, `1`, "bad_subject", true},
	{"req to NATS", `{"req":"$JS.API.INFO","id":1}`, `1`, "forbidden", true},
	{"req to nobody", `{"req":"svc.a","id":1,"data":1}`, `1`, "no_responders", false},
	{"req for an hour", `{"req":"svc.a","id":1,"wait":"1h"}`, `1`, "bad_frame", true},
	{"requeue of nothing", `{"req":"dead.requeue","id":1,"data":{"pos":"abcdefgh-1"}}`, `1`, "not_found", true},
	{"requeue without a pos", `{"req":"dead.requeue","id":1}`, `1`, "bad_frame", true},
	{"drop of no position", `{"req":"dead.drop","id":1,"data":{"pos":"x"}}`, `1`, "bad_position", false},

	{"empty subject", `{"pub":"","id":1,"data":1}`, `1`, "bad_subject", true},
	{"empty token", `{"pub":"events..a","id":1,"data":1}`, `1`, "bad_subject", true},
	{"wildcard in pub", `{"pub":"events.*","id":1,"data":1}`, `1`, "bad_subject", true},
	{"space in a subject", `{"pub":"events.a b","id":1,"data":1}`, `1`, "bad_subject", true},
	{"line break in a subject", `{"pub":"events.a\r\nPUB x 1","id":1,"data":1}`, `1`, "bad_subject", true},
	{"NUL in a subject", `{"pub":"events.\u0000","id":1,"data":1}`, `1`, "bad_subject", true},
	{"> in the middle", `{"sub":"events.>.a","id":1}`, `1`, "bad_subject", true},
	{"part of a token is a wildcard", `{"sub":"events.a*","id":1}`, `1`, "bad_subject", true},
	{"33 tokens", `{"sub":"a` + strings.Repeat(".a", 32) + `","id":1}`, `1`, "bad_subject", true},
	{"513 bytes", `{"sub":"` + strings.Repeat("a", 513) + `","id":1}`, `1`, "bad_subject", true},

	{"from is no position", `{"sub":"events.a","id":1,"from":"yesterday"}`, `1`, "bad_position", true},
	{"from is last of how many", `{"sub":"events.a","id":1,"from":"last:none"}`, `1`, "bad_position", true},
	{"if is no position", `{"pub":"events.a","id":1,"data":1,"if":"5"}`, `1`, "bad_position", true},
	{"seen is no position", `{"seen":"POS","sid":"s1","id":1}`, `1`, "bad_position", true},

	{"pub to NATS", `{"pub":"$JS.API.STREAM.DELETE.EVENTS","id":1,"data":1}`, `1`, "forbidden", true},
	{"pub to an inbox", `{"pub":"_INBOX.a.b","id":1,"data":1}`, `1`, "forbidden", true},
	{"pub to Jetway", `{"pub":"jetway.ctl.durable","id":1,"data":1}`, `1`, "forbidden", true},
	{"sub to NATS", `{"sub":"$SYS.>","id":1}`, `1`, "forbidden", true},

	{"from without a stream", `{"sub":"elsewhere.a","id":1,"from":"first"}`, `1`, "no_stream", true},
	{"as without a stream", `{"sub":"elsewhere.a","id":1,"as":"me"}`, `1`, "no_stream", true},
	{"key without a stream", `{"pub":"elsewhere.a","id":1,"data":1,"key":"k"}`, `1`, "no_stream", true},
	{"if without a stream", `{"pub":"elsewhere.a","id":1,"data":1,"if":"abcdefgh-1"}`, `1`, "no_stream", true},

	{"if of another stream", `{"pub":"events.a","id":1,"data":1,"if":"abcdefgh-1"}`, `1`, "conflict", true},

	{"off of nothing", `{"off":"s77","id":1}`, `1`, "not_found", true},
	{"off of nothing, silent", `{"off":"s77"}`, `"off"`, "not_found", true},
	{"seen of nothing", `{"seen":"abcdefgh-1","sid":"s77","id":1}`, `1`, "not_found", true},
}

// Whatever a client sends, it is told what is wrong with it, and may go on.
func TestBadFrames(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, queues: true})
	for _, tt := range badFrames {
		t.Run(tt.name, func(t *testing.T) {
			r := dialRaw(t, n)
			r.refused(tt.frame, tt.id, tt.code, tt.hint)
			r.pings()
		})
	}
	for _, name := range []string{"EVENTS", "JOBS", "JOBS_DELAYED", "JOB_EVENTS", "DEAD"} {
		s, err := admin(t, n).Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if info := s.CachedInfo(); info.State.Msgs != 0 || name == "JOBS" && info.State.Consumers != 0 {
			t.Errorf("%s has %d messages and %d consumers", name, info.State.Msgs, info.State.Consumers)
		}
	}
}

// An id comes back as it was written: a number is not rounded, and "1" is not 1.
func TestIDsAreEchoedVerbatim(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	r := dialRaw(t, n)
	for _, id := range []string{`1`, `"1"`, `-0`, `1e400`, `9007199254740993`, `1.50`, `"é\u00e9\n"`, `"\ud800"`, `"__proto__"`, `""`, `"` + strings.Repeat("x", 126) + `"`} {
		r.refused(`{"nothing":1,"id":`+id+`}`, id, "unknown_verb", true)
		r.send(`{"id":` + id + `,"pub":"events.a","data":1}`)
		if got := r.text(); !strings.HasPrefix(got, `{"ok":`+id+`,"pos":"`) {
			t.Errorf("id %s was answered %s", id, got)
		}
		r.send(`{"ping":[1,{"a":null}],"id":` + id + `}`)
		if got := r.text(); got != `{"ok":`+id+`,"pong":[1,{"a":null}]}` {
			t.Errorf("id %s was answered %s", id, got)
		}
	}
}

// What is valid JSON but odd reaches subscribers byte for byte (J03, J04), and
// fields that nobody knows are ignored.
func TestOddPayloadsPassUnchanged(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	r := dialRaw(t, n)
	if ok := r.call(`{"sub":"elsewhere.a"}`); ok["ok"] != "sub" || ok["sid"] != "s1" {
		t.Fatalf("sub without an id was answered %v", ok)
	}
	if ok := r.call(`{"sub":"events.>","id":1,"frobnicate":{"a":[1]},"__proto__":{"pub":"x"},"constructor":1}`); ok["sid"] != "s2" {
		t.Fatalf("sub was answered %v", ok)
	}
	if live := r.recv(); live["live"] != "s2" {
		t.Fatalf("got %v, want live", live)
	}
	for _, data := range []string{
		`1e400`, `-0`, `9007199254740993`, `{"__proto__":{"admin":true},"constructor":{"prototype":1}}`, `{"a":1,"a":2}`,
		`"\ud800"`, `"\u0000"`, `null`, `{ "a" : [ 1 , 2 ] }`, deep(64), `"<script>&\u2028"`,
	} {
		r.send(`{"pub":"events.a","data":` + data + `,"zzz":1}`)
		if got := r.text(); !strings.Contains(got, `,"data":`+data+`,"sid":"s2","pos":"`) {
			t.Errorf("data %s came as %s", data, got)
		}
	}
	r.send(`{"pub":"events.a","b64":"AP8="}`)
	if m := r.recv(); m["b64"] != "AP8=" || m["data"] != nil {
		t.Errorf("bytes came as %v", m)
	}
	r.pings()
}

// Ten bad frames in a row close the connection, nine do not, and one good
// frame begins the count again.
func TestTenBadFramesInARow(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	r := dialRaw(t, n)
	bad := []string{`no`, `{}`, `{"pub":1}`, `{"frob":1}`, `[]`, `{"auth":1}`, `{"pub":"events.a"}`, `{`, `{"sub":"events.a","max":-1}`, `{"id":[],"ping":1}`}
	nine := func() {
		for _, f := range bad[:9] {
			if e := r.call(f); e["err"] == nil {
				t.Fatalf("%s was answered %v", f, e)
			}
		}
	}
	nine()
	r.pings()
	nine()
	// Refused, but a good frame.
	if e := r.call(`{"off":"s1"}`); e["code"] != "not_found" {
		t.Fatalf("got %v", e)
	}
	nine()
	if e := r.call(bad[9]); e["err"] == nil {
		t.Fatalf("the tenth was answered %v", e)
	}
	r.closes(websock.CodeBadFrames)
}

// A pub that only the bridge can tell to be bad counts like the others.
func TestTenBadPublishesInARow(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	r := dialRaw(t, n)
	for range 9 {
		r.refused(`{"pub":"events.a","data":1,"ttl":"500ms"}`, `"pub"`, bridge.CodeBadFrame, true)
	}
	r.pings()
	for range 10 {
		r.refused(`{"pub":"events.a","data":1,"key":"a b"}`, `"pub"`, bridge.CodeBadFrame, true)
	}
	r.closes(websock.CodeBadFrames)
}

func TestAMessageOverTheLimit(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, gateway: gateway.Options{MaxMessageBytes: 4096}})
	r := dialRaw(t, n)
	pub := func(size int) string {
		const head, tail = `{"pub":"events.a","id":1,"data":"`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	if ok := r.call(pub(4096)); ok["ok"] != 1.0 {
		t.Fatalf("a message of the limit was answered %v", ok)
	}
	r.send(pub(4097))
	r.closes(websock.CodeTooBig)
}

func TestABinaryMessage(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), n.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	recv := func() string {
		t.Helper()
		_ = ws.SetReadDeadline(time.Now().Add(30 * time.Second)) // it would only wait longer
		_, b, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	recv() // hi
	for _, frame := range [][]byte{{0}, []byte(`{"ping":1}`), {}} {
		if err := ws.WriteMessage(websocket.BinaryMessage, frame); err != nil {
			t.Fatal(err)
		}
		if got := recv(); !strings.HasPrefix(got, `{"err":"frame","code":"bad_frame"`) || !strings.Contains(got, `"hint":"`) {
			t.Errorf("binary %q was answered %s", frame, got)
		}
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"ping":2}`)); err != nil {
		t.Fatal(err)
	}
	if got := recv(); got != `{"pong":2}` {
		t.Errorf("then ping was answered %s", got)
	}
}

func TestTextThatIsNotUTF8(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true})
	for name, frame := range map[string]string{
		"a stray byte": "{\"ping\":\"\xff\"}", "half a rune": "{\"ping\":\"\xe2\x82\"}",
		"a surrogate": "{\"ping\":\"\xed\xa0\x80\"}", "overlong": "{\"ping\":\"\xc0\xaf\"}",
	} {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, n)
			r.send(frame)
			r.closes(websock.CodeInvalidData)
		})
	}
}

// help lists the verbs that there are, and what it says can be pasted.
func TestHelp(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, queues: true})
	r := dialRaw(t, n)
	verbs := []string{"auth", "pub", "sub", "seen", "work", "ack", "nak", "wip", "term", "req", "off", "ping"}
	for _, ask := range []string{"help", " help\n", `{"help":1}`} {
		list, ok := r.call(ask)["help"].(map[string]any)
		if !ok || len(list) != len(verbs) {
			t.Fatalf("%q was answered %v", ask, list)
		}
		for _, verb := range verbs {
			entry, _ := list[verb].(map[string]any)
			example, err := json.Marshal(entry["example"])
			if err != nil || entry["means"] == "" || !strings.Contains(string(example), `"`+verb+`":`) {
				t.Errorf("%s is explained as %v", verb, entry)
			}
			paste := dialRaw(t, n)
			// TOKEN and LEASE are none, there is no subscription s1 and nobody at
			// svc.time, of which NATS may not tell within the 2s that the example
			// waits, and POS is no position; the rest works.
			got := paste.call(string(example))
			codes := []any{nil, "unauthenticated", "lease_lost", "bad_position", "no_responders", "not_found"}
			if !slices.Contains(codes, got["code"]) && (verb != "req" || got["code"] != "timeout") {
				t.Errorf("%s was answered %v", example, got)
			}
		}
	}
}

// What some of the error codes need.
func TestRefusals(t *testing.T) {
	t.Run("conflict: not the last", func(t *testing.T) {
		r := dialRaw(t, startNode(t, nodeOptions{interval: true}))
		first, _ := r.call(`{"pub":"events.a","id":1,"data":1}`)["pos"].(string)
		if ok := r.call(`{"pub":"events.a","id":2,"data":2,"if":"` + first + `"}`); ok["ok"] != 2.0 {
			t.Fatalf("a condition that holds was answered %v", ok)
		}
		r.refused(`{"pub":"events.a","id":"c","data":3,"if":"`+first+`"}`, `"c"`, bridge.CodeConflict, true)
		r.pings()
	})
	t.Run("conflict: a durable of another filter", func(t *testing.T) {
		r := dialRaw(t, startNode(t, nodeOptions{interval: true}))
		if ok := r.call(`{"sub":"events.a","as":"me","id":1}`); ok["sid"] != "s1" {
			t.Fatalf("got %v", ok)
		}
		r.recv() // live
		r.send(`{"off":"s1"}`)
		r.refused(`{"sub":"events.b","as":"me","id":2}`, `2`, bridge.CodeConflict, true)
		r.pings()
	})
	t.Run("bad_position: ahead of the stream", func(t *testing.T) {
		r := dialRaw(t, startNode(t, nodeOptions{interval: true}))
		sub := r.call(`{"sub":"events.a","id":1}`)
		r.recv() // live
		tag, _, _ := strings.Cut(fmt.Sprint(sub["from"]), "-")
		r.refused(`{"seen":"`+tag+`-9","sid":"s1","id":2}`, `2`, bridge.CodeBadPosition, true)
		r.refused(`{"seen":"abcdefgh-0","sid":"s1","id":2}`, `2`, bridge.CodeBadPosition, true)
		r.pings()
	})
	t.Run("forbidden: not this user", func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: true, gateway: gateway.Options{Anonymous: &bridge.Permissions{Pub: []string{"events.chat.*"}, Sub: []string{"events.chat.>"}}}})
		r := dialRaw(t, n)
		r.refused(`{"pub":"events.orders.1","data":1,"id":1}`, `1`, bridge.CodeForbidden, true)
		r.refused(`{"sub":"events.>","id":2}`, `2`, bridge.CodeForbidden, true)
		r.refused(`{"sub":"events.*.a","id":3}`, `3`, bridge.CodeForbidden, true)
		r.pings()
	})
	t.Run("too_big: larger than a NATS message", func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: true, gateway: gateway.Options{MaxMessageBytes: 4 << 20}})
		r := dialRaw(t, n)
		r.refused(`{"pub":"events.a","id":1,"data":"`+strings.Repeat("x", 2<<20)+`"}`, `1`, bridge.CodeTooBig, false)
		r.pings()
	})
	t.Run("rate_limited: too many publishes", func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: true, gateway: gateway.Options{PublishRate: 0.001}})
		r := dialRaw(t, n)
		if ok := r.call(`{"pub":"events.a","id":1,"data":1}`); ok["ok"] != 1.0 {
			t.Fatalf("the first was answered %v", ok)
		}
		e := r.call(`{"pub":"events.a","id":2,"data":1}`)
		if e["err"] != 2.0 || e["code"] != "rate_limited" || e["hint"] == nil {
			t.Errorf("the second was answered %v", e)
		}
		if retry, err := time.ParseDuration(fmt.Sprint(e["retry"])); err != nil || retry <= 0 {
			t.Errorf("retry is %v: %v", e["retry"], err)
		}
		r.pings()
	})
	t.Run("rate_limited: too many subscriptions", func(t *testing.T) {
		r := dialRaw(t, startNode(t, nodeOptions{interval: true, gateway: gateway.Options{MaxSubscriptions: 1}}))
		r.call(`{"sub":"events.a","id":1}`)
		r.recv() // live
		r.refused(`{"sub":"events.b","id":2}`, `2`, bridge.CodeRateLimited, true)
		r.pings()
	})
	t.Run("rate_limited: too many durables", func(t *testing.T) {
		r := dialRaw(t, startNode(t, nodeOptions{interval: true}))
		for i := range 20 {
			if ok := r.call(fmt.Sprintf(`{"sub":"events.a","as":"d%d","id":1}`, i)); ok["sid"] == nil {
				t.Fatalf("durable %d was answered %v", i, ok)
			}
			r.recv() // live
		}
		r.refused(`{"sub":"events.a","as":"d20","id":2}`, `2`, bridge.CodeRateLimited, true)
		r.pings()
	})
	t.Run("unavailable: the stream is gone", func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: true, bridge: bridge.Options{GoneGrace: time.Hour}})
		r := dialRaw(t, n)
		if err := admin(t, n).DeleteStream(t.Context(), "EVENTS"); err != nil {
			t.Fatal(err)
		}
		e := r.call(`{"pub":"events.a","id":"u","data":1}`)
		if e["err"] != "u" || e["code"] != "unavailable" || e["msg"] == "" || e["retry"] == nil {
			t.Errorf("pub was answered %v", e)
		}
		e = r.call(`{"sub":"events.a","id":"u","from":"first"}`)
		if e["err"] != "u" || e["code"] != "unavailable" || e["msg"] == "" || e["retry"] == nil {
			t.Errorf("sub was answered %v", e)
		}
		r.pings()
	})
	t.Run("taken over, and gone for who had it", func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: true})
		a, b := dialRaw(t, n), dialRaw(t, n)
		from := a.call(`{"sub":"events.a","as":"me","id":1}`)["from"]
		a.recv() // live
		if ok := b.call(`{"sub":"events.a","as":"me","id":1}`); ok["sid"] != "s1" {
			t.Fatalf("the second was answered %v", ok)
		}
		if end := a.recv(); end["end"] != "s1" || end["why"] != "taken_over" {
			t.Fatalf("the first got %v", end)
		}
		a.refused(fmt.Sprintf(`{"seen":%q,"sid":"s1","id":2}`, from), `2`, bridge.CodeNotFound, true)
		a.pings()
	})
}

// Without a stream there is nothing to wait for and no pos.
func TestPublishWithoutAStream(t *testing.T) {
	r := dialRaw(t, startNode(t, nodeOptions{interval: true}))
	r.send(`{"pub":"elsewhere.a","id":1,"data":1}`)
	if got := r.text(); got != `{"ok":1}` {
		t.Errorf("answered %s", got)
	}
}

func TestWithoutAToken(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, strict: true})
	r := raw{t, dial(t, n, client.Options{Raw: true})}
	if hi := r.recv(); hi["hi"] == nil {
		t.Errorf("the first frame is %v", hi)
	}
	r.closes(websock.CodeUnauthenticated)
}

// Browsers let any page open a WebSocket anywhere; only Origin tells.
func TestForeignOrigin(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, gateway: gateway.Options{AllowedOrigins: []string{"https://app.example"}}})
	host := strings.TrimSuffix(strings.TrimPrefix(n.url, "ws://"), "/ws")
	for _, origin := range []string{"https://evil.example", "null", "https://app.example.evil.example", "https://app.example:444", "http://app.example", "http://" + host + ".evil.example", ""} {
		ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), n.url, http.Header{"Origin": {origin}})
		if err == nil {
			ws.Close()
			t.Errorf("origin %q was let in", origin)
			continue
		}
		if resp == nil {
			t.Fatalf("origin %q: %v", origin, err)
		}
		var e struct{ Code, Msg, Hint string }
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || resp.StatusCode != http.StatusForbidden || e.Code != "forbidden" || e.Msg == "" || e.Hint == "" {
			t.Errorf("origin %q: %s, %+v, %v", origin, resp.Status, e, err)
		}
	}
	for _, origin := range []string{"https://app.example", "http://" + host} {
		ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), n.url, http.Header{"Origin": {origin}})
		if err != nil {
			t.Errorf("origin %q: %v", origin, err)
			continue
		}
		ws.Close()
	}
}
