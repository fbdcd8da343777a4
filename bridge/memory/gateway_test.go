package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func TestGatewayTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		stop, err := b.ServeGateway("g", func(ctx context.Context, _ []byte) []byte {
			<-ctx.Done()
			time.Sleep(time.Minute)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.AskGateway(ctx, "g", nil)
		wantCode(t, "AskGateway", err, bridge.CodeUnavailable)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it ended after %v", took)
		}
		stop() // waits for the answer
		if took := time.Since(began); took != time.Second+time.Minute {
			t.Errorf("stop returned after %v", took)
		}
	})
}

func TestGatewayClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		stop, err := b.ServeGateway("g", func(ctx context.Context, _ []byte) []byte {
			<-ctx.Done()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.ServeGateway("g", nil)
		wantCode(t, "ServeGateway with the id of another", err, bridge.CodeConflict)
		outcome := make(chan error, 1)
		go func() {
			_, err := b.AskGateway(t.Context(), "g", nil)
			outcome <- err
		}()
		synctest.Wait()
		b.Close()
		// Which of the two is first does not matter.
		if err := <-outcome; err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
			t.Errorf("an AskGateway that waited: %v", err)
		}
		_, err = b.AskGateway(t.Context(), "g", nil)
		wantCode(t, "AskGateway", err, bridge.CodeUnavailable)
		_, err = b.ServeGateway("h", nil)
		wantCode(t, "ServeGateway", err, bridge.CodeUnavailable)
		stop()
	})
}
