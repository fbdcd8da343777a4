package jetstream_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/leaktest"
	"github.com/jetway-io/jetway/jetstream"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var events = jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Dedupe: time.Minute}

// deadline is how long a test waits for what does not come.
const deadline = time.Minute

// options are those of a small embedded broker, which waits for NATS longer than
// a busy machine takes.
func options(tb testing.TB, edit ...func(*jetstream.Options)) jetstream.Options {
	o := jetstream.Options{
		Embedded: jetstream.EmbeddedOptions{StoreDir: tb.TempDir(), MaxStore: 1 << 30},
		Streams:  []jetstream.StreamConfig{events},
		Timeout:  deadline / 2,
	}
	for _, e := range edit {
		e(&o)
	}
	return o
}

func always(o *jetstream.Options) { o.Embedded.SyncAlways = true }

// open starts a broker that ends with the test.
func open(tb testing.TB, o jetstream.Options) *jetstream.Broker {
	tb.Helper()
	b, err := jetstream.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { shut(tb, b) })
	return b
}

func shut(tb testing.TB, b *jetstream.Broker) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		tb.Error(err)
	}
}

// eventually polls until ok, or fails.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end := time.Now().Add(deadline)
	for !ok() {
		if time.Now().After(end) {
			tb.Fatalf("not in time: %s", what)
		}
		runtime.Gosched()
	}
}

// result is what done was called with.
type result struct {
	bridge.Receipt
	err error
}

// publish publishes and waits.
func publish(tb testing.TB, b *jetstream.Broker, p *bridge.Publication) result {
	tb.Helper()
	c := make(chan result, 1)
	b.Publish(p, func(r bridge.Receipt, err error) { c <- result{r, err} })
	select {
	case r := <-c:
		return r
	case <-time.After(deadline):
		tb.Fatal("a publish was never answered")
		panic("unreachable")
	}
}

// fill stores n messages on the subjects in turn.
func fill(tb testing.TB, b *jetstream.Broker, n int, subjects ...string) {
	tb.Helper()
	var wg sync.WaitGroup
	room := make(chan struct{}, 4096)
	for i := range n {
		wg.Add(1)
		room <- struct{}{}
		b.Publish(&bridge.Publication{Subject: subjects[i%len(subjects)], Data: fmt.Appendf(nil, "%d", i), Owner: "filler"}, func(_ bridge.Receipt, err error) {
			if err != nil {
				tb.Error(err)
			}
			<-room
			wg.Done()
		})
	}
	wg.Wait()
}

// follower records what a tail hands over.
type follower struct {
	mu      sync.Mutex
	seqs    []uint64
	last    *bridge.Event
	stream  *bridge.Stream
	reached []uint64
	lost    []bridge.Range
	renewed []*bridge.Stream
	gone    int
}

func (f *follower) lock(fn func()) { f.mu.Lock(); defer f.mu.Unlock(); fn() }

func (f *follower) Append(e *bridge.Event) {
	f.lock(func() { f.seqs, f.last = append(f.seqs, e.Seq), e })
}

func (f *follower) Reached(s *bridge.Stream, seq uint64) {
	f.lock(func() { f.stream, f.reached = s, append(f.reached, seq) })
}

func (f *follower) Lost(_ *bridge.Stream, after, next uint64) {
	f.lock(func() { f.lost = append(f.lost, bridge.Range{After: after, Next: next}) })
}

func (f *follower) Renewed(s *bridge.Stream) { f.lock(func() { f.renewed = append(f.renewed, s) }) }
func (f *follower) Gone(*bridge.Stream)      { f.lock(func() { f.gone++ }) }

func (f *follower) is(ok func() bool) func() bool {
	return func() (yes bool) { f.lock(func() { yes = ok() }); return }
}

// follow starts a tail that ends with the test.
func follow(tb testing.TB, b *jetstream.Broker, from uint64) *follower {
	tb.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Follow(ctx, 0, from, f) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			tb.Errorf("Follow returned %v", err)
		}
	})
	return f
}
