package e2e

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// running counts the goroutines that are in a function.
func running(function string) int {
	stacks := make([]byte, 64<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), function)
}

// TestManyFramesInOneWrite: with 1,000 clients on one subject, a lone event is
// written to each at once and by itself, and under load several leave in one
// system call.
func TestManyFramesInOneWrite(t *testing.T) {
	const clients, events = 1000, 200
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

	// An event for each client, and the answer to the writer. The counters
	// follow the writes, so they may be a moment late.
	frames, writes := wire.Frames.Load(), wire.Writes.Load()
	each(1, 1)
	poll(t, "a lone event is counted", func() bool {
		return wire.Frames.Load()-frames >= clients+1 && wire.Writes.Load()-writes >= clients+1
	})
	t.Logf("a lone event: %d frames in %d writes", wire.Frames.Load()-frames, wire.Writes.Load()-writes)

	// Idle again, each client has the goroutine that reads it and none to write.
	poll(t, "all are idle again", func() bool {
		return running("native.(*Session).Run(") == clients+1 && running("bridge.(*crew).") == 0
	})

	frames, writes = wire.Frames.Load(), wire.Writes.Load()
	each(2, events)
	load := float64(wire.Frames.Load()-frames) / float64(wire.Writes.Load()-writes)
	t.Logf("under load: %.1f frames for each write", load)
	if load < 2 {
		t.Errorf("under load only %.1f frames for each write", load)
	}
}
