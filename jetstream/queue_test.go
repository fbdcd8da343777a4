package jetstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// queues are those of a test, with a lease that it does not wait for.
func queues(edit ...func(*jetstream.QueueOptions)) func(*jetstream.Options) {
	q := jetstream.QueueOptions{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: 20 * time.Second}
	for _, e := range edit {
		e(&q)
	}
	return func(o *jetstream.Options) { o.Queues = q }
}

func maxJobs(n int64) func(*jetstream.QueueOptions) {
	return func(q *jetstream.QueueOptions) { q.MaxJobs = n }
}

func lease(d time.Duration) func(*jetstream.QueueOptions) {
	return func(q *jetstream.QueueOptions) { q.Lease = d }
}

// job is a publication of a job.
func job(b *jetstream.Broker, subject, data string) *bridge.Publication {
	return &bridge.Publication{Slot: b.QueueStream().Slot, Subject: subject, Data: []byte(data), Owner: "ann"}
}

func openQueue(tb testing.TB, b *jetstream.Broker, subject string) {
	tb.Helper()
	if err := b.OpenQueue(tb.Context(), subject); err != nil {
		tb.Fatal(err)
	}
}

// pulled is what a pull has brought when it ended.
type pulled struct {
	jobs []*bridge.Job
	err  error
}

func startPull(b *jetstream.Broker, subject string, n int) <-chan pulled {
	var p pulled
	c := make(chan pulled, 1)
	b.Pull(&bridge.PullRequest{Subject: subject, Max: n, Take: func(j *bridge.Job) { p.jobs = append(p.jobs, j) },
		Done: func(err error) { p.err = err; c <- p }})
	return c
}

// within receives before the deadline of the tests.
func within[T any](tb testing.TB, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		tb.Fatal("not in time")
		panic("unreachable")
	}
}

// take pulls until there is a job.
func take(tb testing.TB, b *jetstream.Broker, subject string) *bridge.Job {
	tb.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		p := within(tb, startPull(b, subject, 1))
		if p.err != nil {
			tb.Fatal(p.err)
		}
		if len(p.jobs) > 0 {
			return p.jobs[0]
		}
	}
	tb.Fatal("no job came")
	panic("unreachable")
}

func settle(tb testing.TB, b *jetstream.Broker, j *bridge.Job, s bridge.Settlement) error {
	tb.Helper()
	c := make(chan error, 1)
	b.Settle(j, s, func(err error) { c <- err })
	return within(tb, c)
}

func hasCode(tb testing.TB, what string, err error, want bridge.Code) {
	tb.Helper()
	if !errors.Is(err, &bridge.Error{Code: want}) {
		tb.Errorf("%s: %v, want %s", what, err, want)
	}
}

// jobsHeld is how many jobs the queue stream holds.
func jobsHeld(tb testing.TB, b *jetstream.Broker) uint64 {
	tb.Helper()
	st, err := b.State(tb.Context(), b.QueueStream().Slot)
	if err != nil {
		tb.Fatal(err)
	}
	return st.Messages
}

// outside runs a NATS server that several brokers can share.
func outside(t *testing.T, edit ...func(*jetstream.Options)) (jetstream.Options, *server.Server) {
	t.Helper()
	srv := external(t, t.TempDir(), server.RANDOM_PORT)
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	o := options(t, edit...)
	o.URL = srv.ClientURL()
	return o, srv
}

func TestConsumerName(t *testing.T) {
	long := "jobs." + strings.Repeat("x", 60)
	seen := map[string]string{}
	for subject, want := range map[string]string{
		"jobs.resize":    "jw-jobs_resize",
		"jobs.eu.a-b.C9": "jw-jobs_eu_a-b_C9",
		"jobs.a_b":       "jw-4c288aef3dfc1eb8d87be36660af5e7d", // else as jobs.a.b
		"jobs.a.b":       "jw-jobs_a_b",
		"jobs.ä":         "jw-",
		"jobs.a/b":       "jw-",
		long:             "jw-",
		long[:61]:        "jw-" + strings.ReplaceAll(long[:61], ".", "_"),
		long[:62]:        "jw-",
	} {
		got := jetstream.ConsumerName(subject)
		if got != want && (want != "jw-" || len(got) != 35) || len(got) > 64 || strings.ContainsAny(got, "./ *>ä") {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q have the same name", subject, other)
		}
		seen[got] = subject
	}
}

func TestQueueTimes(t *testing.T) {
	for lease, want := range map[time.Duration]string{
		100 * time.Millisecond: "100ms 1.25s 1.45s",
		10 * time.Second:       "2.5s 1.25s 13.75s",
		30 * time.Second:       "5s 2s 37s",
		time.Hour:              "5s 2s 1h0m7s",
	} {
		pull, margin, ackWait := jetstream.QueueTimes(lease)
		if got := fmt.Sprint(pull, margin, ackWait); got != want {
			t.Errorf("%v: %s, want %s", lease, got, want)
		}
	}
}

// Gateways that start together make the same consumers; each job goes to one.
func TestQueueOfTwoBrokers(t *testing.T) {
	o, _ := outside(t, queues())
	list := []*jetstream.Broker{open(t, o), open(t, o)}
	var wg sync.WaitGroup
	for _, b := range append(list, list...) {
		wg.Go(func() {
			if err := b.OpenQueue(t.Context(), "jobs.a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	const jobs = 300
	var published []*bridge.Publication
	for i := range jobs {
		published = append(published, job(list[0], "jobs.a", fmt.Sprint(i)))
	}
	flood(t, list[0], published)
	var mu sync.Mutex
	seen := map[uint64]int{}
	for _, b := range list {
		wg.Go(func() {
			for done := false; !done; {
				p := within(t, startPull(b, "jobs.a", 7))
				if p.err != nil {
					t.Error(p.err)
					return
				}
				for _, j := range p.jobs {
					if err := settle(t, b, j, bridge.Settlement{}); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				for _, j := range p.jobs {
					seen[j.Event.Seq]++
				}
				done = len(seen) == jobs || len(p.jobs) == 0
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for seq, n := range seen {
		if n != 1 {
			t.Errorf("job %d was handed out %d times", seq, n)
		}
	}
	if len(seen) != jobs || jobsHeld(t, list[0]) != 0 {
		t.Errorf("%d jobs were handed out, %d are left", len(seen), jobsHeld(t, list[0]))
	}
}

// nats-server confirms a settlement that comes too late as if it were in time:
// it ends, or prolongs, the lease of whoever has the job now. That is why the
// bridge compares Job.Until first, and why Settle cannot report it.
func TestServerDoesNotFence(t *testing.T) {
	b := open(t, options(t, queues(lease(200*time.Millisecond))))
	openQueue(t, b, "jobs.a")
	publish(t, b, job(b, "jobs.a", "x"))
	first := take(t, b, "jobs.a")
	second := take(t, b, "jobs.a")
	if second.Delivered != first.Delivered+1 || !time.Now().After(first.Until) {
		t.Fatalf("the job came again as %+v, before it was %+v", second, first)
	}
	if err := settle(t, b, first, bridge.Settlement{How: bridge.SettleAck}); err != nil {
		t.Errorf("a late ack: %v", err)
	}
	if n := jobsHeld(t, b); n != 0 {
		t.Errorf("%d jobs after a late ack", n)
	}
	for how := bridge.SettleAck; how <= bridge.SettleTerm; how++ {
		if err := settle(t, b, second, bridge.Settlement{How: how}); err != nil {
			t.Errorf("settlement %d of a job that is gone: %v", how, err)
		}
	}
}

// A job that was given back comes at once also when the server restarts in
// between, as it does when a gateway gives back all its jobs and stops.
func TestNakOutlivesRestart(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		queues()(&o)
		b := open(t, o)
		openQueue(t, b, "jobs.a")
		publish(t, b, job(b, "jobs.a", "x"))
		j := take(t, b, "jobs.a")
		if err := settle(t, b, j, bridge.Settlement{How: bridge.SettleNak}); err != nil {
			t.Fatal(err)
		}
		shut(t, b)
		b = open(t, o)
		again := take(t, b, "jobs.a")
		if again.Delivered != 2 || time.Now().After(j.Until) {
			t.Errorf("it came again as %+v", again)
		}
	})
}

func TestQueueConsumer(t *testing.T) {
	o, _ := outside(t, queues())
	b := open(t, o)
	openQueue(t, b, "jobs.a")
	config := func() (got struct {
		Config struct {
			Description string            `json:"description"`
			Metadata    map[string]string `json:"metadata"`
			AckWait     time.Duration     `json:"ack_wait"`
			Inactive    time.Duration     `json:"inactive_threshold"`
			MaxDeliver  int               `json:"max_deliver"`
			MaxPending  int               `json:"max_ack_pending"`
		} `json:"config"`
	}) {
		m, err := b.Conn().Request("$JS.API.CONSUMER.INFO.JOBS.jw-jobs_a", nil, deadline)
		if err == nil {
			err = json.Unmarshal(m.Data, &got)
		}
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	c := config().Config
	if c.Description != "Jetway queue jobs.a" || c.Metadata["jetway-queue"] != "jobs.a" || c.AckWait != 27*time.Second || c.Inactive != 72*time.Hour || c.MaxDeliver != -1 || c.MaxPending != -1 {
		t.Errorf("%+v", c)
	}
	// Another lease is brought in line.
	queues(lease(time.Minute))(&o)
	other := open(t, o)
	openQueue(t, other, "jobs.a")
	if c := config().Config; c.AckWait != time.Minute+7*time.Second {
		t.Errorf("then %+v", c)
	}
	// So is what somebody has changed by hand.
	api(t, b.Conn(), "CONSUMER.CREATE.JOBS.jw-jobs_a.jobs.a", `{"stream_name":"JOBS","config":{"durable_name":"jw-jobs_a","name":"jw-jobs_a","filter_subject":"jobs.a","ack_policy":"explicit","ack_wait":67000000000,"max_deliver":3,"max_ack_pending":1,"backoff":[1000000000,2000000000]}}`)
	if c := config().Config; c.MaxDeliver != 3 || c.MaxPending != 1 {
		t.Fatalf("not changed: %+v", c)
	}
	openQueue(t, other, "jobs.a")
	if c := config().Config; c.AckWait != time.Minute+7*time.Second || c.MaxDeliver != -1 || c.MaxPending != -1 {
		t.Errorf("at last %+v", c)
	}
	// The jobs of a queue that somebody else takes.
	api(t, b.Conn(), "CONSUMER.CREATE.JOBS.theirs.jobs.b", `{"stream_name":"JOBS","config":{"durable_name":"theirs","name":"theirs","filter_subject":"jobs.b","ack_policy":"explicit"}}`)
	hasCode(t, "a queue of others", b.OpenQueue(t.Context(), "jobs.b"), bridge.CodeConflict)
}

// A consumer that is deleted ends its pulls, also those that come later, and
// settlements of its jobs are not confirmed.
func TestConsumerDeleted(t *testing.T) {
	b := open(t, options(t, queues()))
	hasCode(t, "a queue that was never opened", within(t, startPull(b, "jobs.a", 1)).err, bridge.CodeNotFound)
	openQueue(t, b, "jobs.a")
	publish(t, b, job(b, "jobs.a", "x"))
	j := take(t, b, "jobs.a")
	p := startPull(b, "jobs.a", 1)
	eventually(t, "the pull waits", func() bool {
		m, err := b.Conn().Request("$JS.API.CONSUMER.INFO.JOBS.jw-jobs_a", nil, deadline)
		return err == nil && strings.Contains(string(m.Data), `"num_waiting":1`)
	})
	api(t, b.Conn(), "CONSUMER.DELETE.JOBS.jw-jobs_a", "")
	hasCode(t, "a pull under way", within(t, p).err, bridge.CodeNotFound)
	hasCode(t, "a pull afterwards", within(t, startPull(b, "jobs.a", 1)).err, bridge.CodeNotFound)
	hasCode(t, "a settlement", settle(t, b, j, bridge.Settlement{}), bridge.CodeUnavailable)
	openQueue(t, b, "jobs.a")
	if again := take(t, b, "jobs.a"); again.Event.Seq != j.Event.Seq || again.Delivered != 1 {
		t.Errorf("then %+v", again)
	}
	api(t, b.Conn(), "STREAM.DELETE.JOBS", "")
	if got := within(t, startPull(b, "jobs.a", 1)).err; got == nil {
		t.Error("a pull without a stream ends well")
	}
	eventually(t, "not ready", func() bool { b.Mark(); return b.Ready() != nil })
}

// A stream of the queues that was made anew counts its jobs from 1 again. What
// is said of a job of the one before must not be taken for one of these.
func TestSettlementOfFormerStream(t *testing.T) {
	b := open(t, options(t, queues(lease(5*time.Second))))
	openQueue(t, b, "jobs.a")
	publish(t, b, job(b, "jobs.a", "old"))
	j := take(t, b, "jobs.a")
	api(t, b.Conn(), "STREAM.DELETE.JOBS", "")
	api(t, b.Conn(), "STREAM.CREATE.JOBS", `{"name":"JOBS","subjects":["jobs.*"],"retention":"workqueue","storage":"file","discard":"new","num_replicas":1}`)
	eventually(t, "the new stream is known", func() bool { b.Mark(); return b.QueueStream().Tag != j.Event.Stream.Tag })
	openQueue(t, b, "jobs.a")
	if r := publish(t, b, job(b, "jobs.a", "new")); r.err != nil || r.Seq != j.Event.Seq {
		t.Fatalf("%+v", r)
	}
	take(t, b, "jobs.a")
	hasCode(t, "an ack of the old job", settle(t, b, j, bridge.Settlement{}), bridge.CodeLeaseLost)
	if n := jobsHeld(t, b); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

// Close ends what waits, and what it gives up goes to others at once.
func TestCloseEndsAsks(t *testing.T) {
	o, _ := outside(t, queues())
	b, other := open(t, o), open(t, o)
	openQueue(t, b, "jobs.a")
	if _, err := b.Conn().Subscribe("svc.silent", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	var pulls []<-chan pulled
	for range 10 {
		pulls = append(pulls, startPull(b, "jobs.a", 3))
	}
	asked := make(chan error, 1)
	b.Request(&bridge.Request{Subject: "svc.silent", Wait: time.Minute}, func(_ *bridge.Event, err error) { asked <- err })
	shut(t, b)
	for _, p := range pulls {
		hasCode(t, "a pull under way", within(t, p).err, bridge.CodeUnavailable)
	}
	hasCode(t, "a request under way", within(t, asked), bridge.CodeUnavailable)
	hasCode(t, "a pull after Close", within(t, startPull(b, "jobs.a", 1)).err, bridge.CodeUnavailable)
	hasCode(t, "a settlement after Close", settle(t, b, &bridge.Job{Handle: "$JS.ACK.JOBS.jw-jobs_a.1.1.1.1.0"}, bridge.Settlement{}), bridge.CodeUnavailable)
	publish(t, other, job(other, "jobs.a", "x"))
	if j := take(t, other, "jobs.a"); j.Delivered != 1 {
		t.Errorf("the job was handed out to nobody %d times", j.Delivered-1)
	}
}

// A server that goes away ends pulls and settlements at once; afterwards all
// goes on, the mover of delayed jobs included.
func TestQueueServerRestart(t *testing.T) {
	dir := t.TempDir()
	srv := external(t, dir, server.RANDOM_PORT)
	port := srv.Addr().(*net.TCPAddr).Port
	o := options(t, queues())
	o.URL, o.Timeout = srv.ClientURL(), 5*time.Second // what a server that starts does not answer is asked again
	b := open(t, o)
	openQueue(t, b, "jobs.a")
	publish(t, b, job(b, "jobs.a", "1"))
	j := take(t, b, "jobs.a")
	p := job(b, "jobs.a", "2")
	p.NotBefore, p.Name = time.Now(), "n"
	if r := publish(t, b, p); r.err != nil {
		t.Fatal(r.err)
	}
	waits := startPull(b, "jobs.b", 1)
	srv.Shutdown()
	srv.WaitForShutdown()
	if got := within(t, waits); got.err == nil {
		t.Error("a pull ends well without a server")
	}
	eventually(t, "not ready", func() bool { return b.Ready() != nil })
	hasCode(t, "a pull", within(t, startPull(b, "jobs.a", 1)).err, bridge.CodeUnavailable)
	hasCode(t, "a settlement", settle(t, b, j, bridge.Settlement{}), bridge.CodeUnavailable)
	srv = external(t, dir, port)
	defer func() { shut(t, b); srv.Shutdown(); srv.WaitForShutdown() }()
	eventually(t, "ready again", func() bool { return b.Ready() == nil })
	eventually(t, "settled", func() bool { return settle(t, b, j, bridge.Settlement{}) == nil })
	if got := take(t, b, "jobs.a"); string(got.Event.Data) != "2" {
		t.Errorf("then %q", got.Event.Data)
	}
}

func TestOpenQueues(t *testing.T) {
	o := options(t, queues(maxJobs(10)))
	b := open(t, o)
	for i := range 8 {
		publish(t, b, job(b, "jobs.a", fmt.Sprint(i)))
	}
	tag := b.QueueStream().Tag
	shut(t, b)
	for _, c := range []struct {
		name string
		edit func(o *jetstream.Options)
		says []string // none: allowed
	}{
		{"more jobs", queues(maxJobs(20)), nil},
		{"no limit", queues(maxJobs(-1)), nil},
		{"fewer jobs", queues(maxJobs(8)), nil},
		{"too few jobs", queues(maxJobs(7)), []string{"JOBS", "jobs.a", "8", "max_jobs 7"}},
		{"other subjects", queues(func(q *jetstream.QueueOptions) { q.Subjects = []string{"work.*"} }), []string{"JOBS", "jobs.a"}},
		{"the name of an exposed stream", queues(func(q *jetstream.QueueOptions) { q.Stream = "EVENTS" }), []string{"EVENTS"}},
		{"the subjects of an exposed stream", queues(func(q *jetstream.QueueOptions) { q.Subjects = []string{"*.x"} }), []string{"EVENTS", "JOBS", "disjoint"}},
		{"a stream of events", func(o *jetstream.Options) {
			o.Streams = []jetstream.StreamConfig{{Name: "OTHER", Subjects: []string{"other.>"}}}
			queues(func(q *jetstream.QueueOptions) { q.Stream, q.Subjects = "EVENTS", []string{"events.>"} })(o)
		}, []string{"EVENTS", `"limits"`, `"workqueue"`, "another name"}},
		{"a queue as events", func(o *jetstream.Options) {
			o.Streams, o.Queues = []jetstream.StreamConfig{{Name: "JOBS", Subjects: []string{"jobs.*"}}}, jetstream.QueueOptions{}
		}, []string{"JOBS", `"workqueue"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			c.edit(&o)
			if len(c.says) > 0 {
				refused(t, o, c.says...)
				return
			}
			b := open(t, o)
			if b.QueueStream().Tag != tag || jobsHeld(t, b) != 8 {
				t.Errorf("%+v with %d jobs", b.QueueStream(), jobsHeld(t, b))
			}
			for i := range int64(14) {
				r := publish(t, b, job(b, "jobs.b", "x"))
				if most := o.Queues.MaxJobs; most > 0 && i >= most {
					hasCode(t, "one too many", r.err, bridge.CodeQueueFull)
				} else if r.err != nil {
					t.Fatal(r.err)
				}
			}
			api(t, b.Conn(), "STREAM.PURGE.JOBS", `{"filter":"jobs.b"}`)
			shut(t, b)
		})
	}
}
