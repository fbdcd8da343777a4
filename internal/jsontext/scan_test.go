package jsontext_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// scan passes all of b as one value.
func scan(b []byte) (ok, tooDeep bool) {
	s := jsontext.Scanner{B: b}
	s.Space()
	if !s.Value() {
		return false, s.TooDeep()
	}
	s.Space()
	return s.I == len(b), false
}

// J01: neither a deep nor an endless nesting grows anything.
func TestDepth(t *testing.T) {
	for n, want := range map[int]bool{1: true, 64: true, 65: false, 1_000_000: false} {
		in := strings.Repeat("[", n) + strings.Repeat("]", n)
		if ok, tooDeep := scan([]byte(in)); ok != want || tooDeep == want {
			t.Errorf("%d levels: %v, too deep: %v", n, ok, tooDeep)
		}
	}
}

func TestUnquote(t *testing.T) {
	tests := map[string]struct {
		in, want string
		bad      bool
	}{
		"plain":          {in: `abc`, want: "abc"},
		"escapes":        {in: `\"\\\/\b\f\n\r\t`, want: "\"\\/\b\f\n\r\t"},
		"rune":           {in: `\u00e9x`, want: "éx"},
		"pair":           {in: `\ud83d\ude00`, want: "😀"},
		"half a pair":    {in: `\ud83d`, bad: true},
		"wrong way":      {in: `\ude00\ud83d`, bad: true},
		"half, then not": {in: `\ud83d\u0041`, bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := jsontext.Unquote([]byte(tt.in)); got != tt.want || ok == tt.bad {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

func TestEachMember(t *testing.T) {
	var got []string
	err := jsontext.EachMember([]byte(` { "a" : [1, 2] , "\u0062":null} `), func(name string, value []byte) error {
		got = append(got, name+"="+string(value))
		return nil
	})
	if s := strings.Join(got, " "); err != nil || s != "a=[1, 2] b=null" {
		t.Errorf("got %q, %v", s, err)
	}
	stop := errors.New("stop")
	if err := jsontext.EachMember([]byte(`{"a":1,"b":2}`), func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	for _, in := range []string{``, `[]`, `{`, `{"a":1}x`} {
		if jsontext.EachMember([]byte(in), func(string, []byte) error { return nil }) == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// The scanner takes what encoding/json takes, but for the depth.
func FuzzValue(f *testing.F) {
	for _, in := range []string{`{"a":[1,-0.5e+3,true,null,"\u00e9\ud83d\ude00"]}`, ` [ ] `, `"\x"`, `01`, `{"a"}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ok, tooDeep := scan(b)
		if valid := json.Valid(b); valid != ok && !tooDeep {
			t.Fatalf("the scanner says %v, encoding/json %v", ok, valid)
		}
	})
}

// What is written as a string is read as the same text.
func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\x00\x1e\u2028é😀\xff")
	f.Fuzz(func(t *testing.T, in string) {
		b := jsontext.AppendString(nil, in)
		want := strings.ToValidUTF8(in, "") // each bad byte becomes a rune of its own
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if text, ok := jsontext.Unquote(b[1 : len(b)-1]); !ok || text != got {
			t.Fatalf("Unquote: %q, encoding/json: %q", text, got)
		}
		if utf8.ValidString(in) && got != want {
			t.Fatalf("%q became %q", in, got)
		}
	})
}
