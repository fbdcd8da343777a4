package jetstream_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// flood publishes all at once and returns the answers in the order of the
// publications.
func flood(tb testing.TB, b *jetstream.Broker, list []*bridge.Publication) []result {
	tb.Helper()
	out := make([]result, len(list))
	var wg sync.WaitGroup
	for i, p := range list {
		wg.Add(1)
		calls := 0
		b.Publish(p, func(r bridge.Receipt, err error) {
			if calls++; calls > 1 {
				tb.Errorf("publication %d was answered twice", i)
			}
			out[i] = result{r, err}
			wg.Done()
		})
	}
	wg.Wait()
	return out
}

// stored checks the answers against what the stream holds.
func stored(t *testing.T, b *jetstream.Broker, list []*bridge.Publication, got []result) {
	t.Helper()
	lastOf, held := map[string]uint64{}, map[uint64]string{}
	for from := uint64(1); ; {
		batch, err := b.Read(t.Context(), bridge.ReadRequest{From: from, MaxMessages: 5000})
		if err != nil {
			t.Fatal(err)
		}
		if from = batch.Next; len(batch.Events) == 0 {
			break
		}
		for _, e := range batch.Events {
			held[e.Seq] = string(e.Data)
		}
	}
	for i, r := range got {
		if r.err != nil {
			t.Fatalf("publication %d: %v", i, r.err)
		}
		if r.Duplicate {
			continue
		}
		if held[r.Seq] != string(list[i].Data) {
			t.Fatalf("publication %d is not at %d: there is %q", i, r.Seq, held[r.Seq])
		}
		if r.Seq <= lastOf[list[i].Owner] {
			t.Errorf("publication %d of %s is at %d, after one at %d", i, list[i].Owner, r.Seq, lastOf[list[i].Owner])
		}
		lastOf[list[i].Owner] = r.Seq
	}
}

func pub(owner, data, id string) *bridge.Publication {
	return &bridge.Publication{Subject: "events.a", Owner: owner, Data: []byte(data), ID: id}
}

func TestBatches(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		var list []*bridge.Publication
		for i := range 3000 {
			id := ""
			if i%3 == 0 {
				id = fmt.Sprint("k", i)
			}
			list = append(list, pub(fmt.Sprint("o", i%7), fmt.Sprint(i), id))
		}
		got := flood(t, b, list)
		stored(t, b, list, got)
		for i, r := range got {
			if r.Duplicate {
				t.Errorf("publication %d is called a duplicate", i)
			}
		}
	})
}

// Duplicates within a flood: the first is stored, the others name it.
func TestTwins(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		var list []*bridge.Publication
		for i := range 1000 {
			list = append(list, pub("a", fmt.Sprint("x", i), fmt.Sprint("k", i/2)), pub("b", fmt.Sprint("y", i), ""))
		}
		got := flood(t, b, list)
		stored(t, b, list, got)
		for i := 0; i < len(got); i += 4 {
			if got[i].Duplicate || !got[i+2].Duplicate || got[i].Seq != got[i+2].Seq {
				t.Fatalf("publications %d and %d: %+v, %+v", i, i+2, got[i], got[i+2])
			}
		}
	})
}

// Duplicates that this process cannot know: another one stored them. Every
// owner is answered rightly, whoever sends them.
func TestForeignDuplicates(t *testing.T) {
	for _, share := range []int{1, 20, 500} {
		t.Run(fmt.Sprint("duplicates=", share), func(t *testing.T) {
			o := options(t, always)
			b := open(t, o)
			var first []*bridge.Publication
			for i := range share {
				first = append(first, pub("bad", fmt.Sprint("old", i), fmt.Sprint("dup", i)))
			}
			before := flood(t, b, first)
			shut(t, b) // the memory of IDs goes with it
			b = open(t, o)
			var list []*bridge.Publication
			for i := range 1000 {
				id := fmt.Sprint("bad", i)
				if i < share {
					id = fmt.Sprint("dup", i)
				}
				list = append(list, pub("bad", fmt.Sprint("b", i), id), pub("good", fmt.Sprint("g", i), fmt.Sprint("good", i)), pub("plain", fmt.Sprint("p", i), ""))
			}
			start := time.Now()
			got := flood(t, b, list)
			t.Logf("%d publications with %d duplicates: %v", len(list), share, time.Since(start))
			stored(t, b, list, got)
			for i := range 1000 {
				r := got[3*i]
				if want := i < share; r.Duplicate != want || want && r.Seq != before[i].Seq {
					t.Fatalf("publication %d: %+v", i, r)
				}
				if got[3*i+1].Duplicate || got[3*i+2].Duplicate {
					t.Fatalf("a neighbour's publication %d is called a duplicate", i)
				}
			}
		})
	}
}

// Conditions go beside the batches and keep their owner's order.
func TestExpectAmongBatches(t *testing.T) {
	b := open(t, options(t, always))
	var list []*bridge.Publication
	none := uint64(0)
	for i := range 2000 {
		p := pub(fmt.Sprint("o", i%5), fmt.Sprint(i), "")
		if i%50 == 0 {
			p.Subject, p.Expect = fmt.Sprint("events.only.", i%1000), &none
		}
		list = append(list, p)
	}
	got := flood(t, b, list)
	conflicts := 0
	var okList []*bridge.Publication
	var okGot []result
	for i, r := range got {
		if errors.Is(r.err, &bridge.Error{Code: bridge.CodeConflict}) {
			conflicts++
			continue
		}
		okList, okGot = append(okList, list[i]), append(okGot, r)
	}
	stored(t, b, okList, okGot)
	if conflicts != 20 {
		t.Errorf("%d conflicts", conflicts)
	}
}

func TestPublishLimits(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		o.Embedded.MaxPayload = 4096
		o.QueueMessages = 100
		b := open(t, o)
		if r := publish(t, b, &bridge.Publication{Subject: "events.a", Data: make([]byte, 4097)}); !errors.Is(r.err, &bridge.Error{Code: bridge.CodeTooBig}) {
			t.Errorf("too big: %v", r.err)
		}
		if r := publish(t, b, &bridge.Publication{Subject: "events.a", Data: make([]byte, 4000), Head: []bridge.Field{{Name: "A", Value: strings.Repeat("x", 100)}}}); !errors.Is(r.err, &bridge.Error{Code: bridge.CodeTooBig}) {
			t.Errorf("too big with its headers: %v", r.err)
		}
		if r := publish(t, b, &bridge.Publication{Slot: -1, Subject: "svc.a"}); r.err != nil || r.Stream != nil {
			t.Errorf("without a stream: %+v", r)
		}
		var list []*bridge.Publication
		for i := range 20_000 {
			list = append(list, pub("a", fmt.Sprint(i), ""))
		}
		refused := 0
		for _, r := range flood(t, b, list) {
			var e *bridge.Error
			if errors.As(r.err, &e) && e.Code == bridge.CodeUnavailable && e.Retry > 0 {
				refused++
			} else if r.err != nil {
				t.Fatal(r.err)
			}
		}
		if refused == 0 {
			t.Error("a full queue refused nothing")
		}
	})
}

func TestTTL(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		p := pub("a", "x", "")
		p.TTL = time.Second
		if r := publish(t, b, p); r.err != nil {
			t.Fatal(r.err)
		}
		eventually(t, "the message expires", func() bool {
			st, err := b.State(t.Context(), 0)
			return err == nil && st.Messages == 0
		})
	})
}

// A full store is a clean error, and the broker says why.
func TestFullStore(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		o.Embedded.MaxStore, o.Timeout = 2<<20, 5*time.Second
		b := open(t, o)
		var list []*bridge.Publication
		for range 100 {
			p := pub("a", "", "")
			p.Data = make([]byte, 100_000)
			list = append(list, p)
		}
		refused := 0
		for _, r := range flood(t, b, list) {
			if errors.Is(r.err, &bridge.Error{Code: bridge.CodeUnavailable}) {
				refused++ // perhaps without an answer: nats-server has none for a batch that the limit cut
			} else if r.err != nil {
				t.Fatal(r.err)
			}
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
		if r := publish(t, b, list[0]); r.err == nil || !strings.Contains(r.err.Error(), "full") {
			t.Errorf("then: %v", r.err)
		}
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("ready: %v", err)
		}
		api(t, b.Conn(), "STREAM.PURGE.EVENTS", "")
		if r := publish(t, b, pub("a", "x", "")); r.err != nil {
			t.Errorf("with room again: %v", r.err)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("ready again: %v", err)
		}
	})
}

// Close answers everything, once.
func TestCloseAnswers(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		var wg sync.WaitGroup
		for i := range 20_000 {
			wg.Add(1)
			b.Publish(pub("a", fmt.Sprint(i), ""), func(bridge.Receipt, error) { wg.Done() })
		}
		shut(t, b)
		wg.Wait()
		if r := publish(t, b, pub("a", "late", "")); !errors.Is(r.err, &bridge.Error{Code: bridge.CodeUnavailable}) {
			t.Errorf("after Close: %v", r.err)
		}
		shut(t, b) // again
	})
}
