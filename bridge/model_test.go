package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// tally is a client's encoder and transport that checks order as it goes: per
// subscription and stream, sequences ascend. It stalls at random.
type tally struct {
	noJobs
	mu      sync.Mutex
	changed sync.Cond
	rnd     *rand.Rand
	stalls  bool
	subs    map[string]*tallied
}

type tallied struct {
	events int
	last   map[string]uint64 // by stream
	pos    bridge.Position   // of the last event
	wrong  string
}

func (r *tally) of(sid string) *tallied {
	s := r.subs[sid]
	if s == nil {
		s = &tallied{last: map[string]uint64{}}
		r.subs[sid] = s
	}
	return s
}

func (r *tally) Event(out *bridge.Output, d *bridge.Delivery) {
	out.Append(make([]byte, 64)...)
	out.EndFrame()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.of(d.SID)
	if e := d.Event; e.Seq <= s.last[e.Stream.Name] && s.wrong == "" {
		s.wrong = fmt.Sprintf("%s-%d follows %d", e.Stream.Name, e.Seq, s.last[e.Stream.Name])
	}
	s.last[d.Event.Stream.Name] = d.Event.Seq
	s.events++
	s.pos = append(s.pos[:0], d.Pos...)
}

func (r *tally) Live(*bridge.Output, string, bridge.Position) {}
func (r *tally) End(*bridge.Output, string, string)           {}
func (r *tally) Gap(_ *bridge.Output, sid string, after, next bridge.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(sid).wrong = fmt.Sprintf("gap %s..%s", after, next)
}

func (r *tally) WriteSome(out *bridge.Output) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rnd.IntN(20) > 0 {
		out.Reset()
		r.changed.Broadcast()
	}
	return nil
}

func (r *tally) Write(*bridge.Output) error {
	r.mu.Lock()
	pause := time.Duration(0)
	if r.stalls && r.rnd.IntN(20) == 0 {
		pause = time.Duration(r.rnd.IntN(3000)) * time.Microsecond
	}
	r.changed.Broadcast()
	r.mu.Unlock()
	if pause > 0 {
		<-time.After(pause) // a slow socket
	}
	return nil
}

// wait returns when a subscription has n events, or something is wrong.
func (r *tally) wait(t *testing.T, sid string, n int) *tallied {
	deadline := time.Now().Add(30 * time.Second)
	timer := time.AfterFunc(30*time.Second, func() { r.mu.Lock(); defer r.mu.Unlock(); r.changed.Broadcast() })
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.of(sid)
	for s.events < n && s.wrong == "" {
		if time.Now().After(deadline) {
			s.wrong = fmt.Sprintf("%d events, want %d", s.events, n)
			break
		}
		r.changed.Wait()
	}
	c := *s
	c.pos = append(bridge.Position(nil), s.pos...)
	return &c
}

// TestModel: clients with random filters, starts and credits over two streams
// and rings that are too small, some of them slow: each gets what matches, in
// order, once.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("JETWAY_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d (JETWAY_TEST_SEED repeats it)", seed)
	for run := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, run))
		ring := []int{16, 64, 512, 4096}[rnd.IntN(4)]
		t.Run(fmt.Sprintf("%d ring %d", run, ring), func(t *testing.T) { model(t, rnd, ring) })
	}
}

func model(t *testing.T, rnd *rand.Rand, ring int) {
	const events, clients = 2000, 12
	g := newRig(t, bridge.Options{RingMessages: ring}, twoStreams...)
	p := mustConnect(t, g)
	filters := []string{">", "a.>", "b.>", "a.1", "b.2", "*.3", "a.*"}
	subjects, counts := make([]string, events), map[string]int{}
	for i := range subjects {
		subjects[i] = fmt.Sprintf("%c.%d", 'a'+rnd.IntN(2), rnd.IntN(5))
		for _, f := range filters {
			if bridge.Matches(f, subjects[i]) {
				counts[f]++
			}
		}
	}
	var all sync.WaitGroup
	half := make(chan struct{})
	for range clients {
		seed := rnd.Uint64()
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := &tally{subs: map[string]*tallied{}, rnd: rand.New(rand.NewPCG(seed, 2)), stalls: rnd.IntN(2) == 0}
			r.changed.L = &r.mu
			if rnd.IntN(2) == 0 {
				<-half // has to catch up
			}
			c := g.Connect(bridge.ClientOptions{User: "u", Permissions: &everything, Encoder: r, Transport: r})
			defer c.Close()
			var mine sync.WaitGroup
			for range 1 + rnd.IntN(3) {
				filter, credit := filters[rnd.IntN(len(filters))], []int{0, 0, 1, 7, 200}[rnd.IntN(5)]
				a := subscribe(t, c, bridge.SubscribeRequest{Filter: filter, From: "first", Max: credit})
				mine.Go(func() { takeAll(t, c, r, a.SID, filter, credit, counts[filter]) })
			}
			mine.Wait()
		})
	}
	for i, subject := range subjects {
		publish(t, p, subject, fmt.Sprint(i))
		if i == events/2 {
			close(half)
		}
	}
	all.Wait()
}

// takeAll takes what a subscription brings, giving credit as it goes.
func takeAll(t *testing.T, c *bridge.Client, r *tally, sid, filter string, credit, want int) {
	for n := 0; n < want; {
		step := want
		if credit > 0 {
			step = min(want, n+credit)
		}
		s := r.wait(t, sid, step)
		if s.wrong != "" {
			t.Errorf("%s %s with credit %d: %s", sid, filter, credit, s.wrong)
			return
		}
		n = s.events
		if credit > 0 {
			if err := c.Seen(sid, s.pos, nil); err != nil {
				t.Errorf("%s: %v", sid, err)
				return
			}
		}
	}
	if s := r.wait(t, sid, want); s.events != want || s.wrong != "" {
		t.Errorf("%s %s: %d events, want %d; %s", sid, filter, s.events, want, s.wrong)
	}
}
