package memory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// queues are options for EVENTS with events.> and for the queues jobs.*, with
// a lease of 10 s: a pull waits 2.5 s, the margin is 1 s, the hold 13.5 s.
func queues(q memory.Queues) memory.Options {
	o := events(memory.Stream{})
	q.Stream, q.Subjects, q.Lease = "JOBS", []string{"jobs.*"}, 10*time.Second
	o.Queues = q
	return o
}

const (
	pullWait = 2500 * time.Millisecond
	ackWait  = 13500 * time.Millisecond
	hold     = 12500 * time.Millisecond
)

// job returns a publication that adds a job.
func job(b *memory.Broker, subject, data string) bridge.Publication {
	return bridge.Publication{Slot: b.QueueStream().Slot, Subject: subject, Data: []byte(data)}
}

// add adds jobs to jobs.a.
func add(t *testing.T, b *memory.Broker, all ...string) {
	t.Helper()
	for _, data := range all {
		if _, err := publish(b, job(b, "jobs.a", data)); err != nil {
			t.Fatal(err)
		}
	}
}

// told is what pulls were told, in order.
type told struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (t *told) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, what)
}

// take returns it and forgets it.
func (t *told) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all
	t.all = nil
	return all
}

// puller remembers what its pulls are told. Its jobs may be read when nothing
// else happens in the bubble.
type puller struct {
	name string
	told *told
	jobs []*bridge.Job
}

// pull pulls from jobs.a. What is told is "name:data" for a job and
// "name.done" or "name.<code>" for the end.
func (p *puller) pull(b *memory.Broker, r bridge.PullRequest) {
	r.Subject = "jobs.a"
	r.Take = func(j *bridge.Job) {
		p.jobs = append(p.jobs, j)
		p.told.add(p.name + ":" + string(j.Event.Data))
	}
	r.Done = func(err error) {
		end := "done"
		if err != nil {
			end = string(bridge.ErrorOf(err).Code)
		}
		p.told.add(p.name + "." + end)
	}
	b.Pull(&r)
}

func wantTold(t *testing.T, told *told, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := told.take(); !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
}

func settle(t *testing.T, b *memory.Broker, j *bridge.Job, s bridge.Settlement) {
	t.Helper()
	done := 0
	b.Settle(j, s, func(err error) {
		if done++; err != nil {
			t.Fatal(err)
		}
	})
	if done != 1 {
		t.Fatalf("done was called %d times before Settle returned", done)
	}
}

// inQueue runs a test of the queue jobs.a in a bubble.
func inQueue(t *testing.T, o memory.Options, fn func(t *testing.T, b *memory.Broker, told *told)) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, o)
		if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
			t.Fatal(err)
		}
		fn(t, b, new(told))
	})
}

func TestQueueTimes(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		one, two := &puller{name: "1", told: told}, &puller{name: "2", told: told}
		began := time.Now()
		one.pull(b, bridge.PullRequest{Max: 2})
		time.Sleep(time.Second)
		add(t, b, "x")
		wantTold(t, told, "1:x")
		if j := one.jobs[0]; !j.Until.Equal(began.Add(hold)) || j.Hold != hold || j.Delivered != 1 {
			t.Errorf("%+v, want until %v, hold %v, first delivery", j, began.Add(hold), hold)
		}
		time.Sleep(pullWait - time.Second)
		wantTold(t, told, "1.done")
		time.Sleep(ackWait - pullWait) // a second before the hold ends
		two.pull(b, bridge.PullRequest{Max: 1})
		time.Sleep(time.Second - 1)
		wantTold(t, told)
		time.Sleep(time.Nanosecond)
		wantTold(t, told, "2:x", "2.done")
		if n := two.jobs[0].Delivered; n != 2 {
			t.Errorf("delivered %d times, want 2", n)
		}
	})
}

// Pulls that wait at the same time get one job each, in the order of asking.
func TestPullsInTurn(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		for _, name := range []string{"1", "2", "3"} {
			(&puller{name: name, told: told}).pull(b, bridge.PullRequest{Max: 2})
		}
		add(t, b, "a", "b", "c", "d")
		wantTold(t, told, "1:a", "2:b", "3:c", "1:d", "1.done")
		time.Sleep(pullWait)
		synctest.Wait()
		ends := told.take() // at the same moment
		slices.Sort(ends)
		if want := []string{"2.done", "3.done"}; !slices.Equal(ends, want) {
			t.Fatalf("told %q, want %q", ends, want)
		}
	})
}

func TestSettleTimes(t *testing.T) {
	for _, c := range []struct {
		name   string
		settle bridge.Settlement
		after  time.Duration // of the second delivery
	}{
		{"nak", bridge.Settlement{How: bridge.SettleNak}, 0},
		{"nak with a delay", bridge.Settlement{How: bridge.SettleNak, Delay: time.Minute}, time.Minute},
		{"wip", bridge.Settlement{How: bridge.SettleWip}, ackWait},
	} {
		t.Run(c.name, func(t *testing.T) {
			inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
				p := &puller{name: "p", told: told}
				add(t, b, "x")
				p.pull(b, bridge.PullRequest{Max: 1})
				wantTold(t, told, "p:x", "p.done")
				time.Sleep(10 * time.Second)
				settle(t, b, p.jobs[0], c.settle)
				if c.after > 0 {
					time.Sleep(c.after - 1)
					p.pull(b, bridge.PullRequest{Max: 1})
					wantTold(t, told)
					time.Sleep(time.Nanosecond)
				} else {
					p.pull(b, bridge.PullRequest{Max: 1})
				}
				wantTold(t, told, "p:x", "p.done")
			})
		})
	}
}

// The broker does not fence: that is what the bridge is for.
func TestLateSettlement(t *testing.T) {
	for _, c := range []struct {
		name string
		how  bridge.SettleHow
		want []string // what a third pull is told
	}{
		{"ack", bridge.SettleAck, []string{"3.done"}},
		{"term", bridge.SettleTerm, []string{"3.done"}},
		{"nak", bridge.SettleNak, []string{"3:x", "3.done"}},
		{"wip", bridge.SettleWip, []string{"3.done"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
				one, two, three := &puller{name: "1", told: told}, &puller{name: "2", told: told}, &puller{name: "3", told: told}
				add(t, b, "x")
				one.pull(b, bridge.PullRequest{Max: 1})
				time.Sleep(ackWait)
				two.pull(b, bridge.PullRequest{Max: 1})
				wantTold(t, told, "1:x", "1.done", "2:x", "2.done")
				time.Sleep(ackWait - pullWait)
				settle(t, b, one.jobs[0], bridge.Settlement{How: c.how})
				three.pull(b, bridge.PullRequest{Max: 1})
				time.Sleep(pullWait)
				wantTold(t, told, c.want...)
				settle(t, b, two.jobs[0], bridge.Settlement{How: bridge.SettleAck})
				settle(t, b, two.jobs[0], bridge.Settlement{How: bridge.SettleNak}) // there is nothing any more
				time.Sleep(time.Hour)
				three.pull(b, bridge.PullRequest{Max: 1})
				time.Sleep(pullWait)
				wantTold(t, told, "3.done")
			})
		})
	}
}

// What comes again comes first, the oldest before the others.
func TestAgainFirst(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		add(t, b, "a", "b", "c", "d")
		p.pull(b, bridge.PullRequest{Max: 3})
		for _, i := range []int{2, 0, 1} {
			settle(t, b, p.jobs[i], bridge.Settlement{How: bridge.SettleNak})
		}
		p.pull(b, bridge.PullRequest{Max: 4})
		wantTold(t, told, "p:a", "p:b", "p:c", "p.done", "p:a", "p:b", "p:c", "p:d", "p.done")
	})
}

func TestDelayTimes(t *testing.T) {
	inQueue(t, queues(memory.Queues{MaxJobs: 2}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		for i, after := range []time.Duration{3, 1, 2, 4} {
			j := job(b, "jobs.a", fmt.Sprint(int(after)))
			j.NotBefore, j.Name = time.Now().Add(after*time.Minute), fmt.Sprint("n", i)
			r, err := publish(b, j)
			if err != nil || r.Stream == nil || r.Stream == b.QueueStream() || r.Seq != uint64(i+1) {
				t.Fatalf("receipt %+v, %v", r, err)
			}
		}
		time.Sleep(time.Minute - 1)
		p.pull(b, bridge.PullRequest{Max: 4})
		wantTold(t, told)
		time.Sleep(time.Nanosecond)
		wantTold(t, told, "p:1")
		time.Sleep(2 * time.Minute) // 2 comes, 3 finds no room
		_, err := publish(b, job(b, "jobs.a", "x"))
		wantCode(t, "a third job", err, bridge.CodeQueueFull)
		wantTold(t, told, "p.done")
		p.pull(b, bridge.PullRequest{Max: 4})
		wantTold(t, told, "p:1", "p:2")
		settle(t, b, p.jobs[1], bridge.Settlement{How: bridge.SettleAck})
		wantTold(t, told, "p:3")
		time.Sleep(time.Minute)
		synctest.Wait()
		told.take()
		settle(t, b, p.jobs[2], bridge.Settlement{How: bridge.SettleTerm})
		p.pull(b, bridge.PullRequest{Max: 4})
		wantTold(t, told, "p:3", "p:4")
	})
}

// A job's time to live ends while nobody asks.
func TestJobTTL(t *testing.T) {
	inQueue(t, queues(memory.Queues{MaxJobs: 1}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		short := job(b, "jobs.a", "short")
		short.TTL = time.Minute
		if _, err := publish(b, short); err != nil {
			t.Fatal(err)
		}
		late := job(b, "jobs.a", "late")
		late.NotBefore, late.Name = time.Now(), "n"
		if _, err := publish(b, late); err != nil {
			t.Fatal(err)
		}
		p.pull(b, bridge.PullRequest{Max: 1})
		wantTold(t, told, "p:short", "p.done")
		time.Sleep(time.Minute)
		p.pull(b, bridge.PullRequest{Max: 1})
		wantTold(t, told, "p:late", "p.done")
	})
}
