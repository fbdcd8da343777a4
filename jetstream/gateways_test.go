package jetstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// TestNoGatewayMasked: with somebody who listens to everything NATS does not
// say that nobody answers; the receipt that does not come tells.
func TestNoGatewayMasked(t *testing.T) {
	b := open(t, options(t, func(o *jetstream.Options) { o.Timeout = 2 * time.Second }))
	stop, err := b.Listen(">", func(*bridge.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, err = b.AskGateway(t.Context(), "nobody", nil)
	wantCode(t, "AskGateway", err, bridge.CodeNoResponders)
	// One that is there may take longer than its receipt.
	served, err := b.ServeGateway("g", func(ctx context.Context, request []byte) []byte {
		_, err := b.AskGateway(ctx, "nobody", nil) // as long as a receipt is waited for
		wantCode(t, "AskGateway", err, bridge.CodeNoResponders)
		return request
	})
	if err != nil {
		t.Fatal(err)
	}
	defer served()
	if got, err := b.AskGateway(t.Context(), "g", []byte("x")); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestGatewayTooBig(t *testing.T) {
	b := open(t, options(t))
	stop, err := b.ServeGateway("g", func(context.Context, []byte) []byte { return make([]byte, 1<<20+1) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, err = b.AskGateway(t.Context(), "g", nil)
	wantCode(t, "AskGateway with an answer that is too large", err, bridge.CodeTooBig)
	_, err = b.AskGateway(t.Context(), "g", make([]byte, 1<<20+1))
	wantCode(t, "AskGateway with a request that is too large", err, bridge.CodeTooBig)
}

// TestGatewayClose: Close ends those who answer, and who waits for them.
func TestGatewayClose(t *testing.T) {
	b := open(t, options(t))
	running := make(chan struct{})
	stop, err := b.ServeGateway("g", func(ctx context.Context, _ []byte) []byte {
		close(running)
		<-ctx.Done()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = b.AskGateway(context.Background(), "g", nil) // an answer, or that the broker stops
	}()
	<-running
	shut(t, b)
	<-ended
	stop()
	_, err = b.AskGateway(t.Context(), "g", nil)
	wantCode(t, "AskGateway", err, bridge.CodeUnavailable)
	_, err = b.ServeGateway("h", nil)
	wantCode(t, "ServeGateway", err, bridge.CodeUnavailable)
}
