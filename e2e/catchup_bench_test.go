package e2e

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// discard is a transport that counts the frames and throws them away.
type discard struct {
	frames atomic.Int64
	want   int64
	all    chan struct{} // closed when there have been as many as wanted
}

func (d *discard) Write(*bridge.Output) error { return nil }

func (d *discard) WriteSome(out *bridge.Output) error {
	n := int64(out.Frames())
	defer out.Reset()
	if was := d.frames.Add(n) - n; was < d.want && was+n >= d.want {
		close(d.all)
	}
	return nil
}

// BenchmarkCatchUp is one client that comes back 100,000 events later, which
// are in the gateway's memory (ring) or in the stream's files only (stream);
// to=bridge ends at the transport, to=client at the other end of a WebSocket.
func BenchmarkCatchUp(b *testing.B) {
	const events = 100_000
	for _, from := range []struct {
		name string
		ring int
	}{{"ring", 2 * events}, {"stream", 100}} {
		b.Run("from="+from.name+"/events=100000/bytes=128", func(b *testing.B) {
			n := startNode(b, nodeOptions{interval: true, bridge: bridge.Options{RingMessages: from.ring, RingBytes: 256 << 20}})
			flood(b, n, "events.a", events, 128)
			s := subscribe(b, dial(b, n, client.Options{}), "events.>", client.SubOptions{From: "last"})
			for next(b, s, native.KindEvent, native.KindLive).Kind != native.KindLive { // the gateway has it all
			}
			b.Run("to=bridge", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					discardAll(b, n, events)
				}
				b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
			})
			b.Run("to=client", func(b *testing.B) {
				c := dial(b, n, client.Options{Buffer: 1024})
				b.ReportAllocs()
				for b.Loop() {
					s := subscribe(b, c, "events.>", client.SubOptions{From: "first", Until: "now"})
					for range events {
						next(b, s, native.KindEvent)
					}
					next(b, s, native.KindEnd)
				}
				b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
			})
		})
	}
}

func discardAll(b *testing.B, n *node, events int) {
	d := &discard{want: int64(events) + 1, all: make(chan struct{})} // and the answer
	c := n.bridge.Connect(bridge.ClientOptions{User: "u", Permissions: &anyone, Encoder: native.Encoder{}, Transport: d})
	err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.>", From: "first"}, func(out *bridge.Output, _ bridge.SubscribeAnswer) {
		out.Append('a')
		out.EndFrame()
	})
	if err != nil {
		b.Fatal(err)
	}
	<-d.all
	c.Close()
}
