package bridge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// maxJobs bounds how many jobs a worker may hold.
const maxJobs = 1000

// worker is one client's work on one queue.
type worker struct {
	// Static after construction.
	sid    string
	client *Client
	queue  *queue
	max    int

	// Guarded by queue.mu.
	over   bool // gets no more jobs
	leases map[*lease]struct{}
}

// credit is how many more jobs the worker may be given; queue.mu is held.
func (w *worker) credit() int { return w.max - len(w.leases) }

// JobDelivery is one job on its way to a worker.
type JobDelivery struct {
	Event *Event
	SID   string // the work
	Lease string // by which it is settled; secret
	Try   int    // from 1
	For   time.Duration
	Pos   Position
}

// Work makes the client a worker on a queue, with at most max jobs that it has
// not settled; 0 means 1. answer is called once, before any job is written, to
// write the client's answer; it is not called on an error. [Client.Unsubscribe]
// ends it: no more jobs come, and those that did can still be settled.
//
// It returns an [Error]: bad_subject, bad_frame, forbidden, no_stream,
// rate_limited, unavailable.
func (c *Client) Work(ctx context.Context, subject string, max int, answer func(out *Output, sid string)) error {
	if max == 0 {
		max = 1
	}
	if err := c.checkWork(subject, max); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	qs := c.bridge.queues
	if err := qs.broker.OpenQueue(ctx, subject); err != nil {
		return err
	}
	w := &worker{client: c, max: max, leases: make(map[*lease]struct{})}
	w.queue = qs.get(subject)
	if err := c.employ(w, answer); err != nil {
		qs.put(w.queue)
		return err
	}
	w.queue.join(w)
	return nil
}

func (c *Client) checkWork(subject string, max int) error {
	if err := ValidSubject(subject); err != nil {
		if ValidFilter(subject) == nil {
			return &Error{Code: CodeBadSubject, Msg: "a worker works on one queue, not on a filter", Hint: `work on each queue by itself, as in {"work":"jobs.resize"}`}
		}
		return err
	}
	if err := c.who.Load().perms.allowWork(subject); err != nil {
		return err
	}
	switch {
	case !c.bridge.isQueue(subject):
		return c.bridge.noQueue(subject)
	case max < 0 || max > maxJobs:
		return &Error{Code: CodeBadFrame, Msg: fmt.Sprintf("max is not between 1 and %d", maxJobs), Hint: "it is how many jobs you work on at the same time"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roomLocked()
}

// employ makes the work known and queues its answer.
func (c *Client) employ(w *worker, answer func(*Output, string)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.finished {
		return ErrClosed
	}
	if err := c.who.Load().perms.allowWork(w.queue.subject); err != nil {
		return err // they have changed meanwhile
	}
	if err := c.roomLocked(); err != nil {
		return err
	}
	c.nextSID++
	w.sid = "s" + strconv.Itoa(c.nextSID)
	c.workers = append(c.workers, w)
	c.bridge.stats.Workers.Add(1)
	c.replyLocked(func(out *Output) { answer(out, w.sid) })
	return nil
}

// resign ends the work with this sid. It returns false when there is none.
func (c *Client) resign(sid string) bool {
	c.mu.Lock()
	i := slices.IndexFunc(c.workers, func(w *worker) bool { return w.sid == sid })
	var w *worker
	if i >= 0 {
		w = c.workers[i]
	}
	c.mu.Unlock()
	return w != nil && w.queue.retire(w)
}

// dismiss forgets a worker that has neither jobs nor a future.
func (c *Client) dismiss(w *worker) {
	c.mu.Lock()
	i := slices.Index(c.workers, w)
	if i >= 0 {
		c.workers = slices.Delete(c.workers, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		c.bridge.stats.Workers.Add(-1)
		c.bridge.queues.put(w.queue)
	}
}

// leaveQueues is the end of all work of a client that is gone.
func (c *Client) leaveQueues() {
	c.mu.Lock()
	workers, inherited := slices.Clone(c.workers), slices.Collect(maps.Keys(c.inherited))
	c.mu.Unlock()
	for _, w := range workers {
		w.queue.leave(w)
	}
	for _, l := range inherited {
		l.orphan(c)
		c.disinherit(l)
	}
}

// inherit makes a lease the client's that another socket of its user had, so that
// its job goes back when this one is gone. It returns false when it is.
func (c *Client) inherit(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.finished {
		return false
	}
	if c.inherited == nil {
		c.inherited = make(map[*lease]struct{})
	}
	c.inherited[l] = struct{}{}
	return true
}

// disinherit forgets a lease, if it was inherited.
func (c *Client) disinherit(l *lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inherited, l)
}

// maxJobBytes bounds the payloads of the jobs that a client holds, on all
// queues: each stays in memory until it is settled, as it may become a dead
// letter. One job more than that may be held.
const maxJobBytes = 16 << 20

// jobRoom reports whether the client may be given a job: its answers are being
// taken, and it does not hold too much. If not, whoever makes room says so.
func (c *Client) jobRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobRoomLocked()
}

func (c *Client) jobRoomLocked() bool {
	full := c.replySize() > replyBytes || c.jobBytes > maxJobBytes
	c.clogged = c.clogged || full
	return !full && !c.closed && !c.finished
}

// takeRoom takes room for the bytes of a job, if there is any. It looks and takes
// at once, as two queues may each have a job for the client at the same time.
func (c *Client) takeRoom(bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.jobRoomLocked() {
		return false
	}
	c.jobBytes += bytes
	return true
}

// freeRoom is the end of takeRoom: the client is rid of the job.
func (c *Client) freeRoom(bytes int) {
	c.mu.Lock()
	c.jobBytes -= bytes
	unclogged := c.clogged && c.jobBytes <= maxJobBytes
	if unclogged {
		c.clogged = false
	}
	c.mu.Unlock()
	if unclogged {
		c.unclogged()
	}
}

// unclogged has the client's queues look again, after its answers have left.
func (c *Client) unclogged() {
	c.mu.Lock()
	workers := slices.Clone(c.workers)
	c.mu.Unlock()
	for _, w := range workers {
		w.queue.advance()
	}
}

// isClosed reports whether the client's socket is gone.
func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.finished
}
