package sio_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/sio"
)

func newDelivery(sid string, seq uint64, data string) *bridge.Delivery {
	stream := &bridge.Stream{Name: "EVENTS", Tag: "abcdefgh"}
	e := &bridge.Event{Subject: "events.chat.1", Stream: stream, Seq: seq, Data: []byte(data)}
	return &bridge.Delivery{Event: e, SID: sid, Pos: bridge.Position{{Tag: stream.Tag, Seq: seq}}}
}

func written(out *bridge.Output) string {
	return string(bytes.Join(out.Buffers(nil), nil))
}

// The offset is the bundle's place, whatever else comes between.
func TestEncoderOffset(t *testing.T) {
	e := sio.NewEncoder(sio.RecoveryTrailing, "s1")
	for _, tt := range []struct {
		d    *bridge.Delivery
		want string
	}{
		{newDelivery("s2", 6, "1"), `42["events.chat.1",1,"0"]`},
		{newDelivery("s1", 7, "1"), `42["events.chat.1",1,"abcdefgh-7"]`},
		{newDelivery("s2", 9, "1"), `42["events.chat.1",1,"abcdefgh-7"]`},
		{&bridge.Delivery{Event: &bridge.Event{Subject: "live", Data: []byte("2")}, SID: "s1"}, `42["live",2,"abcdefgh-7"]`},
		{newDelivery("s1", 10, "1"), `42["events.chat.1",1,"abcdefgh-10"]`},
	} {
		var out bridge.Output
		e.Event(&out, tt.d)
		if got := written(&out); got != "\x81"+string(rune(len(tt.want)))+tt.want || out.Frames() != 1 {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// A large payload is not copied, and the offset stands behind it.
func TestEncoderLarge(t *testing.T) {
	data := `"` + strings.Repeat("x", 16<<10) + `"`
	var out bridge.Output
	sio.NewEncoder(sio.RecoveryTrailing, "s1").Event(&out, newDelivery("s1", 7, data))
	if got, want := written(&out)[4:], `42["events.chat.1",`+data+`,"abcdefgh-7"]`; got != want {
		t.Errorf("got %.100q… of %d bytes, want %d", got, len(got), len(want))
	}
}

var recoveries = []sio.Recovery{sio.RecoveryTrailing, sio.RecoveryEvent, sio.RecoveryOff}

// What an event is made of is made once; a delivery needs no memory of its own.
func TestEncoderAllocations(t *testing.T) {
	for _, recovery := range recoveries {
		for _, sid := range []string{"s1", "s2"} {
			e, d := sio.NewEncoder(recovery, "s1"), newDelivery(sid, 1_000_000, `{"text":"hello"}`)
			var out bridge.Output
			e.Event(&out, d)
			got := testing.AllocsPerRun(100, func() {
				out.Reset()
				e.Event(&out, d)
			})
			if got > 0 {
				t.Errorf("%s, %s: %g allocations", recovery, sid, got)
			}
		}
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, recovery := range recoveries {
		b.Run(string(recovery)+"_128B", func(b *testing.B) {
			e, d := sio.NewEncoder(recovery, "s1"), newDelivery("s1", 1_000_000, `"`+strings.Repeat("x", 126)+`"`)
			b.ReportAllocs()
			var out bridge.Output
			for b.Loop() {
				out.Reset()
				e.Event(&out, d)
			}
		})
	}
}
