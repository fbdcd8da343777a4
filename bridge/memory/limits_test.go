package memory_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// events are options for one stream, EVENTS with events.>.
func events(s memory.Stream) memory.Options {
	s.Name, s.Subjects = "EVENTS", []string{"events.>"}
	return memory.Options{Streams: []memory.Stream{s}}
}

// publish publishes and returns the outcome, which the broker gives at once.
func publish(b *memory.Broker, p bridge.Publication) (r bridge.Receipt, err error) {
	err = errors.New("done was not called")
	b.Publish(&p, func(rc bridge.Receipt, e error) { r, err = rc, e })
	return r, err
}

// store publishes n messages to events.a.
func store(t *testing.T, b *memory.Broker, n int) {
	t.Helper()
	for i := range n {
		if _, err := publish(b, bridge.Publication{Subject: "events.a", Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// kept returns the sequences that the first stream holds.
func kept(t *testing.T, b *memory.Broker) (seqs []uint64) {
	t.Helper()
	batch, err := b.Read(t.Context(), bridge.ReadRequest{MaxMessages: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range batch.Events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func wantKept(t *testing.T, b *memory.Broker, want ...uint64) {
	t.Helper()
	if got := kept(t, b); !slices.Equal(got, want) {
		t.Fatalf("kept %v, want %v", got, want)
	}
	s, err := b.State(t.Context(), 0)
	if err != nil || s.Messages != uint64(len(want)) {
		t.Fatalf("state %+v, %v, want %d messages", s, err, len(want))
	}
}

func TestMaxMessages(t *testing.T) {
	b := open(t, events(memory.Stream{MaxMessages: 3}))
	store(t, b, 10)
	wantKept(t, b, 8, 9, 10)
	b.Delete(0, 9)
	store(t, b, 1)
	wantKept(t, b, 8, 10, 11)
	store(t, b, 1)
	wantKept(t, b, 10, 11, 12)
}

func TestMaxBytes(t *testing.T) {
	b := open(t, events(memory.Stream{MaxBytes: 50}))
	ten := bridge.Publication{Subject: "events.a", Data: []byte("12")} // 10 bytes
	for range 6 {
		if _, err := publish(b, ten); err != nil {
			t.Fatal(err)
		}
	}
	wantKept(t, b, 2, 3, 4, 5, 6)
	big := ten
	big.Data = make([]byte, 40)
	if _, err := publish(b, big); err != nil {
		t.Fatal(err)
	}
	wantKept(t, b, 7)
	big.Data = make([]byte, 43)
	if _, err := publish(b, big); !errors.Is(err, &bridge.Error{Code: bridge.CodeTooBig}) {
		t.Fatalf("a message larger than the stream: %v", err)
	}
	wantKept(t, b, 7)
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{}))
		for _, ttl := range []time.Duration{3, 0, 1, 2} {
			if _, err := publish(b, bridge.Publication{Subject: "events.a", TTL: ttl * time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second - 1)
		wantKept(t, b, 1, 2, 3, 4)
		time.Sleep(time.Nanosecond)
		wantKept(t, b, 1, 2, 4)
		time.Sleep(time.Second)
		wantKept(t, b, 1, 2)
		time.Sleep(time.Second)
		wantKept(t, b, 2)
		batch, err := b.Read(t.Context(), bridge.ReadRequest{MaxMessages: 1})
		if err != nil || batch.Lost != nil {
			t.Fatalf("lost %v, %v: what has expired by its own TTL is not lost", batch.Lost, err)
		}
		time.Sleep(24 * time.Hour)
		wantKept(t, b, 2)
	})
}

// Messages that are gone must not be held by the clock until their TTL, nor
// by one old message in front of them.
func TestManyTTLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{MaxMessages: 100}))
		store(t, b, 1)
		for range 2000 {
			if _, err := publish(b, bridge.Publication{Subject: "events.t", TTL: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if _, waiting := b.Held(0); waiting > 201 {
				t.Fatalf("%d messages wait for their TTL in a stream of 100", waiting)
			}
		}
		b.Recreate(0)
		store(t, b, 1)
		for range 2000 {
			if _, err := publish(b, bridge.Publication{Subject: "events.t", TTL: time.Second}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if stored, _ := b.Held(0); stored > 201 {
				t.Fatalf("%d messages are held, two of them alive", stored)
			}
		}
		wantKept(t, b, 1)
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{MaxAge: time.Minute}))
		store(t, b, 2)
		time.Sleep(30 * time.Second)
		store(t, b, 1)
		time.Sleep(30*time.Second - 1)
		wantKept(t, b, 1, 2, 3)
		time.Sleep(time.Nanosecond)
		wantKept(t, b, 3)
		batch, err := b.Read(t.Context(), bridge.ReadRequest{MaxMessages: 1})
		if want := []bridge.Range{{After: 0, Next: 3}}; err != nil || !slices.Equal(batch.Lost, want) {
			t.Fatalf("lost %v, %v, want %v", batch.Lost, err, want)
		}
		time.Sleep(time.Hour)
		wantKept(t, b)
	})
}

func TestDedupeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, events(memory.Stream{Dedupe: time.Minute}))
		p := bridge.Publication{Subject: "events.a", ID: "k"}
		for _, c := range []struct {
			after     time.Duration
			seq       uint64
			duplicate bool
		}{
			{0, 1, false},
			{time.Minute - 1, 1, true}, // and does not make the window longer
			{1, 2, false},
			{time.Second, 2, true},
		} {
			time.Sleep(c.after)
			got, err := publish(b, p)
			if err != nil || got.Seq != c.seq || got.Duplicate != c.duplicate {
				t.Fatalf("after %v: %+v, %v, want %+v", c.after, got, err, c)
			}
		}
	})
}

// Who repeats a conditional publish because the answer got lost must not be
// told that somebody else was faster.
func TestDuplicateBeforeCondition(t *testing.T) {
	b := open(t, events(memory.Stream{}))
	p := bridge.Publication{Subject: "events.a", ID: "k", Expect: new(uint64)}
	for _, duplicate := range []bool{false, true, true} {
		got, err := publish(b, p)
		if err != nil || got.Seq != 1 || got.Duplicate != duplicate {
			t.Fatalf("%+v, %v, want sequence 1, duplicate %v", got, err, duplicate)
		}
	}
}
