package brokertest

import (
	"context"
	"errors"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var contextTests = []test{
	{name: "an ended context ends every call", run: testContextEnded},
	{name: "a context that ends later harms nothing", run: testContextLater},
}

// calls are all methods with a context, Follow excepted.
var calls = []struct {
	name string
	call func(*rig, context.Context) error
}{
	{"State", func(r *rig, ctx context.Context) error {
		_, err := r.State(ctx, 0)
		return err
	}},
	{"Read", func(r *rig, ctx context.Context) error {
		_, err := r.Read(ctx, bridge.ReadRequest{MaxMessages: 10})
		return err
	}},
	{"Read with a filter", func(r *rig, ctx context.Context) error {
		_, err := r.Read(ctx, bridge.ReadRequest{MaxMessages: 10, Filter: "events.*"})
		return err
	}},
	{"ReadSeqs", func(r *rig, ctx context.Context) error {
		_, err := r.ReadSeqs(ctx, 0, []uint64{1, 2})
		return err
	}},
	{"Count", func(r *rig, ctx context.Context) error {
		_, err := r.Count(ctx, 0, "events.*")
		return err
	}},
	{"LastSeq", func(r *rig, ctx context.Context) error {
		_, err := r.LastSeq(ctx, 0, "events.a")
		return err
	}},
	{"LastSeqs", func(r *rig, ctx context.Context) error {
		_, err := r.LastSeqs(ctx, 0, "events.*", 10, 10)
		return err
	}},
	{"SeqOfNth", func(r *rig, ctx context.Context) error {
		_, err := r.SeqOfNth(ctx, 0, "events.*", 2)
		return err
	}},
	{"SeqAt", func(r *rig, ctx context.Context) error {
		_, err := r.SeqAt(ctx, 0, time.Now())
		return err
	}},
	{"OpenDurable", func(r *rig, ctx context.Context) error {
		_, _, err := r.OpenDurable(ctx, 0, bridge.Durable{User: "ann", Name: "x", Filter: "events.>"}, 0)
		return err
	}},
	{"MoveDurable", func(r *rig, ctx context.Context) error {
		return r.MoveDurable(ctx, 0, bridge.Durable{User: "ann", Name: "x", Filter: "events.>"}, 1)
	}},
}

func testContextEnded(r *rig) {
	r.fill(10, "events.a")
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for _, c := range calls {
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			err = c.call(r, ctx)
		}()
		r.await(done, c.name+" to return")
		// Both are good: the caller knows that it is its own context.
		if !errors.Is(err, context.Canceled) && !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
			r.Errorf("%s with an ended context: %v, want context.Canceled or %q", c.name, err, bridge.CodeUnavailable)
		}
	}
}

func testContextLater(r *rig) {
	r.fill(10, "events.a")
	for _, c := range calls {
		ctx, cancel := context.WithCancel(r.ctx)
		r.ok(c.name, c.call(r, ctx))
		cancel()
		r.ok(c.name+" again", c.call(r, r.ctx))
	}
	r.publish(to("events.a", "11"))
}
