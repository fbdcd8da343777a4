package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// Each of these was found by trying to break the bridge, and failed once.

var twoStreams = []memory.Stream{{Name: "A", Subjects: []string{"a.>"}}, {Name: "B", Subjects: []string{"b.>"}}}

// hooked is a memory broker in which a test can hold up or watch calls.
type hooked struct {
	*memory.Broker
	open   func()
	move   func(ctx context.Context) error
	follow func(to bridge.Follower)
}

func (h *hooked) OpenDurable(ctx context.Context, slot int, d bridge.Durable, start uint64) (uint64, bool, error) {
	if h.open != nil {
		h.open()
	}
	return h.Broker.OpenDurable(ctx, slot, d, start)
}

func (h *hooked) MoveDurable(ctx context.Context, slot int, d bridge.Durable, seen uint64) error {
	if h.move != nil {
		if err := h.move(ctx); err != nil {
			return err
		}
	}
	return h.Broker.MoveDurable(ctx, slot, d, seen)
}

func (h *hooked) Follow(ctx context.Context, slot int, from uint64, to bridge.Follower) error {
	if h.follow != nil {
		h.follow(to)
	}
	return h.Broker.Follow(ctx, slot, from, to)
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	m, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return &hooked{Broker: m}
}

func (h *hooked) rig(t *testing.T) *rig {
	t.Helper()
	b := bridge.New(h, bridge.Options{})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &rig{b, h.Broker}
}

// received returns when the gateway has received all that is stored.
func (g *rig) received(t *testing.T, filters ...string) {
	t.Helper()
	c, r := g.connect(t)
	for _, f := range filters {
		a := subscribe(t, c, bridge.SubscribeRequest{Filter: f, Until: "now"})
		r.waitKind(t, a.SID, "end")
	}
}

func seen(t *testing.T, c *bridge.Client, sid, pos string) error {
	t.Helper()
	p, err := bridge.ParsePosition(pos)
	if err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, 1)
	if err := c.Seen(sid, p, func(err error) { stored <- err }); err != nil {
		return err
	}
	return <-stored
}

// A subscription over two streams spun for ever when one of them was trimmed.
func TestTwoStreamsOneTrimmed(t *testing.T) {
	g := newRig(t, bridge.Options{}, twoStreams...)
	p := mustConnect(t, g)
	publishN(t, p, "b.x", 1, 10)
	publishN(t, p, "a.x", 1, 10)
	g.received(t, "a.>", "b.>")
	g.broker.Trim(0, 6)
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: ">", From: "first"})
	r.waitEvents(t, a.SID, 15)
}

func TestTwoStreamsOneMadeAnew(t *testing.T) {
	g := newRig(t, bridge.Options{}, twoStreams...)
	p := mustConnect(t, g)
	publishN(t, p, "b.x", 1, 10)
	g.received(t, "b.>")
	g.broker.Recreate(0)
	publish(t, p, "a.x", "11")
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: ">", From: "first"})
	r.waitEvents(t, a.SID, 11)
}

// Taking over a durable that was still being opened crashed the gateway.
func TestTakeOverWhileOpening(t *testing.T) {
	h := newHooked(t)
	g := h.rig(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.open = func() { once.Do(func() { close(inside); <-goOn }) }
	c1, r1 := g.connectAs(t, "u")
	c2, _ := g.connectAs(t, "u")
	first, second := make(chan bridge.SubscribeAnswer, 1), make(chan bridge.SubscribeAnswer, 1)
	go func() { first <- subscribe(t, c1, bridge.SubscribeRequest{Filter: "events.>", As: "d"}) }()
	<-inside
	go func() { second <- subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", As: "d"}) }()
	close(goOn)
	a := <-first
	<-second
	if end := r1.waitKind(t, a.SID, "end"); end.why != "taken_over" {
		t.Errorf("ended because %q", end.why)
	}
}

// Two gateways that attached at once both went on, or both ended.
func TestAttachOnTwoGatewaysAtOnce(t *testing.T) {
	h := newHooked(t)
	gateways := []*rig{h.rig(t), h.rig(t)}
	var both sync.WaitGroup
	both.Add(2)
	h.open = func() { both.Done(); both.Wait() }
	recorders, sids := make([]*recorder, 2), make([]string, 2)
	var attached sync.WaitGroup
	for i, g := range gateways {
		c, r := g.connectAs(t, "u")
		recorders[i] = r
		attached.Go(func() {
			err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.>", As: "d"}, func(out *bridge.Output, a bridge.SubscribeAnswer) {
				sids[i] = a.SID
			})
			if err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeTakenOver}) {
				t.Error(err)
			}
		})
	}
	attached.Wait()
	publish(t, mustConnect(t, gateways[0]), "events.a", "1")
	left := 0
	for i, r := range recorders {
		if sids[i] == "" {
			continue
		}
		r.wait(t, "the event or the end", func(all []frame) bool {
			return len(kinds(all, sids[i], "event"))+len(kinds(all, sids[i], "end")) > 0
		})
		r.mu.Lock()
		left += 1 - len(kinds(r.frames, sids[i], "end"))
		r.mu.Unlock()
	}
	if left != 1 {
		t.Errorf("%d are left", left)
	}
}

// The second stream of a durable erased the gap of the first.
func TestDurableGapOfTheFirstStream(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 4}, twoStreams...)
	p := mustConnect(t, g)
	c, r := g.connectAs(t, "u")
	subscribe(t, c, bridge.SubscribeRequest{Filter: ">", As: "d"})
	r.close()
	c.Close()
	publishN(t, p, "a.x", 1, 20)
	g.broker.Trim(0, 11)
	c2, _ := g.connectAs(t, "u")
	a := subscribe(t, c2, bridge.SubscribeRequest{Filter: ">", As: "d"})
	if a.After == nil || a.Next[0].Seq != 11 {
		t.Errorf("no gap in the answer: %+v", a)
	}
}

// Credit that was out when the stream was made anew was gone for ever.
func TestCreditSurvivesANewStream(t *testing.T) {
	g := newRig(t, bridge.Options{})
	p := mustConnect(t, g)
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", Max: 1})
	publish(t, p, "events.a", "1")
	old := r.waitEvents(t, a.SID, 1)[0].pos
	g.broker.Recreate(0)
	publish(t, p, "events.a", "2")
	if err := seen(t, c, a.SID, old); err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeBadPosition}) {
		t.Error(err)
	}
	r.waitKind(t, a.SID, "gap")
	inOrder(t, r.waitEvents(t, a.SID, 2), 1, 2)
}

// A narrow reader did not notice what was trimmed while its client slept.
func TestNarrowReaderTellsOfATrim(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 16})
	p := mustConnect(t, g)
	big := strings.Repeat("x", 20_000)
	for range 60 {
		publish(t, p, "events.rare", big)
		for range 40 {
			publish(t, p, "events.a", "")
		}
	}
	last := publish(t, p, "events.rare", "last")
	g.received(t, "events.rare") // so that the ring is as far as the stream
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.rare", From: "first", Max: 1})
	r.waitEvents(t, a.SID, 1)
	g.broker.Trim(0, 50*41)
	for n := 1; ; n++ {
		e := r.waitEvents(t, a.SID, n)[n-1]
		if e.pos == last {
			break
		}
		if err := seen(t, c, a.SID, e.pos); err != nil {
			t.Fatal(err)
		}
	}
	r.waitKind(t, a.SID, "gap")
	if g.Stats().Narrow.Load() == 0 {
		t.Error("it was not read narrowly")
	}
}

// A message on a subject that its stream is not known to cover crashed the
// gateway.
func TestSubjectOutsideItsStream(t *testing.T) {
	h := newHooked(t)
	tail := make(chan bridge.Follower, 1)
	h.follow = func(to bridge.Follower) { tail <- to }
	g := h.rig(t)
	c, r := g.connect(t)
	wide := subscribe(t, c, bridge.SubscribeRequest{Filter: ">"})
	subscribe(t, c, bridge.SubscribeRequest{Filter: "audit.>"})
	(<-tail).Append(&bridge.Event{Subject: "audit.x", Stream: h.Streams()[0], Seq: 1, Data: []byte("1")})
	inOrder(t, r.waitEvents(t, wide.SID, 1), 1, 1)
}

// A stream that was gone and is back as it was lost what the ring held of it.
func TestStreamBackAsItWas(t *testing.T) {
	h := newHooked(t)
	tail := make(chan bridge.Follower, 1)
	h.follow = func(to bridge.Follower) { tail <- to }
	g := h.rig(t)
	to := <-tail
	p := mustConnect(t, g)
	publishN(t, p, "events.a", 1, 10)
	g.received(t, "events.>")
	to.Gone(h.Streams()[0])
	to.Renewed(h.Streams()[0])
	publish(t, p, "events.a", "11")
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "first"})
	inOrder(t, r.waitEvents(t, a.SID, 11), 1, 11)
	if g.Ready() != nil {
		t.Error(g.Ready())
	}
}

// An incarnation that changed before the tail began was never told.
func TestNewStreamBeforeTheTailBegins(t *testing.T) {
	h := newHooked(t)
	goOn := make(chan struct{})
	h.follow = func(bridge.Follower) { <-goOn }
	g := h.rig(t) // an empty stream: Start does not wait for the tail
	h.Recreate(0)
	close(goOn)
	publish(t, mustConnect(t, g), "events.a", "1")
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "first"})
	inOrder(t, r.waitEvents(t, a.SID, 1), 1, 1)
}

// What a durable had seen of a new incarnation was stored nowhere.
func TestDurableOverANewStream(t *testing.T) {
	g := newRig(t, bridge.Options{})
	p := mustConnect(t, g)
	c, r := g.connectAs(t, "u")
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "d"})
	publish(t, p, "events.a", "1")
	if err := seen(t, c, a.SID, r.waitEvents(t, a.SID, 1)[0].pos); err != nil {
		t.Fatal(err)
	}
	g.broker.Recreate(0)
	publish(t, p, "events.a", "2")
	if err := seen(t, c, a.SID, r.waitEvents(t, a.SID, 2)[1].pos); err != nil {
		t.Fatal(err)
	}
	r.close()
	c.Close()
	publish(t, p, "events.a", "3")
	c2, r2 := g.connectAs(t, "u")
	a2 := subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", As: "d"})
	inOrder(t, r2.waitEvents(t, a2.SID, 1), 3, 3)
}

// A quick reconnect read the cursor before what was seen was stored.
func TestDurableSettlesBeforeTheNext(t *testing.T) {
	h := newHooked(t)
	g := h.rig(t)
	p := mustConnect(t, g)
	c, r := g.connectAs(t, "u")
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "d"})
	publishN(t, p, "events.a", 1, 5)
	events := r.waitEvents(t, a.SID, 5)
	if err := seen(t, c, a.SID, events[0].pos); err != nil {
		t.Fatal(err)
	}
	moving, goOn := make(chan struct{}, 10), make(chan struct{})
	h.move = func(context.Context) error { moving <- struct{}{}; <-goOn; return nil }
	pos, _ := bridge.ParsePosition(events[4].pos)
	if err := c.Seen(a.SID, pos, nil); err != nil { // stored later, or when the client leaves
		t.Fatal(err)
	}
	r.close()
	go c.Close()
	<-moving
	answered := make(chan bridge.SubscribeAnswer, 1)
	c2, _ := g.connectAs(t, "u")
	go func() { answered <- subscribe(t, c2, bridge.SubscribeRequest{Filter: "events.>", As: "d"}) }()
	close(goOn)
	if a2 := <-answered; a2.From[0].Seq != 5 {
		t.Errorf("starts after %v: events that were seen come again", a2.From)
	}
}

// An attachment that was refused ended the one that was there.
func TestRefusedAttachmentEndsNobody(t *testing.T) {
	g := newRig(t, bridge.Options{})
	c, r := g.connectAs(t, "u")
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "d"})
	c2, _ := g.connectAs(t, "u")
	err := c2.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: "events.a", As: "d"}, nil)
	if !errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}) {
		t.Fatal(err)
	}
	publish(t, c2, "events.b", "1")
	inOrder(t, r.waitEvents(t, a.SID, 1), 1, 1)
}

// Answers to seen with an id were kept without bound.
func TestSeenIsBounded(t *testing.T) {
	h := newHooked(t)
	g := h.rig(t)
	c, _ := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", As: "d"})
	pos, _ := bridge.ParsePosition(publish(t, c, "events.a", "1"))
	slow := make(chan struct{})
	h.move = func(context.Context) error { <-slow; return nil }
	const bound = 1024
	for range bound {
		if err := errors.Join(c.Ready(), c.Seen(a.SID, pos, func(error) {})); err != nil {
			t.Fatal(err)
		}
	}
	in := make(chan error, 1)
	go func() { in <- c.Ready() }()
	select {
	case err := <-in:
		t.Errorf("one more was let in: %v", err)
	default:
	}
	close(slow)
	if err := <-in; err != nil {
		t.Error(err)
	}
}

// letters is a client that keeps what is written, a letter for each frame.
type letters struct {
	noJobs
	mu      sync.Mutex
	written []byte
	begun   chan struct{} // capacity 1
}

func (l *letters) Event(out *bridge.Output, _ *bridge.Delivery)                 { out.Append('e') }
func (l *letters) Live(*bridge.Output, string, bridge.Position)                 {}
func (l *letters) Gap(*bridge.Output, string, bridge.Position, bridge.Position) {}
func (l *letters) End(*bridge.Output, string, string)                           {}
func (l *letters) WriteSome(*bridge.Output) error                               { return nil }
func (l *letters) Write(out *bridge.Output) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range out.Buffers(nil) {
		l.written = append(l.written, b...)
	}
	select {
	case l.begun <- struct{}{}:
	default:
	}
	return nil
}

// Events followed the last frames, and a client that was catching up was never
// done.
func TestFinishIsTheLast(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 64})
	p := mustConnect(t, g)
	publishN(t, p, "events.a", 1, 5000)
	l := &letters{begun: make(chan struct{}, 1)}
	c := g.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: l, Transport: l})
	defer c.Close()
	subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "first"})
	<-l.begun
	c.Finish(func(out *bridge.Output) { out.Append('B') })
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := bytes.IndexByte(l.written, 'B'); at != len(l.written)-1 {
		t.Errorf("the last frame is number %d of %d", at+1, len(l.written))
	}
	if c.Ready() == nil {
		t.Error("requests are still let in")
	}
}

// With all credit out, a subscription did not notice that it had ended.
func TestUntilWithoutCredit(t *testing.T) {
	g := newRig(t, bridge.Options{})
	p := mustConnect(t, g)
	publish(t, p, "events.rare.x", "1")
	publish(t, p, "events.a", "2")
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.rare.*", From: "first", Max: 1, Until: "now"})
	r.waitKind(t, a.SID, "end")
}

// What a snapshot had still to bring disappeared when it was trimmed.
func TestSnapshotTellsOfATrim(t *testing.T) {
	g := newRig(t, bridge.Options{})
	p := mustConnect(t, g)
	for i := 1; i <= 10; i++ {
		publish(t, p, fmt.Sprint("events.", i), fmt.Sprint(i))
	}
	c, r := g.connect(t)
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.>", From: "last", Max: 1})
	e := r.waitEvents(t, a.SID, 1)
	g.broker.Trim(0, 9)
	if err := seen(t, c, a.SID, e[0].pos); err != nil {
		t.Fatal(err)
	}
	r.waitKind(t, a.SID, "gap")
	if e = r.waitEvents(t, a.SID, 2); e[1].data != "9" {
		t.Errorf("1 is followed by %s", e[1].data)
	}
}

// A rare subscription that fell behind began again at its last event, with a
// gap that was none.
func TestRareSubscriptionKeepsItsPlace(t *testing.T) {
	g := newRig(t, bridge.Options{RingMessages: 2000})
	p := mustConnect(t, g)
	c, r := g.connect(t)
	busy := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.a"})
	rare := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.rare.*"})
	r.waitKind(t, rare.SID, "live")
	publishN(t, p, "events.a", 1, 3000)
	r.waitEvents(t, busy.SID, 3000)
	for s := g.Stats(); s.Rejoined.Load() < s.FellBehind.Load()+2; { // the machine may be slow enough for that
		runtime.Gosched()
	}
	g.broker.Trim(0, 2000)
	r.block(true)
	publishN(t, p, "events.a", 3001, 3400) // the queue is full
	publish(t, p, "events.rare.x", "r")    // no room: behind
	publishN(t, p, "events.a", 3401, 9000) // the ring moves on
	g.received(t, "events.a")
	r.block(false)
	r.waitEvents(t, rare.SID, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if gaps := kinds(r.frames, rare.SID, "gap"); len(gaps) > 0 {
		t.Errorf("told of a gap although nothing was missed: %+v", gaps)
	}
}

// A client that connected while the bridge stopped was written for by a
// goroutine that nobody waited for.
func TestConnectWhenStopped(t *testing.T) {
	g := newRig(t, bridge.Options{})
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, r := g.connect(t)
	if err := c.Ready(); err != bridge.ErrClosed {
		t.Errorf("ready: %v", err)
	}
	c.Reply(func(out *bridge.Output) { out.Append('x'); out.EndFrame() })
	c.Close()
	if r.tries > 0 || r.writes > 0 {
		t.Error("something was written")
	}
	if n := g.Stats().Clients.Load(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}
