package jetstream_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

func both(t *testing.T, fn func(t *testing.T, o jetstream.Options)) {
	t.Run("sync=interval", func(t *testing.T) { fn(t, options(t)) })
	t.Run("sync=always", func(t *testing.T) { fn(t, options(t, always)) })
}

func TestPublishFollowRead(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		if err := b.Ready(); err != nil {
			t.Fatal(err)
		}
		f := follow(t, b, 1)
		eventually(t, "reached the end of an empty stream", f.is(func() bool { return len(f.reached) == 1 && f.reached[0] == 0 }))
		r := publish(t, b, &bridge.Publication{Subject: "events.a", Data: []byte("hi"), ID: "u:1",
			Head: []bridge.Field{{Name: "Zeta", Value: "1"}, {Name: "alpha", Value: "2"}}})
		if r.err != nil || r.Seq != 1 || r.Duplicate || r.Stream != b.Streams()[0] {
			t.Fatalf("published: %+v", r)
		}
		if r := publish(t, b, &bridge.Publication{Subject: "events.a", Data: []byte("hi"), ID: "u:1"}); r.err != nil || r.Seq != 1 || !r.Duplicate {
			t.Fatalf("published twice: %+v", r)
		}
		fill(t, b, 2000, "events.b", "events.c.d")
		eventually(t, "all events", f.is(func() bool { return len(f.seqs) == 2001 }))
		for i, seq := range f.seqs {
			if seq != uint64(i+1) {
				t.Fatalf("event %d has sequence %d", i, seq)
			}
		}
		batch, err := b.Read(t.Context(), bridge.ReadRequest{Slot: 0, From: 1, MaxMessages: 5000})
		if err != nil || len(batch.Events) != 2001 || batch.Next != 2002 || len(batch.Lost) != 0 {
			t.Fatalf("read %d events, next %d, lost %v, %v", len(batch.Events), batch.Next, batch.Lost, err)
		}
		e := batch.Events[0]
		if e.Subject != "events.a" || string(e.Data) != "hi" || fmt.Sprint(e.Head) != "[{Zeta 1} {alpha 2}]" || e.Time.IsZero() {
			t.Errorf("first event: %+v", e)
		}
		if e := batch.Events[1500]; len(e.Head) != 0 {
			t.Errorf("an event shows NATS's headers: %+v", e.Head)
		}
	})
}

func TestExpect(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		for i, c := range []struct {
			expect uint64
			code   bridge.Code
		}{{0, ""}, {0, bridge.CodeConflict}, {1, ""}, {7, bridge.CodeConflict}} {
			r := publish(t, b, &bridge.Publication{Subject: "events.x", Expect: &c.expect})
			if (c.code == "") != (r.err == nil) || r.err != nil && !errors.Is(r.err, &bridge.Error{Code: c.code}) {
				t.Errorf("case %d: %+v", i, r)
			}
		}
	})
}
