package native_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

func bytesOf(out *bridge.Output) []byte {
	var b []byte
	for _, p := range out.Buffers(nil) {
		b = append(b, p...)
	}
	return b
}

func encode(d *bridge.Delivery) []byte {
	var out bridge.Output
	native.Encoder{}.Event(&out, d)
	return bytesOf(&out)
}

// payloadOf checks that b is one unmasked text frame and returns what is in
// it (RFC 6455 section 5.2).
func payloadOf(t *testing.T, b []byte) []byte {
	t.Helper()
	if b[0] != 0x81 {
		t.Fatalf("not a whole text frame: % x", b[0])
	}
	n, rest := int(b[1]), b[2:]
	switch n {
	case 126:
		n, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		n, rest = int(binary.BigEndian.Uint64(rest)), rest[8:]
	}
	if n != len(rest) {
		t.Fatalf("the header says %d bytes, there are %d", n, len(rest))
	}
	return rest
}

func TestEncoderEvent(t *testing.T) {
	at := time.Date(2030, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 7200))
	tests := map[string]struct {
		event *bridge.Event
		pos   bridge.Position
		lag   uint64
		want  string
	}{
		"JSON": {
			&bridge.Event{Data: []byte("{\"a\":\n 1}")}, pos("t", 5), 2,
			"\"data\":{\"a\":\n 1},\"sid\":\"s1\",\"pos\":\"t-5\",\"lag\":2}",
		},
		"two streams":  {&bridge.Event{Data: []byte("1")}, bridge.Position{{Tag: "a", Seq: 1}, {Tag: "b", Seq: 2}}, 0, `"data":1,"sid":"s1","pos":"a-1.b-2","lag":0}`},
		"live only":    {&bridge.Event{Data: []byte(`"x"`)}, nil, 9, `"data":"x","sid":"s1"}`},
		"bytes":        {&bridge.Event{Data: []byte{0, 255}}, nil, 0, `"b64":"AP8=","sid":"s1"}`},
		"empty":        {&bridge.Event{}, nil, 0, `"b64":"","sid":"s1"}`},
		"not UTF-8":    {&bridge.Event{Data: []byte("\"\xff\"")}, nil, 0, `"b64":"Iv8i","sid":"s1"}`},
		"NaN":          {&bridge.Event{Data: []byte("NaN")}, nil, 0, `"b64":"TmFO","sid":"s1"}`},
		"white space":  {&bridge.Event{Data: []byte(" ")}, nil, 0, `"b64":"IA==","sid":"s1"}`},
		"head":         {&bridge.Event{Data: []byte("1"), Head: []bridge.Field{{Name: "A", Value: "1\n"}, {Name: "b", Value: ""}}}, nil, 0, `"head":{"A":"1\n","b":""},"data":1,"sid":"s1"}`},
		"a head twice": {&bridge.Event{Data: []byte("1"), Head: []bridge.Field{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "A", Value: "3"}}}, nil, 0, `"head":{"A":"1, 3","B":"2"},"data":1,"sid":"s1"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := tt.event
			e.Subject, e.Time = "events.x", at
			d := &bridge.Delivery{Event: e, SID: "s1", Pos: tt.pos, Lag: tt.lag}
			want := `{"msg":"events.x","t":"2030-05-06T05:08:09.123456789Z",` + tt.want
			for range 2 { // made, then from the cache
				if got := payloadOf(t, encode(d)); string(got) != want || !json.Valid(got) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

func TestIsJSON(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := map[string]bool{
		"1": true, " 1 ": true, "": false, "1 2": false, deep(64): true, deep(65): true, deep(9000): true, deep(10_001): false,
		strings.Repeat("[", 100): false, "\"\xed\xa0\x80\"": false, `"\ud800"`: true,
	}
	for in, want := range tests {
		if got := native.IsJSON([]byte(in)); got != want {
			t.Errorf("%.20q…: %v", in, got)
		}
	}
}

// A frame's length form changes at 126 and at 65,536 bytes (RFC 6455, 5.2),
// and large payloads take the way that does not copy.
func TestEncoderSizes(t *testing.T) {
	for _, n := range []int{0, 30, 40, 60, 100, 126, 8 << 10, 64 << 10, 70_000, 1 << 20} {
		data := []byte(`"` + strings.Repeat("x", n) + `"`)
		d := &bridge.Delivery{Event: &bridge.Event{Subject: "s", Data: data}, SID: "s1"}
		var out bridge.Output
		native.Encoder{}.Event(&out, d)
		if b := bytesOf(&out); len(b) != out.Size() || out.Frames() != 1 || !json.Valid(payloadOf(t, b)) {
			t.Errorf("%d bytes: wrong frame", n)
		}
		shared := false
		for _, p := range out.Buffers(nil) {
			shared = shared || len(p) == len(data) && &p[0] == &data[0]
		}
		if shared != (n >= 8<<10) {
			t.Errorf("%d bytes: shared %v", n, shared)
		}
	}
}

func TestEncoderControls(t *testing.T) {
	var out bridge.Output
	e := native.Encoder{}
	for want, write := range map[string]func(){
		`{"live":"s1","pos":"t-3"}`:               func() { e.Live(&out, "s1", pos("t", 3)) },
		`{"gap":"s1","after":"t-3","next":"t-9"}`: func() { e.Gap(&out, "s1", pos("t", 3), pos("t", 9)) },
		`{"end":"s1","why":"taken_over"}`:         func() { e.End(&out, "s1", "taken_over") },
	} {
		out.Reset()
		write()
		if got := payloadOf(t, bytesOf(&out)); string(got) != want || out.Frames() != 1 {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEncoderDoesNotAllocate(t *testing.T) {
	long := make(bridge.Position, 10)
	for i := range long {
		long[i] = bridge.Mark{Tag: strings.Repeat("t", i+1), Seq: 1 << 60}
	}
	for name, data := range map[string][]byte{"JSON": []byte(`{"n":1}`), "bytes": {0xff}, "large": []byte(`"` + strings.Repeat("x", 20_000) + `"`)} {
		d := &bridge.Delivery{Event: &bridge.Event{Subject: "events.x", Data: data}, SID: "s1", Pos: long, Lag: 1 << 60}
		var out bridge.Output
		var e bridge.Encoder = native.Encoder{}
		n := testing.AllocsPerRun(100, func() {
			out.Reset()
			e.Event(&out, d)
			e.Live(&out, "s1", long)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per delivery, want 0", name, n)
		}
	}
}

// Clients on several goroutines encode one event at the same time.
func TestEncoderConcurrently(t *testing.T) {
	e := &bridge.Event{Subject: "events.x", Data: []byte(`1`)}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if !json.Valid(payloadOf(t, encode(&bridge.Delivery{Event: e, SID: "s1"}))) {
					t.Error("not JSON")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEncoder(b *testing.B) {
	for name, data := range map[string]string{"128B": `"` + strings.Repeat("x", 126) + `"`, "16KiB": `"` + strings.Repeat("x", 16<<10) + `"`} {
		e := &bridge.Event{Subject: "events.chat.1", Data: []byte(data), Time: time.Now()}
		d := &bridge.Delivery{Event: e, SID: "s1", Pos: pos("abcdefgh", 1_000_000), Lag: 3}
		b.Run("delivery_"+name, func(b *testing.B) {
			b.ReportAllocs()
			var out bridge.Output
			for b.Loop() {
				out.Reset()
				native.Encoder{}.Event(&out, d)
			}
		})
		b.Run("first_"+name, func(b *testing.B) {
			b.ReportAllocs()
			var out bridge.Output
			for b.Loop() {
				out.Reset()
				fresh := &bridge.Event{Subject: e.Subject, Data: e.Data, Time: e.Time}
				native.Encoder{}.Event(&out, &bridge.Delivery{Event: fresh, SID: "s1", Pos: d.Pos, Lag: 3})
			}
		})
	}
}
