package bridge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

func TestValidSessionKey(t *testing.T) {
	for key, want := range map[string]bool{
		"a": true, "AZaz09_=-": true, strings.Repeat("k", bridge.MaxSessionKeyBytes): true,
		"": false, "a.b": false, "*": false, ">": false, "a b": false, "a\n": false, "é": false, "/": false, ":": false, "@": false, "[": false, "`": false, "{": false,
		strings.Repeat("k", bridge.MaxSessionKeyBytes+1): false,
	} {
		err := bridge.ValidSessionKey(key)
		if (err == nil) != want {
			t.Errorf("%q: %v", key, err)
		}
		if err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeBadFrame}) {
			t.Errorf("%q: %v, want %q", key, err, bridge.CodeBadFrame)
		}
	}
}
