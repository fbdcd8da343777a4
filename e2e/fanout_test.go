package e2e

import (
	"sync"
	"testing"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// TestManyFramesInOneWrite: with 1,000 clients on one subject, a lone event is
// written to each at once and by itself, and under load several leave in one
// system call.
func TestManyFramesInOneWrite(t *testing.T) {
	const clients, events = 1000, 500
	n := startNode(t, nodeOptions{interval: true, gateway: patient})
	subs := make([]*client.Sub, clients)
	for i := range subs {
		subs[i] = subscribe(t, dial(t, n, client.Options{Buffer: 16}), "events.chat", client.SubOptions{})
		next(t, subs[i], native.KindLive)
	}
	writer := dial(t, n, client.Options{})
	each := func(from, to int) {
		var all sync.WaitGroup
		for _, s := range subs {
			all.Go(func() { expectNumbers(t, s, from, to) })
		}
		publishN(t, writer, "events.chat", from, to)
		all.Wait()
	}
	wire := n.server.Wire()

	frames, writes := wire.Frames.Load(), wire.Writes.Load()
	each(1, 1)
	lone := float64(wire.Frames.Load()-frames) / float64(wire.Writes.Load()-writes)
	t.Logf("a lone event: %.3f frames for each write", lone)
	if lone != 1 {
		t.Errorf("a lone event was not written by itself: %.3f frames for each write", lone)
	}

	frames, writes = wire.Frames.Load(), wire.Writes.Load()
	each(2, events)
	load := float64(wire.Frames.Load()-frames) / float64(wire.Writes.Load()-writes)
	t.Logf("under load: %.1f frames for each write", load)
	if load < 2 {
		t.Errorf("under load only %.1f frames for each write", load)
	}
}
