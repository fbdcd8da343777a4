package bridge_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

func TestParsePosition(t *testing.T) {
	for _, good := range []string{"abc123-0", "a-1", "a-18446744073709551615", "a-1.b-2.c-3"} {
		p, err := bridge.ParsePosition(good)
		if err != nil || p.String() != good {
			t.Errorf("%q: %v, %v", good, p, err)
		}
	}
	for _, bad := range []string{
		"", "a", "-1", "a-", "a-01", "a-+1", "a--1", "a-1.", ".a-1", "a-1.a-2", "A-1", "ä-1", "a-1 ", "a-1e3",
		"a-18446744073709551616", strings.Repeat("a", 17) + "-1", "a-1..b-2", "new", "__proto__-1",
		strings.Repeat("a-1.", 64) + "b-1",
	} {
		_, err := bridge.ParsePosition(bad)
		if !errors.Is(err, &bridge.Error{Code: bridge.CodeBadPosition}) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add("abc-1.def-2")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := bridge.ParsePosition(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Fatalf("%q became %q", s, p)
		}
		again, err := bridge.ParsePosition(p.String())
		if err != nil || !slices.Equal(again, p) {
			t.Fatalf("%q: %v, %v", s, again, err)
		}
	})
}
