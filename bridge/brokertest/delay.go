package brokertest

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var delayTests = []test{
	{name: "a job comes not before its time, as it was", run: testDelay, queues: calm, slow: true},
	{name: "the time has passed", run: testDelayPast, queues: calm, slow: true},
	{name: "each at its time", run: testDelayOrder, queues: calm, slow: true},
	{name: "into a queue that is full", run: testDelayFull, slow: true,
		queues: &Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: 20 * time.Second, MaxJobs: 1}},
	{name: "an id", run: testDelayDedupe, queues: calm, slow: true},
}

// delayed makes a publication that adds a job later.
func (r *rig) delayed(subject, data, name string, at time.Time) *bridge.Publication {
	p := r.job(subject, data)
	p.NotBefore, p.Name = at, name
	return p
}

// delay adds jobs later, and checks that the receipts say so.
func (r *rig) delay(all ...*bridge.Publication) {
	r.Helper()
	for _, got := range r.start(all...)() {
		r.ok("publish with a delay", got.err)
		if got.Stream == nil || got.Stream.Tag == r.queues.QueueStream().Tag || got.Seq == 0 {
			r.Errorf("receipt %+v: want another stream than the queue's", got.Receipt)
		}
	}
}

func testDelay(r *rig) {
	r.openQueue("jobs.a")
	at := time.Now().Add(2 * time.Second)
	p := r.delayed("jobs.a", "later\r\n\x00", "n1", at)
	p.Head = []bridge.Field{{Name: "Jetway-User", Value: "ann"}, {Name: "X-Twice", Value: "2"}, {Name: "X-Twice", Value: "1"}}
	r.delay(p)
	r.publish(r.job("jobs.a", "now"))
	equal(r, "the first job", string(r.one("jobs.a").Event.Data), "now")
	t := r.one("jobs.a")
	if t.at.Before(at) {
		r.Errorf("the job came %v before its time", at.Sub(t.at))
	}
	equal(r, "payload", string(t.Event.Data), "later\r\n\x00")
	same(r, "headers", t.Event.Head, p.Head)
	equal(r, "delivered", t.Delivered, 1)
	r.ack(t)
	equal(r, "messages in the exposed stream", r.state().Messages, 0)
}

func testDelayPast(r *rig) {
	r.openQueue("jobs.a")
	r.delay(r.delayed("jobs.a", "1", "n1", time.Now()))
	equal(r, "the job", string(r.one("jobs.a").Event.Data), "1")
	r.delay(r.delayed("jobs.a", "2", "n2", time.Now().Add(-time.Hour)))
	equal(r, "the job", string(r.one("jobs.a").Event.Data), "2")
}

func testDelayOrder(r *rig) {
	r.openQueue("jobs.a", "jobs.b")
	now := time.Now()
	at := map[string]time.Time{}
	for i, after := range []time.Duration{10, 5, 0} {
		data := fmt.Sprint(int(after))
		at[data] = now.Add(after * time.Second)
		r.delay(r.delayed("jobs.a", data, fmt.Sprint("n", i), at[data]))
	}
	r.delay(r.delayed("jobs.b", "b", "n9", now))
	for _, want := range []string{"0", "5", "10"} {
		t := r.one("jobs.a")
		equal(r, "the job", string(t.Event.Data), want)
		if t.at.Before(at[want]) {
			r.Errorf("job %s came %v before its time", want, at[want].Sub(t.at))
		}
	}
	equal(r, "the other queue's job", string(r.one("jobs.b").Event.Data), "b")
}

func testDelayFull(r *rig) {
	r.openQueue("jobs.a")
	r.add(1, "jobs.a")
	now := time.Now()
	r.delay(r.delayed("jobs.a", "later", "n1", now), r.delayed("jobs.a", "even later", "n2", now.Add(time.Second)))
	first := r.one("jobs.a")
	equal(r, "the first job", string(first.Event.Data), "1")
	r.nothing("jobs.a", now.Add(3*time.Second))
	var data []string
	for range 2 {
		r.ack(first)
		first = r.one("jobs.a")
		data = append(data, string(first.Event.Data))
	}
	r.ack(first)
	if data[0] == data[1] {
		r.Errorf("jobs %q, want both", data)
	}
}

// testDelayDedupe: who repeats a delayed job because its receipt got lost must
// not add two.
func testDelayDedupe(r *rig) {
	r.openQueue("jobs.a")
	p := r.delayed("jobs.a", "1", "n1", time.Now().Add(time.Second))
	p.ID = "k"
	r.delay(p, r.delayed("jobs.a", "2", "n2", p.NotBefore.Add(3*time.Second)))
	got := r.start(p)()[0]
	r.ok("publish again", got.err)
	equal(r, "duplicate", got.Duplicate, true)
	for _, want := range []string{"1", "2"} {
		equal(r, "the job", string(r.one("jobs.a").Event.Data), want)
	}
}
