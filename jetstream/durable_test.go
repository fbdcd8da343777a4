package jetstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

func TestDurable(t *testing.T) {
	o := options(t)
	b := open(t, o)
	fill(t, b, 100, "events.a", "events.b")
	d := bridge.Durable{User: "Ann B. <x>", Name: "orders", Filter: "events.a"}
	check := func(what string, wantSeen uint64, wantExisted bool) {
		t.Helper()
		seen, existed, err := b.OpenDurable(t.Context(), 0, d, 10)
		if err != nil || seen != wantSeen || existed != wantExisted {
			t.Fatalf("%s: seen %d, existed %v, %v; want %d, %v", what, seen, existed, err, wantSeen, wantExisted)
		}
	}
	move := func(seen uint64) {
		t.Helper()
		if err := b.MoveDurable(t.Context(), 0, d, seen); err != nil {
			t.Fatal(err)
		}
	}
	check("made", 10, false)
	check("found", 10, true)
	move(40)
	check("moved", 40, true)
	move(20)
	check("moved back", 20, true)
	move(5)
	check("moved back beyond its start", 5, true)
	move(100)
	check("moved to the end", 100, true)
	other := d
	other.Filter = "events.b"
	if _, _, err := b.OpenDurable(t.Context(), 0, other, 0); !errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}) {
		t.Errorf("another filter: %v", err)
	}
	move(64)
	shut(t, b)
	b = open(t, o)
	check("after a restart", 64, true)
	lost := d
	lost.Name = "none"
	if err := b.MoveDurable(t.Context(), 0, lost, 3); !errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound}) {
		t.Errorf("moving one that does not exist: %v", err)
	}
}

func TestDurableLimit(t *testing.T) {
	b := open(t, options(t, func(o *jetstream.Options) { o.UserDurables = 2 }))
	for i, want := range []bridge.Code{"", "", bridge.CodeRateLimited} {
		_, _, err := b.OpenDurable(t.Context(), 0, bridge.Durable{User: "u", Name: fmt.Sprint("d", i), Filter: "events.>"}, 0)
		if (want == "") != (err == nil) || err != nil && !errors.Is(err, &bridge.Error{Code: want}) {
			t.Errorf("durable %d: %v", i, err)
		}
	}
	if _, _, err := b.OpenDurable(t.Context(), 0, bridge.Durable{User: "v", Name: "d", Filter: "events.>"}, 0); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// A durable that is only moved outlives its threshold many times over; one
// that is not is deleted.
func TestDurableUse(t *testing.T) {
	b := open(t, options(t, func(o *jetstream.Options) { o.DurableInactive = 3 * time.Second }))
	used, idle := bridge.Durable{User: "u", Name: "used", Filter: "events.>"}, bridge.Durable{User: "u", Name: "idle", Filter: "events.>"}
	for _, d := range []bridge.Durable{used, idle} {
		if _, _, err := b.OpenDurable(t.Context(), 0, d, 0); err != nil {
			t.Fatal(err)
		}
	}
	names := func() map[string]bool {
		m, err := b.Conn().Request("$JS.API.CONSUMER.LIST.EVENTS", nil, deadline)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Consumers []struct {
				Config struct{ Metadata map[string]string }
			}
		}
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		have := map[string]bool{}
		for _, c := range r.Consumers {
			have[c.Config.Metadata["jetway-name"]] = true
		}
		return have
	}
	start, seen := time.Now(), uint64(0)
	var next time.Time
	eventually(t, "the idle one is deleted, and the used one is three thresholds old", func() bool {
		if now := time.Now(); now.After(next) {
			seen++
			if err := b.MoveDurable(t.Context(), 0, used, seen); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			next = now.Add(300 * time.Millisecond)
		}
		return !names()["idle"] && time.Since(start) > 10*time.Second
	})
	if !names()["used"] {
		t.Error("the used durable is gone")
	}
	eventually(t, "the used one goes too, when it is no longer used", func() bool { return !names()["used"] })
}
