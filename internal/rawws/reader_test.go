package rawws_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/internal/rawws"
)

// unmasked are frames as a server sends them.
func unmasked(frames ...rawws.Frame) []byte {
	var b []byte
	for _, f := range frames {
		f.Unmasked = true
		b = f.Append(b)
	}
	return b
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	sent := []rawws.Frame{rawws.Text("hällo"), rawws.Binary("\xff"), rawws.Ping(long[:125]), rawws.Pong(""), rawws.Text(long[:126]), rawws.Binary(long), rawws.Close(1000, "bye")}
	for _, masked := range []bool{false, true} {
		b := unmasked(sent...)
		if masked {
			b = rawws.Bytes(sent...)
		}
		r := rawws.Reader{R: bytes.NewReader(b), Masked: masked}
		for _, want := range sent {
			if f, err := r.Next(); err != nil || f.Op != want.Op || !bytes.Equal(f.Payload, want.Payload) {
				t.Fatalf("masked %t: %v, %v, want %v", masked, f, err, want)
			}
		}
		if f, err := r.Next(); err != io.EOF {
			t.Errorf("then %v, %v", f, err)
		}
	}
}

// A message in parts is one, with the control frames in between before it.
func TestReaderFragments(t *testing.T) {
	parts := rawws.Fragments(rawws.OpText, "😀 in parts", 3)
	b := append(unmasked(parts[:2]...), unmasked(rawws.Ping("p"))...)
	r := rawws.Reader{R: bytes.NewReader(append(b, unmasked(parts[2:]...)...))}
	for _, want := range []string{"p", "😀 in parts"} {
		if f, err := r.Next(); err != nil || string(f.Payload) != want {
			t.Errorf("got %v, %v", f, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	set := func(f rawws.Frame, change func(*rawws.Frame)) rawws.Frame {
		change(&f)
		return f
	}
	form := func(f rawws.Form) func(*rawws.Frame) { return func(g *rawws.Frame) { g.Form = f } }
	long := strings.Repeat("x", 126)
	for name, in := range map[string][]byte{
		"masked":                        rawws.Bytes(rawws.Text("x")),
		"RSV1":                          unmasked(set(rawws.Text(""), func(f *rawws.Frame) { f.RSV = rawws.RSV1 })),
		"RSV3 on a pong":                unmasked(set(rawws.Pong(""), func(f *rawws.Frame) { f.RSV = rawws.RSV3 })),
		"opcode 3":                      unmasked(rawws.Whole(3, "")),
		"opcode 11":                     unmasked(rawws.Whole(11, "")),
		"16 bits for 125":               unmasked(set(rawws.Text(long[:125]), form(rawws.Bits16))),
		"64 bits for 126":               unmasked(set(rawws.Text(long), form(rawws.Bits64))),
		"part of a ping":                unmasked(rawws.Begin(rawws.OpPing, "")),
		"pong of 126 bytes":             unmasked(rawws.Pong(long)),
		"continuation of nothing":       unmasked(rawws.Finish("")),
		"message within a message":      unmasked(rawws.Begin(rawws.OpText, ""), rawws.Text("")),
		"not UTF-8":                     unmasked(rawws.Text("\xff")),
		"half a rune at the end":        unmasked(rawws.Begin(rawws.OpText, "a"), rawws.Finish("\xf0\x9f")),
		"wrong before its end":          unmasked(rawws.Begin(rawws.OpText, "\xf4\x90"), rawws.Ping("")),
		"half a close code":             unmasked(rawws.Whole(rawws.OpClose, "\x03")),
		"close 999":                     unmasked(rawws.Close(999, "")),
		"close 1005":                    unmasked(rawws.Close(1005, "")),
		"close 1006":                    unmasked(rawws.Close(1006, "")),
		"close 1015":                    unmasked(rawws.Close(1015, "")),
		"close 2000":                    unmasked(rawws.Close(2000, "")),
		"close 5000":                    unmasked(rawws.Close(5000, "")),
		"a reason that is not UTF-8":    unmasked(rawws.Close(1000, "\xff")),
		"something after the close":     unmasked(rawws.Close(1000, ""), rawws.Text("x")),
		"another close after the close": unmasked(rawws.Close(1000, ""), rawws.Close(1000, "")),
	} {
		r := rawws.Reader{R: bytes.NewReader(in)}
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, rawws.ErrViolation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A length that is only said costs nothing.
func TestReaderTooLong(t *testing.T) {
	for _, f := range []rawws.Frame{{Op: rawws.OpText, Length: 1<<63 - 1}, {Op: rawws.OpText, Length: 1 << 63}, {Op: rawws.OpText, Length: 1001}, rawws.Text(strings.Repeat("x", 1001))} {
		r := rawws.Reader{R: bytes.NewReader(rawws.Bytes(f)), Masked: true, Max: 1000}
		if _, err := r.Next(); err != rawws.ErrTooLong {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestReaderCutOff(t *testing.T) {
	whole := unmasked(rawws.Text(strings.Repeat("x", 200)))
	for n := 1; n < len(whole); n++ {
		r := rawws.Reader{R: bytes.NewReader(whole[:n])}
		if f, err := r.Next(); err != io.ErrUnexpectedEOF {
			t.Fatalf("%d bytes: %v, %v", n, f, err)
		}
	}
}
