package memory_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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

// All that is done with queues and services, at once: run with -race. Every
// job is done exactly once, by a worker that has it.
func TestConcurrentQueues(t *testing.T) {
	const workers, jobs = 4, 500
	b := open(t, queues(memory.Queues{}))
	if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
		t.Fatal(err)
	}
	var (
		wg   sync.WaitGroup
		left atomic.Int64
	)
	left.Store(2 * jobs)
	stop := b.Serve("svc.>", func(e *bridge.Event) *bridge.Event { return e })
	defer stop()
	for w := range workers {
		wg.Go(func() {
			for left.Load() > 0 {
				done := make(chan struct{})
				b.Pull(&bridge.PullRequest{Subject: "jobs.a", Max: w + 1, Done: func(error) { close(done) }, Take: func(j *bridge.Job) {
					switch {
					case j.Delivered == 1 && j.Event.Seq%3 == 0:
						b.Settle(j, bridge.Settlement{How: bridge.SettleNak}, func(error) {})
					case j.Delivered == 1 && j.Event.Seq%3 == 1:
						b.Settle(j, bridge.Settlement{How: bridge.SettleNak, Delay: time.Millisecond}, func(error) {})
					default:
						b.Settle(j, bridge.Settlement{How: bridge.SettleWip}, func(error) {})
						left.Add(-1)
						b.Settle(j, bridge.Settlement{How: bridge.SettleAck}, func(error) {})
					}
				}})
				<-done
				<-ask(b, time.Second)
			}
		})
	}
	for w := range 2 {
		wg.Go(func() {
			for i := range jobs {
				p := job(b, "jobs.a", "x")
				if i%5 == 0 {
					p.NotBefore, p.Name = time.Now().Add(time.Millisecond), fmt.Sprint(w, "-", i)
				}
				if _, err := publish(b, p); err != nil {
					t.Error(err)
				}
				b.QueueStream()
				_ = b.Remove(t.Context(), 0, uint64(i)) // there is none
			}
		})
	}
	wg.Wait()
	if n := left.Load(); n != 0 {
		t.Errorf("%d jobs are left, want 0", n)
	}
}
