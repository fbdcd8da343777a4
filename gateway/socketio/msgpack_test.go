package socketio_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// unhex reads bytes, written with spaces where one likes.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	keyType = "a4 74797065"
	keyNsp  = "a3 6e7370"
	keyID   = "a2 6964"
	keyData = "a4 64617461"
	slash   = "a1 2f"
	keyOpts = "a7 6f7074696f6e73" // options
)

// What the stock client with socket.io-msgpack-parser 3.0.2 sends.
func TestDecodeMsgpack(t *testing.T) {
	tests := map[string]struct {
		hex  string
		want string // the packet as text
		bins string
	}{
		"connect":               {"83" + keyType + "00" + keyData + "d40000" + keyNsp + slash, `0`, ""},
		"connect, auth":         {"83" + keyType + "00" + keyData + "81 a1 61 01" + keyNsp + slash, `0{"a":1}`, ""},
		"disconnect":            {"82" + keyType + "01" + keyNsp + "a2 2f61", `1/a,`, ""},
		"event":                 {"84" + keyType + "02" + keyData + "92 a1 65 01" + keyOpts + "81 a8 636f6d7072657373 c3" + keyNsp + slash, `2["e",1]`, ""},
		"event, id":             {"84" + keyType + "02" + keyData + "91 a1 65" + keyID + "0c" + keyNsp + slash, `212["e"]`, ""},
		"event, id undefined":   {"84" + keyType + "02" + keyData + "91 a1 65" + keyID + "d40000" + keyNsp + slash, `2["e"]`, ""},
		"event, id is a float":  {"84" + keyType + "02" + keyData + "91 a1 65" + keyID + "cb 4028000000000000" + keyNsp + slash, `212["e"]`, ""},
		"binary":                {"83" + keyType + "02" + keyData + "93 a1 65 c4 02 0102 81 a1 61 c7 01 00 ff" + keyNsp + slash, `52-["e",{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]`, "0102 ff"},
		"numbers":               {"83" + keyType + "02" + keyData + "dc 000e a1 65 7f cc ff cd ffff ce ffffffff cf ffffffffffffffff e0 d0 80 d1 8000 d2 80000000 d3 8000000000000000 ca 3fc00000 cb 3ff8000000000000 d0 05" + keyNsp + slash, `2["e",127,255,65535,4294967295,18446744073709551615,-32,-128,-32768,-2147483648,-9223372036854775808,1.5,1.5,5]`, ""},
		"odd numbers":           {"83" + keyType + "02" + keyData + "97 a1 65 cb 7ff8000000000000 cb 7ff0000000000000 cb 8000000000000000 cb 3e112e0be826d695 cb 444b1ae4d6e2ef50 cb 3ff0000000000000" + keyNsp + slash, `2["e",null,null,0,1e-09,1e+21,1]`, ""},
		"literals":              {"83" + keyType + "02" + keyData + "95 a1 65 c0 c2 c3 d40000" + keyNsp + slash, `2["e",null,false,true,null]`, ""},
		"undefined is left out": {"83" + keyType + "02" + keyData + "92 a1 65 83 a1 61 d40000 a1 62 01 a1 63 d40000" + keyNsp + slash, `2["e",{"b":1}]`, ""},
		"dates":                 {"83" + keyType + "02" + keyData + "93 a1 65 d700 0000018bcfe56800 d700 7fffffffffffffff" + keyNsp + slash, `2["e","2023-11-14T22:13:20.000Z",null]`, ""},
		"strings":               {"83" + keyType + "02" + keyData + "95 a1 65 d9 03 22 5c 0a da 0001 61 db 00000001 62 a1 ff" + keyNsp + slash, `2["e","\"\\\n","a","b","�"]`, ""},
		"long ways":             {"de 0003" + keyType + "cc 02" + keyData + "dd 00000002 a1 65 df 00000001 a1 61 c5 0001 00" + keyNsp + slash, `51-["e",{"a":{"_placeholder":true,"num":0}}]`, "00"},
		"ack, negative id":      {"84" + keyType + "03" + keyData + "90" + keyID + "ff" + keyNsp + slash, `318446744073709551615[]`, ""},
		"ack, id 1e30":          {"84" + keyType + "03" + keyData + "90" + keyID + "cb 46293e5939a08cea" + keyNsp + slash, `318446744073709551615[]`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := socketio.DecodeMsgpack(unhex(t, tt.hex))
			var bins []string
			for _, a := range p.Attachments {
				bins = append(bins, hex.EncodeToString(a))
			}
			if got := string(p.Append(nil)); err != nil || got != tt.want || strings.Join(bins, " ") != tt.bins {
				t.Errorf("got %s, %q, %v", got, bins, err)
			}
		})
	}
}

func TestDecodeMsgpackRefuses(t *testing.T) {
	event := func(data string) string { return "83" + keyType + "02" + keyNsp + slash + keyData + data }
	tests := map[string]struct {
		hex  string
		want error
	}{
		"nothing":                 {"", socketio.ErrPacket},
		"not a map":               {"90", socketio.ErrPacket},
		"text":                    {hex.EncodeToString([]byte(`2["e"]`)), socketio.ErrPacket},
		"no type":                 {"81" + keyNsp + slash, socketio.ErrPacket},
		"no namespace":            {"81" + keyType + "00", socketio.ErrPacket},
		"type 5":                  {"82" + keyType + "05" + keyNsp + slash, socketio.ErrPacket},
		"type -1":                 {"82" + keyType + "ff" + keyNsp + slash, socketio.ErrPacket},
		"type 0.5":                {"82" + keyType + "cb 3fe0000000000000" + keyNsp + slash, socketio.ErrPacket},
		"type twice":              {"83" + keyType + "00" + keyNsp + slash + keyType + "01", socketio.ErrPacket},
		"namespace without slash": {"82" + keyType + "00" + keyNsp + "a1 61", socketio.ErrPacket},
		"namespace a number":      {"82" + keyType + "00" + keyNsp + "01", socketio.ErrPacket},
		"empty namespace":         {"82" + keyType + "00" + keyNsp + "a0", socketio.ErrPacket},
		"id 1.5":                  {"84" + keyType + "03" + keyNsp + slash + keyData + "90" + keyID + "cb 3ff8000000000000", socketio.ErrPacket},
		"event id -1":             {"84" + keyType + "02" + keyNsp + slash + keyData + "91 a1 65" + keyID + "ff", socketio.ErrPacket},
		"id a string":             {"84" + keyType + "02" + keyNsp + slash + keyData + "91 a1 65" + keyID + "a1 31", socketio.ErrPacket},
		"connect with an array":   {"83" + keyType + "00" + keyNsp + slash + keyData + "90", socketio.ErrPacket},
		"binary in auth":          {"83" + keyType + "00" + keyNsp + slash + keyData + "81 a1 61 c4 01 00", socketio.ErrAttachments},
		"trailing bytes":          {event("91 a1 65") + "00", socketio.ErrPacket},
		"E11 no event":            {event("90"), socketio.ErrPacket},
		"E11 reserved":            {event("91 a7 636f6e6e656374"), socketio.ErrPacket},
		"E11 name an object":      {event("91 80"), socketio.ErrPacket},
		"E12 placeholder":         {event("92 a1 65 82 ac 5f706c616365686f6c646572 c3 a3 6e756d 00"), socketio.ErrAttachments},
		"E13 eleven attachments":  {event("9c a1 65" + strings.Repeat("c4 01 00", 11)), socketio.ErrTooManyAttachments},
		"J01 deep":                {event("92 a1 65" + strings.Repeat("91", 1_000_000)), socketio.ErrPacket},
		"array without end":       {event("dd ffffffff a1 65"), socketio.ErrPacket},
		"map without end":         {"df ffffffff", socketio.ErrPacket},
		"string without end":      {event("91 db ffffffff 61"), socketio.ErrPacket},
		"binary without end":      {event("92 a1 65 c6 ffffffff 61"), socketio.ErrPacket},
		"number without end":      {event("92 a1 65 cd 00"), socketio.ErrPacket},
		"key a number":            {event("92 a1 65 81 01 01"), socketio.ErrPacket},
		"extension":               {event("92 a1 65 d4 01 00"), socketio.ErrPacket},
		"extension with a length": {event("92 a1 65 c7 01 05 00"), socketio.ErrPacket},
		"fixext 2":                {event("92 a1 65 d5 00 0000"), socketio.ErrPacket},
		"never used":              {event("92 a1 65 c1"), socketio.ErrPacket},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if p, err := socketio.DecodeMsgpack(unhex(t, tt.hex)); !errors.Is(err, tt.want) {
				t.Errorf("%+v, %v, want %v", p, err, tt.want)
			}
		})
	}
}

// What goes to msgpack and back is what msgpack can say.
func TestAppendMsgpack(t *testing.T) {
	for _, tt := range packets {
		p := tt.packet
		for i := range tt.attachments {
			p.Attachments = append(p.Attachments, []byte{byte(i)})
		}
		b, err := p.AppendMsgpack(nil)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if p.Type == socketio.PacketConnectError && p.Data == nil {
			continue
		}
		back, err := socketio.DecodeMsgpack(b)
		want := strings.NewReplacer(`\/`, "/", "1.0", "1", "1E3", "1000", `\u2028`, "\u2028", `{"num":0,"_placeholder":true}`, `{"_placeholder":true,"num":0}`).Replace(tt.text)
		if got := string(back.Append(nil)); err != nil || got != want || !reflect.DeepEqual(back.Attachments, p.Attachments) {
			t.Errorf("%s became %s, %q, %v", tt.text, got, back.Attachments, err)
		}
	}
}

// The bytes are those that msgpack's specification calls the shortest.
func TestAppendMsgpackBytes(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for in, want := range map[string]string{
		`[0,127,128,255,256,65535,65536,4294967296]`:   "98 00 7f cc80 ccff cd0100 cdffff ce00010000 cf0000000100000000",
		`[-0,-1,-32,-33,-128,-129,-32769,-2147483649]`: "98 00 ff e0 d0df d080 d1ff7f d2ffff7fff d3ffffffff7fffffff",
		`[1.5,1e400,18446744073709551616]`:             "93 cb3ff8000000000000 cb7ff0000000000000 cb43f0000000000000",
		`[null,true,false,"\u00e9",{"a":{}},[]]`:       "96 c0 c3 c2 a2c3a9 81a16180 90",
		`["\ud800"]`:                                   "91 a3efbfbd",
		`[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]`:            "dc0010" + strings.Repeat("01", 16),
		`["` + long[:40] + `"]`:                        "91 d928" + strings.Repeat("78", 40),
		`["` + long[:300] + `"]`:                       "91 da012c" + strings.Repeat("78", 300),
		`["` + long + `"]`:                             "91 db00011170" + strings.Repeat("78", 70_000),
		`[` + strings.Repeat("1,", 70_000) + `1]`:      "dd00011171" + strings.Repeat("01", 70_001),
	} {
		p := socketio.Packet{Type: socketio.PacketAck, Data: []byte(in)}
		b, err := p.AppendMsgpack(nil)
		full := unhex(t, "83"+keyType+"03"+keyNsp+slash+keyData+want)
		if err != nil || string(b) != string(full) {
			t.Errorf("%.60s: %.120x, %v", in, b, err)
		}
	}
}

func TestAppendMsgpackRefuses(t *testing.T) {
	for in, want := range map[string]error{
		`[`: socketio.ErrPacket, `[1]x`: socketio.ErrPacket, `{"a" 1}`: socketio.ErrPacket, `[1 2]`: socketio.ErrPacket,
		strings.Repeat("[", 65) + strings.Repeat("]", 65): socketio.ErrPacket,
		`[{"_placeholder":true,"num":0}]`:                 socketio.ErrAttachments,
	} {
		p := socketio.Packet{Type: socketio.PacketAck, Data: []byte(in)}
		var out bridge.Output
		if err := p.AppendFrames(&out, socketio.FormatMsgpack); !errors.Is(err, want) || out.Size() > 0 {
			t.Errorf("%.40s: %v, %d bytes", in, err, out.Size())
		}
	}
}

func FuzzDecodeMsgpack(f *testing.F) {
	for _, tt := range packets {
		p := tt.packet
		p.Attachments = make([][]byte, tt.attachments)
		if b, err := p.AppendMsgpack(nil); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("\x83\xa4type\x02\xa4data\x92\xa1e\xd7\x00\x00\x00\x01\x8b\xcf\xe5\x68\x00\xa3nsp\xa1/"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := socketio.DecodeMsgpack(b)
		if err != nil {
			return
		}
		again, err := p.AppendMsgpack(nil)
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		if back, err := socketio.DecodeMsgpack(again); err != nil || !reflect.DeepEqual(back, p) {
			if p.ID == 1<<64-1 {
				return
			}
			t.Fatalf("%+v became %+v, %v", p, back, err)
		}
		if strings.Contains(p.Namespace, ",") {
			return // the text form has none such
		}
		text, n, err := socketio.Decode(p.Append(nil))
		if text.Attachments = p.Attachments; err != nil || n != len(p.Attachments) || !reflect.DeepEqual(text, p) {
			t.Fatalf("%+v became %+v, %v", p, text, err)
		}
	})
}
