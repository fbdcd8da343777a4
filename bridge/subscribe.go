package bridge

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// SubscribeRequest is what a client asks for.
type SubscribeRequest struct {
	Filter string // subject filter
	From   string // where to start, see [Client.Subscribe]
	As     string // name of a durable; "" for none
	Max    int    // credit: events that may be unseen at a time; 0 for no limit
	Until  string // "now": end when caught up; "": never
}

// SubscribeAnswer says where delivery starts.
type SubscribeAnswer struct {
	SID    string
	From   Position // delivery starts after it; nil when no stream covers the filter
	Behind uint64   // messages of the streams that lie ahead
	After  Position // not nil: the messages between After
	Next   Position // and Next no longer exist
}

// maxCredit bounds the list of unseen events that credit makes the server keep.
const maxCredit = 10_000

// resolveTimeout is how long finding the place to start may take.
const resolveTimeout = 10 * time.Second

// Subscribe starts a subscription. answer is called once, before any event of
// it is written, to write the client's answer; it is not called on an error.
//
// From is a [Position], "new" (the default), "first", "last" (the last message
// of each matching subject), "last:N" (the last N messages that match, in each
// stream), a negative duration such as "-10m", or an RFC 3339 time.
//
// A subscription ends when the client says so, or with one of these words:
// "until", "taken_over", "revoked", "stream_deleted", "unavailable".
//
// It returns an [Error]: bad_subject, bad_position, bad_frame, forbidden,
// no_stream, conflict, rate_limited, too_big, unavailable.
func (c *Client) Subscribe(ctx context.Context, r SubscribeRequest, answer func(out *Output, a SubscribeAnswer)) error {
	scope, err := c.checkSubscribe(r)
	if err == nil {
		err = c.room()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	sub := &Subscription{Filter: r.Filter, client: c, want: wants(r.Filter), max: r.Max, place: -1}
	for _, s := range scope {
		sub.slots = append(sub.slots, s.Slot)
	}
	if len(scope) == 0 {
		return c.subscribeLive(sub, answer)
	}
	at, err := c.bridge.locate(ctx, scope, r)
	if err != nil {
		return err
	}
	if err := c.limit(ctx, at, r.From); err != nil {
		return err
	}
	if r.As != "" {
		done, err := c.bridge.openDurable(ctx, sub, r.As, at)
		if err != nil {
			return err
		}
		defer done()
	}
	sub.marks, sub.snapshot, sub.announce = at.marks, at.snapshot, true
	if r.Until != "" {
		if sub.until, err = c.bridge.untilNow(ctx, scope); err != nil {
			c.bridge.closeDurable(sub)
			return err
		}
	}
	a := SubscribeAnswer{From: append(Position(nil), sub.position()...), Behind: c.bridge.ahead(sub.marks), After: at.after, Next: at.next}
	return c.start(sub, behind, a, answer)
}

// roomLocked says whether the client may have one more subscription.
func (c *Client) roomLocked() error {
	if len(c.subs)+len(c.workers) < c.maxSubs {
		return nil
	}
	return OverLimit(LimitSubscriptions, fmt.Sprintf("a client has at most %d subscriptions, work on queues included", c.maxSubs),
		"end one with off, or use one wider filter", 0)
}

// checkSubscribe validates a request and returns the streams that serve it.
func (c *Client) checkSubscribe(r SubscribeRequest) ([]*Stream, error) {
	if err := ValidFilter(r.Filter); err != nil {
		return nil, err
	}
	if err := c.who.Load().perms.allowSub(r.Filter); err != nil {
		return nil, err
	}
	scope := c.bridge.scope(r.Filter)
	switch {
	case r.Max < 0 || r.Max > maxCredit:
		return nil, &Error{Code: CodeBadFrame, Msg: fmt.Sprintf("max is not between 0 and %d", maxCredit), Hint: "it is how many events may be unseen; leave it out for no limit"}
	case r.Until != "" && r.Until != "now":
		return nil, &Error{Code: CodeBadFrame, Msg: "until is not \"now\"", Hint: `"until":"now" ends the subscription when it has caught up`}
	case len(scope) == 0 && c.bridge.onlyJobs(r.Filter):
		return nil, &Error{Code: CodeNoStream, Msg: fmt.Sprintf("%q is a queue: its jobs go to workers, each to one", r.Filter),
			Hint: `be a worker, as in {"work":"jobs.resize"}, or watch what becomes of jobs, as in {"sub":"jobs.events.resize.>"}`}
	case len(scope) == 0 && (r.From != "" && r.From != "new" || r.As != "" || r.Until != "" || r.Max != 0):
		return nil, &Error{Code: CodeNoStream, Msg: fmt.Sprintf("no stream covers %q: it is live only", r.Filter),
			Hint: `leave out "from", "as", "max" and "until", or have a stream configured for it`}
	}
	if r.As != "" {
		if err := ValidName(r.As); err != nil {
			return nil, err
		}
	}
	return scope, nil
}

// room is [Client.roomLocked] for who is about to ask the broker.
func (c *Client) room() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roomLocked()
}

// subscribeLive starts a subscription that no stream serves.
func (c *Client) subscribeLive(sub *Subscription, answer func(*Output, SubscribeAnswer)) error {
	if err := c.bridge.listen(sub); err != nil {
		return err
	}
	return c.start(sub, live, SubscribeAnswer{}, answer)
}

// start makes the subscription known: first to the hub, which leaves it alone
// until it is live, then to its client's writer.
func (c *Client) start(sub *Subscription, at phase, a SubscribeAnswer, answer func(*Output, SubscribeAnswer)) error {
	if len(sub.slots) > 0 || sub.bundle {
		c.shard.add(sub)
	}
	c.bridge.stats.Subscriptions.Add(1)
	err := c.adopt(sub, at, a, answer)
	if err != nil {
		c.bridge.drop(sub)
	}
	return err
}

func (c *Client) adopt(sub *Subscription, at phase, a SubscribeAnswer, answer func(*Output, SubscribeAnswer)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.finished {
		return ErrClosed
	}
	if sub.durable != nil && sub.durable.isLost() {
		return errTakenOver
	}
	if err := c.who.Load().perms.allowsAll(sub.want.filters); err != nil {
		return err // they have changed meanwhile
	}
	if err := c.roomLocked(); err != nil {
		return err
	}
	c.nextSID++
	sub.SID = "s" + strconv.Itoa(c.nextSID)
	a.SID = sub.SID
	sub.phase = at
	c.subs = append(c.subs, sub)
	c.replyLocked(func(out *Output) { answer(out, a) })
	return nil
}

// Unsubscribe ends a subscription, or work on a queue. Events and jobs already
// on their way may still arrive. An unknown sid is an [Error] with
// [CodeNotFound].
func (c *Client) Unsubscribe(sid string) error {
	if c.resign(sid) {
		return nil
	}
	sub := c.find(sid)
	if sub == nil || !c.remove(sub) {
		return noSubscription(sid)
	}
	c.bridge.drop(sub)
	return nil
}

func noSubscription(sid string) error {
	return &Error{Code: CodeNotFound, Msg: fmt.Sprintf("there is no subscription %q", sid), Hint: `use a "sid" that the answer to sub named`}
}

// Seen says that the client has processed everything up to a position. It
// gives credit back and moves a durable; stored, which may be nil, is called
// once when that is stored, at once if there is no durable.
func (c *Client) Seen(sid string, pos Position, stored func(error)) error {
	sub := c.find(sid)
	if sub == nil {
		return noSubscription(sid)
	}
	freed := c.free(sub, pos)
	marks, err := c.bridge.seenMarks(sub, pos)
	if err != nil && !freed { // of an incarnation that is over, it may have freed credit
		return err
	}
	switch {
	case sub.durable != nil && len(marks) > 0:
		if stored != nil {
			stored = c.asks(0, stored)
		}
		sub.durable.see(marks, stored)
	case stored != nil:
		stored(nil)
	}
	return nil
}

// free gives back the credit of what has been seen.
func (c *Client) free(sub *Subscription, pos Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for ; n < len(sub.unseen); n++ {
		if seq, ok := pos.Seq(sub.unseen[n].stream.Tag); !ok || sub.unseen[n].seq > seq {
			break
		}
	}
	sub.unseen = sub.unseen[n:]
	sub.owed -= n
	if sub.phase == held && !sub.starved() {
		sub.phase = behind
	}
	if n > 0 && (sub.phase == behind || sub.phase == waiting) {
		c.wakeLocked()
	}
	return n > 0
}
