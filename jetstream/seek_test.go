package jetstream_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

func TestSeek(t *testing.T) {
	b := open(t, options(t))
	ctx := t.Context()
	before := time.Now()
	fill(t, b, 3000, "events.a", "events.b", "events.c.1")
	publish(t, b, &bridge.Publication{Subject: "events.rare"}) // 3001
	after := time.Now()
	fill(t, b, 999, "events.a") // to 4000

	nth := func(filter string, n, want uint64) {
		t.Helper()
		if seq, err := b.SeqOfNth(ctx, 0, filter, n); err != nil || seq != want {
			t.Errorf("SeqOfNth(%q, %d) = %d, %v; want %d", filter, n, seq, err, want)
		}
	}
	nth("events.>", 1, 4000)
	nth("events.>", 4000, 1)
	nth("events.>", 5000, 1)
	nth("events.rare", 1, 3001)
	nth("events.rare", 2, 1)
	nth("events.b", 1, 2999)
	nth("events.b", 1000, 2)
	nth("events.c.*", 10, 3000-27)
	nth("events.a", 1000, 2998)

	for filter, want := range map[string]uint64{"events.>": 4000, "events.b": 1000, "events.c.*": 1000, "events.none": 0} {
		if n, err := b.Count(ctx, 0, filter); err != nil || n != want {
			t.Errorf("Count(%q) = %d, %v; want %d", filter, n, err, want)
		}
	}
	for subject, want := range map[string]uint64{"events.a": 4000, "events.b": 2999, "events.none": 0} {
		if seq, err := b.LastSeq(ctx, 0, subject); err != nil || seq != want {
			t.Errorf("LastSeq(%q) = %d, %v; want %d", subject, seq, err, want)
		}
	}
	for _, c := range []struct {
		at   time.Time
		want uint64
	}{{before.Add(-time.Hour), 1}, {after, 3002}, {time.Now().Add(time.Hour), 4001}} {
		if seq, err := b.SeqAt(ctx, 0, c.at); err != nil || seq != c.want {
			t.Errorf("SeqAt(%v) = %d, %v; want %d", c.at, seq, err, c.want)
		}
	}
	lasts := func(filter string, upTo uint64, most int, want ...uint64) {
		t.Helper()
		if seqs, err := b.LastSeqs(ctx, 0, filter, upTo, most); err != nil || !slices.Equal(seqs, want) {
			t.Errorf("LastSeqs(%q, %d) = %v, %v; want %v", filter, upTo, seqs, err, want)
		}
	}
	lasts("events.>", 4000, 10, 2999, 3000, 3001, 4000)
	lasts("events.>", 3000, 10, 2999, 3000)
	lasts("events.none", 4000, 10)
	if _, err := b.LastSeqs(ctx, 0, "events.>", 4000, 3); !errors.Is(err, &bridge.Error{Code: bridge.CodeTooBig}) {
		t.Errorf("LastSeqs with too many: %v", err)
	}
	es, err := b.ReadSeqs(ctx, 0, []uint64{1, 3001, 4000, 4001, 9999})
	if err != nil || len(es) != 3 || es[1].Subject != "events.rare" || es[1].Seq != 3001 {
		t.Errorf("ReadSeqs: %v, %v", es, err)
	}
}

// More subjects than one direct get may answer with (1,024).
func TestLastSeqsMany(t *testing.T) {
	b := open(t, options(t))
	subjects := make([]string, 3000)
	for i := range subjects {
		subjects[i] = fmt.Sprint("events.s.", i)
	}
	fill(t, b, 6000, subjects...)
	seqs, err := b.LastSeqs(t.Context(), 0, "events.s.*", 6000, 5000)
	if err != nil || len(seqs) != 3000 || seqs[0] != 3001 || seqs[2999] != 6000 {
		t.Fatalf("%d sequences, %v", len(seqs), err)
	}
}

func TestReadFiltered(t *testing.T) {
	b := open(t, options(t))
	fill(t, b, 100, "events.a", "events.b")
	for _, c := range []struct {
		name string
		req  bridge.ReadRequest
		seqs int
		next uint64
	}{
		{"all of one subject", bridge.ReadRequest{Filter: "events.b", MaxMessages: 100}, 50, 101},
		{"a part", bridge.ReadRequest{Filter: "events.b", From: 11, MaxMessages: 3}, 3, 17},
		{"nothing", bridge.ReadRequest{Filter: "events.none", MaxMessages: 3}, 0, 101},
		{"at the end", bridge.ReadRequest{From: 101, MaxMessages: 3}, 0, 101},
		{"beyond the end", bridge.ReadRequest{From: 200, MaxMessages: 3}, 0, 200},
		{"few bytes", bridge.ReadRequest{From: 1, MaxMessages: 100, MaxBytes: 1}, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := b.Read(t.Context(), c.req)
			if err != nil || len(got.Events) != c.seqs || got.Next != c.next || len(got.Lost) != 0 {
				t.Errorf("%d events, next %d, lost %v, %v", len(got.Events), got.Next, got.Lost, err)
			}
		})
	}
}
