package bridge

import (
	"context"
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

// durable is a subscription's attachment to durable cursors, one in each of
// its streams. What the client has seen is stored coalesced: at once when
// nothing was stored for a while, else a second later.
type durable struct {
	bridge *Bridge
	sub    *Subscription
	spec   Durable
	key    string

	mu      sync.Mutex
	seen    []uint64      // by place in sub.slots
	stored  []uint64      // the same, as the broker has it
	waiters []func(error) // to be told when seen is stored
	timer   *time.Timer
	storing bool
	touch   bool // store even what is stored already
	lost    bool // taken over: the cursors are somebody else's
	idle    sync.Cond
}

// openDurable attaches a subscription to its cursors; whoever was attached
// before is ended. An existing cursor decides where delivery starts.
func (b *Bridge) openDurable(ctx context.Context, sub *Subscription, name string, at *start) error {
	d := &durable{bridge: b, sub: sub, spec: Durable{User: sub.client.opts.User, Name: name, Filter: sub.Filter}}
	d.idle.L = &d.mu
	d.key = d.spec.User + "\x00" + d.spec.Name
	b.takeOver(d)
	var all []uint64
	for i, m := range at.marks {
		seen, existed, err := b.broker.OpenDurable(ctx, m.stream.Slot, d.spec, m.seq)
		if err != nil {
			b.release(d)
			return err
		}
		if existed {
			if err := b.resumeDurable(ctx, at, i, seen); err != nil {
				b.release(d)
				return err
			}
		}
		all = append(all, seen)
	}
	d.mu.Lock()
	d.seen, d.stored = all, slices.Clone(all)
	d.mu.Unlock()
	sub.durable = d
	return nil
}

// resumeDurable makes an existing cursor the place to start from.
func (b *Bridge) resumeDurable(ctx context.Context, at *start, i int, seen uint64) error {
	m := &at.marks[i]
	found, missing, err := b.locateMark(ctx, m.stream, Position{{m.stream.Tag, seen}})
	if err != nil {
		return err
	}
	*m, at.snapshot = found, nil
	at.after, at.next = nil, nil
	if missing {
		at.after, at.next = Position{{m.stream.Tag, seen}}, Position{{m.stream.Tag, m.seq + 1}}
	}
	return nil
}

// takeOver registers an attachment and ends the one before it, here and on
// every other gateway.
func (b *Bridge) takeOver(d *durable) {
	b.mu.Lock()
	before := b.durables[d.key]
	b.durables[d.key] = d
	b.mu.Unlock()
	if before != nil {
		b.stats.Takeovers.Add(1)
		before.sub.client.end(before.sub, "taken_over")
		before.settle()
	}
	if err := b.broker.Signal(signalDurable, []byte(b.id+d.key)); err != nil {
		b.logger.Warn("announcing a durable", "name", d.spec.Name, "error", err)
	}
}

// signalDurable is the control subject on which a gateway says that a durable
// is attached to it now: its id, then the durable's key.
const signalDurable = "durable"

// heard handles what a gateway signals.
func (b *Bridge) heard(name string, data []byte) {
	if name != signalDurable || len(data) < len(b.id) || string(data[:len(b.id)]) == b.id {
		return
	}
	key := string(data[len(b.id):])
	b.mu.Lock()
	d := b.durables[key]
	delete(b.durables, key)
	b.mu.Unlock()
	if d == nil {
		return
	}
	b.stats.Takeovers.Add(1)
	d.mu.Lock()
	d.lost = true
	d.mu.Unlock()
	d.sub.client.end(d.sub, "taken_over")
}

// release forgets an attachment.
func (b *Bridge) release(d *durable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.durables[d.key] == d {
		delete(b.durables, d.key)
	}
}

// closeDurable detaches a subscription and stores what it has seen.
func (b *Bridge) closeDurable(sub *Subscription) {
	if d := sub.durable; d != nil {
		b.release(d)
		d.settle()
	}
}

// seenSeqs turns a position into the sequences that a subscription's streams
// have seen, by place; a stream that the position does not name keeps 0.
func (b *Bridge) seenSeqs(sub *Subscription, pos Position) ([]uint64, error) {
	seqs := make([]uint64, len(sub.slots))
	named := false
	for i, slot := range sub.slots {
		s := b.log.mark(slot).stream
		seq, ok := pos.Seq(s.Tag)
		if ok && seq > b.newest(s) {
			return nil, &Error{Code: CodeBadPosition, Msg: "this position is ahead of the stream", Hint: "use a position that an event carried"}
		}
		seqs[i] = seq
		named = named || ok
	}
	if !named {
		return nil, &Error{Code: CodeBadPosition, Msg: fmt.Sprintf("this position is of no stream of %s", sub.SID), Hint: "use a position that this subscription's own events carried"}
	}
	return seqs, nil
}

// see notes what has been seen, and has it stored.
func (d *durable) see(seqs []uint64, stored func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, seq := range seqs {
		d.seen[i] = max(d.seen[i], seq)
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
		d.bridge.work.Add(1)
		go d.store()
	}
}

// store writes what has been seen until nothing new is there, or nobody is in
// a hurry.
func (d *durable) store() {
	defer d.bridge.work.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		seen, waiters, touch := slices.Clone(d.seen), d.waiters, d.touch
		d.waiters, d.touch = nil, false
		err := d.move(seen, touch)
		for _, w := range waiters {
			w(err)
		}
		if len(d.waiters) == 0 {
			break
		}
	}
	d.storing = false
	d.idle.Broadcast()
	if d.timer == nil && !d.lost {
		d.timer = time.AfterFunc(durablePause, d.later)
	}
}

// later stores what has been seen during the pause.
func (d *durable) later() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = nil
	for i := range d.seen {
		if d.seen[i] > d.stored[i] && !d.lost {
			d.startLocked()
			return
		}
	}
}

// move stores sequences with the broker; d.mu is held, but not meanwhile.
func (d *durable) move(seen []uint64, touch bool) error {
	if d.lost {
		return &Error{Code: CodeTakenOver, Msg: "another client is attached to this durable"}
	}
	for i, slot := range d.sub.slots {
		if seen[i] == d.stored[i] && !touch {
			continue
		}
		d.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), durableTimeout)
		err := d.bridge.broker.MoveDurable(ctx, slot, d.spec, seen[i])
		cancel()
		d.mu.Lock()
		if err != nil {
			d.bridge.logger.Warn("storing what a durable has seen", "name", d.spec.Name, "error", err)
			return err
		}
		d.stored[i] = seen[i]
	}
	return nil
}

// settle stores what has been seen and is not yet stored, and waits for it.
func (d *durable) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.storing {
		d.idle.Wait()
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !d.lost {
		_ = d.move(slices.Clone(d.seen), false) // logged there
		d.lost = true
	}
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
		if !d.lost && len(d.stored) == len(d.sub.slots) {
			d.touch = true
			d.startLocked()
		}
		d.mu.Unlock()
	}
}
