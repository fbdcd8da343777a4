package bridge_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// leave ends a client as a lost socket does.
func leave(c *bridge.Client, r *recorder) {
	r.close()
	c.Close()
}

// Workers that come and go without a job in hand cost a job no try, whichever
// of their pulls brings it: it would be a dead letter that nobody ever had.
func TestComingAndGoingCostsNoTry(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		for range 5 {
			if err := w.Unsubscribe(work(t, w, "jobs.resize", 1)); err != nil {
				t.Fatal(err)
			}
		}
		add(t, p, job("1"))
		synctest.Wait()
		time.Sleep(30 * time.Second) // no pull is left
		work(t, w, "jobs.resize", 1)
		if f := r.jobs(t, 1)[0]; f.try != 1 {
			t.Errorf("job %+v", f)
		}
		if n := g.Stats().JobsDead.Load(); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// A lease that was taken over within resume_grace is its new owner's, with all
// that follows: it goes back when that one's socket is gone, too.
func TestAdoptedLeaseOfClosedSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := queueOptions()
		o.Queues.ResumeGrace = time.Second
		g := queueRig(t, o)
		p, _ := g.connect(t)
		w, r := g.connectAs(t, "bob")
		work(t, w, "jobs.resize", 1)
		add(t, p, job("1"))
		f := r.jobs(t, 1)[0]
		leave(w, r)
		heir, rh := g.connectAs(t, "bob")
		if err := settle(t, heir, bridge.SettleRequest{How: bridge.SettleWip, Lease: f.lease}); err != nil {
			t.Fatal(err)
		}
		leave(heir, rh)
		last, _ := g.connectAs(t, "bob")
		if err := settle(t, last, bridge.SettleRequest{How: bridge.SettleWip, Lease: f.lease}); err != nil {
			t.Errorf("within the second grace: %v", err)
		}
		last.Close()
		other, ro := g.connect(t)
		work(t, other, "jobs.resize", 1)
		at := time.Now()
		ro.jobs(t, 1)
		if took := time.Since(at); took > 2*time.Second {
			t.Errorf("the job came back after %v", took)
		}
	})
}

// slow is a broker that takes its time, as one with a disk does.
type slow struct {
	*memory.Broker
	publish, settle time.Duration
}

func (s *slow) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	time.AfterFunc(s.publish, func() { s.Broker.Publish(p, done) })
}

func (s *slow) Settle(j *bridge.Job, how bridge.Settlement, done func(error)) {
	time.AfterFunc(s.settle, func() { s.Broker.Settle(j, how, done) })
}

// slowRig is a gateway over a slow broker; the caller stops it.
func slowRig(t *testing.T, s *slow, o bridge.Options) *bridge.Bridge {
	t.Helper()
	s.Broker = queueRig(t, o).broker
	b := bridge.New(s, o)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func connectTo(b *bridge.Bridge, user string) (*bridge.Client, *recorder) {
	r := newRecorder()
	return b.Connect(bridge.ClientOptions{User: user, Permissions: &everything, Encoder: r, Transport: r}), r
}

func stop(t *testing.T, b *bridge.Bridge) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// A wip that is confirmed after its socket is gone does not outlive the grace.
func TestWipOfClosedSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := queueOptions()
		o.Queues.ResumeGrace = time.Second
		b := slowRig(t, &slow{settle: 100 * time.Millisecond}, o)
		defer stop(t, b)
		w, r := connectTo(b, "bob")
		work(t, w, "jobs.resize", 1)
		add(t, w, job("1"))
		f := r.jobs(t, 1)[0]
		w.SettleJob(bridge.SettleRequest{How: bridge.SettleWip, Lease: f.lease}, func(error) {})
		leave(w, r)
		other, ro := connectTo(b, "eve")
		defer leave(other, ro)
		work(t, other, "jobs.resize", 1)
		at := time.Now()
		ro.jobs(t, 1)
		if took := time.Since(at); took > 2*time.Second {
			t.Errorf("the job came back after %v", took)
		}
	})
}

// What became of jobs is stored before the broker is closed under it: else the
// watchers of a job that a stopping gateway gives back would not know.
func TestStopWaitsForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		b := slowRig(t, s, queueOptions())
		w, r := connectTo(b, "bob")
		work(t, w, "jobs.resize", 1)
		add(t, w, job("1"))
		r.jobs(t, 1)
		synctest.Wait()
		s.publish = 500 * time.Millisecond
		r.close()
		stop(t, b)
		st, err := s.State(t.Context(), 1)
		if err != nil || st.Messages != 3 {
			t.Errorf("%d events, want queued, active and retry: %v", st.Messages, err)
		}
	})
}

// The clients of a gateway that stops leave one after the other. A job that one
// of them had must not pass through the hands of all the others, which would
// cost it all its tries.
func TestStoppingGatewayKeepsNoJobs(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		other := rigOn(t, g.broker, queueOptions())
		p, _ := g.connect(t)
		var clients []*bridge.Client
		var recorders []*recorder
		for i := range 6 {
			c, r := g.connectAs(t, fmt.Sprint("w", i))
			work(t, c, "jobs.resize", 1)
			clients, recorders = append(clients, c), append(recorders, r)
		}
		add(t, p, job("1"))
		synctest.Wait()
		has := slices.IndexFunc(recorders, func(r *recorder) bool {
			return len(ofKind(r.wait(t, "", func([]frame) bool { return true }), "job")) > 0
		})
		clients[0], clients[has] = clients[has], clients[0]
		g.EndWork()
		for _, c := range clients {
			c.Finish(func(*bridge.Output) {})
			synctest.Wait()
		}
		if n := g.Stats().JobsGiven.Load(); n != 1 {
			t.Errorf("the job was given out %d times", n)
		}
		c, r := other.connect(t)
		work(t, c, "jobs.resize", 1)
		if f := r.jobs(t, 1)[0]; f.try != 2 {
			t.Errorf("then it came as %+v", f)
		}
	})
}

// Two ways to write the same position are one dead letter, given back once.
func TestRequeueTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		b := slowRig(t, s, queueOptions())
		defer stop(t, b)
		w, r := connectTo(b, "bob")
		defer leave(w, r)
		work(t, w, "jobs.resize", 1)
		add(t, w, job("1"))
		if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleTerm, Lease: r.jobs(t, 1)[0].lease}); err != nil {
			t.Fatal(err)
		}
		st, err := s.State(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.State(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		s.publish = time.Second
		letter := bridge.Position{{Tag: st.Stream.Tag, Seq: st.Last}}
		both := append(slices.Clone(letter), bridge.Mark{Tag: events.Stream.Tag, Seq: 1})
		answers := make(chan error, 2)
		for _, pos := range []bridge.Position{letter, both} {
			go func() {
				_, err := ask(w, "dead.requeue", `{"pos":"`+pos.String()+`"}`)
				answers <- err
			}()
		}
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		ack(t, w, r.jobs(t, 2)[1])
		time.Sleep(time.Minute)
		if n := len(r.jobs(t, 2)); n != 2 {
			t.Errorf("it came back %d times", n-1)
		}
	})
}
