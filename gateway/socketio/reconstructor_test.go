package socketio_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jetway-io/jetway/gateway/socketio"
)

// feed gives messages to a reconstructor: text, or binary after "b:".
func feed(r *socketio.Reconstructor, messages ...string) (whole []socketio.Packet, err error) {
	for _, m := range messages {
		data, binary := strings.CutPrefix(m, "b:")
		take := r.Text
		if binary {
			take = r.Binary
		}
		p, ok, err := take([]byte(data))
		if err != nil {
			return whole, err
		}
		if ok {
			whole = append(whole, p)
		}
	}
	return whole, nil
}

func TestReconstructor(t *testing.T) {
	var r socketio.Reconstructor
	whole, err := feed(&r, `2["a"]`, `52-["b",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`, "b:one", "b:", `50-["c"]`, `61-3[{"_placeholder":true,"num":0}]`, "b:x")
	if err != nil || len(whole) != 4 || r.Pending() {
		t.Fatalf("%+v, %v", whole, err)
	}
	if p := whole[1]; p.Type != socketio.PacketEvent || len(p.Attachments) != 2 || string(p.Attachments[0]) != "one" || len(p.Attachments[1]) != 0 {
		t.Errorf("%+v", p)
	}
	if p := whole[3]; p.Type != socketio.PacketAck || p.ID != 3 || string(p.Attachments[0]) != "x" {
		t.Errorf("%+v", p)
	}
}

func TestReconstructorRefuses(t *testing.T) {
	const one = `51-["e",{"_placeholder":true,"num":0}]`
	tests := map[string]struct {
		messages []string
		want     error
	}{
		"binary first":                         {[]string{"b:x"}, socketio.ErrAttachments},
		"E14 binary after no attachments":      {[]string{`50-["e"]`, "b:x"}, socketio.ErrAttachments},
		"one too many":                         {[]string{one, "b:x", "b:x"}, socketio.ErrAttachments},
		"E15 text between":                     {[]string{one, `2["e"]`}, socketio.ErrAttachments},
		"E15 text of another namespace":        {[]string{one, `1/other,`}, socketio.ErrAttachments},
		"E15 attachments over the limit":       {[]string{`52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:" + strings.Repeat("x", 50), "b:" + strings.Repeat("x", 50)}, socketio.ErrTooBig},
		"E15 text over the limit":              {[]string{`2["` + strings.Repeat("x", 150) + `"]`}, socketio.ErrTooBig},
		"text that Decode refuses":             {[]string{`2{}`}, socketio.ErrPacket},
		"more attachments than any packet has": {[]string{`511-["e"]`}, socketio.ErrTooManyAttachments},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if whole, err := feed(&socketio.Reconstructor{MaxBytes: 150}, tt.messages...); !errors.Is(err, tt.want) {
				t.Errorf("%+v, %v, want %v", whole, err, tt.want)
			}
		})
	}
	if _, err := feed(&socketio.Reconstructor{}, `2["`+strings.Repeat("x", socketio.DefaultMaxBytes)+`"]`); !errors.Is(err, socketio.ErrTooBig) {
		t.Errorf("the default limit: %v", err)
	}
}

// What comes whole out of any messages is what a client would have sent.
func FuzzReconstructor(f *testing.F) {
	f.Add(`52-["b",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`+"\x00b:one\x00b:\x002[\"e\"]", 1000)
	f.Add(`50-["e"]`+"\x00b:x", 10)
	f.Fuzz(func(t *testing.T, messages string, limit int) {
		if !utf8.ValidString(messages) || limit < 0 {
			return
		}
		r := socketio.Reconstructor{MaxBytes: limit}
		whole, _ := feed(&r, strings.Split(messages, "\x00")...)
		for _, p := range whole {
			if len(p.Attachments) > socketio.MaxAttachments {
				t.Fatalf("%d attachments", len(p.Attachments))
			}
			if p.ID == 1<<64-1 {
				continue
			}
			again := []string{string(p.Append(nil))}
			for _, a := range p.Attachments {
				again = append(again, "b:"+string(a))
			}
			back, err := feed(&socketio.Reconstructor{}, again...)
			if err != nil || len(back) != 1 || fmt.Sprint(back[0]) != fmt.Sprint(p) {
				t.Fatalf("%+v became %+v, %v", p, back, err)
			}
			checkMsgpack(t, p)
		}
	})
}

// checkMsgpack checks that a packet comes out of msgpack as one that msgpack
// does not change any more.
func checkMsgpack(t *testing.T, p socketio.Packet) {
	t.Helper()
	b, err := p.AppendMsgpack(nil)
	if err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	once, err := socketio.DecodeMsgpack(b)
	if err != nil {
		if name, _ := p.Event(); errors.Is(err, socketio.ErrPacket) && strings.ContainsAny(name, "eE") {
			return // a number too large to be a float64 is no name any more
		}
		t.Fatalf("%+v: % x: %v", p, b, err)
	}
	b, err = once.AppendMsgpack(nil)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := socketio.DecodeMsgpack(b); err != nil || !reflect.DeepEqual(once, twice) {
		t.Fatalf("%+v became %+v, %v", once, twice, err)
	}
}
