package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func TestDurableIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := events(memory.Stream{})
		o.DurableIdle = time.Hour
		b := open(t, o)
		ctx := t.Context()
		d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
		exists := func(want bool) {
			t.Helper()
			if _, existed, err := b.OpenDurable(ctx, 0, d, 3); err != nil || existed != want {
				t.Fatalf("existed %v, %v, want %v", existed, err, want)
			}
		}
		exists(false)
		time.Sleep(time.Hour - 1)
		exists(true) // opening counts as use
		time.Sleep(time.Hour - 1)
		if err := b.MoveDurable(ctx, 0, d, 5); err != nil { // and so does moving
			t.Fatal(err)
		}
		time.Sleep(time.Hour - 1)
		exists(true)
		time.Sleep(time.Hour)
		wantCode(t, "MoveDurable", b.MoveDurable(ctx, 0, d, 5), bridge.CodeNotFound)
		exists(false)
	})
}

func TestDurableLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := events(memory.Stream{})
		o.MaxDurables, o.DurableIdle = 3, time.Hour
		b := open(t, o)
		openOne := func(user string, n int) error {
			_, _, err := b.OpenDurable(t.Context(), 0, bridge.Durable{User: user, Name: fmt.Sprint(n), Filter: "events.>"}, 0)
			return err
		}
		for n := range 3 {
			if err := openOne("ann", n); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, "one too many", openOne("ann", 3), bridge.CodeRateLimited)
		for what, err := range map[string]error{"another user's": openOne("bob", 0), "an old one": openOne("ann", 2)} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		time.Sleep(time.Hour)
		if err := openOne("ann", 3); err != nil {
			t.Errorf("after the others were idle: %v", err)
		}
	})
}
