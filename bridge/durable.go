package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Times of durables.
const (
	durablePause   = time.Second     // between two stores of what a durable has seen
	durableTouch   = time.Minute     // a durable that is attached is used at least this often
	durableTimeout = 5 * time.Second // for one store
)

var errTakenOver = &Error{Code: CodeTakenOver, Msg: "another client is attached to this durable", Hint: "use another name for another place"}

// durable is a subscription's attachment to durable cursors, one in each of
// its streams. What the client has seen is stored coalesced: at once when
// nothing was stored for a while, else a second later.
type durable struct {
	bridge *Bridge
	sub    *Subscription
	spec   Durable
	key    string

	mu      sync.Mutex
	stamp   stamp
	seen    []mark        // by place in sub.slots
	stored  []mark        // the same, as the broker has it
	waiters []func(error) // to be told when seen is stored
	timer   *time.Timer
	storing bool
	touch   bool  // store even what is stored already
	failed  error // of the last store, nil when it went well
	lost    bool  // over: taken over, or settled
	changed sync.Cond
}

// openDurable attaches a subscription to its cursors, which decide where it
// starts, if they exist; whoever was attached before is ended, once it is
// certain that this one can be. done is to be called when the subscription is
// known to its client, or not going to be.
func (b *Bridge) openDurable(ctx context.Context, sub *Subscription, name string, at *start) (done func(), err error) {
	d := &durable{bridge: b, sub: sub, spec: Durable{User: sub.client.User(), Name: name, Filter: sub.Filter}}
	d.changed.L = &d.mu
	d.key = fmt.Sprint(d.spec.User, "\x00", d.spec.Name, "\x00", sub.slots)
	if done, err = b.attaching.lock(ctx, d.key); err != nil {
		return nil, err
	}
	existed, err := d.open(ctx, at)
	if err == nil && b.takeOver(d) {
		existed, err = d.open(ctx, at) // what the other had seen is stored only now
	}
	if err == nil {
		err = b.resumeDurable(ctx, at, d, existed)
	}
	if err != nil {
		b.release(d)
		done()
		return nil, err
	}
	sub.durable = d
	return done, nil
}

// open finds or makes the cursors.
func (d *durable) open(ctx context.Context, at *start) (existed []bool, err error) {
	var seen []mark
	for _, m := range at.marks {
		seq, was, err := d.bridge.broker.OpenDurable(ctx, m.stream.Slot, d.spec, m.seq)
		if err != nil {
			return nil, err
		}
		seen = append(seen, mark{m.stream, seq})
		existed = append(existed, was)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen, d.stored = seen, slices.Clone(seen)
	return existed, nil
}

// resumeDurable makes existing cursors the place to start from.
func (b *Bridge) resumeDurable(ctx context.Context, at *start, d *durable, existed []bool) error {
	if !slices.Contains(existed, true) {
		return nil
	}
	at.snapshot, at.after, at.next = nil, nil, nil
	var after, next Position
	gap := false
	for i, m := range d.seen {
		missing := false
		if existed[i] {
			found, gone, err := b.locateMark(ctx, m.stream, Position{{m.stream.Tag, m.seq}})
			if err != nil {
				return err
			}
			at.marks[i], missing = found, gone
		}
		after = append(after, Mark{m.stream.Tag, m.seq})
		next = append(next, Mark{m.stream.Tag, at.marks[i].seq})
		if missing {
			next[i].Seq++
			gap = true
		}
	}
	if gap {
		at.after, at.next = after, next
	}
	return nil
}

// takeOver registers an attachment and ends the one before it, here and on
// every other gateway. It returns whether there was one here.
func (b *Bridge) takeOver(d *durable) bool {
	b.mu.Lock()
	before := b.durables[d.key]
	b.durables[d.key] = d
	b.mu.Unlock()
	if before != nil {
		b.stats.Takeovers.Add(1)
		before.sub.client.end(before.sub, "taken_over")
		before.settle()
	}
	d.mu.Lock()
	d.stamp = b.stampNow()
	d.mu.Unlock()
	d.announce()
	return before != nil
}

// release forgets an attachment.
func (b *Bridge) release(d *durable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.durables[d.key] == d {
		delete(b.durables, d.key)
	}
}

// closeDurable detaches a subscription and stores what it has seen; first that,
// so that who attaches meanwhile finds it stored.
func (b *Bridge) closeDurable(sub *Subscription) {
	if d := sub.durable; d != nil {
		d.settle()
		b.release(d)
	}
}

// seenMarks turns a position into the places that a subscription has seen in
// the present incarnations of its streams; streams that it does not name are
// left out.
func (b *Bridge) seenMarks(sub *Subscription, pos Position) ([]mark, error) {
	var marks []mark
	for _, slot := range sub.slots {
		s := b.log.mark(slot).stream
		seq, ok := pos.Seq(s.Tag)
		if !ok {
			continue
		}
		if seq > b.newest(s) {
			return nil, &Error{Code: CodeBadPosition, Msg: "this position is ahead of the stream", Hint: "use a position that an event carried"}
		}
		marks = append(marks, mark{s, seq})
	}
	if len(marks) == 0 {
		return nil, &Error{Code: CodeBadPosition, Msg: fmt.Sprintf("this position is of no stream of %s", sub.SID), Hint: "use a position that this subscription's own events carried"}
	}
	return marks, nil
}

// see notes what has been seen, and has it stored.
func (d *durable) see(marks []mark, stored func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range marks {
		at := &d.seen[d.sub.at(m.stream.Slot)]
		if at.stream != m.stream || at.seq < m.seq {
			*at = m
		}
	}
	if stored != nil {
		d.waiters = append(d.waiters, stored)
	}
	if d.timer == nil || stored != nil {
		d.startLocked()
	}
}

// startLocked has store run, unless it does.
func (d *durable) startLocked() {
	if !d.storing {
		d.storing = true
		d.bridge.work.Go(d.store)
	}
}

// store writes what has been seen until nobody is in a hurry.
func (d *durable) store() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		waiters := d.waiters
		d.waiters = nil
		err := d.moveLocked()
		d.failed = err
		d.tell(waiters, err)
		if len(d.waiters) == 0 {
			break
		}
	}
	d.storing = false
	d.changed.Broadcast()
	if d.timer == nil && !d.lost {
		d.timer = time.AfterFunc(durablePause, d.later)
	}
}

// tell answers with d.mu free, as the answers take other locks.
func (d *durable) tell(waiters []func(error), err error) {
	d.mu.Unlock()
	defer d.mu.Lock()
	for _, w := range waiters {
		w(err)
	}
}

// later stores what has been seen during the pause.
func (d *durable) later() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = nil
	if !d.lost && !slices.Equal(d.seen, d.stored) {
		d.startLocked()
	}
}

// moveLocked stores what has been seen; d.mu is free while the broker works.
func (d *durable) moveLocked() error {
	touch := d.touch
	d.touch = false
	for i, m := range slices.Clone(d.seen) {
		if d.lost {
			return errTakenOver
		}
		was := d.stored[i]
		if m == was && !touch {
			continue
		}
		d.mu.Unlock()
		err := d.bridge.moveDurable(d.spec, m, was)
		d.mu.Lock()
		if err != nil {
			d.bridge.logger.Warn("storing what a durable has seen", "name", d.spec.Name, "error", err)
			return err
		}
		d.stored[i] = m
	}
	return nil
}

// moveDurable moves one cursor. One that is gone, because its stream was made
// anew or it was deleted, is made again where it should be.
func (b *Bridge) moveDurable(spec Durable, m, was mark) error {
	ctx, cancel := context.WithTimeout(b.ctx, durableTimeout)
	defer cancel()
	slot := m.stream.Slot
	if m.stream == was.stream {
		err := b.broker.MoveDurable(ctx, slot, spec, m.seq)
		if !errors.Is(err, &Error{Code: CodeNotFound}) || b.broker.Streams()[slot] != m.stream {
			return err
		}
	}
	seq, _, err := b.broker.OpenDurable(ctx, slot, spec, m.seq)
	if err == nil && seq != m.seq {
		err = b.broker.MoveDurable(ctx, slot, spec, m.seq)
	}
	return err
}

// settle stores what has been seen and is not yet stored, waits for it, and is
// the end of the attachment.
func (d *durable) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	tried := d.storing // then once more would only take as long again
	for d.storing {
		d.changed.Wait()
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.lost {
		return
	}
	d.storing = true
	err := d.failed
	if err == nil || !tried {
		err = d.moveLocked()
	}
	d.lost = true
	d.tell(d.waiters, err)
	d.waiters = nil
	d.storing = false
	d.changed.Broadcast()
}

// isLost reports whether the attachment is over.
func (d *durable) isLost() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// touchDurables keeps the attached durables from being deleted as unused.
func (b *Bridge) touchDurables() {
	b.mu.Lock()
	all := make([]*durable, 0, len(b.durables))
	for _, d := range b.durables {
		all = append(all, d)
	}
	b.mu.Unlock()
	for _, d := range all {
		d.mu.Lock()
		if !d.lost {
			d.touch = true
			d.startLocked()
		}
		d.mu.Unlock()
	}
}
