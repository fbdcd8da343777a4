package jetstream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// A full queue refuses its own jobs and nobody else's, also in batches that
// nats-server refuses whole; each owner's jobs stay in order, also when it
// uses several queues.
func TestFullQueueAmongNeighbours(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		queues(maxJobs(1000))(&o)
		b := open(t, o)
		for i := range 995 {
			if r := publish(t, b, job(b, "jobs.full", fmt.Sprint(i))); r.err != nil {
				t.Fatal(r.err)
			}
		}
		var list []*bridge.Publication
		for i := range 2500 {
			p := job(b, []string{"jobs.full", "jobs.a", "jobs.b", "jobs.c", "jobs.a"}[i%5], fmt.Sprint(i))
			if i%5 < 3 {
				p.Owner = "neighbour" + fmt.Sprint(i%5)
			}
			if i%50 == 0 {
				p.Owner = "ann"
			}
			list = append(list, p)
		}
		start := time.Now()
		got := flood(t, b, list)
		t.Logf("%d publications, a fifth to a full queue: %v", len(list), time.Since(start))
		room, last := 0, map[string]uint64{}
		for i, r := range got {
			switch full := list[i].Subject == "jobs.full"; {
			case r.err == nil && full:
				room++
			case full:
				hasCode(t, "a job for the full queue", r.err, bridge.CodeQueueFull)
				continue
			case r.err != nil && list[i].Subject == "jobs.a":
				hasCode(t, "a job for the queue that got full", r.err, bridge.CodeQueueFull)
				continue
			case r.err != nil:
				t.Fatalf("a neighbour's job: %v", r.err)
			}
			if r.Seq <= last[list[i].Owner] {
				t.Fatalf("job %d of %s has sequence %d, after %d", i, list[i].Owner, r.Seq, last[list[i].Owner])
			}
			last[list[i].Owner] = r.Seq
		}
		if room != 5 {
			t.Errorf("%d jobs fitted into the full queue, want 5", room)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if n := jobsHeld(t, b); n != 1000+1000+500+500 {
			t.Errorf("%d jobs are stored", n)
		}
	})
}

// A stream that must not drop its oldest messages refuses new ones. That is no
// fault of the store.
func TestDiscardNew(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		o.Streams = []jetstream.StreamConfig{{Name: "EVENTS", Subjects: []string{"events.>"}, MaxBytes: 200_000, DiscardNew: true}}
		b := open(t, o)
		var list []*bridge.Publication
		for i := range 500 {
			list = append(list, pub(fmt.Sprint("o", i%3), strings.Repeat("x", 1000), ""))
		}
		stored := 0
		for _, r := range flood(t, b, list) {
			var e *bridge.Error
			switch {
			case r.err == nil:
				stored++
			case !errors.As(r.err, &e) || e.Code != bridge.CodeUnavailable || !strings.Contains(e.Msg, "EVENTS is full"):
				t.Fatal(r.err)
			}
		}
		if stored < 150 || stored > 200 {
			t.Errorf("%d messages are stored", stored)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if err := b.Remove(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		if r := publish(t, b, list[0]); r.err != nil {
			t.Errorf("with room again: %v", r.err)
		}
		if st, err := b.State(t.Context(), 0); err != nil || st.First != 2 {
			t.Errorf("state %+v, %v", st, err)
		}
	})
}
