package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var gatewayTests = []test{
	{name: "an answer", run: testGatewayAnswer},
	{name: "no such gateway", run: testNoGateway},
	{name: "ids", run: testGatewayIDs},
	{name: "a slow one and the end of the context", run: testSlowGateway},
	{name: "stop waits for those that run", run: testGatewayStop},
	{name: "many at once", run: testManyAsked},
	{name: "one is busy and the other is not", run: testGatewayConcurrent},
	{name: "not more than it can take", run: testGatewayBusy},
	{name: "no signal", run: testGatewayNoSignal},
}

// serveGateway answers until the test ends.
func (r *rig) serveGateway(g bridge.Gateways, id string, fn func(context.Context, []byte) []byte) (stop func()) {
	r.Helper()
	stop, err := g.ServeGateway(id, fn)
	r.ok("ServeGateway", err)
	stop = sync.OnceFunc(stop)
	r.Cleanup(stop)
	return stop
}

// others returns what another gateway uses.
func (r *rig) others() bridge.Gateways {
	r.Helper()
	g, ok := r.cluster.Join(r.T).(bridge.Gateways)
	if !ok {
		r.Fatal("the broker of the other gateway is not a bridge.Gateways")
	}
	return g
}

// named answers with a name and the request.
func named(name string) func(context.Context, []byte) []byte {
	return func(_ context.Context, request []byte) []byte { return append([]byte(name+":"), request...) }
}

// asks checks what a gateway answers.
func (r *rig) asks(g bridge.Gateways, id, request, want string) {
	r.Helper()
	got, err := g.AskGateway(r.ctx, id, []byte(request))
	r.ok("AskGateway "+id, err)
	equal(r, "the answer", string(got), want)
}

func testGatewayAnswer(r *rig) {
	one, two := r.gateways, r.others()
	r.serveGateway(one, "g1", named("one"))
	r.serveGateway(two, "g2", named("two"))
	for _, g := range []bridge.Gateways{one, two} {
		r.asks(g, "g1", "x", "one:x")
		r.asks(g, "g2", "y", "two:y")
	}
	r.serveGateway(two, "echo", func(_ context.Context, request []byte) []byte { return request })
	for _, data := range [][]byte{nil, {0, 0xff, '\r', '\n'}, bytes.Repeat([]byte("x"), 500_000)} {
		r.asks(one, "echo", string(data), string(data))
	}
}

func testNoGateway(r *rig) {
	one, two := r.gateways, r.others()
	stop := r.serveGateway(one, "g1", named("one"))
	for _, g := range []bridge.Gateways{one, two} {
		_, err := g.AskGateway(r.ctx, "nobody", nil)
		r.code("AskGateway of nobody", err, bridge.CodeNoResponders)
	}
	r.asks(two, "g1", "x", "one:x")
	stop()
	r.poll("the gateway is gone", func() bool {
		_, err := two.AskGateway(r.ctx, "g1", nil)
		if err != nil {
			r.code("AskGateway", err, bridge.CodeNoResponders)
		}
		return err != nil
	})
	r.serveGateway(two, "g1", named("again"))
	r.asks(one, "g1", "x", "again:x")
}

func testGatewayIDs(r *rig) {
	for _, id := range []string{"", "a.b", "*", ">", "a b", "a\r\nb"} {
		_, err := r.gateways.AskGateway(r.ctx, id, nil)
		r.code(fmt.Sprintf("AskGateway %q", id), err, bridge.CodeBadSubject)
		_, err = r.gateways.ServeGateway(id, named("x"))
		r.code(fmt.Sprintf("ServeGateway %q", id), err, bridge.CodeBadSubject)
	}
}

// held is a gateway whose answers wait until they are let go, or stop.
type held struct {
	running chan struct{} // has a value for each request
	release chan struct{} // to be closed
	ended   atomic.Int32  // answers after their context had ended
}

func newHeld() *held {
	return &held{running: make(chan struct{}, 10_000), release: make(chan struct{})}
}

func (h *held) answer(ctx context.Context, request []byte) []byte {
	h.running <- struct{}{}
	select {
	case <-h.release:
	case <-ctx.Done():
		h.ended.Add(1)
	}
	return request
}

func testSlowGateway(r *rig) {
	two, h := r.others(), newHeld()
	r.serveGateway(r.gateways, "g1", h.answer)
	ctx, cancel := context.WithCancel(r.ctx)
	outcome := make(chan error, 1)
	go func() {
		_, err := two.AskGateway(ctx, "g1", nil)
		outcome <- err
	}()
	r.await(h.running, "the request")
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) && !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		r.Errorf("AskGateway whose context was ended: %v, want context.Canceled or %q", err, bridge.CodeUnavailable)
	}
	ctx, cancel = context.WithTimeout(r.ctx, 200*time.Millisecond)
	defer cancel()
	_, err := two.AskGateway(ctx, "g1", nil)
	r.code("AskGateway that takes too long", err, bridge.CodeUnavailable)
	close(h.release)
	r.asks(two, "g1", "x", "x")
}

func testGatewayStop(r *rig) {
	two, h := r.others(), newHeld()
	stopped := make(chan struct{})
	var returned atomic.Bool
	stop := r.serveGateway(r.gateways, "g1", func(ctx context.Context, request []byte) []byte {
		h.running <- struct{}{}
		<-ctx.Done() // which is stop's doing
		<-h.release  // and stop waits
		if returned.Load() {
			r.Error("stop returned before an answer was made")
		}
		return request
	})
	outcomes := make(chan error, 3)
	for range cap(outcomes) {
		go func() {
			_, err := two.AskGateway(r.ctx, "g1", nil)
			outcomes <- err
		}()
	}
	for range cap(outcomes) {
		r.await(h.running, "the requests")
	}
	go func() {
		stop()
		returned.Store(true)
		close(stopped)
	}()
	r.poll("the gateway takes no more requests", func() bool {
		ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
		defer cancel()
		_, err := two.AskGateway(ctx, "g1", nil)
		return errors.Is(err, &bridge.Error{Code: bridge.CodeNoResponders})
	})
	equal(r, "stop has returned", returned.Load(), false)
	close(h.release)
	r.await(stopped, "stop to return")
	for range cap(outcomes) {
		r.ok("AskGateway of one that stops", <-outcomes)
	}
	stop() // again
}

func testManyAsked(r *rig) {
	const n = 200
	two := r.others()
	r.serveGateway(r.gateways, "g1", named("one"))
	r.serveGateway(two, "g2", named("two"))
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			from, id, name := r.gateways, "g2", "two"
			if i%2 == 0 {
				from, id, name = two, "g1", "one"
			}
			got, err := from.AskGateway(r.ctx, id, fmt.Append(nil, i))
			if want := fmt.Sprintf("%s:%d", name, i); err != nil || string(got) != want {
				r.Errorf("AskGateway: %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
}

// testGatewayConcurrent: an answer that takes long holds up no other.
func testGatewayConcurrent(r *rig) {
	two, h := r.others(), newHeld()
	r.serveGateway(r.gateways, "g1", func(ctx context.Context, request []byte) []byte {
		if string(request) == "wait" {
			return h.answer(ctx, request)
		}
		return request
	})
	outcome := make(chan error, 1)
	go func() {
		_, err := two.AskGateway(r.ctx, "g1", []byte("wait"))
		outcome <- err
	}()
	r.await(h.running, "the request that waits")
	r.asks(two, "g1", "x", "x")
	close(h.release)
	r.ok("AskGateway that waited", <-outcome)
}

// testGatewayBusy asks for more than a gateway answers at once: what is too
// much is refused, not queued.
func testGatewayBusy(r *rig) {
	const n = 1100
	two, h := r.others(), newHeld()
	r.serveGateway(r.gateways, "g1", h.answer)
	outcomes := make(chan error, n)
	for range n {
		go func() {
			_, err := two.AskGateway(r.ctx, "g1", nil)
			outcomes <- err
		}()
	}
	for range 100 {
		select {
		case err := <-outcomes:
			r.code("AskGateway of a busy one", err, bridge.CodeUnavailable)
		case <-time.After(deadline):
			r.Fatal("timed out waiting for what is too much to be refused")
		}
	}
	close(h.release)
	for range n - 100 {
		r.ok("AskGateway", <-outcomes)
	}
}

// testGatewayNoSignal: what gateways ask each other is nothing to those who
// listen to signals, who do not get in its way.
func testGatewayNoSignal(r *rig) {
	s := r.signals()
	r.serveGateway(r.gateways, "g1", named("one"))
	r.asks(r.gateways, "g1", "x", "one:x")
	_, err := r.gateways.AskGateway(r.ctx, "nobody", nil)
	r.code("AskGateway of nobody", err, bridge.CodeNoResponders)
	r.ok("Signal", r.Signal("end", nil))
	same(r, "signals", s.until(1), []string{"end:"})
}
