package engineio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/websock"
)

func packet(t engineio.PacketType, data string) engineio.Packet {
	return engineio.Packet{Type: t, Data: []byte(data)}
}

func binaryPacket(data string) engineio.Packet {
	return engineio.Packet{Type: engineio.PacketMessage, Binary: true, Data: []byte(data)}
}

func same(a, b engineio.Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}

// The examples of the protocol, both ways.
func TestPacket(t *testing.T) {
	tests := map[string]engineio.Packet{
		"0{}":       packet(engineio.PacketOpen, "{}"),
		"1":         packet(engineio.PacketClose, ""),
		"2":         packet(engineio.PacketPing, ""),
		"2probe":    packet(engineio.PacketPing, "probe"),
		"3probe":    packet(engineio.PacketPong, "probe"),
		"4":         packet(engineio.PacketMessage, ""),
		"4hello":    packet(engineio.PacketMessage, "hello"),
		"4é😀":       packet(engineio.PacketMessage, "é😀"),
		"5":         packet(engineio.PacketUpgrade, ""),
		"6":         packet(engineio.PacketNoop, ""),
		"bAQIDBA==": binaryPacket("\x01\x02\x03\x04"),
		"b":         binaryPacket(""),
	}
	for wire, want := range tests {
		if got, err := engineio.Decode([]byte(wire)); err != nil || !same(got, want) {
			t.Errorf("%q: %+v, %v", wire, got, err)
		}
		if got := string(want.Append(nil)); got != wire {
			t.Errorf("%+v: %q, want %q", want, got, wire)
		}
	}
}

// What is no packet, E07 included: bad base64.
func TestPacketRefused(t *testing.T) {
	for _, wire := range []string{"", "7", "abc", "/", ":", "\x00", "4\xff", "b!!!", "bAQI", "bAQ==x", "b=", "B", "é", " 4"} {
		if p, err := engineio.Decode([]byte(wire)); !errors.Is(err, engineio.ErrPacket) {
			t.Errorf("%q: %+v, %v", wire, p, err)
		}
	}
}

// A packet must not let its owner write over the one behind it.
func TestPacketDoesNotAlias(t *testing.T) {
	payload := []byte("4a\x1e4b")
	for p, err := range engineio.Packets(payload, 10) {
		if err != nil {
			t.Fatal(err)
		}
		_ = append(p.Data, "overwritten"...)
	}
	if string(payload) != "4a\x1e4b" {
		t.Errorf("%q", payload)
	}
}

func TestPackets(t *testing.T) {
	tests := map[string]struct {
		in   string
		most int
		want []string
		err  error
	}{
		"one":             {"4hello", 9, []string{"4hello"}, nil},
		"text and binary": {"4hello\x1ebAQIDBA==", 9, []string{"4hello", "bAQIDBA=="}, nil},
		"as many as may":  {"4\x1e2\x1e6", 3, []string{"4", "2", "6"}, nil},
		"one too many":    {"4\x1e2\x1e6", 2, []string{"4", "2"}, engineio.ErrTooManyPackets},
		"nothing":         {"", 9, nil, engineio.ErrPacket},
		"first error":     {"4a\x1eabc\x1e4b", 9, []string{"4a"}, engineio.ErrPacket},
		"empty at end":    {"4a\x1e", 9, []string{"4a"}, engineio.ErrPacket},
		"empty between":   {"4a\x1e\x1e4b", 9, []string{"4a"}, engineio.ErrPacket},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			var last error
			for p, err := range engineio.Packets([]byte(tt.in), tt.most) {
				if last != nil {
					t.Fatal("it goes on after an error")
				}
				if last = err; err == nil {
					got = append(got, string(p.Append(nil)))
				}
			}
			if !slices.Equal(got, tt.want) || !errors.Is(last, tt.err) {
				t.Errorf("%q, %v", got, last)
			}
		})
	}
}

func TestAppendPayload(t *testing.T) {
	got := engineio.AppendPayload([]byte("x"), packet(engineio.PacketMessage, "hello"), binaryPacket("\x01\x02\x03\x04"))
	if string(got) != "x4hello\x1ebAQIDBA==" {
		t.Errorf("%q", got)
	}
}

// FuzzPackets: no input makes decoding fail other than by an error, and what is
// understood is understood again after encoding.
func FuzzPackets(f *testing.F) {
	for _, seed := range []string{"", "4hello", "4hello\x1ebAQIDBA==", "\x1e", "2probe", "b", "b!!!", "4\xff", "4a\x1e\x1e", strings.Repeat("\x1e", 50), "bAQ\nI="} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		const most = 20
		var all []engineio.Packet
		whole := true
		for p, err := range engineio.Packets(payload, most) {
			if err != nil {
				whole = false
				break
			}
			all = append(all, p)
		}
		if len(all) > most {
			t.Fatalf("%d packets", len(all))
		}
		if !whole {
			return
		}
		encoded := engineio.AppendPayload(nil, all...)
		i := 0
		for p, err := range engineio.Packets(encoded, most) {
			if err != nil || !same(p, all[i]) {
				t.Fatalf("packet %d of %q: %+v, %v, want %+v", i, encoded, p, err, all[i])
			}
			i++
		}
		if i != len(all) {
			t.Fatalf("%d packets became %d", len(all), i)
		}
	})
}

// Frames become packets, however the output holds them.
func TestPayloadOfFrames(t *testing.T) {
	large := bytes.Repeat([]byte("y"), 20_000)
	out := new(bridge.Output)
	websock.AppendText(out, []byte("4a"))
	websock.AppendPing(out, []byte("not for polling"))
	websock.AppendBinary(out, []byte{1, 2, 3, 4})
	out.Append(websock.AppendHeader(nil, websock.OpText, 1+len(large)+1)...)
	out.Append('4')
	out.AppendShared(large)
	out.Append('z')
	out.EndFrame()
	websock.AppendText(out, []byte("4forged\x1e4message"))
	websock.AppendBinary(out, nil)
	websock.AppendClose(out, 1000, "")
	want := "4a\x1ebAQIDBA==\x1e4" + string(large) + "z\x1e4forged\\u001e4message\x1eb"
	for last, wanted := range map[string]string{"": want, "6": want + "\x1e6"} {
		var end []byte
		if last != "" {
			end = []byte(last)
		}
		if got, err := engineio.PayloadOf(out, end); err != nil || string(got) != wanted {
			t.Errorf("%.100q, %v", got, err)
		}
	}
	if got, err := engineio.PayloadOf(nil, []byte("6")); err != nil || string(got) != "6" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNotFrames(t *testing.T) {
	for name, in := range map[string]string{
		"half a header":   "\x81",
		"half a length":   "\x81\x7e\x01",
		"half a payload":  "\x81\x05abc",
		"masked":          "\x81\x81\x00\x00\x00\x00a",
		"not final":       "\x01\x01a",
		"continuation":    "\x80\x01a",
		"RSV1":            "\xc1\x01a",
		"no type":         "\x81\x00",
		"endless":         "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffabc",
		"text, then junk": "\x81\x01a\xff",
	} {
		for cut := range len(in) {
			bufs := net.Buffers{[]byte(in[:cut]), nil, []byte(in[cut:])}
			if got, err := engineio.AppendFrames(nil, bufs); !errors.Is(err, engineio.ErrFrames) {
				t.Errorf("%s, cut at %d: %q, %v", name, cut, got, err)
			}
		}
	}
}

// FuzzFrames: whatever is given as frames, in whatever slices, either is no
// frames or becomes a payload that clients understand, of the same packets.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x064hello\x82\x02\x01\x02"), 3)
	f.Add([]byte("\x81\x7e\x00\x034ab\x8a\x00"), 1)
	f.Add([]byte("\x81\x034\x1e4"), 2)
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffabc"), 5)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		whole, err := engineio.AppendFrames(nil, net.Buffers{in})
		parts, err2 := engineio.AppendFrames(nil, net.Buffers{in[:cut], in[cut:]})
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(whole, parts) {
			t.Fatalf("%q, %v; cut at %d: %q, %v", whole, err, cut, parts, err2)
		}
		if err != nil {
			return
		}
		var want []byte
		n := 0
		for r := bytes.NewReader(in); r.Len() > 0; {
			fr, err := looseFrame(r)
			if err != nil {
				t.Fatalf("%q was taken for frames: %v", in, err)
			}
			if fr.op != text && fr.op != bin {
				continue
			}
			if n++; n > 1 {
				want = append(want, 0x1e)
			}
			if fr.op == bin {
				want = binaryPacket(fr.payload).Append(want)
			} else {
				want = append(want, strings.ReplaceAll(fr.payload, "\x1e", `\u001e`)...)
			}
		}
		if !bytes.Equal(whole, want) {
			t.Fatalf("%q, want %q", whole, want)
		}
	})
}

// looseFrame reads one frame that may be longer than it has to be, as a program
// may give it.
func looseFrame(r io.Reader) (frame, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return frame{}, err
	}
	op, n := h[0], uint64(h[1])
	if op&0xF0 != 0x80 || n > 127 {
		return frame{}, errors.New("not a whole, unmasked frame")
	}
	switch n {
	case 126:
		_, _ = io.ReadFull(r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, _ = io.ReadFull(r, h[:8])
		n = binary.BigEndian.Uint64(h[:])
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return frame{op & 0x0F, string(payload)}, err
}
