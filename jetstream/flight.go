package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// flight is a number of plain publishes on their way together.
type flight struct {
	c    *committer
	inc  *incarnation
	sent time.Time
	done chan empty // closed when every item is settled
	over func()     // called then; may be nil

	mu    sync.Mutex
	calls []call // guarded by mu; those sent; never more than there was room for at first
	left  int    // guarded by mu; items to settle
	timer *time.Timer
	owned []verdict // guarded by mu; what became of items with an ID
}

// verdict is whether an owner's message with an ID was a duplicate.
type verdict struct {
	owner string
	dup   bool
}

// call is one publish that waits for its acknowledgement.
type call struct {
	f       *flight
	it      *item
	id      uint64
	settled bool // guarded by f.mu
}

func (c *committer) newFlight(n int, over func()) *flight {
	f := &flight{c: c, inc: c.s.current(), sent: time.Now(), done: make(chan empty), over: over, left: n, calls: make([]call, 0, n)}
	if n == 0 {
		close(f.done)
		if over != nil {
			over()
		}
		return f
	}
	c.mu.Lock()
	c.flights[f] = true
	c.mu.Unlock()
	return f
}

// send publishes the items in order. It waits for a lost connection as long as
// an item may wait.
func (f *flight) send(list []*item) {
	if len(list) == 0 {
		return
	}
	b := f.c.b
	for _, it := range list {
		f.mu.Lock()
		f.calls = append(f.calls, call{f: f, it: it})
		k := &f.calls[len(f.calls)-1]
		var reply string
		k.id, reply = b.acks.open(k)
		f.mu.Unlock()
		m := message(it.p)
		m.Reply = reply
		if err := b.publish(m, it.deadline); err != nil {
			k.settle(bridge.Receipt{}, err)
		}
	}
	f.mu.Lock()
	if f.left > 0 {
		f.timer = time.AfterFunc(b.o.Timeout, f.expire)
	}
	f.mu.Unlock()
}

// publish sends a message, waiting for a lost connection until the deadline.
func (b *Broker) publish(m *nats.Msg, deadline time.Time) error {
	for {
		online := b.connected()
		err := b.nc.PublishMsg(m)
		if err == nil {
			return nil
		}
		if b.life.Err() != nil || !time.Now().Before(deadline) {
			return b.unavailable(context.Background(), err)
		}
		// nats.go may refuse for a moment before it has told of the loss, or
		// after it has told of the return.
		timer := time.NewTimer(min(time.Until(deadline), 50*time.Millisecond))
		select {
		case <-online:
			select {
			case <-timer.C:
			case <-b.life.Done():
			}
		case <-timer.C:
		case <-b.life.Done():
		}
		timer.Stop()
	}
}

// receive takes the acknowledgement.
func (k *call) receive(m *nats.Msg) {
	f := k.f
	a, err := parseAck(m)
	if err != nil {
		if limitOf(err) == limitSubject {
			f.c.crowd(k.it.p.Subject)
		}
		k.settle(bridge.Receipt{}, f.c.refusal(err))
		return
	}
	f.c.stored(f.inc, []*item{k.it}, a.seq, f.sent)
	k.settle(bridge.Receipt{Stream: f.inc.stream, Seq: a.seq, Duplicate: a.duplicate}, nil)
}

// settle answers the item once.
func (k *call) settle(r bridge.Receipt, err error) {
	f := k.f
	f.mu.Lock()
	if k.settled {
		f.mu.Unlock()
		return
	}
	k.settled = true
	if k.it.p.ID != "" && err == nil {
		f.owned = append(f.owned, verdict{owner: k.it.p.Owner, dup: r.Duplicate})
	}
	f.mu.Unlock()
	f.c.b.acks.close(k.id)
	k.it.settle(r, err)
	f.mu.Lock()
	f.left--
	last := f.left == 0
	if last && f.timer != nil {
		f.timer.Stop()
	}
	f.mu.Unlock()
	if last {
		f.c.mu.Lock()
		delete(f.c.flights, f)
		f.c.mu.Unlock()
		close(f.done)
		if f.over != nil {
			f.over()
		}
	}
}

// expire answers what was not acknowledged in time.
func (f *flight) expire() {
	f.c.hangs()
	f.abandon("NATS did not acknowledge the message in time")
}

// abandon answers all that was sent and not acknowledged.
func (f *flight) abandon(why string) {
	f.mu.Lock()
	calls := f.calls
	f.mu.Unlock()
	for i := range calls {
		calls[i].settle(bridge.Receipt{}, unknown(why))
	}
}

// unknown is the error for a message that may be stored or not.
func unknown(why string) error {
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: why + "; whether it is stored is unknown",
		Hint: "publish it again with the same key", Retry: time.Second}
}

// hangs notes that publishes are not answered.
func (c *committer) hangs() {
	if !c.b.nc.IsConnected() {
		return
	}
	c.unready(fmt.Errorf("publishes to the stream %s are not acknowledged: look for a full disk or a slow one in the log of NATS; a stream that met a full disk stays frozen until its server is restarted", c.s.cfg.Name))
}

// unready makes the broker unready until something is stored again.
func (c *committer) unready(why error) {
	c.b.setDown(why)
	c.mu.Lock()
	c.hung = true
	c.mu.Unlock()
}

// stored remembers what is in the stream; first is the sequence of the first.
func (c *committer) stored(inc *incarnation, list []*item, first uint64, sent time.Time) {
	c.s.saw(inc, first+uint64(len(list))-1)
	c.mu.Lock()
	hung := c.hung
	c.hung = false
	if c.b.srv != nil && c.b.srv.sync {
		for i, it := range list {
			if it.p.ID != "" {
				c.ids.add(inc, it.p.ID, first+uint64(i), sent)
			}
		}
	}
	c.mu.Unlock()
	if hung {
		c.b.setDown(nil)
	}
}

// ack is a publish acknowledgement.
type ack struct {
	seq       uint64
	duplicate bool
}

// parseAck reads {"stream":"S","seq":7,"duplicate":true} or an error.
func parseAck(m *nats.Msg) (a ack, err error) {
	if status(m) == 503 {
		return a, nats.ErrNoResponders
	}
	if bytes.Contains(m.Data, []byte(`"error"`)) {
		var r struct {
			Error *apiError `json:"error"`
		}
		if err := json.Unmarshal(m.Data, &r); err != nil || r.Error == nil {
			return a, fmt.Errorf("an unreadable acknowledgement: %q", m.Data)
		}
		return a, r.Error
	}
	_, rest, ok := bytes.Cut(m.Data, []byte(`"seq":`))
	if !ok {
		return a, fmt.Errorf("an unreadable acknowledgement: %q", m.Data)
	}
	rest = bytes.TrimLeft(rest, " ")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	if a.seq, err = strconv.ParseUint(string(rest[:n]), 10, 64); err != nil || a.seq == 0 {
		return a, fmt.Errorf("an unreadable acknowledgement: %q", m.Data)
	}
	_, flag, _ := bytes.Cut(rest, []byte(`"duplicate":`))
	a.duplicate = bytes.HasPrefix(bytes.TrimLeft(flag, " "), []byte("true"))
	return a, nil
}
