package brokertest

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var settleTests = []test{
	{name: "a job that nobody settles comes again, not before its time", run: testHoldEnds, queues: hasty, slow: true},
	{name: "nak", run: testNak, queues: calm},
	{name: "nak with a delay", run: testNakDelay, queues: calm, slow: true},
	{name: "wip", run: testWip, queues: hasty, slow: true},
	{name: "ack removes a job for good", run: func(r *rig) { testRemoves(r, bridge.SettleAck) }, queues: hasty, slow: true},
	{name: "term removes a job for good", run: func(r *rig) { testRemoves(r, bridge.SettleTerm) }, queues: hasty, slow: true},
	{name: "a late ack", run: testLateAck, queues: hasty, slow: true},
	{name: "a late nak", run: testLateNak, queues: hasty, slow: true},
	{name: "a job that is done", run: testSettleDone, queues: calm},
	{name: "many at once", run: testSettleMany, queues: calm},
}

// testHoldEnds is what leases rest on: whoever stops at Until never works on a
// job that another one has. So however late anything is here, a job must not
// come again before the Until of the time before.
func testHoldEnds(r *rig) {
	const jobs, rounds = 10, 3
	r.openQueue("jobs.a")
	r.add(jobs, "jobs.a")
	last := map[uint64]take{}
	for n := 0; n < jobs*rounds; {
		got := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 3}).wait()
		n += len(got)
		for _, t := range got {
			if before, again := last[t.Event.Seq]; again {
				r.fenced(t, before.Until)
				equal(r, "delivered", t.Delivered, before.Delivered+1)
			} else {
				equal(r, "delivered", t.Delivered, 1)
			}
			last[t.Event.Seq] = t
		}
	}
	equal(r, "jobs", len(last), jobs)
}

func testNak(r *rig) {
	r.openQueue("jobs.a")
	seqs := r.add(3, "jobs.a")
	for try := 1; try <= 3; try++ {
		got := r.one("jobs.a")
		equal(r, "the job that comes again first", got.Event.Seq, seqs[0])
		equal(r, "delivered", got.Delivered, try)
		r.settle(got.Job, bridge.Settlement{How: bridge.SettleNak})
	}
	same(r, "all jobs", jobSeqs(r.work("jobs.a", 3)), seqs)
}

func testNakDelay(r *rig) {
	const delay = time.Second
	r.openQueue("jobs.a")
	seqs := r.add(2, "jobs.a")
	first := r.one("jobs.a")
	began := time.Now()
	r.settle(first.Job, bridge.Settlement{How: bridge.SettleNak, Delay: delay})
	other := r.one("jobs.a")
	if other.Event.Seq == seqs[1] {
		r.ack(other)
		other = r.one("jobs.a")
	} else if time.Since(began) < delay {
		r.Errorf("job %d came at once", other.Event.Seq)
	}
	equal(r, "the job that comes again", other.Event.Seq, seqs[0])
	equal(r, "delivered", other.Delivered, 2)
	if d := other.at.Sub(began); d < delay*9/10 {
		r.Errorf("the job came again after %v, want %v", d, delay)
	}
}

// testWip holds a job much longer than its lease. When a slow machine was too
// late to keep it, nothing is proved, and it tries again.
func testWip(r *rig) {
	r.openQueue("jobs.a")
	r.add(1, "jobs.a")
	for end := time.Now().Add(deadline); ; {
		if time.Now().After(end) {
			r.Fatal("the machine is too slow for this test")
		}
		if r.heldOn(r.one("jobs.a"), 3*time.Second) {
			return
		}
	}
}

// heldOn keeps a job by wip for some time, and checks when it comes again. It
// returns false if it was too slow to keep it.
func (r *rig) heldOn(t take, long time.Duration) bool {
	r.Helper()
	p := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 1})
	until, start := t.Until, time.Now()
	for time.Since(start) < long {
		before := time.Now()
		r.settle(t.Job, bridge.Settlement{How: bridge.SettleWip})
		if time.Now().After(until) {
			p.wait()
			r.settle(t.Job, bridge.Settlement{How: bridge.SettleNak}) // whoever has it
			return false
		}
		until = before.Add(t.Hold)
		select {
		case <-p.news:
		case <-time.After(t.Hold / 8):
		}
		if got, ended, _ := p.soFar(); len(got) > 0 {
			r.fenced(got[0], until) // the machine slept, or the broker is wrong
			r.settle(got[0].Job, bridge.Settlement{How: bridge.SettleNak})
			return false
		} else if ended {
			p = r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 1})
		}
	}
	got := p.wait()
	if len(got) == 0 {
		got = r.work("jobs.a", 1)
	}
	r.fenced(got[0], until)
	equal(r, "delivered", got[0].Delivered, t.Delivered+1)
	return true
}

// fenced checks that a job that came again did so after the end of its hold.
func (r *rig) fenced(t take, until time.Time) {
	r.Helper()
	if !t.at.After(until) {
		r.Errorf("job %d came again %v before the hold had ended", t.Event.Seq, until.Sub(t.at))
	}
}

func testRemoves(r *rig, how bridge.SettleHow) {
	r.openQueue("jobs.a")
	r.add(3, "jobs.a")
	var until time.Time
	for range 3 {
		t := r.one("jobs.a")
		if string(t.Event.Data) == "2" { // also one that has come twice
			r.settle(t.Job, bridge.Settlement{How: bridge.SettleNak})
			t = r.one("jobs.a")
		}
		r.settle(t.Job, bridge.Settlement{How: how, Why: "broken for good"})
		until = t.Until
	}
	r.nothing("jobs.a", until.Add(time.Second))
}

// comesTwice lets the hold of a job end, and returns it as the first and the
// second worker have it.
func (r *rig) comesTwice() (first, second take) {
	r.Helper()
	r.openQueue("jobs.a")
	r.add(1, "jobs.a")
	first, second = r.one("jobs.a"), r.one("jobs.a")
	equal(r, "delivered", second.Delivered > first.Delivered, true)
	return first, second
}

// testLateAck: the broker does not fence, the bridge does.
func testLateAck(r *rig) {
	first, second := r.comesTwice()
	r.ack(first)
	r.nothing("jobs.a", second.Until.Add(time.Second))
	r.ack(second) // and is confirmed
}

func testLateNak(r *rig) {
	first, _ := r.comesTwice()
	r.settle(first.Job, bridge.Settlement{How: bridge.SettleNak})
	third := r.one("jobs.a")
	equal(r, "the job", third.Event.Seq, first.Event.Seq)
	r.ack(third)
}

// testSettleDone settles what is done: that changes nothing and is confirmed.
func testSettleDone(r *rig) {
	r.openQueue("jobs.a")
	seqs := r.add(2, "jobs.a")
	t := r.one("jobs.a")
	for _, how := range []bridge.SettleHow{
		bridge.SettleAck, bridge.SettleAck, bridge.SettleTerm, bridge.SettleNak, bridge.SettleWip,
	} {
		r.settle(t.Job, bridge.Settlement{How: how})
	}
	same(r, "the next job", jobSeqs(r.work("jobs.a", 1)), seqs[1:])
}

func testSettleMany(r *rig) {
	const jobs = 300
	r.openQueue("jobs.a")
	r.add(jobs, "jobs.a")
	done := make(chan error, jobs)
	for _, t := range r.work("jobs.a", jobs) {
		r.queues.Settle(t.Job, bridge.Settlement{How: bridge.SettleAck}, func(err error) { done <- err })
	}
	news := make(chan struct{})
	go func() {
		for range jobs {
			if err := <-done; err != nil {
				r.Errorf("Settle: %v", err)
			}
		}
		close(news)
	}()
	r.await(news, fmt.Sprintf("%d settlements to be confirmed", jobs))
	r.add(1, "jobs.a")
	same(r, "the next job", jobSeqs(r.work("jobs.a", 1)), []uint64{jobs + 1})
}
