package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge/memory"
)

func TestOptions(t *testing.T) {
	one := func(s memory.Stream) []memory.Stream { return []memory.Stream{s} }
	for _, c := range []struct {
		name    string
		streams []memory.Stream
		want    error
	}{
		{"none", nil, nil},
		{"good", one(memory.Stream{Name: "A", Subjects: []string{"a.>", "b.*"}}), nil},
		{"two", []memory.Stream{{Name: "A", Subjects: []string{"a"}}, {Name: "B", Subjects: []string{"b"}}}, nil},
		{"no name", one(memory.Stream{Subjects: []string{"a"}}), memory.ErrStream},
		{"bad name", one(memory.Stream{Name: "A.B", Subjects: []string{"a"}}), memory.ErrStream},
		{"no subjects", one(memory.Stream{Name: "A"}), memory.ErrStream},
		{"bad subject", one(memory.Stream{Name: "A", Subjects: []string{"a..b"}}), memory.ErrStream},
		{"negative age", one(memory.Stream{Name: "A", Subjects: []string{"a"}, MaxAge: -1}), memory.ErrStream},
		{"negative window", one(memory.Stream{Name: "A", Subjects: []string{"a"}, Dedupe: -1}), memory.ErrStream},
		{"one name twice", []memory.Stream{{Name: "A", Subjects: []string{"a"}}, {Name: "A", Subjects: []string{"b"}}}, memory.ErrStream},
		{"overlap inside", one(memory.Stream{Name: "A", Subjects: []string{"a.*", "a.b"}}), memory.ErrOverlap},
		{"overlap between", []memory.Stream{{Name: "A", Subjects: []string{"a.>"}}, {Name: "B", Subjects: []string{"*.b"}}}, memory.ErrOverlap},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := memory.New(memory.Options{Streams: c.streams})
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil {
				b.Close()
			}
		})
	}
}

func TestQueueOptions(t *testing.T) {
	for _, c := range []struct {
		name   string
		queues memory.Queues
		want   error
	}{
		{"none", memory.Queues{}, nil},
		{"good", memory.Queues{Stream: "J", Subjects: []string{"jobs.*", "tasks.>"}}, nil},
		{"no name", memory.Queues{Subjects: []string{"jobs.*"}}, memory.ErrStream},
		{"no subjects", memory.Queues{Stream: "J"}, memory.ErrStream},
		{"bad subject", memory.Queues{Stream: "J", Subjects: []string{"jobs..a"}}, memory.ErrStream},
		{"negative lease", memory.Queues{Stream: "J", Subjects: []string{"jobs.*"}, Lease: -1}, memory.ErrStream},
		{"negative window", memory.Queues{Stream: "J", Subjects: []string{"jobs.*"}, Dedupe: -1}, memory.ErrStream},
		{"the name of a stream", memory.Queues{Stream: "EVENTS", Subjects: []string{"jobs.*"}}, memory.ErrStream},
		{"the subjects of a stream", memory.Queues{Stream: "J", Subjects: []string{"*.a"}}, memory.ErrOverlap},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := events(memory.Stream{})
			o.Queues = c.queues
			b, err := memory.New(o)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			defer b.Close()
			if s := b.QueueStream(); (s == nil) != (c.queues.Stream == "") {
				t.Errorf("the stream of the queues is %+v", s)
			}
		})
	}
}

func TestDefaultDedupe(t *testing.T) {
	b := open(t, memory.Options{Streams: []memory.Stream{
		{Name: "A", Subjects: []string{"a"}},
		{Name: "B", Subjects: []string{"b"}, MaxAge: time.Second},
		{Name: "C", Subjects: []string{"c"}, MaxAge: time.Hour},
	}})
	for slot, want := range []time.Duration{memory.DefaultDedupe, time.Second, memory.DefaultDedupe} {
		s, err := b.State(t.Context(), slot)
		if err != nil || s.Dedupe != want {
			t.Errorf("slot %d: window %v, %v, want %v", slot, s.Dedupe, err, want)
		}
	}
}
