package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// QueueOptions says how jobs are tried. The zero value is usable.
type QueueOptions struct {
	// Lease is how long a worker has for a job before it says wip or settles
	// it. 0 means 30 s. The broker has to be opened with the same.
	Lease time.Duration

	// MaxTries is how often a job is given to a worker before it becomes a
	// dead letter. 0 means 5.
	MaxTries int

	// Backoff is how long a job waits after its first, second, … failed try;
	// the last one holds for all others. Jittered by a quarter. Empty means
	// 1 s, 5 s, 30 s.
	Backoff []time.Duration

	// ResumeGrace is how long the jobs of a client whose socket is gone wait
	// for it to settle them over another one. 0 means not at all.
	ResumeGrace time.Duration
}

func (o QueueOptions) withDefaults() QueueOptions {
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.MaxTries <= 0 {
		o.MaxTries = 5
	}
	if len(o.Backoff) == 0 {
		o.Backoff = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
	}
	return o
}

// queues is the work on all queues that clients of this gateway do.
type queues struct {
	// Static after New.
	bridge *Bridge
	broker QueueBroker
	opts   QueueOptions

	queued queuedHere

	mu      sync.Mutex
	open    map[string]*queue // by subject; those with workers
	leases  map[string]*lease // by id
	bounced map[uint64]int    // by sequence: how often a job came here and no worker had it
	ending  int               // what the broker has not yet confirmed about jobs
	ended   sync.Cond         // ending is 0
	closing bool              // no more jobs are given out
	stopped bool
}

// newQueues returns nil when the broker keeps no queues.
func newQueues(b *Bridge) *queues {
	broker, ok := b.broker.(QueueBroker)
	if !ok || broker.QueueStream() == nil {
		return nil
	}
	qs := &queues{bridge: b, broker: broker, opts: b.opts.Queues.withDefaults(),
		open: make(map[string]*queue), leases: make(map[string]*lease), bounced: make(map[uint64]int)}
	qs.ended.L = &qs.mu
	return qs
}

// check returns why the streams around the queues are not complete.
func (qs *queues) check() error {
	for _, filter := range qs.broker.QueueStream().Subjects {
		for _, needed := range []string{DeadSubject(filter), JobEventsFilter(filter)} {
			if len(qs.bridge.scope(needed)) == 0 {
				return fmt.Errorf("bridge: queues %s need a stream that stores %s", filter, needed)
			}
		}
	}
	return nil
}

// isQueue reports whether jobs can be put on a subject.
func (b *Bridge) isQueue(subject string) bool {
	return b.queues != nil && b.queues.broker.QueueStream().covers(subject)
}

// onlyJobs reports whether nothing but jobs can match a filter.
func (b *Bridge) onlyJobs(filter string) bool {
	return b.queues != nil && slices.ContainsFunc(b.queues.broker.QueueStream().Subjects, func(s string) bool { return Within(filter, s) })
}

// noQueue is the refusal to work on what is no queue.
func (b *Bridge) noQueue(subject string) *Error {
	e := &Error{Code: CodeNoStream, Msg: fmt.Sprintf("%q is no queue", subject), Hint: "this server has no queues (queues.subjects)"}
	if b.queues != nil {
		e.Hint = "queues are the subjects of " + strings.Join(b.queues.broker.QueueStream().Subjects, ", ")
	}
	return e
}

// get returns the queue of a subject, which has to be opened.
func (qs *queues) get(subject string) *queue {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.open[subject]
	if q == nil {
		q = newQueue(qs, subject)
		q.stopped = qs.closing
		qs.open[subject] = q
	}
	q.users++
	return q
}

// use keeps a queue for a pull that is under way: what it brings is for those
// who work on the queue by then.
func (qs *queues) use(q *queue) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q.users++
}

// put is the end of one get or use.
func (qs *queues) put(q *queue) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(qs.open, q.subject)
	}
}

// randomLease returns 128 random bits: who knows a lease may settle it.
func randomLease() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (qs *queues) keep(l *lease) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.leases[l.id] = l
	qs.bridge.stats.Leases.Add(1)
}

func (qs *queues) forget(l *lease) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if _, ok := qs.leases[l.id]; ok {
		delete(qs.leases, l.id)
		qs.bridge.stats.Leases.Add(-1)
	}
}

func (qs *queues) find(id string) *lease {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.leases[id]
}

func (qs *queues) isStopped() bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.stopped
}

// maxBounced bounds the jobs whose bounces are remembered.
const maxBounced = 4096

// bounce notes that a job was handed to this gateway and to no worker.
func (qs *queues) bounce(seq uint64) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if len(qs.bounced) >= maxBounced {
		clear(qs.bounced)
	}
	qs.bounced[seq]++
}

// signalBounced is the name of the signal that a job was none of a gateway's
// workers': the gateway's id, then the sequence, big-endian. Without it the
// job would have lost a try, or its last, for those who get it next.
const signalBounced = "bounced"

// announceBounce tells all gateways, as far as they can hear it in time.
func (qs *queues) announceBounce(j *Job) {
	data := binary.BigEndian.AppendUint64([]byte(qs.bridge.id), j.Event.Seq)
	if err := qs.bridge.broker.Signal(signalBounced, data); err != nil {
		qs.bridge.logger.Debug("announcing a bounced job", "queue", j.Event.Subject, "error", err)
	}
}

func (qs *queues) heardBounce(data []byte) {
	id, seq := []byte(qs.bridge.id), data[max(len(data)-8, 0):]
	if len(data) == len(id)+8 && !bytes.HasPrefix(data, id) {
		qs.bounce(binary.BigEndian.Uint64(seq))
	}
}

func (qs *queues) bounces(seq uint64) int {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.bounced[seq]
}

// publish asks the broker, and has stop wait for the answer.
func (qs *queues) publish(p *Publication, done func(Receipt, error)) {
	qs.await()
	qs.bridge.broker.Publish(p, func(r Receipt, err error) {
		done(r, err)
		qs.confirmed()
	})
}

// settle asks the broker, and has stop wait for the answer.
func (qs *queues) settle(j *Job, s Settlement, done func(error)) {
	qs.await()
	qs.broker.Settle(j, s, func(err error) {
		done(err)
		qs.confirmed()
	})
}

func (qs *queues) await() {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.ending++
}

func (qs *queues) confirmed() {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.ending--; qs.ending == 0 {
		qs.ended.Broadcast()
	}
}

// EndWork gives out no more jobs, for good; those that workers have they may
// still settle. It is for a gateway that is about to close its clients: one
// after the other, a job of the first would be the next one's at once, and so
// on, which costs it all its tries.
func (b *Bridge) EndWork() {
	if b.queues != nil {
		b.queues.endWork()
	}
}

func (qs *queues) endWork() {
	qs.mu.Lock()
	qs.closing = true
	open := slices.Collect(maps.Values(qs.open))
	qs.mu.Unlock()
	for _, q := range open {
		q.stop()
	}
}

// stop gives back every job that is held here, and waits until the broker has
// them, or ctx ends: then it gives them out again when its own hold is over.
// Clients are closed by now, but leases may outlive them.
func (qs *queues) stop(ctx context.Context) {
	qs.mu.Lock()
	qs.stopped = true
	leases := slices.Collect(maps.Values(qs.leases))
	qs.mu.Unlock()
	qs.endWork()
	for _, l := range leases {
		l.end(endStop)
	}
	wake := context.AfterFunc(ctx, func() {
		qs.mu.Lock()
		defer qs.mu.Unlock()
		qs.ended.Broadcast()
	})
	defer wake()
	qs.mu.Lock()
	defer qs.mu.Unlock()
	for qs.ending > 0 && ctx.Err() == nil {
		qs.ended.Wait()
	}
}

// queuedHere remembers for which of the newest jobs this gateway itself has
// published that they are queued.
type queuedHere [4096]atomic.Uint64

func (q *queuedHere) add(seq uint64)      { q[seq%uint64(len(q))].Store(seq) }
func (q *queuedHere) has(seq uint64) bool { return q[seq%uint64(len(q))].Load() == seq }
