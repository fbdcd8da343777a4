package memory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// Everything at once, with nothing to be compared: run with -race.
func TestConcurrent(t *testing.T) {
	b := open(t, events(memory.Stream{MaxMessages: 50, Dedupe: time.Millisecond}))
	ctx, cancel := context.WithCancel(t.Context())
	var followers, wg sync.WaitGroup
	for range 3 {
		followers.Go(func() { _ = b.Follow(ctx, 0, 1, &diary{}) }) // it returns ctx.Err() only
	}
	for n := range 3 {
		wg.Go(func() {
			for i := range 200 {
				askAll(b, func(string, error) {}) // the stream may be removed just now
				p := bridge.Publication{Subject: fmt.Sprint("events.", n), ID: fmt.Sprint(i), TTL: time.Duration(i%3) * time.Millisecond}
				_, _ = publish(b, p)
				b.Streams()
			}
		})
	}
	wg.Go(func() {
		for i := range uint64(100) {
			b.Trim(0, i)
			b.Delete(0, i+5)
			b.SetReady(b.Ready())
			if i%20 == 0 {
				b.RemoveStream(0)
			}
			if i%10 == 0 {
				b.Recreate(0)
			}
		}
	})
	wg.Wait()
	cancel()
	followers.Wait()
}

// Reading a rare subject page by page must not cost the whole stream per page.
// A quadratic read would take minutes here.
func TestReadIsNotQuadratic(t *testing.T) {
	b := open(t, events(memory.Stream{}))
	const n = 50_000
	for i := range n {
		p := bridge.Publication{Subject: fmt.Sprintf("events.%d.x", i%100)}
		if _, err := publish(b, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []string{"", "events.*.x", "events.7.x"} {
		found := 0
		for q := (bridge.ReadRequest{Filter: filter, MaxMessages: 1}); ; {
			batch, err := b.Read(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			found += len(batch.Events)
			if q.From = batch.Next; q.From > n {
				break
			}
		}
		want := n
		if filter == "events.7.x" {
			want = n / 100
		}
		if found != want {
			t.Errorf("%q: %d events, want %d", filter, found, want)
		}
	}
}
