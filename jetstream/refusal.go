package jetstream

import (
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/jetway-io/jetway/bridge"
)

// Figures of suspicion.
const (
	suspectFor   = 10 * time.Second // after the last duplicate
	suspectClean = 64               // messages without one that end it earlier
	fullRest     = time.Second      // without batches, after one that a full stream refused
	dupBudget    = 4                // duplicates of an owner until the rest of its messages leave the batch
)

// suspect is an owner whose messages had a batch refused.
type suspect struct {
	until time.Time
	clean int // messages with an ID since the last duplicate
	dups  int // duplicates found while resolving the present flight
}

// suspect reports whether an owner's messages go beside the batches.
func (c *committer) suspect(owner string, now time.Time) bool {
	s := c.suspects[owner]
	if s == nil {
		return false
	}
	if now.After(s.until) {
		delete(c.suspects, owner)
		return false
	}
	return true
}

// judge learns from plain publishes who sends duplicates.
func (c *committer) judge(f *flight) {
	f.mu.Lock()
	owned := f.owned
	f.mu.Unlock()
	for _, v := range owned {
		s := c.suspects[v.owner]
		switch {
		case v.dup:
			if s == nil {
				s = &suspect{}
				c.suspects[v.owner] = s
			}
			s.until, s.clean, s.dups = time.Now().Add(suspectFor), 0, s.dups+1
		case s != nil:
			if s.clean++; s.clean >= suspectClean {
				delete(c.suspects, v.owner)
			}
		}
	}
}

// commit stores items as a batch and, if that is refused, finds out why.
func (c *committer) commit(list []*item) {
	for _, s := range c.suspects {
		s.dups = 0
	}
	c.shut = map[string]bool{}
	c.commitPart(list)
}

// commitPart is commit for a part of a flight. What it puts back stays in
// order: parts are treated in the order of the flight.
func (c *committer) commitPart(list []*item) {
	fit := c.sift(list)
	if len(fit) < minBatch || !c.batching() {
		c.plainly(fit)
		return
	}
	inc, sent := c.s.current(), time.Now()
	last, err := c.sendBatch(fit)
	code := errCode(err)
	switch {
	case err == nil:
		first := last - uint64(len(fit)) + 1
		c.stored(inc, fit, first, sent)
		for i, it := range fit {
			it.settle(bridge.Receipt{Stream: inc.stream, Seq: first + uint64(i)}, nil)
		}
	case code == errBatchDisabled, code == errBatchInflight:
		c.b.o.Logger.Warn("the stream takes no batch, publishing one by one", "stream", c.s.cfg.Name, "err", err)
		c.plainly(fit)
	case limitOf(err) == limitStream:
		c.noBatch = time.Now().Add(fullRest) // the small ones may still find room
		c.plainly(fit)
	case code == 0 || full(err):
		if code != 0 {
			err = c.refusal(err)
		}
		for _, it := range fit {
			it.settle(bridge.Receipt{}, err)
		}
	default:
		c.b.o.Logger.Debug("a batch was refused", "stream", c.s.cfg.Name, "messages", len(fit), "err", err)
		x, y := divide(fit, code == errBatchDuplicate)
		c.commitPart(x)
		c.commitPart(y)
	}
}

// sift puts back, for a flight beside the batches, what has turned out to have
// them refused while the present one is resolved: the messages of an owner with
// duplicates, and those on a subject that is full. What follows from the same
// owner must wait, too.
func (c *committer) sift(list []*item) (fit []*item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, it := range list {
		s := c.suspects[it.p.Owner]
		if s != nil && s.dups >= dupBudget || c.isCrowded(it.p.Subject, now) {
			c.shut[it.p.Owner] = true
		}
		if c.shut[it.p.Owner] {
			c.back = append(c.back, it)
			continue
		}
		fit = append(fit, it)
	}
	return fit
}

// plainly stores items one by one, and waits.
func (c *committer) plainly(list []*item) {
	f := c.newFlight(len(list), nil)
	f.send(list)
	<-f.done
	c.judge(f)
}

// divide splits a refused batch, keeping the order of each owner: those who
// cannot be the cause from the others, then by owners, then one owner's
// messages in the middle.
func divide(list []*item, byID bool) (x, y []*item) {
	var owners []string
	keyed := map[string]bool{}
	for _, it := range list {
		k, seen := keyed[it.p.Owner]
		if !seen {
			owners = append(owners, it.p.Owner)
		}
		keyed[it.p.Owner] = k || it.p.ID != ""
	}
	first := map[string]bool{}
	if byID {
		for _, o := range owners {
			if !keyed[o] {
				first[o] = true
			}
		}
	}
	if len(first) == 0 {
		for _, o := range owners[:len(owners)/2] {
			first[o] = true
		}
	}
	if len(first) == 0 || len(first) == len(owners) {
		return list[:len(list)/2], list[len(list)/2:]
	}
	for _, it := range list {
		if first[it.p.Owner] {
			x = append(x, it)
		} else {
			y = append(y, it)
		}
	}
	return x, y
}

// batchCall waits for the answer to an atomic batch.
type batchCall struct {
	mu   sync.Mutex
	done chan empty
	msg  *nats.Msg // nil when it will not come
	over bool
}

func (k *batchCall) receive(m *nats.Msg) { k.finish(m) }

func (k *batchCall) abandon() { k.finish(nil) }

func (k *batchCall) finish(m *nats.Msg) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return
	}
	k.over, k.msg = true, m
	close(k.done)
}

// sendBatch stores the items as one atomic batch and returns the sequence of
// the last. Only the last one asks for an answer: nats-server would answer each
// of the others with an empty one. An error with a code means that nothing was
// stored.
func (c *committer) sendBatch(list []*item) (uint64, error) {
	k := &batchCall{done: make(chan empty)}
	id, reply := c.b.acks.open(k)
	defer c.b.acks.close(id)
	c.mu.Lock()
	c.calls[k] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, k)
		c.mu.Unlock()
	}()
	name := nuid.Next()
	for i, it := range list {
		m := message(it.p)
		if m.Header == nil {
			m.Header = make(nats.Header, 3)
		}
		m.Header["Nats-Batch-Id"] = []string{name}
		m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
		if i == len(list)-1 {
			m.Header["Nats-Batch-Commit"] = []string{"1"}
			m.Reply = reply
		}
		if err := c.b.publish(m, it.deadline); err != nil {
			return 0, err // nothing is stored: the batch has no end
		}
	}
	timer := time.NewTimer(c.b.o.Timeout)
	defer timer.Stop()
	select {
	case <-k.done:
	case <-timer.C:
		// nats-server has no answer for a batch that met a limit or a disk
		// error while it was stored; plain publishes get one.
		c.noBatch = time.Now().Add(batchRest)
		c.hangs()
		return 0, unknown("NATS did not acknowledge the message in time")
	case <-c.b.life.Done():
		return 0, unknown("the server is stopping")
	}
	if k.msg == nil {
		return 0, unknown("the connection to NATS was lost")
	}
	a, err := parseAck(k.msg)
	if err != nil && errCode(err) == 0 {
		return 0, c.refusal(err)
	}
	return a.seq, err
}
