package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// lease is short to people and long to the machine: most tests run on fake
// time.
const testLease = 10 * time.Second

func queueOptions() bridge.Options {
	return bridge.Options{Queues: bridge.QueueOptions{Lease: testLease, MaxTries: 3, Backoff: []time.Duration{time.Second, 4 * time.Second}}}
}

// queueRig is a gateway over a broker with queues jobs.*.
func queueRig(t *testing.T, opts bridge.Options) *rig {
	t.Helper()
	broker, err := memory.New(memory.Options{
		Streams: []memory.Stream{
			{Name: "EVENTS", Subjects: []string{"events.>"}},
			{Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}},
			{Name: "DEAD", Subjects: []string{"dead.jobs.*"}},
		},
		Queues: memory.Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: opts.Queues.Lease, MaxJobs: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	return rigOn(t, broker, opts)
}

// inBubble runs a test on fake time.
func inBubble(t *testing.T, test func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, queueRig(t, queueOptions())) })
}

func work(t *testing.T, c *bridge.Client, queue string, max int) (sid string) {
	t.Helper()
	err := c.Work(context.Background(), queue, max, func(out *bridge.Output, got string) {
		out.Append('x')
		out.EndFrame()
		sid = got
	})
	if err != nil {
		t.Fatalf("work %q: %v", queue, err)
	}
	return sid
}

// settle settles a job and returns what the broker says.
func settle(t *testing.T, c *bridge.Client, r bridge.SettleRequest) error {
	t.Helper()
	done := make(chan error, 2)
	c.SettleJob(r, func(err error) { done <- err })
	return <-done
}

func ack(t *testing.T, c *bridge.Client, f frame) {
	t.Helper()
	if err := settle(t, c, bridge.SettleRequest{How: bridge.SettleAck, Lease: f.lease, Data: []byte(`{"ok":true}`)}); err != nil {
		t.Fatalf("ack of %s: %v", f.data, err)
	}
}

// add puts a job into a queue.
func add(t *testing.T, c *bridge.Client, r bridge.PublishRequest) bridge.PublishAnswer {
	t.Helper()
	a, err := tryAdd(c, r)
	if err != nil {
		t.Fatalf("publish %q: %v", r.Subject, err)
	}
	return a
}

func tryAdd(c *bridge.Client, r bridge.PublishRequest) (bridge.PublishAnswer, error) {
	type result struct {
		a   bridge.PublishAnswer
		err error
	}
	done := make(chan result, 1)
	c.Publish(r, func(a bridge.PublishAnswer, err error) { done <- result{a, err} })
	got := <-done
	return got.a, got.err
}

func job(data string) bridge.PublishRequest {
	return bridge.PublishRequest{Subject: "jobs.resize", Data: []byte(data)}
}

// jobs waits until a recorder has n jobs and returns them.
func (r *recorder) jobs(t *testing.T, n int) []frame {
	t.Helper()
	return ofKind(r.wait(t, fmt.Sprintf("%d jobs", n), func(all []frame) bool { return len(ofKind(all, "job")) >= n }), "job")
}

func (r *recorder) lost(t *testing.T, n int) []frame {
	t.Helper()
	return ofKind(r.wait(t, fmt.Sprintf("%d lost leases", n), func(all []frame) bool { return len(ofKind(all, "lost")) >= n }), "lost")
}

func ofKind(all []frame, kind string) []frame {
	return slices.DeleteFunc(slices.Clone(all), func(f frame) bool { return f.kind != kind })
}

// told is a job's event.
type told struct {
	State, Worker, In, Why, At string
	Try                        int
	Data                       json.RawMessage
}

// life returns the events on a subject, once there are n.
func life(t *testing.T, g *rig, watch string, n int) []told {
	t.Helper()
	c, r := g.connectAs(t, "watcher")
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: watch, From: "first"})
	var events []told
	for _, f := range r.waitEvents(t, a.SID, n) {
		var e told
		if err := json.Unmarshal([]byte(f.data), &e); err != nil {
			t.Fatalf("%s: %v", f.data, err)
		}
		events = append(events, e)
	}
	return events
}

func states(events []told) string {
	var s []string
	for _, e := range events {
		s = append(s, e.State)
	}
	return strings.Join(s, " ")
}

func wantCode(t *testing.T, what string, err error, code bridge.Code) {
	t.Helper()
	if !errors.Is(err, &bridge.Error{Code: code}) {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func TestJobIsDoneOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connectAs(t, "ann")
		w, r := g.connectAs(t, "bob")
		a := add(t, p, job(`{"n":1}`))
		if a.Pos == nil || a.Watch != fmt.Sprintf("jobs.events.resize.%d", a.Pos[0].Seq) {
			t.Errorf("answer %+v", a)
		}
		sid := work(t, w, "jobs.resize", 0)
		f := r.jobs(t, 1)[0]
		if f.sid != sid || f.subject != "jobs.resize" || f.data != `{"n":1}` || f.try != 1 || f.within != testLease || f.pos != a.Pos.String() || len(f.lease) < 22 {
			t.Errorf("job %+v", f)
		}
		ack(t, w, f)
		wantCode(t, "a second ack", settle(t, w, bridge.SettleRequest{How: bridge.SettleAck, Lease: f.lease}), bridge.CodeLeaseLost)
		events := life(t, g, a.Watch, 3)
		if states(events) != "queued active done" || events[1].Worker != "bob" || events[1].Try != 1 || string(events[2].Data) != `{"ok":true}` {
			t.Errorf("events %+v", events)
		}
		time.Sleep(10 * testLease) // of the bubble
		if n := len(r.jobs(t, 1)); n != 1 {
			t.Errorf("%d jobs", n)
		}
	})
}

// What a worker says of itself and its job is text, whatever is in it.
func TestJobEventsAreJSON(t *testing.T) {
	for _, text := range []string{"plain", "<&>", "\"quoted\\", "line\nline\x7f", "größer ✓", "\x00", "{}"} {
		inBubble(t, func(t *testing.T, g *rig) {
			w, r := g.connectAs(t, text)
			a := add(t, w, job("1"))
			work(t, w, "jobs.resize", 1)
			if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleNak, Lease: r.jobs(t, 1)[0].lease, Why: text, Delay: time.Second}); err != nil {
				t.Fatal(err)
			}
			if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleAck, Lease: r.jobs(t, 2)[1].lease, Data: []byte(text)}); err != nil {
				t.Fatal(err)
			}
			events := life(t, g, a.Watch, 5)
			if states(events) != "queued active retry active done" || events[1].Worker != text || events[2].Why != text || events[2].In != "1s" || events[4].Try != 2 {
				t.Errorf("%q: %+v", text, events)
			}
		})
	}
}

func TestCreditAndTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w1, r1 := g.connect(t)
		w2, r2 := g.connect(t)
		work(t, w1, "jobs.resize", 1)
		work(t, w2, "jobs.resize", 2)
		for i := range 5 {
			add(t, p, job(fmt.Sprint(i)))
		}
		first, second := r1.jobs(t, 1), r2.jobs(t, 2)
		synctest.Wait()
		if len(r1.jobs(t, 1)) != 1 || len(r2.jobs(t, 2)) != 2 {
			t.Error("somebody got more than its credit")
		}
		ack(t, w1, first[0])
		r1.jobs(t, 2)
		ack(t, w2, second[0])
		r2.jobs(t, 3)
		if given := g.Stats().JobsGiven.Load(); given != 5 {
			t.Errorf("%d jobs given", given)
		}
	})
}

func TestLeaseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		stalled, rs := g.connect(t)
		work(t, stalled, "jobs.resize", 1)
		a := add(t, p, job("1"))
		f := rs.jobs(t, 1)[0]
		other, ro := g.connect(t)
		work(t, other, "jobs.resize", 1)
		// The stalled worker has room again and may be given it first: it goes.
		sid := f.sid
		if err := stalled.Unsubscribe(sid); err != nil {
			t.Fatal(err)
		}
		if l := rs.lost(t, 1)[0]; l.lease != f.lease || l.why == "" {
			t.Errorf("lost %+v", l)
		}
		for _, how := range []bridge.SettleHow{bridge.SettleAck, bridge.SettleNak, bridge.SettleWip, bridge.SettleTerm} {
			wantCode(t, fmt.Sprint("late ", how), settle(t, stalled, bridge.SettleRequest{How: how, Lease: f.lease}), bridge.CodeLeaseLost)
		}
		again := ro.jobs(t, 1)[0]
		if again.try != 2 || again.lease == f.lease {
			t.Errorf("job %+v", again)
		}
		ack(t, other, again)
		if got := states(life(t, g, a.Watch, 5)); got != "queued active retry active done" {
			t.Error(got)
		}
	})
}

func TestWipKeepsTheLease(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		idle, ri := g.connect(t)
		work(t, w, "jobs.resize", 1)
		a := add(t, p, job("1"))
		f := r.jobs(t, 1)[0]
		work(t, idle, "jobs.resize", 1)
		for range 20 { // ten times the lease
			time.Sleep(testLease / 2)
			if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleWip, Lease: f.lease, Data: []byte(`{"percent":50}`)}); err != nil {
				t.Fatal(err)
			}
		}
		ack(t, w, f)
		if n := len(ofKind(ri.wait(t, "nothing", func([]frame) bool { return true }), "job")); n != 0 {
			t.Errorf("another worker got it %d times", n)
		}
		if got := states(life(t, g, a.Watch, 23)); got != "queued active "+strings.Repeat("progress ", 20)+"done" {
			t.Error(got)
		}
	})
}

func TestClosedSocketGivesJobsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		work(t, w, "jobs.resize", 3)
		for i := range 3 {
			add(t, p, job(fmt.Sprint(i)))
		}
		r.jobs(t, 3)
		other, ro := g.connect(t)
		work(t, other, "jobs.resize", 3)
		at := time.Now()
		r.close()
		w.Close()
		for _, f := range ro.jobs(t, 3) {
			if f.try != 2 {
				t.Errorf("job %+v", f)
			}
			ack(t, other, f)
		}
		if took := time.Since(at); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestResumeGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := queueOptions()
		o.Queues.ResumeGrace = 5 * time.Second
		g := queueRig(t, o)
		p, _ := g.connect(t)
		w, r := g.connectAs(t, "bob")
		work(t, w, "jobs.resize", 2)
		add(t, p, job("1"))
		add(t, p, job("2"))
		two := r.jobs(t, 2)
		r.close()
		w.Close()
		eve, _ := g.connectAs(t, "eve")
		wantCode(t, "another user", settle(t, eve, bridge.SettleRequest{How: bridge.SettleAck, Lease: two[0].lease}), bridge.CodeLeaseLost)
		time.Sleep(4 * time.Second)
		back, rb := g.connectAs(t, "bob")
		ack(t, back, two[0])
		work(t, back, "jobs.resize", 1)
		again := rb.jobs(t, 1)[0] // the other's grace is over
		if again.try != 2 || again.data != "2" {
			t.Errorf("job %+v", again)
		}
		ack(t, back, again)
	})
}

func TestNakBacksOff(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		work(t, w, "jobs.resize", 1)
		a := add(t, p, job("1"))
		f := r.jobs(t, 1)[0]
		at := time.Now()
		if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleNak, Lease: f.lease, Why: "busy"}); err != nil {
			t.Fatal(err)
		}
		r.jobs(t, 2)
		if took := time.Since(at); took < 750*time.Millisecond || took > 2*time.Second {
			t.Errorf("the backoff of 1s took %v", took)
		}
		at = time.Now()
		if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleNak, Lease: r.jobs(t, 2)[1].lease, Delay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		r.jobs(t, 3)
		if took := time.Since(at); took < time.Minute || took > 61*time.Second {
			t.Errorf("the delay of 1m took %v", took)
		}
		e := life(t, g, a.Watch, 4)[2]
		if e.State != "retry" || e.Why != "busy" || e.In == "" {
			t.Errorf("event %+v", e)
		}
	})
}

// A poison job ends in the dead letters, with its story, and can be put back.
func TestPoisonJob(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connectAs(t, "ann")
		w, r := g.connectAs(t, "bob")
		work(t, w, "jobs.resize", 1)
		req := job(`{"bad":1}`)
		req.Head = []bridge.Field{{Name: "Trace", Value: "abc"}}
		a := add(t, p, req)
		for try := 1; try <= 3; try++ {
			f := r.jobs(t, try)[try-1]
			if f.try != try {
				t.Errorf("try %d is %+v", try, f)
			}
			if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleNak, Lease: f.lease, Why: "no image\nat all"}); err != nil {
				t.Fatal(err)
			}
		}
		if got := states(life(t, g, a.Watch, 7)); got != "queued active retry active retry active dead" {
			t.Error(got)
		}
		letter := deadLetters(t, g, 1)[0]
		want := map[string]string{"Jetway-Queue": "jobs.resize", "Jetway-Job": fmt.Sprint(a.Pos[0].Seq), "Jetway-Tries": "3", "Jetway-Worker": "bob",
			"Jetway-Reason": "tried as often as it may; no image at all", "Trace": "abc", "Jetway-User": "ann"}
		for name, value := range want {
			if got := headOf(letter.Head, name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		if string(letter.Data) != `{"bad":1}` || letter.Subject != "dead.jobs.resize" {
			t.Errorf("dead letter %+v", letter)
		}
		pos := bridge.Position{{Tag: letter.Stream.Tag, Seq: letter.Seq}}.String()
		answer, err := ask(p, "dead.requeue", `{"pos":"`+pos+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ Pos, Watch string }
		if err := json.Unmarshal(answer.Data, &back); err != nil || back.Watch == a.Watch {
			t.Errorf("requeue answered %s: %v", answer.Data, err)
		}
		ack(t, w, r.jobs(t, 4)[3])
		if f := r.jobs(t, 4)[3]; f.try != 1 || f.data != `{"bad":1}` {
			t.Errorf("requeued as %+v", f)
		}
		if got := states(life(t, g, back.Watch, 3)); got != "queued active done" {
			t.Error(got)
		}
		_, err = ask(p, "dead.requeue", `{"pos":"`+pos+`"}`)
		wantCode(t, "requeue again", err, bridge.CodeNotFound)
	})
}

func TestTermAndDrop(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		work(t, w, "jobs.resize", 1)
		a := add(t, p, job("1"))
		if err := settle(t, w, bridge.SettleRequest{How: bridge.SettleTerm, Lease: r.jobs(t, 1)[0].lease, Why: "not an image"}); err != nil {
			t.Fatal(err)
		}
		if got := states(life(t, g, a.Watch, 3)); got != "queued active dead" {
			t.Error(got)
		}
		letter := deadLetters(t, g, 1)[0]
		if headOf(letter.Head, "Jetway-Reason") != "not an image" {
			t.Errorf("head %+v", letter.Head)
		}
		pos := bridge.Position{{Tag: letter.Stream.Tag, Seq: letter.Seq}}.String()
		if _, err := ask(p, "dead.drop", `{"pos":"`+pos+`"}`); err != nil {
			t.Fatal(err)
		}
		_, err := ask(p, "dead.drop", `{"pos":"`+pos+`"}`)
		wantCode(t, "drop again", err, bridge.CodeNotFound)
		for data, code := range map[string]bridge.Code{`{"pos":"` + a.Pos.String() + `"}`: bridge.CodeNotFound, `{}`: bridge.CodeBadFrame, `x`: bridge.CodeBadFrame, `{"pos":"?"}`: bridge.CodeBadPosition} {
			_, err := ask(p, "dead.drop", data)
			wantCode(t, data, err, code)
		}
	})
}

// Workers that vanish in each of its tries make a job a dead letter too.
func TestJobThatKillsItsWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		add(t, p, job("1"))
		for range 3 {
			w, r := g.connectAs(t, "victim")
			work(t, w, "jobs.resize", 1)
			r.jobs(t, 1)
			r.close()
			w.Close()
		}
		letter := deadLetters(t, g, 1)[0]
		if headOf(letter.Head, "Jetway-Tries") != "3" || headOf(letter.Head, "Jetway-Worker") != "victim" {
			t.Errorf("head %+v", letter.Head)
		}
	})
}

func TestQueueFullAndDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		late := job("late")
		late.Delay = time.Minute
		late.Key = "k"
		a := add(t, p, late)
		b := add(t, p, late)
		if !b.Duplicate || a.Watch != b.Watch || a.Watch == "" {
			t.Errorf("answers %+v and %+v", a, b)
		}
		for i := range 5 {
			add(t, p, job(fmt.Sprint(i)))
		}
		_, err := tryAdd(p, job("one too many"))
		wantCode(t, "one too many", err, bridge.CodeQueueFull)
		if bridge.ErrorOf(err).Retry <= 0 {
			t.Errorf("no retry: %v", err)
		}
		w, r := g.connect(t)
		begun := time.Now()
		work(t, w, "jobs.resize", 1)
		for i := range 6 {
			ack(t, w, r.jobs(t, i+1)[i])
		}
		if last := r.jobs(t, 6)[5]; last.data != "late" || time.Since(begun) < 50*time.Second {
			t.Errorf("%+v after %v", last, time.Since(begun))
		}
		events := life(t, g, a.Watch, 3)
		if states(events) != "queued active done" || events[0].At == "" {
			t.Errorf("events %+v", events)
		}
	})
}

func TestQueueRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		c, _ := g.connect(t)
		noWork := func(subject string, max int, code bridge.Code) {
			t.Helper()
			err := c.Work(context.Background(), subject, max, func(*bridge.Output, string) { t.Error("answered") })
			wantCode(t, "work "+subject, err, code)
		}
		noWork("events.a", 1, bridge.CodeNoStream)
		noWork("jobs.a.b", 1, bridge.CodeNoStream)
		noWork("jobs.*", 1, bridge.CodeBadSubject)
		noWork("jobs..a", 1, bridge.CodeBadSubject)
		noWork("jobs.a", 1_000_000, bridge.CodeBadFrame)
		noWork("$JS.API", 1, bridge.CodeForbidden)
		for _, filter := range []string{"jobs.resize", "jobs.*"} {
			err := c.Subscribe(context.Background(), bridge.SubscribeRequest{Filter: filter}, func(*bridge.Output, bridge.SubscribeAnswer) { t.Error("answered") })
			wantCode(t, "sub "+filter, err, bridge.CodeNoStream)
		}
		for what, r := range map[string]bridge.PublishRequest{
			"ttl":          {Subject: "jobs.a", TTL: time.Second},
			"if":           {Subject: "jobs.a", If: "x-1"},
			"two times":    {Subject: "jobs.a", Delay: time.Second, At: time.Now()},
			"a long delay": {Subject: "jobs.a", Delay: 366 * 24 * time.Hour},
		} {
			_, err := tryAdd(c, r)
			wantCode(t, what, err, bridge.CodeBadFrame)
		}
		_, err := tryAdd(c, bridge.PublishRequest{Subject: "events.a", Delay: time.Second})
		wantCode(t, "a delayed event", err, bridge.CodeNoStream)
		for _, s := range []string{"jobs.events.resize.1", "dead.jobs.resize"} {
			_, err := tryAdd(c, bridge.PublishRequest{Subject: s, Data: []byte("1")})
			wantCode(t, "pub "+s, err, bridge.CodeForbidden)
		}
		wantCode(t, "a lease of nobody", settle(t, c, bridge.SettleRequest{Lease: "x"}), bridge.CodeLeaseLost)
		wantCode(t, "a bad delay", settle(t, c, bridge.SettleRequest{How: bridge.SettleNak, Lease: "x", Delay: -1}), bridge.CodeBadFrame)
		wantCode(t, "a long why", settle(t, c, bridge.SettleRequest{How: bridge.SettleTerm, Lease: "x", Why: strings.Repeat("x", 2000)}), bridge.CodeBadFrame)
		stranger := g.Connect(bridge.ClientOptions{User: "eve", Encoder: newRecorder(), Transport: newRecorder()})
		defer stranger.Close()
		wantCode(t, "work without the right", stranger.Work(context.Background(), "jobs.a", 1, nil), bridge.CodeForbidden)
	})
}

// A lease is its client's: another one cannot settle it, even of the same user.
func TestForeignLease(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		work(t, w, "jobs.resize", 1)
		add(t, p, job("1"))
		f := r.jobs(t, 1)[0]
		wantCode(t, "foreign", settle(t, p, bridge.SettleRequest{Lease: f.lease}), bridge.CodeLeaseLost)
		ack(t, w, f)
	})
}

// A worker that does not take what is written to it is given nothing more, and
// what had come for it goes to others.
func TestStuckWorker(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		r.block(true)
		work(t, w, "jobs.resize", 5)
		big := job(strings.Repeat("x", 80<<10)) // one is above what may wait
		for range 5 {
			add(t, p, big)
		}
		synctest.Wait()
		if held := g.Stats().Leases.Load(); held > 2 { // one that waits, and one that is being written
			t.Errorf("a stuck worker holds %d jobs", held)
		}
		other, ro := g.connect(t)
		work(t, other, "jobs.resize", 5)
		for _, f := range ro.jobs(t, 3) {
			if f.try != 1 {
				t.Errorf("try %d", f.try)
			}
		}
		r.block(false)
		r.jobs(t, 1)
	})
}

// A client does not hold more than some bytes of jobs, on all its queues, and
// gets more when it has settled some.
func TestJobBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		work(t, w, "jobs.a", 5)
		work(t, w, "jobs.b", 5)
		large := strings.Repeat("x", 6<<20)
		for _, queue := range []string{"jobs.a", "jobs.b"} {
			for range 4 {
				add(t, p, bridge.PublishRequest{Subject: queue, Data: []byte(large)})
			}
		}
		time.Sleep(testLease / 2) // of the bubble
		for done := range 8 {
			synctest.Wait()
			if held := g.Stats().Leases.Load(); held > 3 {
				t.Errorf("%d jobs of 6 MiB are held", held)
			}
			ack(t, w, r.jobs(t, done+1)[done])
			time.Sleep(2 * time.Second)
		}
	})
}

// A job that comes after the last worker has left is not handed out in vain.
func TestNoJobForNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		p, _ := g.connect(t)
		w, r := g.connect(t)
		sid := work(t, w, "jobs.resize", 3)
		if err := w.Unsubscribe(sid); err != nil {
			t.Fatal(err)
		}
		gone, rg := g.connect(t)
		work(t, gone, "jobs.resize", 2)
		rg.close()
		gone.Close()
		add(t, p, job("1"))
		time.Sleep(time.Minute) // of the bubble
		if n := g.Stats().JobsBounced.Load(); n > 0 {
			t.Errorf("%d jobs were handed out for nobody", n)
		}
		work(t, w, "jobs.resize", 1)
		if f := r.jobs(t, 1)[0]; f.try != 1 {
			t.Errorf("try %d", f.try)
		}
	})
}

func TestRequestToService(t *testing.T) {
	inBubble(t, func(t *testing.T, g *rig) {
		c, _ := g.connectAs(t, "ann")
		stop := g.broker.Serve("svc.>", func(e *bridge.Event) *bridge.Event {
			switch {
			case e.Subject == "svc.echo" && headOf(e.Head, "Jetway-User") == "ann":
				return &bridge.Event{Data: e.Data, Head: e.Head}
			case e.Subject == "svc.fail":
				return &bridge.Event{Head: []bridge.Field{{Name: "Nats-Service-Error", Value: "no such user"}, {Name: "Nats-Service-Error-Code", Value: "404"}}}
			}
			return nil
		})
		defer stop()
		if e, err := ask(c, "svc.echo", `{"a":1}`); err != nil || string(e.Data) != `{"a":1}` {
			t.Errorf("echo: %v, %v", e, err)
		}
		_, err := ask(c, "svc.fail", "")
		wantCode(t, "fail", err, bridge.CodeService)
		if m := bridge.ErrorOf(err).Msg; m != "404: no such user" {
			t.Error(m)
		}
		_, err = ask(c, "svc.silent", "")
		wantCode(t, "silent", err, bridge.CodeTimeout)
		_, err = ask(c, "nobody.home", "")
		wantCode(t, "nobody", err, bridge.CodeNoResponders)
		for _, s := range []string{"events.a", "jobs.a", "a..b", "a.*"} {
			_, err = ask(c, s, "")
			wantCode(t, s, err, bridge.CodeBadSubject)
		}
		_, err = ask(c, "$SYS.REQ", "")
		wantCode(t, "system", err, bridge.CodeForbidden)
	})
}

func ask(c *bridge.Client, subject, data string) (*bridge.Event, error) {
	type result struct {
		e   *bridge.Event
		err error
	}
	done := make(chan result, 1)
	c.Request(bridge.Request{Subject: subject, Data: []byte(data)}, func(e *bridge.Event, err error) { done <- result{e, err} })
	got := <-done
	return got.e, got.err
}

// deadLetters waits for n dead letters.
func deadLetters(t *testing.T, g *rig, n int) []*bridge.Event {
	t.Helper()
	c, r := g.connectAs(t, "undertaker")
	a := subscribe(t, c, bridge.SubscribeRequest{Filter: "dead.>", From: "first"})
	var seqs []uint64
	for _, f := range r.waitEvents(t, a.SID, n) {
		p, err := bridge.ParsePosition(f.pos)
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, p[0].Seq)
	}
	letters, err := g.broker.ReadSeqs(context.Background(), 2, seqs)
	if err != nil || len(letters) != n {
		t.Fatalf("%d dead letters: %v", len(letters), err)
	}
	return letters
}

func headOf(head []bridge.Field, name string) string {
	for _, f := range head {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
