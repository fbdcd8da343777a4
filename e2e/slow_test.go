package e2e

import (
	"runtime"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// TestSlowClient: a client reads nothing while 200,000 events of 1 KiB pass.
// It costs under 1 MiB, stays connected, and then gets all of them.
func TestSlowClient(t *testing.T) {
	const events, warm = 200_000, 5_000
	n := startNode(t, nodeOptions{interval: true, bridge: bridge.Options{RingMessages: 2000}, gateway: patient})
	c := dial(t, n, client.Options{Buffer: 1, ReceiveBufferBytes: smallBuffer})
	s := subscribe(t, c, "events.>", client.SubOptions{})
	next(t, s, native.KindLive)
	// Fill everything that is filled once: the ring, the pools, the sockets.
	flood(t, n, "events.a", warm, 1024)
	for i := 1; i <= warm; i++ {
		next(t, s, native.KindEvent)
	}
	c.Pause()
	before := settledInUse(t)
	flood(t, n, "events.a", events, 1024)
	stats := n.bridge.Stats()
	if stats.FellBehind.Load() == 0 {
		t.Error("the client never fell behind: it was not slow")
	}
	// The client goes on sleeping for 20 s. The embedded NATS server keeps what
	// was written in its cache for ten of them, so the figure is the last.
	var cost int64
	begun, deadline := time.Now(), time.Now().Add(2*time.Minute)
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		cost = int64(inUse()) - int64(before)
		slept := time.Since(begun) >= 20*time.Second
		if slept && cost < 1<<20 || time.Now().After(deadline) {
			tick.Stop()
			break
		}
	}
	t.Logf("%d KiB more for a client that has read nothing of %d events for %s", cost>>10, events, time.Since(begun).Round(time.Second))
	if cost >= 1<<20 {
		t.Errorf("the slow client cost %d KiB", cost>>10)
	}
	c.Resume()
	for i := warm + 1; i <= warm+events; i++ {
		if m := next(t, s, native.KindEvent); sequence(t, m.Pos) != i {
			t.Fatalf("got %s, want sequence %d", m.Pos, i)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("disconnected: %v", err)
	}
	t.Logf("fell behind %d times, %d messages read from the stream", stats.FellBehind.Load(), stats.Scanned.Load())
}

// settledInUse is inUse when the embedded NATS server has dropped its cache of
// what was written last, which it does after ten seconds.
func settledInUse(t *testing.T) uint64 {
	least := inUse()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range 12 {
		<-tick.C
		least = min(least, inUse())
	}
	t.Logf("%d KiB in use before", least>>10)
	return least
}

// inUse is the memory of heap and stacks that is really in use.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // once more: what the pools hold goes with the second
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
