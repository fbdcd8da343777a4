package jetstream_test

import (
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// TestLeaderKnowsWhatIsThere: a single server is its own leader, so the
// questions that replicated streams are asked can be asked of it.
func TestLeaderKnowsWhatIsThere(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		for range 3 {
			if r := publish(t, b, &bridge.Publication{Subject: "events.a", Data: []byte("1")}); r.err != nil {
				t.Fatal(r.err)
			}
		}
		for _, c := range []struct {
			filter string
			seq    uint64
			none   bool
		}{{"", 1, false}, {"", 3, false}, {"", 4, true}, {"events.b", 1, true}, {"events.*", 2, false}} {
			err := b.ConfirmNone(t.Context(), 0, c.filter, c.seq)
			if (err == nil) != c.none {
				t.Errorf("nothing for %q from %d on: %v", c.filter, c.seq, err)
			}
		}
		if seq, err := b.LeaderLast(t.Context(), 0, "events.a"); err != nil || seq != 3 {
			t.Errorf("last is %d, %v", seq, err)
		}
		if seq, err := b.LeaderLast(t.Context(), 0, "events.b"); err != nil || seq != 0 {
			t.Errorf("last of nothing is %d, %v", seq, err)
		}
	})
}
