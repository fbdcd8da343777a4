package bridge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// frame is what a recorder was given.
type frame struct {
	kind        string // event, live, gap, end, job, lost
	sid         string
	subject     string
	data        string
	pos         string
	after, next string
	why         string
	lag         uint64
	lease       string
	try         int
	within      time.Duration
}

// recorder is a client's encoder and transport in one: it keeps frames instead
// of encoding them. While blocked, Write does not return, like a socket whose
// peer does not read.
type recorder struct {
	mu      sync.Mutex
	changed sync.Cond
	frames  []frame
	pending []frame // collected, not written
	blocked bool
	stuck   bool // a write waits since it was blocked
	closed  bool
	writes  int
	tries   int
	weight  int // bytes that each event has besides
	left    int // writes until it is blocked; 0: as many as there are
}

func newRecorder() *recorder {
	r := &recorder{}
	r.changed.L = &r.mu
	return r
}

func (r *recorder) add(out *bridge.Output, f frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, f)
	out.Append(make([]byte, 16+len(f.data)+r.weight)...)
	out.EndFrame()
}

func (r *recorder) Event(out *bridge.Output, d *bridge.Delivery) {
	r.add(out, frame{kind: "event", sid: d.SID, subject: d.Event.Subject, data: string(d.Event.Data), pos: d.Pos.String(), lag: d.Lag})
}

func (r *recorder) Live(out *bridge.Output, sid string, pos bridge.Position) {
	r.add(out, frame{kind: "live", sid: sid, pos: pos.String()})
}

func (r *recorder) Gap(out *bridge.Output, sid string, after, next bridge.Position) {
	r.add(out, frame{kind: "gap", sid: sid, after: after.String(), next: next.String()})
}

func (r *recorder) End(out *bridge.Output, sid, why string) {
	r.add(out, frame{kind: "end", sid: sid, why: why})
}

func (r *recorder) Job(out *bridge.Output, d *bridge.JobDelivery) {
	r.add(out, frame{kind: "job", sid: d.SID, subject: d.Event.Subject, data: string(d.Event.Data), pos: d.Pos.String(), lease: d.Lease, try: d.Try, within: d.For})
}

func (r *recorder) Lost(out *bridge.Output, lease, why string) {
	r.add(out, frame{kind: "lost", lease: lease, why: why})
}

// WriteSome takes a part now and then, as a socket would.
func (r *recorder) WriteSome(out *bridge.Output) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	switch {
	case r.closed:
		return fmt.Errorf("closed")
	case r.blocked, r.tries%3 == 0:
		return nil
	case r.tries%3 == 1:
		out.Skip(out.Size() / 2)
		return nil
	}
	out.Reset()
	r.wroteLocked()
	return nil
}

func (r *recorder) Write(*bridge.Output) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.blocked && !r.closed {
		r.stuck = true
		r.changed.Broadcast()
		r.changed.Wait()
	}
	if r.closed {
		return fmt.Errorf("closed")
	}
	r.wroteLocked()
	return nil
}

func (r *recorder) wroteLocked() {
	r.writes++
	r.frames = append(r.frames, r.pending...)
	r.pending = nil
	if r.left--; r.left == 0 {
		r.blocked, r.stuck = true, false
	}
	r.changed.Broadcast()
}

func (r *recorder) block(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked, r.stuck = on, false
	r.changed.Broadcast()
}

func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.changed.Broadcast()
}

// blockAfter lets so many writes pass.
func (r *recorder) blockAfter(writes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked, r.left = false, writes
	r.changed.Broadcast()
}

// waitStuck waits until a write is blocked.
func (r *recorder) waitStuck(t *testing.T) {
	t.Helper()
	r.wait(t, "a blocked write", func([]frame) bool { return r.stuck })
}

// wait returns the frames written so far once ok says that they are enough.
func (r *recorder) wait(t *testing.T, what string, ok func([]frame) bool) []frame {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { r.mu.Lock(); r.changed.Broadcast(); r.mu.Unlock() })
	defer timer.Stop()
	deadline := time.Now().Add(20 * time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok(r.frames) {
		if time.Now().After(deadline) {
			last := r.frames[max(0, len(r.frames)-5):]
			t.Fatalf("waiting for %s: %d frames, the last are %+v", what, len(r.frames), last)
		}
		r.changed.Wait()
	}
	return append([]frame(nil), r.frames...)
}

// waitEvents waits for n events on a sid and returns them.
func (r *recorder) waitEvents(t *testing.T, sid string, n int) []frame {
	t.Helper()
	return kinds(r.wait(t, fmt.Sprintf("%d events on %s", n, sid), func(all []frame) bool {
		return len(kinds(all, sid, "event")) >= n
	}), sid, "event")
}

func (r *recorder) waitKind(t *testing.T, sid, kind string) frame {
	t.Helper()
	all := r.wait(t, kind+" on "+sid, func(all []frame) bool { return len(kinds(all, sid, kind)) > 0 })
	return kinds(all, sid, kind)[0]
}

func kinds(all []frame, sid, kind string) []frame {
	var found []frame
	for _, f := range all {
		if f.sid == sid && f.kind == kind {
			found = append(found, f)
		}
	}
	return found
}

// noJobs is for encoders that only see events.
type noJobs struct{}

func (noJobs) Job(*bridge.Output, *bridge.JobDelivery) {}
func (noJobs) Lost(*bridge.Output, string, string)     {}

// rig is a bridge over a memory broker.
type rig struct {
	*bridge.Bridge
	broker *memory.Broker
}

func newRig(t *testing.T, opts bridge.Options, streams ...memory.Stream) *rig {
	t.Helper()
	if len(streams) == 0 {
		streams = []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}
	}
	broker, err := memory.New(memory.Options{Streams: streams})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	return rigOn(t, broker, opts)
}

// rigOn is one more gateway over the same broker.
func rigOn(t *testing.T, broker *memory.Broker, opts bridge.Options) *rig {
	t.Helper()
	b := bridge.New(broker, opts)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &rig{b, broker}
}

var everything = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}, Req: []string{">"}}

func (g *rig) connect(t *testing.T) (*bridge.Client, *recorder) {
	t.Helper()
	return g.connectAs(t, "anonymous")
}

func (g *rig) connectAs(t *testing.T, user string) (*bridge.Client, *recorder) {
	t.Helper()
	r := newRecorder()
	c := g.Connect(bridge.ClientOptions{User: user, Permissions: &everything, Encoder: r, Transport: r})
	t.Cleanup(func() { r.close(); c.Close() })
	return c, r
}

func subscribe(t *testing.T, c *bridge.Client, r bridge.SubscribeRequest) bridge.SubscribeAnswer {
	t.Helper()
	var got bridge.SubscribeAnswer
	err := c.Subscribe(context.Background(), r, func(out *bridge.Output, a bridge.SubscribeAnswer) {
		out.Append('x')
		out.EndFrame()
		got = a
	})
	if err != nil {
		t.Fatalf("subscribe %+v: %v", r, err)
	}
	return got
}

// publish stores one event and returns its position.
func publish(t *testing.T, c *bridge.Client, subject, data string) string {
	t.Helper()
	type result struct {
		a   bridge.PublishAnswer
		err error
	}
	done := make(chan result, 1)
	c.Publish(bridge.PublishRequest{Subject: subject, Data: []byte(data)}, func(a bridge.PublishAnswer, err error) { done <- result{a, err} })
	got := <-done
	if got.err != nil {
		t.Fatalf("publish %q: %v", subject, got.err)
	}
	return got.a.Pos.String()
}

func publishN(t *testing.T, c *bridge.Client, subject string, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		publish(t, c, subject, fmt.Sprint(i))
	}
}

// inOrder fails unless the events carry the numbers from..to, each once.
func inOrder(t *testing.T, events []frame, from, to int) {
	t.Helper()
	if len(events) != to-from+1 {
		t.Fatalf("%d events, want %d", len(events), to-from+1)
	}
	for i, e := range events {
		if e.data != fmt.Sprint(from+i) {
			t.Fatalf("event %d is %q, want %d", i, e.data, from+i)
		}
	}
}
