package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/jetstream"
)

func streamOf(maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: "EVENTS", MaxBytes: maxBytes}
}

// sequence is the number in a position of one stream. Clients must not do
// this; tests may.
func sequence(t testing.TB, pos string) int {
	t.Helper()
	_, digits, _ := strings.Cut(pos, "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("position %q", pos)
	}
	return n
}

// history is what happened, as the clients saw it.
type history struct {
	mu        sync.Mutex
	attempted map[string]bool
	acked     map[string]bool
}

// reader is what one subscriber was given.
type reader struct {
	filter string
	values []string // "writer-counter", as delivered
	pos    map[string]bool
	dups   int
}

// tally is how what a reader was given differs from what was stored.
type tally struct {
	delivered, unexpected, duplicate, disorder int
	recovered                                  int // stored, without an answer
	lost                                       []string
}

func (c tally) bad() int { return len(c.lost) + c.unexpected + c.duplicate + c.disorder }

// tally compares what a reader was given with what was stored: everything that
// was acknowledged and matches is there, once, nothing else is, and each
// writer's events are in the writer's order. Events without an answer may be
// there or not.
func (h *history) tally(values, writers []string) (c tally) {
	delivered := map[string]bool{}
	last := map[string]int{}
	for _, v := range values {
		if delivered[v] {
			c.duplicate++
		}
		delivered[v] = true
		if !h.attempted[v] {
			c.unexpected++
		} else if !h.acked[v] {
			c.recovered++
		}
		w, n, _ := strings.Cut(v, "-")
		i, _ := strconv.Atoi(n)
		if i <= last[w] {
			c.disorder++
		}
		last[w] = i
	}
	for v := range h.acked {
		w, _, _ := strings.Cut(v, "-")
		if slices.Contains(writers, w) && !delivered[v] {
			c.lost = append(c.lost, v)
		}
	}
	slices.Sort(c.lost)
	c.delivered = len(delivered)
	return c
}

// check fails unless the history holds for a reader.
func (h *history) check(t *testing.T, r *reader, writers []string) {
	t.Helper()
	c := h.tally(r.values, writers)
	t.Logf("%s: attempted %d, acked %d, delivered %d, lost %d, unexpected %d, duplicate %d (by pos %d), out of order %d, recovered %d",
		r.filter, len(h.attempted), len(h.acked), c.delivered, len(c.lost), c.unexpected, c.duplicate, r.dups, c.disorder, c.recovered)
	if c.bad()+r.dups > 0 {
		t.Errorf("%s: the history does not hold; lost: %.20q", r.filter, c.lost)
	}
}

// seedOf is the run's seed; JETWAY_TEST_SEED repeats one.
func seedOf(t *testing.T) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("JETWAY_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d (JETWAY_TEST_SEED repeats it)", seed)
	return seed
}

// TestHistory: 8 writers, 8 subscribers on two gateways that come and go at
// random, and read slowly at random.
func TestHistory(t *testing.T) {
	const writers, readers, perWriter = 8, 8, 1500
	seed := seedOf(t)
	nodes := make([]*node, 2)
	nodes[0] = startNode(t, nodeOptions{bridge: bridge.Options{RingMessages: 500}})
	nodes[1] = startNode(t, nodeOptions{nats: nodes[0].nats, bridge: bridge.Options{RingMessages: 2000}})
	h := &history{attempted: map[string]bool{}, acked: map[string]bool{}}

	var memory atomic.Uint64
	stop := make(chan struct{})
	watching := make(chan struct{})
	go func() { defer close(watching); watchHeap(stop, &memory) }()

	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() { h.write(t, nodes[w%2], w, perWriter, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
	done := make(chan struct{})
	results := make([]*reader, readers)
	for i := range readers {
		filter := "events.>"
		if i%2 == 1 {
			filter = fmt.Sprintf("events.w%d", i)
		}
		results[i] = &reader{filter: filter, pos: map[string]bool{}}
		reading.Go(func() { results[i].run(t, nodes, rand.New(rand.NewPCG(seed, uint64(100+i))), done) })
	}
	writing.Wait()
	close(done)
	reading.Wait()
	// One more on each gateway, who was away for all of it: most is on disk only.
	for _, n := range nodes {
		late := &reader{filter: "events.>", pos: map[string]bool{}}
		if _, err := late.visit(n, "first", true, rand.New(rand.NewPCG(seed, 99))); err != nil {
			t.Errorf("late: %v", err)
		}
		results = append(results, late)
	}
	close(stop)
	<-watching
	for i, r := range results {
		who := []string{fmt.Sprintf("w%d", i)}
		if r.filter == "events.>" {
			who = who[:0]
			for w := range writers {
				who = append(who, fmt.Sprintf("w%d", w))
			}
		}
		h.check(t, r, who)
	}
	var behind, scanned uint64
	for _, n := range nodes {
		behind += n.bridge.Stats().FellBehind.Load()
		scanned += n.bridge.Stats().Scanned.Load() + n.bridge.Stats().Narrow.Load()
	}
	t.Logf("fell behind %d times, %d messages read from history, heap at most %d MiB", behind, scanned, memory.Load()>>20)
	if behind == 0 || scanned == 0 {
		t.Error("nobody fell behind, or nothing was read from history: the test did not bite")
	}
	if memory.Load() > 512<<20 {
		t.Errorf("the heap grew to %d MiB", memory.Load()>>20)
	}
}

func watchHeap(stop <-chan struct{}, most *atomic.Uint64) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var m runtime.MemStats
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapAlloc))
		}
	}
}

// write publishes one writer's events in order, some of them in flight at a
// time, and comes back with the same key where it got no answer.
func (h *history) write(t *testing.T, n *node, w, events int, rnd *rand.Rand) {
	subject := fmt.Sprintf("events.w%d", w)
	c, err := client.Dial(testContext(t), n.url, client.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { c.Close() }()
	for i := 1; i <= events; {
		burst := min(1+rnd.IntN(50), events-i+1)
		answers := make(chan error, burst)
		for k := i; k < i+burst; k++ {
			v := fmt.Sprintf("w%d-%d", w, k)
			h.mu.Lock()
			h.attempted[v] = true
			h.mu.Unlock()
			o := client.PubOptions{}
			if rnd.IntN(2) == 0 {
				o.Key = v
			}
			err := c.PublishAsync(testContext(t), subject, []byte(`"`+v+`"`), o, func(_ client.Ack, err error) {
				if err == nil {
					h.mu.Lock()
					h.acked[v] = true
					h.mu.Unlock()
				}
				answers <- err
			})
			if err != nil {
				answers <- err
			}
		}
		for range burst {
			if err := <-answers; err != nil {
				t.Errorf("writer %d: %v", w, err)
				return
			}
		}
		i += burst
	}
}

// run subscribes from the beginning, leaves at random, comes back on a random
// gateway at the last position, and stops when it has caught up after done.
func (r *reader) run(t *testing.T, nodes []*node, rnd *rand.Rand, done <-chan struct{}) {
	pos := "first"
	for {
		final := false
		select {
		case <-done:
			final = true
		default:
		}
		next, err := r.visit(nodes[rnd.IntN(len(nodes))], pos, final, rnd)
		if err != nil {
			t.Errorf("%s: %v", r.filter, err)
			return
		}
		if final {
			return
		}
		pos = next
	}
}

// visit is one connection. The last one reads to the end.
func (r *reader) visit(n *node, pos string, final bool, rnd *rand.Rand) (string, error) {
	most := 45 * time.Second
	if final {
		most = 3 * time.Minute // all of the history, if it has not come far
	}
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	o := client.Options{Buffer: 1 + rnd.IntN(64)}
	if rnd.IntN(2) == 0 {
		o.ReceiveBufferBytes = smallBuffer
	}
	c, err := client.Dial(ctx, n.url, o)
	if err != nil {
		return pos, err
	}
	defer c.Close()
	so := client.SubOptions{From: pos}
	if final {
		so.Until = "now"
	}
	s, err := c.Subscribe(ctx, r.filter, so)
	if err != nil {
		return pos, err
	}
	if s.Gap != nil {
		return pos, fmt.Errorf("gap %v", *s.Gap)
	}
	pause := time.Duration(0)
	if rnd.IntN(3) == 0 && !final {
		pause = time.Duration(rnd.IntN(500)) * time.Microsecond
	}
	for left := 1 + rnd.IntN(2000); left > 0 || final; left-- {
		wait, stop := ctx, context.CancelFunc(func() {})
		if !final {
			wait, stop = context.WithTimeout(ctx, 200*time.Millisecond)
		}
		m, err := s.Next(wait)
		stop()
		switch {
		case !final && errors.Is(err, context.DeadlineExceeded):
			return pos, nil
		case err != nil:
			return pos, err
		case m.Kind == native.KindEnd:
			return pos, nil
		case m.Kind == native.KindGap:
			return pos, fmt.Errorf("gap %s..%s", m.After, m.Next)
		case m.Kind == native.KindLive:
			pos = m.Pos
			continue
		}
		if r.pos[m.Pos] {
			r.dups++
		}
		r.pos[m.Pos] = true
		r.values = append(r.values, strings.Trim(string(m.Data), `"`))
		pos = m.Pos
		if pause > 0 {
			slowly(pause)
		}
	}
	return pos, nil
}

// slowly is a reader that does something with each event.
func slowly(d time.Duration) {
	for begun := time.Now(); time.Since(begun) < d; {
		runtime.Gosched()
	}
}
