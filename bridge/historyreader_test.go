package bridge_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// What a history has read for a client that takes nothing, as it is asleep or
// gives no credit, is let go, and read again when the client comes to it.
func TestReclaim(t *testing.T) {
	const kept = 10 * time.Second
	for name, max := range map[string]int{"asleep": 0, "no credit": 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bridge.Options{RingMessages: 16})
				p, _ := g.connect(t)
				publishN(t, p, "events.n", 1, 5000)
				c, r := g.connect(t)
				r.block(max == 0)
				sub := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.n", From: "first", Max: max})
				synctest.Wait()
				time.Sleep(kept - 1)
				synctest.Wait()
				if n := g.Stats().Reclaimed.Load(); n > 0 {
					t.Errorf("%d events reclaimed too soon", n)
				}
				time.Sleep(kept + 2) // from the last time that it took something, at most
				synctest.Wait()
				reclaimed, scanned := g.Stats().Reclaimed.Load(), g.Stats().Scanned.Load()
				if reclaimed < 1000 {
					t.Errorf("%d events reclaimed", reclaimed)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := g.Stats().Scanned.Load(); n != scanned {
					t.Errorf("%d events read for nobody", n-scanned)
				}
				r.block(false)
				for n := 0; n < 5000; {
					synctest.Wait()
					all := kinds(r.wait(t, "anything", func([]frame) bool { return true }), sub.SID, "event")
					if len(all) == n {
						t.Fatalf("%d events, and no more", n)
					}
					n = len(all)
					pos, err := bridge.ParsePosition(all[n-1].pos)
					if err == nil && max > 0 {
						err = c.Seen(sub.SID, pos, nil)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				inOrder(t, r.waitEvents(t, sub.SID, 5000), 1, 5000)
			})
		})
	}
}

// Who sleeps, for longer or shorter, and takes a little now and then, gets all
// of it, in order, once.
func TestReclaimAgainAndAgain(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bridge.Options{RingMessages: 16})
		p, _ := g.connect(t)
		c, r := g.connect(t)
		r.block(true)
		r.weight = 1000
		sub := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.n"})
		n := 0
		for range 30 {
			more := rnd.IntN(2000)
			publishN(t, p, "events.n", n+1, n+more)
			n += more
			r.blockAfter(1 + rnd.IntN(10))
			time.Sleep(time.Duration(rnd.Int64N(int64(time.Minute))))
		}
		r.block(false)
		inOrder(t, r.waitEvents(t, sub.SID, n), 1, n)
		if g.Stats().Reclaimed.Load() == 0 {
			t.Errorf("seed %d: nothing was reclaimed", seed)
		}
	})
}

// slowReads is a broker of which all reads but the first take a second.
type slowReads struct{ *memory.Broker }

func (b slowReads) Read(ctx context.Context, r bridge.ReadRequest) (bridge.Batch, error) {
	if r.From > 1 {
		time.Sleep(time.Second)
	}
	return b.Broker.Read(ctx, r)
}

// What is missing is told without credit, and so is the end: a hole is not let
// go.
func TestReclaimKeepsHoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { broker.Close() })
		b := bridge.New(slowReads{broker}, bridge.Options{RingMessages: 16})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		g := &rig{b, broker}
		p, _ := g.connect(t)
		publishN(t, p, "events.n", 1, 200)
		publishN(t, p, "events.other", 201, 3001)
		c, r := g.connect(t)
		r.blockAfter(1) // the answer
		sub := subscribe(t, c, bridge.SubscribeRequest{Filter: "events.n", From: "first", Max: 200, Until: "now"})
		time.Sleep(time.Second / 2)
		broker.Trim(0, 2500)
		time.Sleep(time.Minute) // asleep
		r.block(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		all := r.wait(t, "anything", func([]frame) bool { return true })
		if n, gaps, ends := len(kinds(all, sub.SID, "event")), len(kinds(all, sub.SID, "gap")), len(kinds(all, sub.SID, "end")); n != 200 || gaps != 1 || ends != 1 {
			t.Errorf("%d events, %d gaps, %d ends", n, gaps, ends)
		}
	})
}
