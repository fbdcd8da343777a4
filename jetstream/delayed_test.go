package jetstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// later is a publication of a delayed job.
func later(b *jetstream.Broker, subject, name string, after time.Duration) *bridge.Publication {
	p := job(b, subject, name)
	p.NotBefore, p.Name = time.Now().Add(after), name
	return p
}

// messages is how many messages a stream holds.
func messages(tb testing.TB, b *jetstream.Broker, name string) int {
	tb.Helper()
	m, err := b.Conn().Request("$JS.API.STREAM.INFO."+name, nil, deadline)
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(m.Data), `"messages":`)
	if !ok {
		tb.Fatalf("the stream %s: %s", name, m.Data)
	}
	var n int
	if _, err := fmt.Sscan(rest[:strings.IndexAny(rest, ",}")], &n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestCanSchedule(t *testing.T) {
	for version, want := range map[string]bool{"2.12.0": true, "2.15.2": true, "3.0.0": true, "2.12.0-RC.1": true, "2.11.4": false, "1.99.0": false, "": false} {
		if jetstream.CanSchedule(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}

// A delayed job outlives the broker, and one that is due while there is none
// comes as soon as there is.
func TestDelayedRestart(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		queues()(&o)
		b := open(t, o)
		openQueue(t, b, "jobs.a")
		at := time.Now().Add(5 * time.Second)
		// The one that is due at once is the last: then it gets a sequence of its own.
		for i, p := range []*bridge.Publication{later(b, "jobs.a", "late", time.Until(at)), later(b, "jobs.a", "never", time.Hour), later(b, "jobs.a", "soon", 0)} {
			p.Head = []bridge.Field{{Name: "Jetway-User", Value: p.Name}}
			r := publish(t, b, p)
			if r.err != nil || r.Stream.Name != "JOBS_DELAYED" || r.Seq != uint64(i+1) {
				t.Fatalf("delayed: %+v", r)
			}
		}
		shut(t, b)
		b = open(t, o)
		for _, want := range []string{"soon", "late"} {
			j := take(t, b, "jobs.a")
			if e := j.Event; string(e.Data) != want || len(e.Head) != 1 || e.Head[0].Value != want || e.Subject != "jobs.a" {
				t.Errorf("job %+v, want %q", e, want)
			}
			if want == "late" && time.Now().Before(at) {
				t.Errorf("%s came before its time", want)
			}
			if err := settle(t, b, j, bridge.Settlement{}); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "one is left", func() bool { return messages(t, b, "JOBS_DELAYED") == 1 })
	})
}

// What is due while its queue is full comes when there is room, and holds up
// no other queue.
func TestDueWhileFull(t *testing.T) {
	b := open(t, options(t, queues(maxJobs(2))))
	openQueue(t, b, "jobs.full")
	openQueue(t, b, "jobs.free")
	for i := range 2 {
		publish(t, b, job(b, "jobs.full", fmt.Sprint(i)))
	}
	for i := range 3 {
		if r := publish(t, b, later(b, "jobs.full", fmt.Sprint("n", i), 0)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	publish(t, b, later(b, "jobs.free", "free", 0))
	if j := take(t, b, "jobs.free"); string(j.Event.Data) != "free" {
		t.Errorf("the free queue has %q", j.Event.Data)
	}
	seen := map[string]bool{}
	for range 5 {
		j := take(t, b, "jobs.full")
		seen[string(j.Event.Data)] = true
		if err := settle(t, b, j, bridge.Settlement{}); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 5 {
		t.Errorf("jobs %v", seen)
	}
	eventually(t, "nothing is delayed any more", func() bool { return messages(t, b, "JOBS_DELAYED") == 0 })
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// A job that is due twice, as after a crash between the two, is stored once.
func TestDueTwice(t *testing.T) {
	b := open(t, options(t, queues()))
	openQueue(t, b, "jobs.a")
	due := func(scheduler, data string) {
		t.Helper()
		m := &nats.Msg{Subject: "jetway.due.jobs.a", Data: []byte(data), Header: nats.Header{}}
		if scheduler != "" {
			m.Header["Nats-Scheduler"], m.Header["Nats-Schedule-Next"] = []string{scheduler}, []string{"purge"}
		}
		answer, err := b.Conn().RequestMsg(m, deadline)
		if err != nil || containsError(string(answer.Data)) {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	due("jetway.delayed.n1", "1")
	due("jetway.delayed.n1", "1 again")
	due("jetway.delayed.n2", "2")
	due("", "by hand") // without a schedule each is a job of its own
	due("", "by hand")
	eventually(t, "all are moved", func() bool { return messages(t, b, "JOBS_DELAYED") == 0 })
	if n := jobsHeld(t, b); n != 4 {
		t.Errorf("%d jobs are stored", n)
	}
}

// The ttl of a delayed job begins when it is due.
func TestDelayedTTL(t *testing.T) {
	b := open(t, options(t, queues()))
	p := later(b, "jobs.a", "n", 0)
	p.TTL = 2 * time.Second
	if r := publish(t, b, p); r.err != nil {
		t.Fatal(r.err)
	}
	eventually(t, "the job is in its queue", func() bool { return jobsHeld(t, b) == 1 })
	eventually(t, "it expires", func() bool { return jobsHeld(t, b) == 0 })
}

func TestDelayRefuses(t *testing.T) {
	o := options(t, queues(func(q *jetstream.QueueOptions) { q.MaxDelayed = 2 }))
	b := open(t, o)
	none := uint64(0)
	for what, c := range map[string]struct {
		edit func(p *bridge.Publication)
		want bridge.Code
	}{
		"an exposed stream": {func(p *bridge.Publication) { p.Slot, p.Subject = 0, "events.a" }, bridge.CodeNoStream},
		"no stream":         {func(p *bridge.Publication) { p.Slot, p.Subject = -1, "svc.a" }, bridge.CodeNoStream},
		"no name":           {func(p *bridge.Publication) { p.Name = "" }, bridge.CodeBadSubject},
		"a name of two":     {func(p *bridge.Publication) { p.Name = "a.b" }, bridge.CodeBadSubject},
		"a wildcard":        {func(p *bridge.Publication) { p.Name = "*" }, bridge.CodeBadSubject},
		"a condition":       {func(p *bridge.Publication) { p.Expect = &none }, bridge.CodeBadFrame},
		"too big":           {func(p *bridge.Publication) { p.Data = make([]byte, 1<<20-100) }, bridge.CodeTooBig},
		"far too late":      {func(p *bridge.Publication) { p.NotBefore = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) }, bridge.CodeBadFrame},
	} {
		p := later(b, "jobs.a", "n", time.Hour)
		c.edit(p)
		hasCode(t, what, publish(t, b, p).err, c.want)
	}
	for i := range 2 {
		if r := publish(t, b, later(b, "jobs.a", fmt.Sprint("n", i), time.Hour)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	hasCode(t, "more than MaxDelayed", publish(t, b, later(b, "jobs.a", "n2", time.Hour)).err, bridge.CodeQueueFull)
	shut(t, b)
	b = open(t, o)
	hasCode(t, "after a restart", publish(t, b, later(b, "jobs.a", "n2", time.Hour)).err, bridge.CodeQueueFull)
	api(t, b.Conn(), "STREAM.PURGE.JOBS_DELAYED", "")
	eventually(t, "there is room", func() bool { b.Mark(); return publish(t, b, later(b, "jobs.a", "n3", time.Hour)).err == nil })
}

// Where the stream of delayed jobs cannot be made, jobs cannot be delayed; all
// else works.
func TestWithoutSchedules(t *testing.T) {
	o := options(t)
	b := open(t, o)
	// nats-server takes no schedules where it discards new messages.
	api(t, b.Conn(), "STREAM.CREATE.JOBS_DELAYED", `{"name":"JOBS_DELAYED","subjects":["jetway.delayed.*","jetway.due.>"],"retention":"workqueue","storage":"file","discard":"new","num_replicas":1}`)
	shut(t, b)
	queues()(&o)
	b = open(t, o)
	r := publish(t, b, later(b, "jobs.a", "n", 0))
	hasCode(t, "a delay", r.err, bridge.CodeNoStream)
	if r.err == nil || !strings.Contains(r.err.Error(), "JOBS_DELAYED") {
		t.Errorf("it does not say why: %v", r.err)
	}
	if r := publish(t, b, job(b, "jobs.a", "now")); r.err != nil {
		t.Error(r.err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}
