package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// What a job costs: submitted, given to a worker that holds one at a time, and
// acked. Jetway does it, and two programs that use nats.go alone on the same
// server: one that does no more than that, and one that also stores the events
// (queued, active, done) that Jetway tells the job's watchers.

// jobProgram is one way to have jobs done, for one queue.
type jobProgram interface {
	// submit adds a job; stored is called when it is stored.
	submit(data []byte, stored func(error))
	// hire connects a worker that is given nothing yet.
	hire(t testing.TB) jobWorker
	// rest waits until all that is about the jobs is stored: how many were
	// submitted, and done.
	rest(t testing.TB, jobs int)
}

// jobWorker holds one job at a time.
type jobWorker interface {
	begin(ctx context.Context) error // to be given jobs
	next(ctx context.Context) ([]byte, error)
	settle(ctx context.Context) error // the job of the last next; returns when it is confirmed
}

// jetwayJobs are jobs of a gateway.
type jetwayJobs struct {
	node      *node
	queue     string
	submitter *client.Client
	workers   client.Options
	js        natsjs.JetStream
	before    uint64 // the last of JOB_EVENTS before the first job
}

func newJetwayJobs(t testing.TB, n *node, js natsjs.JetStream, name string) jobProgram {
	o := client.Options{Timeout: time.Minute}
	return &jetwayJobs{node: n, queue: "jobs." + name, submitter: dial(t, n, o), workers: o, js: js, before: lastOf(t, js, "JOB_EVENTS")}
}

func (p *jetwayJobs) submit(data []byte, stored func(error)) {
	err := p.submitter.PublishAsync(context.Background(), p.queue, data, client.PubOptions{}, func(_ client.Ack, err error) { stored(err) })
	if err != nil {
		stored(err)
	}
}

func (p *jetwayJobs) hire(t testing.TB) jobWorker {
	return &jetwayWorker{queue: p.queue, client: dial(t, p.node, p.workers)}
}

func (p *jetwayJobs) rest(t testing.TB, jobs int) {
	t.Helper()
	want := p.before + uint64(3*jobs)
	poll(t, "all events are stored", func() bool { return lastOf(t, p.js, "JOB_EVENTS") >= want })
	if got := lastOf(t, p.js, "JOB_EVENTS"); got != want {
		t.Errorf("%d events for %d jobs", got-p.before, jobs)
	}
}

type jetwayWorker struct {
	queue  string
	client *client.Client
	sub    *client.Sub
	lease  string
}

func (w *jetwayWorker) begin(ctx context.Context) (err error) {
	w.sub, err = w.client.Work(ctx, w.queue, 1)
	return err
}

func (w *jetwayWorker) next(ctx context.Context) ([]byte, error) {
	m, err := w.sub.Next(ctx)
	if err == nil && m.Kind != native.KindJob {
		err = fmt.Errorf("unexpected %+v", m)
	}
	if err == nil && m.Try != 1 {
		err = fmt.Errorf("the job %s is tried again", m.Data)
	}
	w.lease = m.Lease
	return m.Data, err
}

func (w *jetwayWorker) settle(ctx context.Context) error { return w.client.Ack(ctx, w.lease, nil) }

// plainJobs are jobs of a program that uses nats.go alone.
type plainJobs struct {
	nats     string
	subject  string
	events   string // prefix of the events' subjects; "" for none
	js       natsjs.JetStream
	failed   atomic.Pointer[error]
	consumer string
}

const (
	plainStream = "PLAIN"
	plainEvents = "PLAIN_EVENTS"
)

// newPlainJobs returns the maker of a plain program, with or without events.
func newPlainJobs(events bool) func(t testing.TB, n *node, js natsjs.JetStream, name string) jobProgram {
	return func(t testing.TB, n *node, js natsjs.JetStream, name string) jobProgram {
		t.Helper()
		p := &plainJobs{nats: n.nats, subject: "plain." + name, consumer: "plain-" + name}
		if events {
			p.events = "plain_events." + name + "."
		}
		p.js = p.connect(t)
		ctx := testContext(t)
		_, err := js.CreateOrUpdateStream(ctx, natsjs.StreamConfig{Name: plainStream, Subjects: []string{"plain.*"}, Retention: natsjs.WorkQueuePolicy})
		if err == nil {
			_, err = js.CreateOrUpdateStream(ctx, natsjs.StreamConfig{Name: plainEvents, Subjects: []string{"plain_events.>"}, MaxBytes: 1 << 30})
		}
		if err == nil {
			_, err = js.CreateConsumer(ctx, plainStream, natsjs.ConsumerConfig{Durable: p.consumer, FilterSubject: p.subject,
				AckPolicy: natsjs.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: -1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func (p *plainJobs) connect(t testing.TB) natsjs.JetStream {
	t.Helper()
	nc, err := nats.Connect(p.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc, natsjs.WithPublishAsyncMaxPending(1<<20), natsjs.WithDefaultTimeout(30*time.Second),
		natsjs.WithPublishAsyncErrHandler(func(_ natsjs.JetStream, _ *nats.Msg, err error) { p.failed.Store(&err) }))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (p *plainJobs) submit(data []byte, stored func(error)) {
	f, err := p.js.PublishAsync(p.subject, data)
	if err != nil {
		stored(err)
		return
	}
	go func() {
		select {
		case a := <-f.Ok():
			stored(p.tell(p.js, a.Sequence, "queued"))
		case err := <-f.Err():
			stored(err)
		}
	}()
}

// tell stores one of a job's events, without waiting for it.
func (p *plainJobs) tell(js natsjs.JetStream, seq uint64, state string) error {
	if p.events == "" {
		return nil
	}
	subject, data, o := p.event(seq, state)
	_, err := js.PublishAsync(subject, data, o...)
	return err
}

func (p *plainJobs) event(seq uint64, state string) (subject string, data []byte, o []natsjs.PublishOpt) {
	if state != "active" {
		o = append(o, natsjs.WithMsgID(fmt.Sprint(state, ":", seq)))
	}
	return fmt.Sprint(p.events, seq), []byte(`{"state":"` + state + `","try":1,"worker":"anonymous"}`), o
}

func (p *plainJobs) hire(t testing.TB) jobWorker { return &plainWorker{plainJobs: p, js: p.connect(t)} }

func (p *plainJobs) rest(t testing.TB, _ int) {
	t.Helper()
	if err := p.failed.Load(); err != nil {
		t.Error(*err)
	}
}

type plainWorker struct {
	*plainJobs
	js   natsjs.JetStream
	iter natsjs.MessagesContext
	msg  natsjs.Msg
	seq  uint64
}

// begin opens an iterator that asks for one message, and again when the next
// one is wanted.
func (w *plainWorker) begin(ctx context.Context) error {
	c, err := w.js.Consumer(ctx, plainStream, w.consumer)
	if err != nil {
		return err
	}
	w.iter, err = c.Messages(natsjs.PullMaxMessages(1))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, w.iter.Stop)
	return nil
}

func (w *plainWorker) next(ctx context.Context) ([]byte, error) {
	m, err := w.iter.Next(natsjs.NextContext(ctx))
	if err != nil {
		return nil, err
	}
	at, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	w.msg, w.seq = m, at.Sequence.Stream
	return m.Data(), w.tell(w.js, w.seq, "active")
}

func (w *plainWorker) settle(ctx context.Context) error {
	if w.events != "" {
		subject, data, o := w.event(w.seq, "done")
		if _, err := w.js.Publish(ctx, subject, data, o...); err != nil {
			return err
		}
	}
	return w.msg.DoubleAck(ctx)
}

func lastOf(t testing.TB, js natsjs.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(testContext(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

func jobData(i int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 100))
}

// submitAll submits so many jobs, at most a window of them unanswered, and
// returns when all are stored.
func submitAll(t testing.TB, p jobProgram, jobs int) time.Duration {
	t.Helper()
	window := make(chan struct{}, 1000)
	answers := make(chan error, jobs)
	begun := time.Now()
	for i := range jobs {
		window <- struct{}{}
		p.submit(jobData(i), func(err error) { <-window; answers <- err })
	}
	for range jobs {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(begun)
}

// jobCount checks that each of so many jobs is done once.
type jobCount struct {
	mu   sync.Mutex
	seen []int
	left int
	all  func()
}

// given notes a job; when the last is confirmed all is called.
func (c *jobCount) given(data []byte) error {
	var j struct{ N int }
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[j.N]++
	return nil
}

func (c *jobCount) confirmed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.all()
	}
}

// workOff has jobs that are queued done by so many workers, and returns how
// long it took from the first job that a worker got to the last confirmation.
func workOff(t testing.TB, p jobProgram, jobs, workers int) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var first, last time.Time
	begin := sync.OnceFunc(func() { first = time.Now() })
	count := &jobCount{seen: make([]int, jobs), left: jobs, all: func() { last = time.Now(); cancel() }}
	hired := make([]jobWorker, workers)
	for i := range hired {
		hired[i] = p.hire(t)
	}
	var wg sync.WaitGroup
	for _, w := range hired {
		wg.Go(func() {
			err := w.begin(ctx)
			for err == nil {
				var data []byte
				if data, err = w.next(ctx); err != nil {
					break
				}
				begin()
				if err = count.given(data); err == nil {
					err = w.settle(context.WithoutCancel(ctx))
				}
				if err == nil {
					count.confirmed()
				}
			}
			if ctx.Err() == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, natsjs.ErrMsgIteratorClosed) {
				t.Errorf("a worker: %v", err)
			}
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(count.seen, func(n int) bool { return n != 1 }); i >= 0 {
		t.Errorf("job %d was given to %d workers", i, count.seen[i])
	}
	p.rest(t, jobs)
	return last.Sub(first)
}

// pingPong has jobs done one at a time, with so many workers that wait, and
// returns how long each took from its submission to its worker, and until its
// end was confirmed.
func pingPong(t testing.TB, p jobProgram, jobs, workers int) (given, done []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	type end struct {
		given, done time.Time
		err         error
	}
	ends := make(chan end)
	var wg sync.WaitGroup
	for range workers {
		w := p.hire(t)
		if err := w.begin(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				_, err := w.next(ctx)
				e := end{given: time.Now()}
				if err == nil {
					err = w.settle(context.WithoutCancel(ctx))
				}
				e.done, e.err = time.Now(), err
				select {
				case ends <- e:
				case <-ctx.Done():
				}
			}
		})
	}
	stored := make(chan error, 1)
	for i := range jobs {
		begun := time.Now()
		p.submit(jobData(i), func(err error) { stored <- err })
		e := <-ends
		if err := errors.Join(e.err, <-stored); err != nil {
			t.Fatal(err)
		}
		given, done = append(given, e.given.Sub(begun)), append(done, e.done.Sub(begun))
	}
	cancel()
	wg.Wait()
	p.rest(t, jobs)
	return given, done
}

// busCount counts the messages on some subjects.
type busCount struct{ n atomic.Int64 }

func countBus(t testing.TB, nc *nats.Conn, filter string) *busCount {
	t.Helper()
	c := new(busCount)
	if _, err := nc.Subscribe(filter, func(*nats.Msg) { c.n.Add(1) }); err != nil {
		t.Fatal(err)
	}
	return c
}

// wireCount counts what one side of a connection writes, in calls.
type wireCount struct {
	net.Conn
	writes *atomic.Int64
}

func (c wireCount) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestJobCosts: each job is done once, and costs what it has to: how many
// messages it is on the bus, and how many times its worker writes.
func TestJobCosts(t *testing.T) {
	const jobs, workers = 400, 5
	n := startNode(t, nodeOptions{queues: true, gateway: patient})
	js := admin(t, n)
	nc := js.Conn()
	published := countBus(t, nc, "jobs.costs")
	told := countBus(t, nc, "jobs.events.costs.*")
	pulled := countBus(t, nc, "$JS.API.CONSUMER.MSG.NEXT.JOBS.jw-jobs_costs")
	settled := countBus(t, nc, "$JS.ACK.JOBS.jw-jobs_costs.>")
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	p := newJetwayJobs(t, n, js, "costs").(*jetwayJobs)
	writes := new(atomic.Int64)
	p.workers.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return wireCount{c, writes}, err
	}
	submitAll(t, p, jobs)
	workOff(t, p, jobs, workers)
	poll(t, "all is counted", func() bool { return settled.n.Load() >= jobs && told.n.Load() >= 3*jobs })
	if published.n.Load() != jobs || told.n.Load() != 3*jobs || settled.n.Load() != jobs {
		t.Errorf("%d jobs were %d publishes, %d events and %d settlements", jobs, published.n.Load(), told.n.Load(), settled.n.Load())
	}
	// As many as there were leases, at most, and those that were open at the end.
	if got := pulled.n.Load(); got > jobs+workers {
		t.Errorf("%d pulls for %d jobs and %d workers", got, jobs, workers)
	}
	// Handshake, work and goodbye are at most ten.
	if got := writes.Load(); got > jobs+10*workers {
		t.Errorf("workers wrote %d times for %d jobs", got, jobs)
	}
	stats := n.bridge.Stats()
	if stats.JobsGiven.Load() != jobs || stats.JobsDone.Load() != jobs || stats.JobsBounced.Load() != 0 || stats.LeasesLost.Load() != 0 {
		t.Errorf("given %d, done %d, bounced %d, lost %d", stats.JobsGiven.Load(), stats.JobsDone.Load(), stats.JobsBounced.Load(), stats.LeasesLost.Load())
	}
	t.Logf("%d jobs: %d pulls, %d writes", jobs, pulled.n.Load(), writes.Load())
}
