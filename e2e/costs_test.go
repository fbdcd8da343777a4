package e2e

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// listener is a client that costs next to nothing: it asks for something, and
// throws away what it is sent. What has come, the gateway has counted.
func listener(t *testing.T, n *node, frames ...string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(n.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := c.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	var reading sync.WaitGroup
	t.Cleanup(func() { c.Close(); reading.Wait() })
	reading.Go(func() { _, _ = io.Copy(io.Discard, c.NetConn()) })
	return c
}

// mallocs counts the allocations of the whole process: gateway, NATS server
// and clients.
func mallocs(f func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

// TestCosts guards what a publish and a delivery allocate, in all, and how many
// system calls a delivery takes under load: counts, which are much the same on
// every machine. Raise a bound only for a reason that the commit gives.
func TestCosts(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates; scripts/test.sh runs this without it")
	}
	const clients, events = 200, 2000
	n := startNode(t, nodeOptions{interval: true, gateway: patient})
	writer := listener(t, n)
	stats := n.bridge.Stats()
	publish := func(count int) {
		from := stats.Published.Load()
		for i := range count {
			if err := writer.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"pub":"events.chat","id":%d,"data":"0123456789"}`, i)); err != nil {
				t.Fatal(err)
			}
			if i%64 == 63 { // as many as a client has on the way
				poll(t, "published", func() bool { return stats.Published.Load()-from+64 > uint64(i) })
			}
		}
		poll(t, "published", func() bool { return stats.Published.Load()-from == uint64(count) })
	}
	publish(events) // pools are filled
	alone := mallocs(func() { publish(events) }) / events
	t.Logf("%.1f allocations a publish", alone)
	if alone > 70 {
		t.Errorf("%.1f allocations a publish", alone)
	}

	for range clients {
		listener(t, n, `{"sub":"events.chat"}`)
	}
	poll(t, "subscribed", func() bool { return stats.Subscriptions.Load() == clients })
	deliver := func() {
		from := stats.Delivered.Load()
		publish(events)
		poll(t, "delivered", func() bool { return stats.Delivered.Load()-from == clients*events })
	}
	deliver()
	writes := n.server.Wire().Writes.Load()
	each := (mallocs(deliver)/events - alone) / clients
	calls := float64(n.server.Wire().Writes.Load()-writes) / (clients * events)
	t.Logf("%.3f allocations a delivery more", each)
	if each > 0.1 {
		t.Errorf("%.3f allocations a delivery", each)
	}
	t.Logf("%.3f system calls a delivery", calls)
	if calls > 0.05 {
		t.Errorf("%.3f system calls a delivery", calls)
	}
}
