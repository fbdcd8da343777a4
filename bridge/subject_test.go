package bridge_test

import (
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

func TestSubjects(t *testing.T) {
	for _, tt := range []struct {
		s               string
		subject, filter bool
	}{
		{"a", true, true},
		{"events.chat.1", true, true},
		{"events.größe.✓", true, true},
		{"", false, false},
		{".", false, false},
		{"a.", false, false},
		{".a", false, false},
		{"a..b", false, false},
		{"a b", false, false},
		{"a\tb", false, false},
		{"a\r\nPUB x 0", false, false},
		{"a\x00b", false, false},
		{"a\u00a0b", false, false},
		{"a\x7f", false, false},
		{"a\xff", false, false},
		{"*", false, true},
		{">", false, true},
		{"a.*.b", false, true},
		{"a.>", false, true},
		{"a.>.b", false, false},
		{"a.*x", false, false},
		{"a.x>", false, false},
		{strings.Repeat("a", 512), true, true},
		{strings.Repeat("a", 513), false, false},
		{strings.Repeat("a.", 31) + "a", true, true},
		{strings.Repeat("a.", 32) + "a", false, false},
	} {
		if got := bridge.ValidSubject(tt.s) == nil; got != tt.subject {
			t.Errorf("ValidSubject(%q): %v", tt.s, got)
		}
		if got := bridge.ValidFilter(tt.s) == nil; got != tt.filter {
			t.Errorf("ValidFilter(%q): %v", tt.s, got)
		}
	}
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		a, b            string
		overlap, within bool // within: a within b
	}{
		{"a", "a", true, true},
		{"a", "b", false, false},
		{"a.b", "a.*", true, true},
		{"a.*", "a.b", true, false},
		{"a.*", "*.b", true, false},
		{"a.>", "a.b.c", true, false},
		{"a.b.c", "a.>", true, true},
		{"a", "a.>", false, false},
		{"a.>", "a", false, false},
		{"a.*.>", "a.>", true, true},
		{"a.>", "a.*.>", true, false},
		{">", "*", true, false},
		{"*", ">", true, true},
		{">", ">", true, true},
		{"*.*", "*", false, false},
		{"*.>", "a.b.c.d", true, false},
	} {
		if got := bridge.Overlap(tt.a, tt.b); got != tt.overlap {
			t.Errorf("Overlap(%q, %q): %v", tt.a, tt.b, got)
		}
		if got := bridge.Overlap(tt.b, tt.a); got != tt.overlap {
			t.Errorf("Overlap(%q, %q): %v", tt.b, tt.a, got)
		}
		if got := bridge.Within(tt.a, tt.b); got != tt.within {
			t.Errorf("Within(%q, %q): %v", tt.a, tt.b, got)
		}
	}
}

func TestReserved(t *testing.T) {
	for s, want := range map[string]bool{
		"$JS.API.INFO": true, "$SYS": true, "_INBOX.x": true, "jetway.ctl.x": true, "jetway": true,
		"jetways.x": false, "events.jetway": false, "_INBOXES.x": false, ">": false, "*": false,
	} {
		if bridge.Reserved(s) != want {
			t.Errorf("Reserved(%q) is not %v", s, want)
		}
	}
}
