package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
)

// The cases J01 to J05 of the list of attacks: JSON that is deep, ambiguous,
// odd, or not what was expected. badinput_test.go has what has no number.

// deepest is how deep data may nest in a frame.
const deepest = 64

// nested are ways to nest n deep.
func nested(n int) []string {
	return []string{deep(n), strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n), strings.Repeat(`[{"":`, n/2) + "[" + strings.Repeat("}]", n/2)}
}

// J01: depth costs neither stack nor memory, wherever it is, and is refused;
// the connection goes on.
func TestJ01(t *testing.T) {
	o := gateway.Options{MaxMessageBytes: 8 << 20, SocketIO: gateway.SocketIO{Path: "/socket.io/", MaxHTTPBufferSize: 8 << 20}}
	s := besiege(t, nodeOptions{queues: true, gateway: o})
	r := dialRaw(t, s.node)
	frames := []string{
		`{"id":1,"pub":"events.a","data":%s}`, `{"id":1,"req":"svc.a","data":%s}`, `{"id":1,"ack":"l","data":%s}`, `{"id":1,"wip":"l","data":%s}`,
		`{"id":1,"pub":"events.a","data":1,"head":%s}`, `{"id":1,"pub":"events.a","data":1,"head":{"A":%s}}`, `{"id":1,"pub":"events.a","data":1,"key":%s}`,
		`{"id":1,"ping":%s}`, `{"id":1,"sub":%s}`, `{"id":1,"auth":%s}`, `{"id":1,"unknown":%s,"ping":1}`,
	}
	for _, n := range []int{deepest + 1, 10_001, 1_000_000} {
		ways := nested(n)
		if n == 1_000_000 { // megabytes each
			ways, frames = ways[:1], frames[:5]
		}
		for _, text := range ways {
			for _, frame := range frames {
				r.refused(fmt.Sprintf(frame, text), "1", bridge.CodeBadFrame, true)
				r.pings()
			}
			if n > deepest+1 { // the frame itself does not count
				r.refused(text, `"frame"`, bridge.CodeBadFrame, true)
				r.pings()
			}
			// A packet of Socket.IO that is as deep is none.
			for _, packet := range []string{`42["events.a",` + text + `]`, `42["jetway:pub",{"pub":"events.a","data":1,"head":` + text + `}]`, `421["events.a",1,{"a":` + text + `}]`, `40/x,{"a":` + text + `}`, `431[` + text + `]`, `42` + text} {
				s.counts(bridge.CodeBadFrame, 1, func() {
					c := s.join("")
					c.send(packet)
					c.ended()
				})
			}
		}
	}
	s.holds()
}

// J02: what is there twice is refused, not chosen from: another reader of the
// same message could choose the other one.
func TestJ02(t *testing.T) {
	s := besiege(t, nodeOptions{queues: true})
	r, e := dialRaw(t, s.node), s.join("")
	bad := []string{
		`{"id":1,"pub":"events.a","pub":"events.b","data":1}`,
		`{"id":1,"pub":"events.a","pub":"events.a","data":1}`,
		`{"id":1,"pub":"events.a","p\u0075b":"events.b","data":1}`,
		`{"id":1,"pub":"events.a","sub":"events.a","data":1}`,
		`{"id":1,"pub":"events.a","data":1,"data":2}`,
		`{"id":1,"pub":"events.a","data":1,"d\u0061ta":2}`,
		`{"id":1,"pub":"events.a","data":1,"b64":""}`,
		`{"id":1,"pub":"events.a","b64":"AA==","b64":"AQ=="}`,
		`{"id":1,"id":2,"pub":"events.a","data":1}`,
		`{"id":1,"pub":"events.a","data":1,"key":"a","key":"a"}`,
		`{"id":1,"pub":"events.a","data":1,"head":{"A":"1"},"head":{"A":"2"}}`,
		`{"id":1,"pub":"events.a","data":1,"head":{"A":"1","\u0041":"2"}}`,
		`{"id":1,"sub":"events.a","from":"new","from":"first"}`,
		`{"id":1,"sub":"events.a","as":"a","as":"b"}`,
		`{"id":1,"sub":"events.a","sub":"events.b"}`,
		`{"id":1,"auth":"a","auth":"b"}`,
		`{"id":1,"ping":1,"ping":2}`,
	}
	s.counts(bridge.CodeBadFrame, 2*len(bad), func() {
		for _, frame := range bad {
			r.refused(frame, "1", bridge.CodeBadFrame, true)
			r.pings()
			verb := strings.Split(strings.TrimPrefix(strings.TrimPrefix(frame, `{"id":1,`), `"id":2,`), `"`)[1]
			e.refused(`"jetway:`+verb+`",`+frame, bridge.CodeBadFrame)
		}
	})
	// In a payload, two members of one name are the receivers' business.
	if ok := r.call(`{"id":1,"pub":"events.a","data":{"a":1,"a":2}}`); ok["ok"] != 1.0 {
		t.Errorf("got %v", ok)
	}
	s.holds("events.a")
}

// odd is JSON that readers do different things with.
var odd = []string{`1e400`, `-1e400`, `-0`, `0e0`, `1E-400`, `9007199254740993`, `123456789012345678901234567890`, `1.0`, `0.10`, `1e+2`,
	`"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, `"\u2028\u2029"`, `"` + "\u2028" + `"`, `"\/\u002f"`, `"é\u00e9"`, `"` + "\uFEFF" + `"`, `"😀\ud83d\ude00"`,
	`null`, `""`, `[]`, `{}`, ` [ 1 , 2 ] `, `{"":0}`, `{"a":1,"a":2}`}

// passUntouched publishes JSON in all ways, and sees that it reaches NATS and
// other clients byte for byte.
func passUntouched(t *testing.T, s *siege, all ...string) {
	t.Helper()
	r, e := dialRaw(t, s.node), s.join("")
	other := dialRaw(t, s.node)
	other.call(`{"sub":"events.a","id":1}`)
	other.recv() // live
	if got := e.ask(`"jetway:sub",{"sub":"events.a"}`); !strings.HasPrefix(got, `[{"ok":true`) {
		t.Fatal(got)
	}
	stream, err := admin(t, s.node).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	published := func(by, data string) {
		t.Helper()
		data = strings.TrimSpace(data)
		if got := other.text(); !strings.Contains(got, `,"data":`+data+`,"sid":"s1"`) {
			t.Errorf("%s by %s is, for another client, %s", data, by, got)
		}
		if got := e.want(`42["events.a",`); !strings.HasPrefix(got, data+`,"`) {
			t.Errorf("%s by %s is, for a Socket.IO client, %s", data, by, got)
		}
		m, err := stream.GetLastMsgForSubject(t.Context(), "events.a")
		if err != nil || string(bytes.TrimSpace(m.Data)) != data {
			t.Errorf("%s by %s is %q on the side of NATS, %v", data, by, m.Data, err)
		}
	}
	for _, data := range all {
		r.send(`{"pub":"events.a","data":` + data + `}`)
		published("jetway.v1", data)
		e.send(`42["events.a",` + data + `]`)
		published("an event", data)
		e.send(`42["jetway:pub",{"pub":"events.a","data":` + data + `}]`)
		published("jetway:pub", data)
		r.send(`{"ping":` + data + `}`)
		if got := r.text(); got != `{"pong":`+strings.TrimSpace(data)+`}` {
			t.Errorf("ping with %s was answered %s", data, got)
		}
	}
}

// J04: names that mean something to JavaScript's objects mean nothing here, and
// reach its clients as they are (e2e/socketio-hardening.test.mjs is such one).
func TestJ04(t *testing.T) {
	s := besiege(t, nodeOptions{})
	passUntouched(t, s, `{"__proto__":{"x":1},"constructor":{"prototype":[]},"toString":1,"hasOwnProperty":null}`, `"__proto__"`, `["constructor",{"__proto__":null}]`)
	r := dialRaw(t, s.node)
	for _, name := range []string{"__proto__", "constructor", "toString"} {
		r.refused(`{"id":1,"`+name+`":"events.a"}`, "1", bridge.CodeUnknownVerb, true)
		r.send(`{"ping":1,"id":"` + name + `","` + name + `":{"pub":"events.a"}}`)
		if got := r.text(); got != `{"ok":"`+name+`","pong":1}` {
			t.Errorf("a ping with %s was answered %s", name, got)
		}
	}
}

// J03: what is only odd passes untouched, and so does an id to its answer; what
// is not JSON is refused.
func TestJ03(t *testing.T) {
	s := besiege(t, nodeOptions{})
	passUntouched(t, s, odd...)
	r := dialRaw(t, s.node)
	for _, id := range []string{`1e400`, `-0`, `9007199254740993`, `1.0`, `"\ud800"`, `"\u0000"`, `""`, `"1"`} {
		r.send(`{"ping":1,"id":` + id + `}`)
		if got := r.text(); got != `{"ok":`+id+`,"pong":1}` {
			t.Errorf("the id %s was answered %s", id, got)
		}
	}
	for name, data := range map[string]string{
		"NaN": `NaN`, "infinity": `Infinity`, "hexadecimal": `0x10`, "octal": `010`, "plus": `+1`, "fraction": `.5`, "point": `1.`, "exponent": `1e`,
		"single quotes": `'a'`, "comma": `[1,]`, "comma in object": `{"a":1,}`, "comment": `1/**/`, "raw NUL": "\"\x00\"", "raw line break": "\"\n\"",
		"raw escape": "\"\x1b\"", "short escape": `"\u12"`, "no escape": `"\x41"`, "byte order mark": "\uFEFF1", "two values": `1 2`, "undefined": `undefined`, "upper case": `True`,
	} {
		frame := `{"id":1,"pub":"events.a","data":` + data + `}`
		r.refused(frame, "1", bridge.CodeBadFrame, true)
		r.pings()
		c := s.join("")
		c.send(`42["events.a",` + data + `]`)
		c.ended()
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for name, around := range map[string][2]string{"byte order mark": {"\uFEFF", ""}, "NUL": {"", "\x00"}, "text": {"", "x"}, "another": {"", `{"ping":1}`}, "bracket": {"", "}"}, "comma": {"", ","}} {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, s.node)
			r.send(around[0] + `{"ping":1,"id":1}` + around[1])
			if got := r.recv(); got["code"] != "bad_frame" || got["hint"] == nil {
				t.Errorf("got %v", got)
			}
			r.pings()
		})
	}
	// Not UTF-8, where WebSocket would have noticed it: polling has no frames.
	c, _, err := websocket.DefaultDialer.Dial(strings.TrimSuffix(s.url, "/ws")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bad := &emitter{t: t, c: c}
	bad.send("40")
	bad.want("40")
	bad.send("42[\"events.a\",\"\xff\xfe\"]")
	bad.ended()
	if s.other.call(`{"ping":1}`)["pong"] != 1.0 {
		t.Error("somebody else is not served")
	}
}

// J05: a frame that is not what was expected is answered, and the connection is
// kept; Socket.IO closes for what is no packet (E11), and answers the rest.
func TestJ05(t *testing.T) {
	s := besiege(t, nodeOptions{queues: true})
	r, e := dialRaw(t, s.node), s.join("")
	for _, tt := range []struct {
		frame, id string
		code      bridge.Code
	}{
		{``, `"frame"`, bridge.CodeBadFrame},
		{` `, `"frame"`, bridge.CodeBadFrame},
		{`0`, `"frame"`, bridge.CodeBadFrame},
		{`-1.5e3`, `"frame"`, bridge.CodeBadFrame},
		{`"pub"`, `"frame"`, bridge.CodeBadFrame},
		{`null`, `"frame"`, bridge.CodeBadFrame},
		{`true`, `"frame"`, bridge.CodeBadFrame},
		{`[]`, `"frame"`, bridge.CodeBadFrame},
		{`[{"ping":1}]`, `"frame"`, bridge.CodeBadFrame},
		{`["pub","events.a",1]`, `"frame"`, bridge.CodeBadFrame},
		{`{`, `"frame"`, bridge.CodeBadFrame},
		{`{"id":1`, `1`, bridge.CodeBadFrame},
		{`{"id":1,"pub"}`, `1`, bridge.CodeBadFrame},
		{`{}`, `"frame"`, bridge.CodeUnknownVerb},
		{`{"id":1}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"data":1}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"PUB":"events.a","data":1}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"":"events.a","data":1}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"hi":"jetway/1"}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"` + strings.Repeat("x", 100_000) + `":1}`, `1`, bridge.CodeUnknownVerb},
		{`{"id":1,"pub":"events.a"}`, `1`, bridge.CodeBadFrame},
		{`{"id":1,"seen":"abcdefgh-1"}`, `1`, bridge.CodeBadFrame},
	} {
		before := s.refused(tt.code)
		r.refused(tt.frame, tt.id, tt.code, true)
		r.pings()
		if s.refused(tt.code) != before+1 {
			t.Errorf("%.100s is not counted", tt.frame)
		}
	}
	for _, verb := range []string{"auth", "pub", "sub", "seen", "work", "ack", "nak", "wip", "term", "req", "off"} {
		for _, value := range []string{`null`, `1`, `true`, `[]`, `["events.a"]`, `{}`, `{"subject":"events.a"}`} {
			r.refused(`{"id":1,"`+verb+`":`+value+`,"data":1,"sid":"s1"}`, "1", bridge.CodeBadFrame, true)
			r.pings()
			e.refused(`"jetway:`+verb+`",{"`+verb+`":`+value+`,"data":1,"sid":"s1"}`, bridge.CodeBadFrame)
		}
	}
	for _, field := range []string{"key", "if", "from", "as", "until", "sid", "ttl", "wait", "delay", "at", "head", "b64", "max"} {
		for _, value := range []string{`null`, `true`, `[]`, `-1`, `0`, `1.5`, `""`} {
			if field == "b64" && value == `""` {
				continue // no bytes are a payload
			}
			frame := `{"sub":"events.a","id":1,"` + field + `":` + value + `}`
			r.refused(frame, "1", bridge.CodeBadFrame, true)
			r.pings()
			e.refused(`"jetway:sub",`+frame, bridge.CodeBadFrame)
		}
	}
	for _, elements := range []string{`"jetway:"`, `"jetway:frob",{"frob":1}`, `"jetway:pub"`, `"jetway:PUB",{"pub":"events.a","data":1}`, `"jetway:help",{"help":1}`} {
		e.refused(elements, bridge.CodeUnknownVerb)
	}
	for _, elements := range []string{`"jetway:pub",null`, `"jetway:pub",1`, `"jetway:pub",[]`, `"jetway:pub",{"sub":"events.a"}`, `"jetway:sub",{"pub":"events.a","data":1}`, `"jetway:sub",true`} {
		e.refused(elements, bridge.CodeBadFrame)
	}
	if got := e.ask(`"jetway:ping",{"ping":{}}`); got != `[{"ok":true,"pong":{}}]` {
		t.Errorf("got %s", got)
	}
	s.holds()
}
