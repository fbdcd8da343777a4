package bridge

import (
	"cmp"
	"context"
	"slices"
)

// A bundle is a subscription with several filters and one place: an event that
// several of them match is delivered once, and one position says where the
// client is in all that it wants. Protocols whose clients have one stream of
// events (Socket.IO) have one bundle for each client.

// wanted is what a subscription is interested in.
type wanted struct {
	filters []string
	literal bool // one filter, without wildcards
}

func wants(filters ...string) wanted {
	return wanted{filters, len(filters) == 1 && Literal(filters[0])}
}

func (w wanted) matches(subject string) bool {
	for _, f := range w.filters {
		if Matches(f, subject) {
			return true
		}
	}
	return false
}

// single returns the only filter; ok is false when there is not one.
func (w wanted) single() (filter string, ok bool) {
	if len(w.filters) != 1 {
		return "", false
	}
	return w.filters[0], true
}

// Locate finds out where a bundle of these filters would start: From, and After
// and Next if something is missing. Its errors are those of SubscribeBundle,
// which takes From as it is.
func (c *Client) Locate(ctx context.Context, filters []string, from string) (SubscribeAnswer, error) {
	scope, err := c.checkBundle(filters)
	if err == nil {
		err = c.room()
	}
	if err != nil {
		return SubscribeAnswer{}, err
	}
	at, err := c.locateBundle(ctx, scope, from)
	if err != nil {
		return SubscribeAnswer{}, err
	}
	return at.answer(c.bridge), nil
}

// SubscribeBundle starts a subscription to what matches any of the filters,
// which may be none, from a [Position], "new" (the default), "first", a
// negative duration or an RFC 3339 time. Each filter must be served by streams
// ([CodeNoStream]). All else is as with [Client.Subscribe]. A position that
// does not name all of the streams goes on at their newest message.
func (c *Client) SubscribeBundle(ctx context.Context, filters []string, from string, answer func(out *Output, a SubscribeAnswer)) error {
	scope, err := c.checkBundle(filters)
	if err != nil {
		return err
	}
	at, err := c.locateBundle(ctx, scope, from)
	if err != nil {
		return err
	}
	sub := newBundle(c, filters, scope)
	sub.marks, sub.announce = at.marks, true
	return c.start(sub, behind, at.answer(c.bridge), answer)
}

func (c *Client) locateBundle(ctx context.Context, scope []*Stream, from string) (*start, error) {
	if len(scope) == 0 {
		return &start{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	from = c.bridge.complete(from, scope)
	at, err := c.bridge.locate(ctx, scope, SubscribeRequest{From: from})
	if err == nil {
		err = c.limit(ctx, at, from)
	}
	return at, err
}

// answer is the place as clients are told.
func (at *start) answer(b *Bridge) SubscribeAnswer {
	a := SubscribeAnswer{Behind: b.ahead(at.marks), After: at.after, Next: at.next}
	for _, m := range at.marks {
		a.From = append(a.From, Mark{m.stream.Tag, m.seq})
	}
	return a
}

// complete adds to a position the newest places of the streams that it does
// not name. Anything else is returned as it is.
func (b *Bridge) complete(from string, scope []*Stream) string {
	pos, err := ParsePosition(from)
	if err != nil || b.foreign(pos) {
		return from
	}
	for _, s := range scope {
		if !pos.Has(s.Tag) {
			pos = append(pos, Mark{s.Tag, b.newest(s)})
		}
	}
	return pos.String()
}

// checkBundle validates the filters and returns the streams that serve them.
func (c *Client) checkBundle(filters []string) ([]*Stream, error) {
	var scope []*Stream
	for _, f := range filters {
		serving, err := c.checkSubscribe(SubscribeRequest{Filter: f, From: "first"}) // not live only
		if err != nil {
			return nil, err
		}
		for _, s := range serving {
			if !slices.Contains(scope, s) {
				scope = append(scope, s)
			}
		}
	}
	return scope, nil
}

func newBundle(c *Client, filters []string, scope []*Stream) *Subscription {
	sub := &Subscription{client: c, want: wants(filters...), bundle: true, place: -1}
	for _, s := range scope {
		sub.slots = append(sub.slots, s.Slot)
	}
	for i, f := range filters {
		if i == 0 {
			sub.Filter = f
			continue
		}
		sub.branches = append(sub.branches, &Subscription{Filter: f, client: c, main: sub, place: -1})
	}
	return sub
}

// Refilter changes what a bundle is interested in, at exactly the place where
// it is: what comes behind it is judged by the new filters. What a new filter
// matches comes from now on, or, while the bundle is behind, from there on in
// the streams that it reads already.
func (c *Client) Refilter(sid string, filters []string) error {
	old := c.find(sid)
	if old == nil || !old.bundle {
		return noSubscription(sid)
	}
	scope, err := c.checkBundle(filters)
	if err != nil {
		return err
	}
	next := newBundle(c, filters, scope)
	next.SID, next.phase = sid, paused
	c.shard.add(next)
	passed := c.shard.newest()
	c.bridge.stats.Subscriptions.Add(1)
	c.mu.Lock()
	for c.heir != nil && !c.closed { // one at a time
		c.changed.Wait()
	}
	if err := c.who.Load().perms.allowsAll(filters); err != nil || c.closed || c.finished || !slices.Contains(c.subs, old) {
		c.mu.Unlock()
		c.bridge.drop(next)
		return cmp.Or(err, ErrClosed)
	}
	c.heir = &succession{old, next, passed}
	if !c.writing { // else the writer does it
		c.succeedLocked()
	}
	for c.heir != nil && !c.closed {
		c.changed.Wait()
	}
	taken := next.phase != paused
	c.mu.Unlock()
	if !taken {
		c.bridge.drop(next)
		return ErrClosed
	}
	c.bridge.drop(old)
	return nil
}

// succession is a bundle and the one that takes its place.
type succession struct {
	old, next *Subscription
	passed    []mark // what the hub had handed out at some moment before
}

// succeedLocked puts a bundle in the place of another. It belongs to the
// writer, as the place is the writer's, or to whoever finds none running.
func (c *Client) succeedLocked() {
	old, next, passed := c.heir.old, c.heir.next, c.heir.passed
	c.heir = nil
	c.changed.Broadcast()
	i := slices.Index(c.subs, old)
	if i < 0 {
		return // it has ended meanwhile, and so does this
	}
	for _, slot := range next.slots {
		if k := old.at(slot); k >= 0 {
			next.marks = append(next.marks, old.marks[k])
		} else {
			s := c.bridge.log.mark(slot).stream
			next.marks = append(next.marks, mark{s, c.bridge.newest(s)})
		}
	}
	next.announce = old.announce
	c.inheritLocked(old, next, passed)
	old.end()
	c.subs[i] = next
	next.phase = behind
	c.wakeLocked()
}

// inheritLocked finds where in the log the next one begins. What is queued for
// the old one is not written any more, so it begins before the first of that.
func (c *Client) inheritLocked(old, next *Subscription, passed []mark) {
	switch old.phase {
	case live:
		// The entry that is being dispatched may not have come yet.
		next.cursor, next.sought, next.lapsed = max(c.shard.begun.Load(), 1)-1, true, passed
	case behind, paused, held:
		next.cursor, next.sought, next.lapsed = old.cursor, old.sought, old.lapsed
	default:
		return // reading history: its marks say where
	}
	if c.queue == nil {
		return
	}
	for _, r := range c.queue.refs {
		if r.sub == old && r.event.Stream != nil {
			next.cursor, next.lapsed = min(next.cursor, r.event.index-1), nil
			return
		}
	}
}

// Stored reports whether streams serve a filter, so that it can be in a bundle.
func (b *Bridge) Stored(filter string) bool { return len(b.scope(filter)) > 0 }

// Newest is the position behind the newest messages of the streams that serve
// the filters.
func (b *Bridge) Newest(filters []string) Position {
	var pos Position
	for _, f := range filters {
		for _, s := range b.scope(f) {
			if !pos.Has(s.Tag) {
				pos = append(pos, Mark{s.Tag, b.newest(s)})
			}
		}
	}
	return pos
}
