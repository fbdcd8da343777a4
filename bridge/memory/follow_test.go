package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// diary writes down what a follower is told, a line per call.
type diary struct {
	mu    sync.Mutex
	lines []string
	gate  chan struct{} // when not nil, Append does not return before it is closed
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Append(e *bridge.Event) {
	d.note("%d", e.Seq)
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate // a channel: synctest does not count a wait for a mutex as blocked
	}
}

func (d *diary) Reached(_ *bridge.Stream, seq uint64)      { d.note("reached %d", seq) }
func (d *diary) Lost(_ *bridge.Stream, after, next uint64) { d.note("lost %d-%d", after, next) }
func (d *diary) Renewed(*bridge.Stream)                    { d.note("renewed") }
func (d *diary) Gone(*bridge.Stream)                       { d.note("gone") }

// want compares the lines since the last time.
func (d *diary) want(t *testing.T, when string, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Fatalf("%s: %q, want %q", when, d.lines, want)
	}
	d.lines = nil
}

// follow starts a follower in a synctest bubble; the test's end ends it.
func follow(t *testing.T, b *memory.Broker, from uint64, to bridge.Follower) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Follow(ctx, 0, from, to) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
	})
}

// What happens while a follower is busy is told afterwards, as it is then.
func TestFollowBusy(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*testing.T, *memory.Broker) // while message 4 is handed over
		want []string                         // after it
	}{
		{"publish", func(t *testing.T, b *memory.Broker) { store(t, b, 2) }, []string{"5", "6"}},
		{"trim what was read", func(t *testing.T, b *memory.Broker) { b.Trim(0, 5); store(t, b, 1) }, []string{"5"}},
		{"trim the unread", func(t *testing.T, b *memory.Broker) { store(t, b, 3); b.Trim(0, 7) }, []string{"lost 4-7", "7"}},
		{"trim everything", func(t *testing.T, b *memory.Broker) { store(t, b, 3); b.Trim(0, 99) }, []string{"lost 4-8", "reached 7"}},
		{"exceed the limits", func(t *testing.T, b *memory.Broker) { store(t, b, 11) }, []string{"lost 4-6",
			"6", "7", "8", "9", "10", "11", "12", "13", "14", "15"}},
		{"delete the unread", func(t *testing.T, b *memory.Broker) { store(t, b, 3); b.Delete(0, 5); b.Delete(0, 7) }, []string{"6", "reached 7"}},
		{"delete and trim", func(t *testing.T, b *memory.Broker) { store(t, b, 3); b.Delete(0, 5); b.Delete(0, 6); b.Trim(0, 5) }, []string{"7"}},
		{"recreate", func(t *testing.T, b *memory.Broker) { b.Recreate(0); store(t, b, 1) }, []string{"renewed", "1", "reached 1"}},
		{"recreate twice", func(t *testing.T, b *memory.Broker) { b.Recreate(0); b.Recreate(0) }, []string{"renewed", "reached 0"}},
		{"remove and recreate", func(t *testing.T, b *memory.Broker) { b.RemoveStream(0); b.Recreate(0) }, []string{"renewed", "reached 0"}},
		{"remove", func(t *testing.T, b *memory.Broker) { b.RemoveStream(0) }, []string{"gone"}},
		{"close", func(t *testing.T, b *memory.Broker) { b.Close() }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, events(memory.Stream{MaxMessages: 10}))
				store(t, b, 3)
				d := &diary{}
				follow(t, b, 2, d)
				synctest.Wait()
				d.want(t, "at first", "2", "3", "reached 3")
				gate := make(chan struct{})
				d.mu.Lock()
				d.gate = gate
				d.mu.Unlock()
				store(t, b, 1)
				synctest.Wait()
				c.do(t, b)
				close(gate)
				synctest.Wait()
				d.want(t, "then", append([]string{"4"}, c.want...)...)
			})
		})
	}
}

func TestFollowFromAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{}))
		store(t, b, 2)
		d := &diary{}
		follow(t, b, 5, d)
		for _, want := range []string{"reached 2", "reached 3", "reached 4", "5", "6"} {
			synctest.Wait()
			d.want(t, "then", want)
			store(t, b, 1)
		}
	})
}

func TestFollowRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{}))
		store(t, b, 2)
		b.RemoveStream(0)
		d := &diary{}
		follow(t, b, 1, d)
		synctest.Wait()
		d.want(t, "removed before", "gone")
		b.RemoveStream(0)
		synctest.Wait()
		d.want(t, "removed again")
		b.Recreate(0)
		synctest.Wait()
		d.want(t, "recreated", "renewed", "reached 0")
		store(t, b, 1)
		synctest.Wait()
		d.want(t, "published", "1")
	})
}

// A follower takes many messages in several steps and says only then that it
// has caught up.
func TestFollowMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{}))
		store(t, b, 1000)
		var want []string
		for seq := range 1000 {
			want = append(want, fmt.Sprint(seq+1))
		}
		d := &diary{}
		follow(t, b, 0, d)
		synctest.Wait()
		d.want(t, "all", append(want, "reached 1000")...)
	})
}
