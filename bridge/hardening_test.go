package bridge_test

import (
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

// hostileValues are names of users, and parts of names of events, that are
// more than one token, or none, or not what they look like.
var hostileValues = []string{
	"a.b", "*", ">", "", " ", "\t", "\r\n", "\x00", "a\x7f", "a b", "a\u00a0b", "a\u0085b", "a*", ">a", ".", "..",
	"{user}", "{", "\xff", "\ufffd", strings.Repeat("a", 65), strings.Repeat("a", 1024), "x\r\nPUB y 0\r\n",
}

// TestN01 is a user whose name would reach the subjects of others.
func TestN01(t *testing.T) {
	for _, v := range hostileValues {
		if got, err := bridge.ExpandFilter("events.{user}.>", values("user", v)); err == nil {
			t.Errorf("%q becomes %q", v, got)
		}
	}
	for _, v := range []string{"$SYS", "$JS", "$", "_INBOX", "jetway"} {
		if got, err := bridge.ExpandFilter("{user}.>", values("user", v)); err == nil {
			t.Errorf("%q becomes %q", v, got)
		}
	}
	for _, v := range []string{"%2e", "größe", "auth0|17", "a@b", strings.Repeat("a", 64)} {
		if got, err := bridge.ExpandFilter("events.{user}.>", values("user", v)); got != "events."+v+".>" {
			t.Errorf("%q becomes %q, %v", v, got, err)
		}
	}
}

// N02: whatever the values are, what comes out of a template is within it, and
// does not begin where it must not: it has no wider beginning than what was
// written down, and is never everything.
func TestN02(t *testing.T) {
	harmless := []string{"%2e", "größe", "auth0|17", "a@b", "$SYS", "_INBOX", "jetway", "a", "-", "=", "\\", "/", "''", strings.Repeat("a", 64)}
	for _, template := range []string{"events.users.{user}.>", "events.{user}", "{user}.>", "{user}", "{user}.{user}", "a.*.{user}.>", "{org}.users.{user}.*"} {
		widest := strings.NewReplacer("{user}", "*", "{org}", "*").Replace(template)
		for _, user := range append(harmless, hostileValues...) {
			for _, org := range append(harmless, hostileValues...) {
				got, err := bridge.ExpandFilter(template, values("user", user, "org", org))
				switch {
				case err != nil && got == "":
				case err != nil, bridge.ValidFilter(got) != nil, !bridge.Within(got, widest), bridge.Reserved(got),
					strings.Count(got, ".") != strings.Count(template, "."), strings.Count(got, "*") != strings.Count(template, "*"), strings.Count(got, ">") != strings.Count(template, ">"):
					t.Fatalf("%s with %q and %q becomes %q, %v", template, user, org, got, err)
				}
			}
		}
	}
}
