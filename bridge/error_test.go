package bridge_test

import (
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

// It is asked about each message of a client: one that succeeds must not cost
// an error.
func TestErrorOfNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if e := bridge.ErrorOf(nil); e != nil {
			t.Fatalf("got %v", e)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
