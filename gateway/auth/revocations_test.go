package auth_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
)

// A client is asked about by what was heard since it showed its token, and by
// no more than is kept.
func TestRevocations(t *testing.T) {
	const kept = 4096
	var r auth.Revocations
	others := func(n int) {
		for i := range n {
			r.Add(bridge.Revocation{User: fmt.Sprint("user", i)})
		}
	}
	covers := func(when string, id *auth.Identity, want bool) {
		t.Helper()
		if got := r.Cover(id); got != want {
			t.Errorf("%s: %t", when, got)
		}
	}
	r.Add(bridge.Revocation{User: "ann"})
	for range 3 { // around the ring, and again
		ann := &auth.Identity{User: "ann", Shown: r.Now()}
		bob := &auth.Identity{User: "bob", Shown: r.Now()}
		covers("before it was shown", ann, false)
		others(kept - 1)
		covers("others", ann, false)
		r.Add(bridge.Revocation{User: "ann", Before: ann.Shown.Time.Add(time.Nanosecond)})
		covers("the last that is kept", ann, true)
		covers("somebody else", bob, false)
		covers("another that came since", &auth.Identity{User: "ann", Shown: r.Now()}, false)
		others(1)
		covers("more than is kept", bob, true)
		covers("nobody asks about it", &auth.Identity{User: "ann"}, false)
	}
}

func TestRevocationsConcurrently(t *testing.T) {
	var r auth.Revocations
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				id := &auth.Identity{User: "ann", Shown: r.Now()}
				r.Add(bridge.Revocation{User: "ann"})
				if !r.Cover(id) {
					t.Error("forgotten")
				}
			}
		})
	}
	all.Wait()
}
