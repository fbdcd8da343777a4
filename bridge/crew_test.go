package bridge_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// gate is a client that notes its events, and whose writes can be held.
type gate struct {
	noJobs
	mu     sync.Mutex
	events []string
	held   bool
	live   atomic.Int32 // subscriptions that have caught up
	in     chan struct{}
	out    chan error
}

func newGate() *gate { return &gate{in: make(chan struct{}), out: make(chan error)} }

func (g *gate) Event(out *bridge.Output, d *bridge.Delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, string(d.Event.Data))
	out.Append('e')
	out.EndFrame()
}
func (g *gate) Live(*bridge.Output, string, bridge.Position)               { g.live.Add(1) }
func (*gate) Gap(*bridge.Output, string, bridge.Position, bridge.Position) {}
func (*gate) End(*bridge.Output, string, string)                           {}
func (*gate) Write(*bridge.Output) error                                   { return nil }

// hold makes the next write wait between in and out.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

func (g *gate) WriteSome(out *bridge.Output) error {
	g.mu.Lock()
	held := g.held
	g.held = false
	g.mu.Unlock()
	if held {
		g.in <- struct{}{}
		if err := <-g.out; err != nil {
			return err
		}
	}
	out.Reset()
	return nil
}

// Subscriptions of a client whose write fails while its bundle changes are not
// written for, to whoever has the crew's next turn.
func TestCrewForgetsTheClosed(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a crew of one
	inBubble(t, func(t *testing.T, g *rig) {
		frame := func(out *bridge.Output) { out.Append('x'); out.EndFrame() }
		ga, gb := newGate(), newGate()
		ann := g.Connect(bridge.ClientOptions{User: "ann", Permissions: &everything, Encoder: ga, Transport: ga})
		bob := g.Connect(bridge.ClientOptions{User: "bob", Encoder: gb, Transport: gb}) // who may read nothing
		a := bundle(t, ann, "", "events.a")
		p, _ := g.connect(t)
		publish(t, p, "events.a", "first")
		synctest.Wait()

		ga.hold()
		ann.Reply(frame)
		<-ga.in
		refiltered := make(chan error, 1)
		go func() { refiltered <- ann.Refilter(a.SID, []string{"events.a", "events.secret"}) }()
		synctest.Wait() // it waits for the writer
		bob.Reply(frame)
		gb.hold()
		publish(t, p, "events.a", "second") // which ann does not get any more
		ga.out <- errors.New("reset by peer")
		<-gb.in
		bob.Reply(frame)
		gb.out <- nil
		if err := <-refiltered; !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("Refilter: %v", err)
		}
		synctest.Wait()
		ann.Close()
		bob.Close()
		if !slices.Equal(ga.events, []string{"first"}) || len(gb.events) > 0 {
			t.Errorf("ann got %q, bob %q", ga.events, gb.events)
		}
	})
}

// A client that looks for something rare in a long log, with each of its many
// subscriptions, does so in short turns: others have theirs in between.
func TestCrewTakesTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a crew of one
	const events, searches = 32 << 10, 8
	g := newRig(t, bridge.Options{RingMessages: 2 * events})
	p, _ := g.connect(t)
	publishN(t, p, "events.a", 1, events)
	greedy, other := newGate(), newGate()
	looks := g.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: greedy, Transport: greedy})
	waits := g.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: other, Transport: other})
	frame := func(out *bridge.Output) { out.Append('x'); out.EndFrame() }

	other.hold()
	waits.Reply(frame)
	<-other.in // the crew is held here
	for i := range searches {
		r := bridge.SubscribeRequest{Filter: fmt.Sprintf("events.*.%d", i), From: "first"}
		if err := looks.Subscribe(t.Context(), r, func(*bridge.Output, bridge.SubscribeAnswer) {}); err != nil {
			t.Fatal(err)
		}
	}
	waits.Reply(frame) // its turn is after that of the greedy one
	other.hold()
	other.out <- nil
	<-other.in
	if n := greedy.live.Load(); n == searches {
		t.Errorf("all of %d searches were first", n)
	}
	other.out <- nil
	for deadline := time.Now().Add(30 * time.Second); greedy.live.Load() < searches; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d searches have come to their end", greedy.live.Load(), searches)
		}
	}
	looks.Close()
	waits.Close()
}
