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

// end returns how a pull from jobs.a ended, "" if it has not.
func (p *puller) end(b *memory.Broker) string {
	p.pull(b, bridge.PullRequest{Max: 1})
	synctest.Wait()
	if got := p.told.take(); len(got) > 0 {
		return got[len(got)-1]
	}
	return ""
}

// An operator deletes what the broker remembers of a queue.
func TestCloseQueue(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		add(t, b, "a")
		p.pull(b, bridge.PullRequest{Max: 2})
		b.CloseQueue("jobs.a")
		wantTold(t, told, "p:a", "p.not_found")
		if got := p.end(b); got != "p.not_found" {
			t.Errorf("a pull ended with %q", got)
		}
		if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
			t.Fatal(err)
		}
		p.pull(b, bridge.PullRequest{Max: 1})
		wantTold(t, told, "p:a", "p.done")
		if n := p.jobs[1].Delivered; n != 1 {
			t.Errorf("delivered %d times, want 1: the count is forgotten", n)
		}
		b.CloseQueue("jobs.nobody")
	})
}

func TestRecreateQueues(t *testing.T) {
	inQueue(t, queues(memory.Queues{MaxJobs: 1}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		add(t, b, "a")
		late := job(b, "jobs.a", "late")
		late.NotBefore, late.Name = time.Now(), "n"
		if _, err := publish(b, late); err != nil {
			t.Fatal(err)
		}
		p.pull(b, bridge.PullRequest{Max: 2})
		before := b.QueueStream()
		b.Recreate(before.Slot)
		wantTold(t, told, "p:a", "p.not_found")
		if now := b.QueueStream(); now.Tag == before.Tag || now.Slot != before.Slot {
			t.Errorf("the stream is %+v after %+v", now, before)
		}
		if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
			t.Fatal(err)
		}
		p.pull(b, bridge.PullRequest{Max: 1})
		wantTold(t, told, "p:late", "p.done")
		settle(t, b, p.jobs[0], bridge.Settlement{How: bridge.SettleAck}) // of the stream before, with the same sequence
		time.Sleep(ackWait)
		p.pull(b, bridge.PullRequest{Max: 1})
		wantTold(t, told, "p:late", "p.done")
	})
}

func TestCloseWithQueues(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		p := &puller{name: "p", told: told}
		add(t, b, "a")
		late := job(b, "jobs.a", "late")
		late.NotBefore, late.Name = time.Now().Add(time.Minute), "n"
		if _, err := publish(b, late); err != nil {
			t.Fatal(err)
		}
		p.pull(b, bridge.PullRequest{Max: 2})
		b.Close()
		wantTold(t, told, "p:a", "p.unavailable")
		if got := p.end(b); got != "p.unavailable" {
			t.Errorf("a pull ended with %q", got)
		}
		_, err := publish(b, job(b, "jobs.a", "x"))
		wantCode(t, "Publish", err, bridge.CodeUnavailable)
		wantCode(t, "OpenQueue", b.OpenQueue(t.Context(), "jobs.a"), bridge.CodeUnavailable)
		wantCode(t, "Remove", b.Remove(t.Context(), 0, 1), bridge.CodeUnavailable)
		b.Settle(p.jobs[0], bridge.Settlement{}, func(err error) { wantCode(t, "Settle", err, bridge.CodeUnavailable) })
		time.Sleep(time.Hour)
		wantTold(t, told)
	})
}

func TestQueueMisuse(t *testing.T) {
	for _, c := range []struct {
		name   string
		queues memory.Queues
		change func(p *bridge.Publication)
		want   bridge.Code
	}{
		{"a broker that cannot delay", memory.Queues{NoDelays: true}, func(*bridge.Publication) {}, bridge.CodeNoStream},
		{"no name", memory.Queues{}, func(p *bridge.Publication) { p.Name = "" }, bridge.CodeBadSubject},
		{"a name of two tokens", memory.Queues{}, func(p *bridge.Publication) { p.Name = "a.b" }, bridge.CodeBadSubject},
		{"a condition", memory.Queues{}, func(p *bridge.Publication) { p.Expect = new(uint64) }, bridge.CodeBadFrame},
		{"another slot", memory.Queues{}, func(p *bridge.Publication) { p.Slot = 0 }, bridge.CodeInternal},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, queues(c.queues))
			p := job(b, "jobs.a", "x")
			p.NotBefore, p.Name = time.Now().Add(time.Hour), "n"
			c.change(&p)
			_, err := publish(b, p)
			wantCode(t, "Publish", err, c.want)
		})
	}
	b := open(t, queues(memory.Queues{}))
	if got := (&puller{name: "p", told: new(told)}).endNow(b); got != "p.not_found" {
		t.Errorf("a pull from a queue that was never opened ended with %q", got)
	}
}

// endNow is end outside of a bubble, for what ends at once.
func (p *puller) endNow(b *memory.Broker) string {
	p.pull(b, bridge.PullRequest{Max: 1})
	return p.told.take()[0]
}

// A delayed job takes the place of the one before it with the same name.
func TestDelaySameName(t *testing.T) {
	inQueue(t, queues(memory.Queues{}), func(t *testing.T, b *memory.Broker, told *told) {
		for i, data := range []string{"first", "second"} {
			p := job(b, "jobs.a", data)
			p.NotBefore, p.Name = time.Now().Add(time.Duration(2-i)*time.Minute), "n"
			if _, err := publish(b, p); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		(&puller{name: "p", told: told}).pull(b, bridge.PullRequest{Max: 5})
		time.Sleep(pullWait)
		wantTold(t, told, "p:second", "p.done")
	})
}

// What a pull is told may ask again at once: neither deadlock nor recursion.
func TestPullInDone(t *testing.T) {
	b := open(t, queues(memory.Queues{}))
	if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
		t.Fatal(err)
	}
	const jobs = 10_000
	for range jobs {
		add(t, b, "x")
	}
	var count int
	var again func(error)
	r := &bridge.PullRequest{Subject: "jobs.a", Max: 1, Take: func(j *bridge.Job) {
		count++
		b.Settle(j, bridge.Settlement{How: bridge.SettleAck}, func(error) {})
	}}
	again = func(error) {
		if count < jobs {
			b.Pull(r)
		}
	}
	r.Done = again
	b.Pull(r)
	if count != jobs {
		t.Fatalf("%d jobs, want %d", count, jobs)
	}
}

// Done jobs must leave nothing behind.
func TestQueueMemory(t *testing.T) {
	b := open(t, queues(memory.Queues{MaxJobs: 10}))
	if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
		t.Fatal(err)
	}
	ack := func(j *bridge.Job) { b.Settle(j, bridge.Settlement{How: bridge.SettleAck}, func(error) {}) }
	for range 1000 {
		add(t, b, "x", "y")
		b.Pull(&bridge.PullRequest{Subject: "jobs.a", Max: 2, Take: ack, Done: func(error) {}})
	}
	if n := b.HeldJobs("jobs.a"); n != 0 {
		t.Errorf("%d jobs are held after all were done", n)
	}
}
