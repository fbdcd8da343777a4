package brokertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// queuesWith returns the queues jobs.* with a lease, which is the time that a
// slow test waits and a job of any other test must not be held longer.
func queuesWith(lease time.Duration) *Queues {
	return &Queues{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: lease}
}

var (
	calm  = queuesWith(20 * time.Second) // no job comes again by itself
	hasty = queuesWith(time.Second)
)

// job makes a publication that adds a job to a queue.
func (r *rig) job(subject, data string) *bridge.Publication {
	p := to(subject, data)
	p.Slot = r.queues.QueueStream().Slot
	return p
}

// add adds n jobs to a queue in one go; the payload is the number of the job,
// from 1.
func (r *rig) add(n int, subject string) (seqs []uint64) {
	r.Helper()
	all := make([]*bridge.Publication, n)
	for i := range all {
		all[i] = r.job(subject, fmt.Sprint(i+1))
	}
	for i, got := range r.start(all...)() {
		r.ok(fmt.Sprint("adding job ", i+1), got.err)
		seqs = append(seqs, got.Seq)
	}
	return seqs
}

func (r *rig) openQueue(subjects ...string) {
	r.Helper()
	for _, subject := range subjects {
		r.ok("OpenQueue of "+subject, r.queues.OpenQueue(r.ctx, subject))
	}
}

// take is a job and when it was handed out.
type take struct {
	*bridge.Job
	at time.Time
}

// pulled is a pull that remembers what it is told, and checks what holds for
// every pull.
type pulled struct {
	r     *rig
	began time.Time
	req   bridge.PullRequest
	stop  func() // cancels it
	news  chan struct{}
	busy  atomic.Bool

	mu sync.Mutex
	// Guarded by mu.
	takes []take
	ended bool
	err   error
}

// pull starts a pull; its functions are set here.
func (r *rig) pull(req bridge.PullRequest) *pulled {
	p := &pulled{r: r, req: req, began: time.Now(), news: make(chan struct{}, 1)}
	p.req.Take, p.req.Done = p.take, p.done
	p.stop = r.queues.Pull(&p.req)
	return p
}

func (p *pulled) take(j *bridge.Job) {
	at := time.Now()
	p.enter("Take")
	defer p.busy.Store(false)
	p.check(j)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.takes = append(p.takes, take{j, at}); len(p.takes) > p.req.Max {
		p.r.Errorf("Take was called %d times, Max is %d", len(p.takes), p.req.Max)
	}
	if p.ended {
		p.r.Error("Take after Done")
	}
	p.tell()
}

func (p *pulled) check(j *bridge.Job) {
	e, s := j.Event, p.r.queues.QueueStream()
	if e == nil || e.Stream != s || e.Subject != p.req.Subject || e.Seq == 0 || e.Time.IsZero() {
		p.r.Errorf("Take: event %+v, want one of %s in %+v", e, p.req.Subject, s)
	}
	if j.Delivered < 1 {
		p.r.Errorf("Take: delivered %d times, want 1 or more", j.Delivered)
	}
	if !j.Until.After(p.began) || j.Hold <= 0 {
		p.r.Errorf("Take: held until %v, hold %v, pulled at %v", j.Until, j.Hold, p.began)
	}
}

func (p *pulled) done(err error) {
	p.enter("Done")
	defer p.busy.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		p.r.Error("Done was called twice")
	}
	p.ended, p.err = true, err
	p.tell()
}

func (p *pulled) enter(method string) {
	if p.busy.Swap(true) {
		p.r.Errorf("%s while another call has not returned", method)
	}
}

func (p *pulled) tell() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// soFar returns what has been taken, and whether the pull has ended.
func (p *pulled) soFar() (takes []take, ended bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takes[:len(p.takes):len(p.takes)], p.ended, p.err
}

// end waits for the end of the pull, up to the deadline.
func (p *pulled) end() (takes []take, ended bool, err error) {
	for late := time.After(deadline); ; {
		if takes, ended, err = p.soFar(); ended {
			return takes, ended, err
		}
		select {
		case <-p.news:
		case <-late:
			return p.soFar()
		}
	}
}

// wait waits for the end of the pull, which must be a good one, and returns
// what was taken.
func (p *pulled) wait() []take {
	p.r.Helper()
	takes, ended, err := p.end()
	if !ended {
		p.r.Fatal("timed out waiting for the end of a pull")
	}
	p.r.ok("Pull", err)
	return takes
}

// work pulls until n jobs have come.
func (r *rig) work(subject string, n int) (got []take) {
	r.Helper()
	for end := time.Now().Add(deadline); len(got) < n; {
		if time.Now().After(end) {
			r.Fatalf("timed out with %d jobs of %s, want %d", len(got), subject, n)
		}
		got = append(got, r.pull(bridge.PullRequest{Subject: subject, Max: n - len(got)}).wait()...)
	}
	return got
}

// one pulls until one job has come.
func (r *rig) one(subject string) take {
	r.Helper()
	return r.work(subject, 1)[0]
}

// nothing pulls until some time; no job may come.
func (r *rig) nothing(subject string, until time.Time) {
	r.Helper()
	for first := true; first || time.Now().Before(until); first = false {
		if got := r.pull(bridge.PullRequest{Subject: subject, Max: 1}).wait(); len(got) > 0 {
			r.Fatalf("%s: job %d came for the %dth time, want none", subject, got[0].Event.Seq, got[0].Delivered)
		}
	}
}

// settle settles a job and waits until the broker has confirmed it.
func (r *rig) settle(j *bridge.Job, s bridge.Settlement) {
	r.Helper()
	done := make(chan struct{})
	var (
		calls atomic.Int32
		err   error
	)
	r.queues.Settle(j, s, func(e error) {
		if calls.Add(1) > 1 {
			r.Error("Settle: done was called twice")
			return
		}
		err = e
		close(done)
	})
	r.await(done, "a settlement to be confirmed")
	r.ok("Settle", err)
}

func (r *rig) ack(all ...take) {
	r.Helper()
	for _, t := range all {
		r.settle(t.Job, bridge.Settlement{How: bridge.SettleAck})
	}
}

func jobSeqs(takes []take) []uint64 {
	seqs := make([]uint64, len(takes))
	for i, t := range takes {
		seqs[i] = t.Event.Seq
	}
	return seqs
}

func jobData(takes []take) []string {
	data := make([]string, len(takes))
	for i, t := range takes {
		data[i] = string(t.Event.Data)
	}
	return data
}
