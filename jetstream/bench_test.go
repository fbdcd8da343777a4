package jetstream_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

func BenchmarkPublish(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, waiting := range []int{1, 64, 1000, 4000} {
			for _, keyed := range []bool{false, true} {
				b.Run(fmt.Sprintf("always=%v/bytes=128/waiting=%d/key=%v", sync, waiting, keyed), func(b *testing.B) {
					benchPublish(b, sync, waiting, keyed)
				})
			}
		}
	}
}

// BenchmarkCommitter is what group commit is for: many messages that wait for
// the disk at the same time, each of which must be on it.
func BenchmarkCommitter(b *testing.B) {
	for _, waiting := range []int{1, 64, 1000} {
		for _, group := range []bool{false, true} {
			b.Run(fmt.Sprintf("sync=always/bytes=128/waiting=%d/groupcommit=%v", waiting, group), func(b *testing.B) {
				br := open(b, options(b, always))
				if !group {
					br.PublishPlainly(0)
				}
				publishAll(b, br, waiting, false)
			})
		}
	}
}

func benchPublish(b *testing.B, always bool, waiting int, keyed bool) {
	o := options(b)
	o.Embedded.SyncAlways = always
	publishAll(b, open(b, o), waiting, keyed)
}

// publishAll publishes with so many waiting for their answer.
func publishAll(b *testing.B, br *jetstream.Broker, waiting int, keyed bool) {
	data := make([]byte, 128)
	room := make(chan struct{}, waiting)
	var wg sync.WaitGroup
	var failed atomic.Int64
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		room <- struct{}{}
		wg.Add(1)
		p := &bridge.Publication{Subject: "events.bench", Data: data, Owner: "o"}
		if i++; keyed {
			p.ID = fmt.Sprint(i)
		}
		br.Publish(p, func(_ bridge.Receipt, err error) {
			if err != nil {
				failed.Add(1)
			}
			<-room
			wg.Done()
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		b.Errorf("%d failed", n)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "msgs/s")
}

// filled is a broker with n messages of 128 bytes on 100 subjects.
func filled(b *testing.B, n int) *jetstream.Broker {
	b.Helper()
	br := open(b, options(b))
	subjects := make([]string, 100)
	for i := range subjects {
		subjects[i] = fmt.Sprint("events.s.", i)
	}
	fill(b, br, n, subjects...)
	return br
}

// counter is a follower that does nothing but count.
type counter struct {
	n    int
	want int
	done func()
}

func (c *counter) Append(*bridge.Event) {
	if c.n++; c.n == c.want {
		c.done()
	}
}
func (c *counter) Reached(*bridge.Stream, uint64)      {}
func (c *counter) Lost(*bridge.Stream, uint64, uint64) {}
func (c *counter) Renewed(*bridge.Stream)              {}
func (c *counter) Gone(*bridge.Stream)                 {}

func BenchmarkTail(b *testing.B) {
	const n = 200_000
	br := filled(b, n)
	b.ReportAllocs()
	b.ResetTimer()
	runs := 0
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background())
		c := &counter{want: n, done: cancel}
		if err := br.Follow(ctx, 0, 1, c); err != context.Canceled {
			b.Fatal(err)
		}
		runs++
	}
	b.ReportMetric(float64(n*runs)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkRead(b *testing.B) {
	const n = 200_000
	br := filled(b, n)
	for _, size := range []int{500, 2000, 10_000} {
		b.Run(fmt.Sprintf("filter=none/batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			read := 0
			for b.Loop() {
				for from := uint64(1); from <= n; {
					batch, err := br.Read(b.Context(), bridge.ReadRequest{From: from, MaxMessages: size})
					if err != nil {
						b.Fatal(err)
					}
					read += len(batch.Events)
					from = batch.Next
				}
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
