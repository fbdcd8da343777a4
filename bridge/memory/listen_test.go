package memory_test

import (
	"sync"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// A listener that publishes what it listens to must neither deadlock nor
// recurse.
func TestListenerPublishesToItself(t *testing.T) {
	b := open(t, memory.Options{})
	var got []string
	stop, err := b.Listen("live.>", func(e *bridge.Event) {
		got = append(got, string(e.Data))
		if n := len(got); n < 10_000 {
			b.Publish(&bridge.Publication{Slot: -1, Subject: "live.a", Data: []byte{byte(n)}}, func(bridge.Receipt, error) {})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := publish(b, bridge.Publication{Slot: -1, Subject: "live.a"}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 10_000 {
		t.Fatalf("%d events, want 10,000", len(got))
	}
}

// Listeners come and go while others publish and signal: run with -race.
func TestListenConcurrently(t *testing.T) {
	b := open(t, memory.Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				stop, err := b.Listen("live.*", func(*bridge.Event) {})
				if err != nil {
					t.Error(err)
					return
				}
				stop()
				stop()
			}
		})
		wg.Go(func() {
			stop, err := b.Signals(func(string, []byte) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer stop()
			for range 500 {
				if err := b.Signal("x", nil); err != nil {
					t.Error(err)
				}
				if _, err := publish(b, bridge.Publication{Slot: -1, Subject: "live.a"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
