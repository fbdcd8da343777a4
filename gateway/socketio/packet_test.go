package socketio_test

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// packets are those that both sides write, in the form in which they write
// them.
var packets = map[string]struct {
	text        string
	packet      socketio.Packet
	attachments int
}{
	"connect":                    {`0`, socketio.Packet{Namespace: "/"}, 0},
	"connect, auth":              {`0{"token":"123"}`, socketio.Packet{Namespace: "/", Data: []byte(`{"token":"123"}`)}, 0},
	"connect, namespace":         {`0/custom,`, socketio.Packet{Namespace: "/custom"}, 0},
	"connect, namespace, auth":   {`0/custom,{"a":[1]}`, socketio.Packet{Namespace: "/custom", Data: []byte(`{"a":[1]}`)}, 0},
	"disconnect":                 {`1`, socketio.Packet{Type: socketio.PacketDisconnect, Namespace: "/"}, 0},
	"disconnect, namespace":      {`1/custom,`, socketio.Packet{Type: socketio.PacketDisconnect, Namespace: "/custom"}, 0},
	"event":                      {`2["e",1,"2",{"3":[true]}]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`["e",1,"2",{"3":[true]}]`)}, 0},
	"event, name is a number":    {`2[7]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`[7]`)}, 0},
	"event, untouched text":      {`2["e","<&>\u2028\/",1.0,1E3]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`["e","<&>\u2028\/",1.0,1E3]`)}, 0},
	"event, id":                  {`2456["e"]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", ID: 456, HasID: true, Data: []byte(`["e"]`)}, 0},
	"event, id 0":                {`20["e"]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", HasID: true, Data: []byte(`["e"]`)}, 0},
	"event, namespace and id":    {`2/custom,12["e"]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/custom", ID: 12, HasID: true, Data: []byte(`["e"]`)}, 0},
	"event, largest id":          {`29007199254740991["e"]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", ID: 1<<53 - 1, HasID: true, Data: []byte(`["e"]`)}, 0},
	"ack":                        {`3456[1]`, socketio.Packet{Type: socketio.PacketAck, Namespace: "/", ID: 456, HasID: true, Data: []byte(`[1]`)}, 0},
	"ack, nothing":               {`3/custom,0[]`, socketio.Packet{Type: socketio.PacketAck, Namespace: "/custom", HasID: true, Data: []byte(`[]`)}, 0},
	"connect error":              {`4/random,{"message":"no"}`, socketio.Packet{Type: socketio.PacketConnectError, Namespace: "/random", Data: []byte(`{"message":"no"}`)}, 0},
	"binary event":               {`52-["e",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`["e",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]`)}, 2},
	"binary event, all there is": {`51-/custom,12["e",{"_placeholder":true,"num":0}]`, socketio.Packet{Type: socketio.PacketEvent, Namespace: "/custom", ID: 12, HasID: true, Data: []byte(`["e",{"_placeholder":true,"num":0}]`)}, 1},
	"binary ack":                 {`61-789[{"num":0,"_placeholder":true}]`, socketio.Packet{Type: socketio.PacketAck, Namespace: "/", ID: 789, HasID: true, Data: []byte(`[{"num":0,"_placeholder":true}]`)}, 1},
}

func TestPacket(t *testing.T) {
	for name, tt := range packets {
		t.Run(name, func(t *testing.T) {
			p, n, err := socketio.Decode([]byte(tt.text))
			if err != nil || n != tt.attachments || !reflect.DeepEqual(p, tt.packet) {
				t.Errorf("decoded %+v, %d, %v", p, n, err)
			}
			p.Attachments = make([][]byte, n)
			if got := string(p.Append(nil)); got != tt.text {
				t.Errorf("encoded %s", got)
			}
		})
	}
}

// What clients may write in other ways.
func TestDecodeVariants(t *testing.T) {
	for text, want := range map[string]string{
		`0/custom`:                 `0/custom,`,
		`0/custom,`:                `0/custom,`,
		`1/custom`:                 `1/custom,`,
		`0/,{}`:                    `0{}`,
		"0 {\"a\": 1}\n":           `0{"a": 1}`,
		`2[ "e" , 1 ]`:             `2[ "e" , 1 ]`,
		`201["e"]`:                 `21["e"]`,
		`50-["e"]`:                 `2["e"]`,
		`500-["e"]`:                `2["e"]`,
		`0/a?b=c,{}`:               `0/a?b=c,{}`,
		`2["\u0063onnec\u0074ed"]`: `2["\u0063onnec\u0074ed"]`,
	} {
		p, n, err := socketio.Decode([]byte(text))
		if got := string(p.Append(nil)); err != nil || n != 0 || got != want {
			t.Errorf("%q: %q, %d, %v", text, got, n, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]error{}
	add := func(err error, texts ...string) {
		for _, text := range texts {
			tests[text] = err
		}
	}
	add(socketio.ErrPacket, ``, `7`, `9[]`, `a`, `abc`, `-1`, ` 0`, // types
		`0[]`, `0null`, `0"a"`, `01.5`, `0{}x`, `0{`, `0/a,[]`, // connect
		`1{}`, `1/a,[]`, `10x`, // disconnect
		`2`, `2/a`, `2{}`, `2[`, `2["e"`, `2["e"]]`, `2["e",]`, `2["e"1]`, `2abc["e"]`, `2-1["e"]`, `21.5["e"]`, `21e3["e"]`, `2 1["e"]`, // event
		`29007199254740992["e"]`, `299999999999999999999999999["e"]`, // ids that JavaScript cannot count to
		`3`, `31`, `31{}`, `31"a"`, `31.5[]`, `31e30[]`, `3-1[]`, // ack
		`4`, `4[]`, `41`, // connect error
		`2["e",`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`]`) // J01
	// E11: CVE-2023-32695, CVE-2024-38355.
	add(socketio.ErrPacket, `2["connect"]`, `2["connect_error"]`, `2["disconnect"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`,
		`2["\u0063onnect"]`, `2[{"toString":1}]`, `2[]`, `2null`, `2[null]`, `2[true]`, `2[["e"]]`, `2["\ud800"]`)
	// E12: CVE-2022-2421.
	add(socketio.ErrAttachments, `51-["e",{"_placeholder":true,"num":"splice"}]`, `51-["e",{"_placeholder":true,"num":-1}]`,
		`51-["e",{"_placeholder":true,"num":1.5}]`, `51-["e",{"_placeholder":true,"num":9}]`, `51-["e",{"_placeholder":true}]`,
		`51-["e",{"_placeholder":true,"num":1}]`, `51-["e",{"_placeholder":true,"num":0,"num":0}]`,
		`51-["e",{"_placeholder":true,"num":0,"x":1}]`, `51-["e",{"_placeholder":true,"num":null}]`, `51-["e",{"_placeholder":true,"num":10}]`,
		`51-["e"]`, `51-["e",{"_placeholder":false,"num":0}]`, `51-["e",{"_placeholder":1,"num":0}]`,
		`52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, `51-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`,
		`2["e",{"_placeholder":true,"num":0}]`, `50-["e",{"_placeholder":true,"num":0}]`, `31[{"_placeholder":true,"num":0}]`,
		`2["e",{"\u005fplaceholder":true,"num":0}]`, `51-["e",{"_placeholder":true,"_placeholder":true}]`)
	// E13: CVE-2026-33151.
	add(socketio.ErrAttachments, `51e9-["e"]`, `5-1-["e"]`, `5 1-["e"]`, `50x-["e"]`, `5["e"]`, `5`, `51`, `5-["e"]`, `51.0-["e"]`, `6["e"]`)
	add(socketio.ErrTooManyAttachments, `5999999-["e"]`, `511-["e"]`, `599999999999999999999999999-["e"]`, `611-[]`)
	for text, want := range tests {
		if p, _, err := socketio.Decode([]byte(text)); !errors.Is(err, want) || !reflect.DeepEqual(p, socketio.Packet{}) {
			t.Errorf("%.80q: %+v, %v, want %v", text, p, err, want)
		}
	}
}

// E16: an ack that fits no counter is one that nobody has asked for.
func TestDecodeAckID(t *testing.T) {
	p, _, err := socketio.Decode([]byte(`3` + strings.Repeat("9", 40) + `[]`))
	if err != nil || p.ID != 1<<64-1 {
		t.Errorf("%d, %v", p.ID, err)
	}
}

func TestEvent(t *testing.T) {
	for text, want := range map[string]string{`2["a\u00e9\"",1]`: `aé"`, `2[ -1.5e3 ]`: "-1.5e3", `2[""]`: "", `2["__proto__"]`: "__proto__"} {
		p, _, err := socketio.Decode([]byte(text))
		if name, ok := p.Event(); err != nil || !ok || name != want {
			t.Errorf("%s: %q, %v, %v", text, name, ok, err)
		}
	}
	for _, p := range []socketio.Packet{{Type: socketio.PacketAck, Data: []byte(`["e"]`)}, {Type: socketio.PacketEvent}, {Type: socketio.PacketEvent, Data: []byte(`["e`)}} {
		if name, ok := p.Event(); ok {
			t.Errorf("%+v: %q", p, name)
		}
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{
		`[]`: ``, ` [ ] `: ``, `["e"]`: `"e"`, `[ "a,]" , 1.0,{"x" : [1, 2]},[],null ]`: `"a,]"|1.0|{"x" : [1, 2]}|[]|null`,
	} {
		elements, err := socketio.Split([]byte(in))
		var got []string
		for _, e := range elements {
			got = append(got, string(e))
		}
		if s := strings.Join(got, "|"); err != nil || s != want {
			t.Errorf("%s: %s, %v", in, s, err)
		}
	}
	for _, in := range []string{``, `{}`, `[`, `[1`, `[1 2]`, `[1,]`, `[,]`} {
		if e, err := socketio.Split([]byte(in)); !errors.Is(err, socketio.ErrPacket) {
			t.Errorf("%s: %q, %v", in, e, err)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	if got := string(socketio.AppendEvent(nil, `a"b`)); got != `["a\"b"]` {
		t.Error(got)
	}
	if got := string(socketio.AppendEvent([]byte("x"), "e", []byte(`1`), []byte(`{}`))); got != `x["e",1,{}]` {
		t.Error(got)
	}
	if got := string(socketio.AppendArray(nil)) + string(socketio.AppendArray(nil, []byte(`1`), []byte(`2`))); got != `[][1,2]` {
		t.Error(got)
	}
}

func TestPlaceholders(t *testing.T) {
	in := `["_placeholder",{"x":{"num":3,"\u005fplaceholder":true}},{"num":1},{"_placeholder":false,"num":0},{ "_placeholder" : true , "num" : 0 }]`
	places, err := socketio.Placeholders([]byte(in))
	if err != nil || len(places) != 2 || places[0].Num != 3 || places[1].Num != 0 {
		t.Fatalf("%v, %v", places, err)
	}
	got := string(socketio.AppendRenumbered(nil, []byte(in), places, func(n int) int { return n + 4 }))
	want := `["_placeholder",{"x":{"_placeholder":true,"num":7}},{"num":1},{"_placeholder":false,"num":0},{"_placeholder":true,"num":4}]`
	if got != want {
		t.Errorf("got %s", got)
	}
	for in, want := range map[string]error{
		`{"_placeholder":true}`:                 socketio.ErrAttachments,
		`{"_placeholder":true,"num":0`:          socketio.ErrPacket,
		`{"_placeholder":1}x`:                   socketio.ErrPacket,
		strings.Repeat("[", 1e6) + `\u`:         socketio.ErrPacket,
		`{"x":{"_placeholder":true,"num":"0"}}`: socketio.ErrAttachments,
	} {
		if p, err := socketio.Placeholders([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%.40s: %v, %v, want %v", in, p, err, want)
		}
	}
}

// frames returns what is in WebSocket frames, one line for each.
func frames(t *testing.T, out *bridge.Output) (lines []string) {
	t.Helper()
	var b []byte
	for _, part := range out.Buffers(nil) {
		b = append(b, part...)
	}
	for len(b) > 0 {
		n, header := int(b[1]), 2
		if n == 126 {
			n, header = int(b[2])<<8|int(b[3]), 4
		}
		lines = append(lines, fmt.Sprintf("%x %s", b[0], b[header:header+n]))
		b = b[header+n:]
	}
	if len(lines) != out.Frames() {
		t.Errorf("%d frames, %d counted", len(lines), out.Frames())
	}
	return lines
}

func TestAppendFrames(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	p := socketio.Packet{Type: socketio.PacketEvent, Namespace: "/custom", ID: 7, HasID: true,
		Data: []byte(`["` + long + `",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{[]byte("one"), {}}}
	var out bridge.Output
	if err := p.AppendFrames(&out, socketio.FormatAuto); err != nil {
		t.Fatal(err)
	}
	want := []string{`81 452-/custom,7["` + long + `",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "82 one", "82 "}
	if got := frames(t, &out); !reflect.DeepEqual(got, want) {
		t.Errorf("%.200q", got)
	}
	if parts := out.Buffers(net.Buffers{}); len(parts) != 3 {
		t.Errorf("%d parts: the long one was copied", len(parts))
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range packets {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte(`50-["e",{"\u005fplaceholder":true,"num":1.5}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !utf8.Valid(b) {
			return // Engine.IO lets no such text through
		}
		p, n, err := socketio.Decode(b)
		if err != nil {
			for _, known := range []error{socketio.ErrPacket, socketio.ErrAttachments, socketio.ErrTooManyAttachments} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an unknown error: %v", err)
		}
		if p.Data != nil && !strings.Contains(string(b), string(p.Data)) {
			t.Fatalf("payload %q is not a part of %q", p.Data, b)
		}
		if p.ID == 1<<64-1 {
			return // did not fit
		}
		p.Attachments = make([][]byte, n)
		again, m, err := socketio.Decode(p.Append(nil))
		again.Attachments = make([][]byte, m)
		if err != nil || m != n || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q became %q: %+v, %d, %v", b, p.Append(nil), again, m, err)
		}
		if name, ok := p.Event(); ok != (p.Type == socketio.PacketEvent) {
			t.Fatalf("event %q, %v", name, ok)
		}
	})
}
