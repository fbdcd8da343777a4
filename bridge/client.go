package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what waits for one client. Whatever it does, it costs no more.
const (
	queueEvents  = 128       // references to events
	queueBytes   = 256 << 10 // and the bytes that they hold on to
	replyBytes   = 64 << 10  // answers: above it, no more requests are read
	inflightMost = 1024      // settlements without an answer, likewise
)

// roomWithin is how long a request waits for the answers to others, before it
// is refused. A broker that is only busy so slows its publishers down, one that
// does not answer does not keep their connections from being read.
const roomWithin = time.Second

// ErrClosed is returned by a client's methods after Close or Finish, or after
// its transport has failed.
var ErrClosed = errors.New("bridge: client closed")

// ClientOptions says who is connected and how to reach it.
type ClientOptions struct {
	User             string       // see [Client.Become]
	Permissions      *Permissions // see [Client.SetPermissions]; nil: nothing is allowed
	Encoder          Encoder
	Transport        Transport
	MaxSubscriptions int         // at once; 0 means 100. Each costs memory and matching
	MaxInflight      int         // publications and requests without an answer; 0 means 4,096. Each holds its payload
	Failed           func(error) // called once when writing failed; must end the reading of requests
}

// Client is one connected socket. Its methods may be called concurrently,
// but subscriptions keep the order of calls only if one goroutine makes them.
//
// A client has no goroutine of its own: the bridge's crew writes for it when
// there is something to write.
type Client struct {
	// Static after Connect.
	bridge      *Bridge
	shard       *shard
	encoder     Encoder
	transport   Transport
	failed      func(error) // nil: nobody wants to know
	maxSubs     int
	maxInflight int

	who atomic.Pointer[authority] // stored with mu held

	mu        sync.Mutex
	changed   sync.Cond       // replies written, publication answered, writer ended, or closed
	replies   *Output         // whole frames, to be written before anything else; nil when there are none
	queue     *refQueue       // live events, nil when there are none
	subs      []*Subscription // oldest first
	heir      *succession     // not nil: a bundle is to take another's place
	nextSID   int
	inflight  int // what the broker or a service is to answer
	asked     int // of that, what Room let in: publications and requests
	workers   []*worker
	jobBytes  int                 // of the jobs that it holds
	inherited map[*lease]struct{} // from sockets that are gone
	clogged   bool                // a job did not find room; the writer has to say when there is some
	turn      int                 // which subscription that is behind comes first
	writing   bool                // the crew has it, in its queue or at work
	finished  bool                // its last frames are queued
	closed    bool

	following *Client // in the crew's queue, and guarded by the crew
}

// ref is an event on its way to one subscription.
type ref struct {
	sub   *Subscription
	event *Event
}

// refQueue is the short queue of a client. Idle clients have none; most others
// have a few references, so it starts small: with 10,000 clients on one
// subject the memory that is touched per event decides.
type refQueue struct {
	refs  []ref
	bytes int
}

const queueSmall = 8

var (
	smallQueues = sync.Pool{New: func() any { return &refQueue{refs: make([]ref, 0, queueSmall)} }}
	largeQueues = sync.Pool{New: func() any { return &refQueue{refs: make([]ref, 0, queueEvents)} }}
)

func (q *refQueue) full(e *Event) bool {
	return q != nil && (len(q.refs) == queueEvents || q.bytes+e.size() > queueBytes)
}

// push adds a reference and returns the queue, which may be another one now.
func (q *refQueue) push(sub *Subscription, e *Event) *refQueue {
	if q == nil {
		q = smallQueues.Get().(*refQueue)
	} else if len(q.refs) == queueSmall {
		large := largeQueues.Get().(*refQueue)
		large.refs, large.bytes = append(large.refs, q.refs...), q.bytes
		q.free()
		q = large
	}
	q.refs = append(q.refs, ref{sub, e})
	q.bytes += e.size()
	return q
}

func (q *refQueue) free() {
	clear(q.refs)
	q.refs, q.bytes = q.refs[:0], 0
	if cap(q.refs) == queueSmall {
		smallQueues.Put(q)
	} else {
		largeQueues.Put(q)
	}
}

// offer hands a live event to a subscription of this client. When there is no
// room or no credit for it, the subscription falls behind: what is queued will
// be written, and the writer reads on from the log when it has the time.
func (c *Client) offer(sub *Subscription, e *Event) {
	sub = sub.whole()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case sub.phase != live || e.Stream != nil && !sub.reads(e.Stream.Slot):
	case e.Stream == nil && c.queue.full(e):
		c.bridge.stats.DroppedCore.Add(1)
	case sub.starved(), c.queue.full(e):
		c.fallBehindLocked(sub, e.index-1, mark{e.Stream, e.Seq - 1})
	default:
		c.queue = c.queue.push(sub, e)
		if sub.max > 0 {
			sub.owed++
		}
		c.wakeLocked()
	}
}

// fallBehind makes a live subscription catch up by itself from a log index on,
func (c *Client) fallBehind(sub *Subscription, cursor uint64, passed ...mark) {
	sub = sub.whole()
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.phase == live {
		c.fallBehindLocked(sub, cursor, passed...)
	}
}

func (c *Client) fallBehindLocked(sub *Subscription, cursor uint64, passed ...mark) {
	sub.phase, sub.cursor, sub.sought = behind, cursor, true
	sub.lapsed = append(sub.lapsed[:0], passed...)
	c.bridge.stats.FellBehind.Add(1)
	c.wakeLocked()
}

// wakeLocked has the crew write for the client, unless it is about to.
func (c *Client) wakeLocked() {
	if !c.writing && !c.closed {
		c.writing = true
		c.bridge.crew.add(c)
	}
}

var outputs = sync.Pool{New: func() any { return new(Output) }}

// Reply queues whole frames, made by fn, before any event that is not yet
// being written. It does not block; see [Client.Ready].
func (c *Client) Reply(fn func(out *Output)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyLocked(fn)
}

func (c *Client) replyLocked(fn func(out *Output)) {
	if c.closed || c.finished {
		return
	}
	if c.replies == nil {
		c.replies = outputs.Get().(*Output)
	}
	fn(c.replies)
	c.wakeLocked()
}

func (c *Client) replySize() int {
	if c.replies == nil {
		return 0
	}
	return c.replies.Size()
}

// Ready waits until the client has room for more requests: its answers are
// being taken, and not too many settlements wait for theirs. A reader calls
// it before each request, so that a client that asks and does not listen fills
// its own socket and nothing here.
func (c *Client) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && !c.finished && (c.replySize() > replyBytes || c.inflight-c.asked >= inflightMost) {
		c.changed.Wait()
	}
	if c.closed || c.finished {
		return ErrClosed
	}
	return nil
}

// Room is called before a publication or a request. It waits, for a second at
// most, until not too many are without an answer, or refuses it.
func (c *Client) Room() error {
	free := func() bool { return c.finished || c.asked < c.maxInflight }
	c.mu.Lock()
	ok := free()
	c.mu.Unlock()
	if ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), roomWithin)
	defer cancel()
	if c.await(ctx, free) == nil {
		return nil
	}
	return OverLimit(LimitInflight, fmt.Sprintf("%d publishes and requests are without an answer", c.maxInflight),
		"wait for answers, and for retry", time.Second)
}

// Settle waits until what the client has asked of the broker is answered, or
// ctx ends. Requests that it makes meanwhile are let in.
func (c *Client) Settle(ctx context.Context) {
	_ = c.await(ctx, func() bool { return c.inflight == 0 }) // a deadline is an end, too
}

// Flush waits until all answers have been written and all publications
// answered, ctx ends, or the client is closed.
func (c *Client) Flush(ctx context.Context) error {
	return c.await(ctx, func() bool { return c.replies == nil && c.inflight == 0 && !c.writing })
}

// await waits until ok, which is called with c.mu held, is true, or the client
// is closed.
func (c *Client) await(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && ctx.Err() == nil && !ok() {
		c.changed.Wait()
	}
	return ctx.Err()
}

// Close ends all subscriptions, gives back the jobs that the client has, stores
// what durables have seen, and returns
// when the writer has ended; the transport must have been closed before, or
// Close waits for the writer's deadline. It may be called more than once.
func (c *Client) Close() {
	c.mu.Lock()
	c.closeLocked()
	subs := c.subs
	c.subs = nil
	for c.writing {
		c.changed.Wait()
	}
	c.mu.Unlock()
	c.leaveQueues()
	c.bridge.dropAll(subs)
	c.bridge.forget(c)
}

// Finish ends all subscriptions and queues the client's last frames, after
// which nothing is queued any more, nor any request let in by Ready.
func (c *Client) Finish(last func(out *Output)) {
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	for _, sub := range subs {
		sub.end()
	}
	if c.queue != nil {
		c.queue.free()
		c.queue = nil
	}
	c.replyLocked(last)
	c.finished = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.leaveQueues()
	c.bridge.dropAll(subs)
}

func (c *Client) closeLocked() {
	if c.closed {
		return
	}
	c.closed = true
	for _, sub := range c.subs {
		sub.end()
	}
	if c.queue != nil {
		c.queue.free()
		c.queue = nil
	}
	c.replies = nil
	c.changed.Broadcast()
}

// fail is called by the writer when the transport does not take any more.
func (c *Client) fail(err error) {
	c.mu.Lock()
	was := c.closed
	c.closeLocked()
	c.mu.Unlock()
	if !was && c.failed != nil {
		c.failed(err)
	}
}

// asks counts a request whose answer is the broker's to give, so that Ready
// bounds how many there are; asked is 1 for those that Room bounds, else 0. It
// returns the function that takes the answer.
func (c *Client) asks(asked int, answer func(error)) func(error) {
	c.mu.Lock()
	c.inflight++
	c.asked += asked
	c.mu.Unlock()
	return func(err error) {
		answer(err)
		c.mu.Lock()
		c.inflight--
		c.asked -= asked
		c.changed.Broadcast()
		c.mu.Unlock()
	}
}

// remove takes a subscription out. It returns false when it was out already.
func (c *Client) remove(sub *Subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removeLocked(sub)
}

func (c *Client) removeLocked(sub *Subscription) bool {
	i := slices.Index(c.subs, sub)
	if i < 0 {
		return false
	}
	c.subs = slices.Delete(c.subs, i, i+1)
	sub.end()
	return true
}

// end ends a subscription from outside its client and says why.
func (c *Client) end(sub *Subscription, why string) {
	if c.ended(sub, why) {
		c.bridge.drop(sub)
	}
}

// ended takes a subscription from the client, which is told. It returns true to
// one caller, who has to drop it.
func (c *Client) ended(sub *Subscription, why string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.removeLocked(sub)
	if was {
		c.replyLocked(func(out *Output) { c.encoder.End(out, sub.SID, why) })
	}
	return was
}

// find returns the subscription with this sid, nil when there is none.
func (c *Client) find(sid string) *Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sub := range c.subs {
		if sub.SID == sid {
			return sub
		}
	}
	return nil
}
