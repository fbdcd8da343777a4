package bridge_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// waiting is a broker that answers nothing until it is told to.
type waiting struct {
	*memory.Broker
	answers chan func()
}

func (w *waiting) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	w.answers <- func() { w.Broker.Publish(p, done) }
}

// W16: publications without an answer have room for as many as are configured;
// a further one waits for a second, or until there is room.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		w := &waiting{inner, make(chan func(), 10)}
		b := bridge.New(w, bridge.Options{})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := &letters{}
		c := b.Connect(bridge.ClientOptions{User: "ann", Permissions: &everything, Encoder: r, Transport: r, MaxInflight: 2})
		var answered atomic.Int32
		publish := func() {
			c.Publish(bridge.PublishRequest{Subject: "events.a", Data: []byte("1")}, func(_ bridge.PublishAnswer, err error) {
				if err != nil {
					t.Error(err)
				}
				answered.Add(1)
			})
		}
		for range 2 {
			if err := c.Room(); err != nil {
				t.Fatal(err)
			}
			publish()
		}
		begin := time.Now()
		var e *bridge.Error
		if err := c.Room(); !errors.As(err, &e) || e.Limit != bridge.LimitInflight || e.Retry != time.Second || time.Since(begin) != time.Second {
			t.Errorf("refused with %+v after %s", err, time.Since(begin))
		}
		if err := c.Ready(); err != nil { // it is still read: pings are answered
			t.Error(err)
		}
		begin = time.Now()
		time.AfterFunc(300*time.Millisecond, func() { (<-w.answers)() })
		if err := c.Room(); err != nil || time.Since(begin) != 300*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		publish()
		for range 2 {
			(<-w.answers)()
		}
		if n := answered.Load(); n != 3 {
			t.Errorf("%d were answered", n)
		}
		c.Close()
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
