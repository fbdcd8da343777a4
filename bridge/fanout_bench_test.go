package bridge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// counter is a client that encodes a realistic frame and throws it away.
type counter struct {
	noJobs
	events, writes, want atomic.Int64
	reached              chan struct{} // capacity 1
}

// expect makes wait return when n more events have come.
func (c *counter) expect(n int) { c.want.Store(c.events.Load() + int64(n)) }
func (c *counter) wait()        { <-c.reached }

type counterForm struct{}

func (c *counter) Event(out *bridge.Output, d *bridge.Delivery) {
	head := d.Event.Encoded(counterForm{}, func(e *bridge.Event) any {
		b := append([]byte(`{"msg":"`), e.Subject...)
		return &b
	}).(*[]byte)
	out.Append(*head...)
	out.AppendShared(d.Event.Data)
	var tail [128]byte
	out.Append(d.Pos.Append(tail[:0])...)
	out.EndFrame()
	if c.events.Add(1) == c.want.Load() {
		c.reached <- struct{}{}
	}
}
func (c *counter) Live(*bridge.Output, string, bridge.Position)                 {}
func (c *counter) Gap(*bridge.Output, string, bridge.Position, bridge.Position) {}
func (c *counter) End(*bridge.Output, string, string)                           {}
func (c *counter) Write(*bridge.Output) error                                   { return nil }
func (c *counter) WriteSome(out *bridge.Output) error {
	c.writes.Add(1)
	out.Reset()
	return nil
}

func benchRig(b *testing.B, opts bridge.Options) (*bridge.Bridge, *memory.Broker) {
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		b.Fatal(err)
	}
	br := bridge.New(broker, opts)
	if err := br.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := br.Stop(context.Background()); err != nil {
			b.Error(err)
		}
		broker.Close()
	})
	return br, broker
}

func store(b *testing.B, broker *memory.Broker, subject string, data []byte) {
	done := make(chan error, 1)
	broker.Publish(&bridge.Publication{Subject: subject, Data: data}, func(_ bridge.Receipt, err error) { done <- err })
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFanOut is one event to many clients, from the broker's hands to
// each client's transport.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			br, broker := benchRig(b, bridge.Options{})
			c := counter{reached: make(chan struct{}, 1)}
			for range n {
				client := br.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: &c, Transport: &c})
				if err := client.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.chat.>"}, func(*bridge.Output, bridge.SubscribeAnswer) {}); err != nil {
					b.Fatal(err)
				}
			}
			data := make([]byte, 128)
			b.ReportAllocs()
			for b.Loop() {
				c.expect(n)
				store(b, broker, "events.chat.1", data)
				c.wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkCatchUp is one client that reads 10,000 events, from the ring or
// from the stream.
func BenchmarkCatchUp(b *testing.B) {
	const events = 10_000
	for name, ring := range map[string]int{"ring": 2 * events, "stream": 16} {
		b.Run(fmt.Sprintf("%s/events=%d", name, events), func(b *testing.B) {
			br, broker := benchRig(b, bridge.Options{RingMessages: ring})
			data := make([]byte, 128)
			for range events {
				store(b, broker, "events.chat.1", data)
			}
			b.ReportAllocs()
			for b.Loop() {
				c := counter{reached: make(chan struct{}, 1)}
				c.expect(events)
				client := br.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: &c, Transport: &c})
				if err := client.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.chat.>", From: "first"}, func(*bridge.Output, bridge.SubscribeAnswer) {}); err != nil {
					b.Fatal(err)
				}
				c.wait()
				client.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/delivery")
		})
	}
}
