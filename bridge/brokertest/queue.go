package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var queueTests = []test{
	{name: "a broker without queues", run: testNoQueues},
	{name: "the stream of the queues", run: testQueueStream, queues: calm},
	{name: "what can be opened", run: testOpenQueue, queues: calm},
	{name: "jobs come in order", run: testJobsInOrder, queues: calm},
	{name: "a job is as it was published", run: testJobContent, queues: calm},
	{name: "a pull that waits gets what comes", run: testPullWaits, queues: calm},
	{name: "a pull ends when nothing comes", run: testPullEnds, queues: hasty, slow: true},
	{name: "a pull that is cancelled takes nothing any more", run: testPullCancel, queues: calm},
	{name: "not more than Max", run: testPullMax, queues: calm},
	{name: "about MaxBytes", run: testPullMaxBytes, queues: calm},
	{name: "a job goes to one of many pulls", run: testPullMany, queues: queuesWith(8 * time.Second), slow: true},
	{name: "two queues know nothing of each other", run: testTwoQueues, queues: hasty, slow: true},
	{name: "a full queue", run: testQueueFull, queues: fewJobs(3)},
	{name: "too many jobs in one go", run: testQueueFullAtOnce, queues: fewJobs(3)},
	{name: "an id is remembered after its job is done", run: testJobDedupe, queues: calm},
	{name: "an id is forgotten after the window", run: testJobDedupeWindow, slow: true,
		queues: &Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: time.Second, Dedupe: time.Second}},
	{name: "nobody listens to jobs", run: testJobsNotHeard, queues: calm},
	{name: "removing an event", run: testRemoveEvent, queues: calm},
	{name: "ended contexts", run: testQueueContext, queues: calm},
	{name: "everything is done in the end", run: testAllJobsDone, queues: hasty, slow: true},
}

// fewJobs are calm queues that hold few jobs.
func fewJobs(n int) *Queues {
	q := *calm
	q.MaxJobs = n
	return &q
}

func testNoQueues(r *rig) {
	equal(r, "the stream of the queues", r.queues.QueueStream(), nil)
	r.code("OpenQueue", r.queues.OpenQueue(r.ctx, "jobs.a"), bridge.CodeNoStream)
}

func testQueueStream(r *rig) {
	s := r.queues.QueueStream()
	if s == nil {
		r.Fatal("there is no stream of the queues")
	}
	equal(r, "name", s.Name, "JOBS")
	same(r, "subjects", s.Subjects, []string{"jobs.*"})
	equal(r, "number of exposed streams", len(r.Streams()), 1)
	if s.Slot == 0 || s.Slot == -1 || s.Tag == r.Streams()[0].Tag {
		r.Errorf("%+v is mistaken for another stream", s)
	}
	p, err := bridge.ParsePosition(bridge.Position{{Tag: s.Tag, Seq: 7}}.String())
	r.ok("a position with the tag", err)
	equal(r, "the tag in a position", p[0].Tag, s.Tag)
	for i, got := range r.start(r.job("jobs.a", "1"), r.job("jobs.b", "2"), r.job("jobs.a", "3"))() {
		r.ok("publish", got.err)
		equal(r, "the receipt", got.Receipt, bridge.Receipt{Stream: s, Seq: uint64(i + 1)})
	}
	equal(r, "the stream later", r.queues.QueueStream(), s)
	equal(r, "messages in the exposed stream", r.state().Messages, 0)
}

func testOpenQueue(r *rig) {
	r.openQueue("jobs.a", "jobs.b", "jobs.a", "jobs.ä", "jobs."+strings.Repeat("x", 200), "jobs.a-b_c=d", "jobs.A")
	for _, subject := range []string{"jobs", "jobs.a.b", "events.a", "live.a"} {
		r.code("OpenQueue of "+subject, r.queues.OpenQueue(r.ctx, subject), bridge.CodeNoStream)
	}
	// To open it again changes nothing of what is known of its jobs.
	r.add(1, "jobs.a")
	first := r.one("jobs.a")
	r.openQueue("jobs.a")
	r.settle(first.Job, bridge.Settlement{How: bridge.SettleNak})
	equal(r, "delivered", r.one("jobs.a").Delivered, 2)
}

func testJobsInOrder(r *rig) {
	seqs := r.add(10, "jobs.a")
	r.openQueue("jobs.a")
	got := r.work("jobs.a", 10)
	same(r, "sequences", jobSeqs(got), seqs)
	same(r, "jobs", jobData(got), []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"})
	for _, t := range got {
		equal(r, "delivered", t.Delivered, 1)
	}
	r.ack(got...)
}

func testJobContent(r *rig) {
	r.openQueue("jobs.a")
	payloads := [][]byte{nil, {0, 0xff, '\r', '\n'}, []byte(`{"n":1}`), bytes.Repeat([]byte("x"), 500_000)}
	for i, data := range payloads {
		p := r.job("jobs.a", "")
		p.Data, p.ID, p.Head = data, fmt.Sprint(i), []bridge.Field{
			{Name: "Jetway-User", Value: "ann"}, {Name: "X-Twice", Value: "2"}, {Name: "X-Twice", Value: "1"}, {Name: "x-lower", Value: ""},
		}
		before := time.Now()
		seq := r.publish(p)[0]
		e := r.one("jobs.a").Event
		equal(r, "sequence", e.Seq, seq)
		equal(r, fmt.Sprintf("payload %d is kept", i), bytes.Equal(e.Data, data), true)
		same(r, "headers", e.Head, p.Head)
		if d := e.Time.Sub(before); d < -time.Minute || d > time.Minute {
			r.Errorf("the job's time is off by %v", d)
		}
	}
}

func testPullWaits(r *rig) {
	r.openQueue("jobs.a")
	p := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 1})
	seqs := r.add(2, "jobs.a")
	got := p.wait()
	got = append(got, r.work("jobs.a", 2-len(got))...) // a slow machine may have been too late for it
	same(r, "jobs", jobSeqs(got), seqs)
}

func testPullEnds(r *rig) {
	r.openQueue("jobs.a", "jobs.b")
	var all []*pulled
	for i := range 6 {
		all = append(all, r.pull(bridge.PullRequest{Subject: []string{"jobs.a", "jobs.b"}[i%2], Max: i + 1}))
	}
	for _, p := range all {
		equal(r, "jobs in an empty queue", len(p.wait()), 0)
	}
	r.add(2, "jobs.a")
	// It gets what there is and does not wait for ever for more.
	got := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 1000}).wait()
	equal(r, "jobs", len(got) >= 2, true)
}

// A job that comes after nobody wants one any more has not been handed out.
func testPullCancel(r *rig) {
	r.openQueue("jobs.a")
	for range 3 {
		p := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 2})
		p.stop()
		if got := p.wait(); len(got) > 0 {
			r.Fatalf("an empty queue gave %d jobs", len(got))
		}
	}
	seqs := r.add(2, "jobs.a")
	got := r.work("jobs.a", 2)
	same(r, "jobs", jobSeqs(got), seqs)
	for _, j := range got {
		equal(r, "times handed out", j.Delivered, 1)
	}
	p := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 2})
	more := r.add(1, "jobs.a")
	r.poll("it has come", func() bool { got, _, _ := p.soFar(); return len(got) == 1 })
	p.stop()
	same(r, "jobs of a pull that ends half-way", jobSeqs(p.wait()), more)
}

func testPullMax(r *rig) {
	seqs := r.add(10, "jobs.a")
	r.openQueue("jobs.a")
	for _, n := range []int{1, 3, 1, 5} {
		got := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: n}).wait()
		same(r, "jobs", jobSeqs(got), seqs[:n])
		seqs = seqs[n:]
	}
}

func testPullMaxBytes(r *rig) {
	r.openQueue("jobs.small", "jobs.large")
	for range 20 {
		p := r.job("jobs.small", "")
		p.Data = make([]byte, 10_000)
		r.publish(p)
	}
	for left := 20; left > 0; {
		n := len(r.pull(bridge.PullRequest{Subject: "jobs.small", Max: left, MaxBytes: 50_000}).wait())
		if n < min(3, left) || n > 6 {
			r.Fatalf("%d jobs of 10,000 bytes with MaxBytes 50,000 and %d left, want about 5", n, left)
		}
		left -= n
	}
	for range 2 {
		p := r.job("jobs.large", "")
		p.Data = make([]byte, 100_000)
		r.publish(p)
	}
	for range 2 {
		got := r.pull(bridge.PullRequest{Subject: "jobs.large", Max: 2, MaxBytes: 50_000}).wait()
		equal(r, "jobs that are larger than MaxBytes", len(got), 1)
		equal(r, "bytes", len(got[0].Event.Data), 100_000)
	}
}

func testPullMany(r *rig) {
	const workers, jobs = 8, 200
	r.openQueue("jobs.a")
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seqs []uint64
	)
	count := func(got []take) (all int) {
		mu.Lock()
		defer mu.Unlock()
		seqs = append(seqs, jobSeqs(got)...)
		return len(seqs)
	}
	for w := range workers {
		wg.Go(func() {
			for end := time.Now().Add(deadline); time.Now().Before(end); {
				p := r.pull(bridge.PullRequest{Subject: "jobs.a", Max: w + 1})
				got, ended, err := p.end()
				if !ended || err != nil {
					r.Errorf("Pull: ended %v, %v", ended, err)
				}
				if count(got) >= jobs {
					return
				}
			}
		})
	}
	want := r.add(jobs, "jobs.a")
	wg.Wait()
	slices.Sort(seqs)
	same(r, "jobs that were handed out", seqs, want)
}

func testTwoQueues(r *rig) {
	r.openQueue("jobs.a", "jobs.b")
	a := r.add(3, "jobs.a")
	r.nothing("jobs.b", time.Now())
	b := r.add(2, "jobs.b")
	same(r, "jobs of b", jobSeqs(r.work("jobs.b", 2)), b)
	same(r, "jobs of a", jobSeqs(r.work("jobs.a", 3)), a)
}

func testQueueFull(r *rig) {
	r.openQueue("jobs.a", "jobs.b")
	r.add(3, "jobs.a")
	full := func(what string) {
		r.Helper()
		r.code(what, r.start(r.job("jobs.a", "x"))()[0].err, bridge.CodeQueueFull)
	}
	full("a fourth job")
	got := r.work("jobs.a", 3)
	full("a job while the others are handed out")
	r.add(3, "jobs.b")
	r.settle(got[0].Job, bridge.Settlement{How: bridge.SettleNak})
	full("a job after one was given back")
	r.settle(got[1].Job, bridge.Settlement{How: bridge.SettleAck})
	r.roomFor(r.job("jobs.a", "4"))
	full("a fourth job after one was done")
	r.settle(got[2].Job, bridge.Settlement{How: bridge.SettleTerm})
	r.roomFor(r.job("jobs.a", "5"))
	same(r, "jobs", jobData(r.work("jobs.a", 3)), []string{"1", "4", "5"})
}

// roomFor adds a job as soon as there is room.
func (r *rig) roomFor(p *bridge.Publication) {
	r.Helper()
	r.poll("there is room in the queue", func() bool {
		err := r.start(p)()[0].err
		if err != nil {
			r.code("publish", err, bridge.CodeQueueFull)
		}
		return err == nil
	})
}

// testQueueFullAtOnce mixes jobs that have room with others that have not:
// these must not harm those, however the broker sends them together.
func testQueueFullAtOnce(r *rig) {
	r.openQueue("jobs.a", "jobs.b")
	var all []*bridge.Publication
	for i := range 100 {
		all = append(all, r.job("jobs.a", fmt.Sprint(i+1)))
		if i%40 == 39 {
			all = append(all, r.job("jobs.b", fmt.Sprint(i+1)))
		}
	}
	stored := map[string][]uint64{}
	for i, got := range r.start(all...)() {
		if got.err != nil {
			r.code("publish", got.err, bridge.CodeQueueFull)
			equal(r, "the queue that is full", all[i].Subject, "jobs.a")
			continue
		}
		stored[all[i].Subject] = append(stored[all[i].Subject], got.Seq)
	}
	equal(r, "jobs stored in a", len(stored["jobs.a"]), 3)
	same(r, "jobs of a", jobSeqs(r.work("jobs.a", 3)), stored["jobs.a"])
	same(r, "jobs of b", jobSeqs(r.work("jobs.b", 2)), stored["jobs.b"])
}

func testJobDedupe(r *rig) {
	r.openQueue("jobs.a")
	p := r.job("jobs.a", "1")
	p.ID = "k"
	seq := r.publish(p)[0]
	again := func(when string) {
		r.Helper()
		got := r.start(p)()[0]
		r.ok("publish "+when, got.err)
		equal(r, "the receipt "+when, got.Receipt, bridge.Receipt{Stream: r.queues.QueueStream(), Seq: seq, Duplicate: true})
	}
	again("while the job waits")
	t := r.one("jobs.a")
	again("while the job is handed out")
	r.ack(t)
	again("when the job is done")
	other := r.job("jobs.a", "2")
	other.ID = "l"
	same(r, "the next job", r.publish(other), jobSeqs(r.work("jobs.a", 1)))
}

func testJobDedupeWindow(r *rig) {
	r.openQueue("jobs.a")
	p := r.job("jobs.a", "1")
	p.ID = "k"
	seq := r.publish(p)[0]
	r.poll("the id is forgotten", func() bool {
		got := r.start(p)()[0]
		r.ok("publish", got.err)
		equal(r, "duplicate means the same job", got.Duplicate, got.Seq == seq)
		return !got.Duplicate
	})
}

func testJobsNotHeard(r *rig) {
	l := r.listen(">")
	r.add(2, "jobs.a")
	r.send("live.end", "x")
	same(r, "heard by >", subjectsOf(l.until(1)), []string{"live.end"})
}

func testRemoveEvent(r *rig) {
	r.fill(4, "events.a", "events.b")
	r.ok("Remove", r.queues.Remove(r.ctx, 0, 3))
	for _, seq := range []uint64{3, 5, 99} {
		r.code(fmt.Sprint("Remove of ", seq, ", which does not exist"), r.queues.Remove(r.ctx, 0, seq), bridge.CodeNotFound)
	}
	events, lost := r.read(bridge.ReadRequest{MaxMessages: 10})
	same(r, "what is left", seqsOf(events), []uint64{1, 2, 4})
	equal(r, "holes that count as lost", len(lost), 0)
	r.ok("Remove of the newest", r.queues.Remove(r.ctx, 0, 4))
	same(r, "the next sequence", r.publish(to("events.a", "x")), []uint64{5})
}

func testQueueContext(r *rig) {
	r.fill(1, "events.a")
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for what, err := range map[string]error{
		"OpenQueue": r.queues.OpenQueue(ctx, "jobs.a"),
		"Remove":    r.queues.Remove(ctx, 0, 1),
	} {
		if err == nil {
			r.Errorf("%s with an ended context: no error", what)
		}
	}
	r.openQueue("jobs.a")
}

// testAllJobsDone has workers that do all that workers do, also nothing. Every
// job is done in the end, and none after it was.
func testAllJobsDone(r *rig) {
	const workers, jobs = 4, 30
	r.openQueue("jobs.a")
	seqs := r.add(jobs, "jobs.a")
	done := map[uint64]time.Time{} // when it was confirmed
	for end := time.Now().Add(2 * deadline); len(done) < jobs; {
		if time.Now().After(end) {
			r.Fatalf("timed out with %d jobs done, want %d", len(done), jobs)
		}
		var all []*pulled
		for range workers {
			all = append(all, r.pull(bridge.PullRequest{Subject: "jobs.a", Max: 10}))
		}
		for _, p := range all {
			for i, t := range p.wait() {
				if time.Now().After(t.Until) {
					continue // it may be another's by now
				}
				if when, ok := done[t.Event.Seq]; ok && t.at.After(when) {
					r.Errorf("job %d came after it was done", t.Event.Seq)
				}
				switch (int(t.Event.Seq) + t.Delivered + i) % 4 {
				case 0:
					r.settle(t.Job, bridge.Settlement{How: bridge.SettleNak})
				case 1:
					r.settle(t.Job, bridge.Settlement{How: bridge.SettleNak, Delay: 300 * time.Millisecond})
				case 2:
					r.settle(t.Job, bridge.Settlement{How: bridge.SettleAck})
					done[t.Event.Seq] = time.Now()
				}
			}
		}
	}
	for _, seq := range seqs {
		equal(r, fmt.Sprintf("job %d is done", seq), done[seq].IsZero(), false)
	}
}
