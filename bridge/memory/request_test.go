package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// ask sends a request to svc.a and returns where its outcome will be.
func ask(b *memory.Broker, wait time.Duration) <-chan error {
	outcome := make(chan error, 2)
	b.Request(&bridge.Request{Subject: "svc.a", Wait: wait}, func(_ *bridge.Event, err error) { outcome <- err })
	return outcome
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		stop := b.Serve("svc.*", func(*bridge.Event) *bridge.Event {
			time.Sleep(time.Minute) // and answers when nobody waits any more
			return &bridge.Event{}
		})
		began := time.Now()
		outcome := ask(b, 30*time.Second)
		if took := time.Since(began); took != 0 {
			t.Errorf("Request took %v: it waited for the service", took)
		}
		wantCode(t, "Request", <-outcome, bridge.CodeTimeout)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("the timeout came after %v", took)
		}
		stop() // waits for the service
		if took := time.Since(began); took != time.Minute {
			t.Errorf("stop returned after %v", took)
		}
		if len(outcome) > 0 {
			t.Error("done was called twice")
		}
		wantCode(t, "Request later", <-ask(b, time.Second), bridge.CodeNoResponders)
	})
}

func TestRequestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		stop := b.Serve(">", func(*bridge.Event) *bridge.Event { return nil })
		defer stop()
		outcome := ask(b, time.Minute)
		b.Close()
		wantCode(t, "a request that waited", <-outcome, bridge.CodeUnavailable)
		wantCode(t, "a request", <-ask(b, time.Minute), bridge.CodeUnavailable)
		time.Sleep(time.Hour)
		if len(outcome) > 0 {
			t.Error("done was called twice")
		}
	})
}

func TestRequestBadSubject(t *testing.T) {
	b := open(t, memory.Options{})
	b.Request(&bridge.Request{Subject: "svc.*", Wait: time.Second}, func(_ *bridge.Event, err error) {
		wantCode(t, "Request", err, bridge.CodeBadSubject)
	})
}
