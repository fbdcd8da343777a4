package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/jetway-io/jetway/bridge"
)

// LastSeq implements [bridge.Broker].
func (b *Broker) LastSeq(ctx context.Context, slot int, subject string) (uint64, error) {
	s := b.streams[slot]
	if s.current().copies > 1 {
		return b.leaderSeq(ctx, s, leaderGet{LastFor: subject})
	}
	msgs, err := b.get(ctx, s, "."+subject, []getRequest{{}}, false)
	if err != nil {
		return 0, err
	}
	if e := gotten(nil, msgs[0]); e != nil {
		return e.Seq, nil
	}
	if status(msgs[0]) == 404 {
		return 0, nil
	}
	return 0, s.getFault(ctx, msgs[0])
}

// atOrAfter returns the sequence of the first message that matches the filter
// at or after seq, and how many match from there on; 0, 0 when there is none.
func (b *Broker) atOrAfter(ctx context.Context, s *stream, filter string, seq uint64) (at, count uint64, err error) {
	f, err := b.getBatch(ctx, s, getRequest{Seq: max(seq, 1), NextFor: filter, Batch: 1})
	if err != nil || len(f.msgs) == 0 {
		return 0, 0, err
	}
	e := gotten(nil, f.msgs[0])
	if e == nil {
		return 0, 0, fmt.Errorf("read %s: an answer without a sequence", s.cfg.Name)
	}
	return e.Seq, f.pending + 1, nil
}

// Count implements [bridge.Broker].
func (b *Broker) Count(ctx context.Context, slot int, filter string) (uint64, error) {
	_, n, err := b.atOrAfter(ctx, b.streams[slot], filter, 1)
	return n, err
}

// SeqOfNth implements [bridge.Broker]. It gallops back from the end, so that
// what is near the end is found without counting the rest, and then halves.
func (b *Broker) SeqOfNth(ctx context.Context, slot int, filter string, n uint64) (uint64, error) {
	s := b.streams[slot]
	st, err := b.State(ctx, slot)
	if err != nil {
		return 0, err
	}
	n = max(n, 1)
	var lo, hi uint64 // count(lo) >= n > count(hi)
	var best uint64   // the match at lo
	for span := n; ; span *= 4 {
		lo = st.First
		if span < st.Last && st.Last-span+1 > st.First {
			lo = st.Last - span + 1
		}
		at, count, err := b.atOrAfter(ctx, s, filter, lo)
		if err != nil {
			return 0, err
		}
		if count >= n {
			best = at
			if count == n {
				return best, nil
			}
			break
		}
		if lo <= st.First {
			return st.First, nil
		}
		hi = lo
	}
	if hi == 0 {
		hi = st.Last + 1
	}
	for lo = best; hi-lo > 1; {
		mid := lo + (hi-lo)/2
		at, count, err := b.atOrAfter(ctx, s, filter, mid)
		if err != nil {
			return 0, err
		}
		switch {
		case count == n:
			return at, nil
		case count > n:
			lo, best = at, at
		default:
			hi = mid
		}
	}
	return best, nil
}

// SeqAt implements [bridge.Broker].
func (b *Broker) SeqAt(ctx context.Context, slot int, t time.Time) (uint64, error) {
	s := b.streams[slot]
	info, _, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	utc := t.UTC()
	f, err := b.getBatch(ctx, s, getRequest{Start: &utc, Batch: 1})
	if err != nil {
		return 0, err
	}
	if len(f.msgs) == 0 {
		return info.State.Last + 1, nil
	}
	e := gotten(nil, f.msgs[0])
	if e == nil {
		return 0, fmt.Errorf("read %s: an answer without a sequence", s.cfg.Name)
	}
	return e.Seq, nil
}

// lastsCall collects the messages of a consumer that delivers the last message
// of each subject, without payloads.
type lastsCall struct {
	upTo uint64

	mu      sync.Mutex
	seqs    []uint64
	dseq    uint64
	fault   error
	over    bool
	publish func(subject string)
	done    chan empty
}

func (c *lastsCall) receive(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	at, ok := parseMeta(m.Reply)
	switch {
	case ok && at.dseq != c.dseq+1:
		c.end(errors.New("a message was lost on the way"))
	case ok:
		c.dseq = at.dseq
		if at.seq <= c.upTo {
			c.seqs = append(c.seqs, at.seq)
		}
		if at.pending == 0 || at.seq >= c.upTo {
			c.end(nil)
		}
	case m.Reply != "":
		c.publish(m.Reply) // flow control
	default:
		if hb, err := parseHeartbeat(m.Header); err == nil && m.Header.Get("Nats-Consumer-Stalled") == "" {
			if hb.dseq != c.dseq {
				c.end(errors.New("a message was lost on the way"))
			} else {
				c.end(nil) // idle: the rest was deleted meanwhile
			}
		}
	}
}

// end is called with the lock held.
func (c *lastsCall) end(err error) {
	c.over, c.fault = true, err
	close(c.done)
}

// LastSeqs implements [bridge.Broker]. A consumer, because the direct get for
// many subjects ends at 1,024 of them and sends their payloads.
func (b *Broker) LastSeqs(ctx context.Context, slot int, filter string, upTo uint64, most int) ([]uint64, error) {
	s := b.streams[slot]
	if upTo == 0 {
		return nil, nil
	}
	c := &lastsCall{upTo: upTo, done: make(chan empty)}
	c.publish = func(subject string) { _ = b.hist.Publish(subject, nil) } // lost with the connection: times out
	deliver := b.hist.NewInbox()
	sub, err := b.hist.Subscribe(deliver, c.receive)
	if err != nil {
		return nil, b.unavailable(ctx, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only without a connection
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, b.unavailable(ctx, err)
	}
	// The subscription must have reached the server before the consumer,
	// which is asked for on the other connection.
	fctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	if err := b.hist.FlushWithContext(fctx); err != nil {
		return nil, b.unavailable(ctx, err)
	}
	name := "jw-last-" + nuid.Next()
	var made struct {
		Pending uint64 `json:"num_pending"`
	}
	err = b.api(ctx, "CONSUMER.CREATE."+s.cfg.Name+"."+name+"."+filter, map[string]any{
		"stream_name": s.cfg.Name, "action": "create",
		"config": map[string]any{
			"name": name, "description": "Jetway: last message of each subject", "deliver_subject": deliver,
			"deliver_policy": "last_per_subject", "filter_subject": filter, "ack_policy": "none",
			"replay_policy": "instant", "max_deliver": 1, "flow_control": true, "headers_only": true,
			"idle_heartbeat": time.Second, "inactive_threshold": tailInactive, "mem_storage": true, "num_replicas": 1,
		},
	}, &made)
	if err != nil {
		return nil, fmt.Errorf("last messages of %q: %w", filter, err)
	}
	defer func() { _ = b.nc.Publish("$JS.API.CONSUMER.DELETE."+s.cfg.Name+"."+name, nil) }()
	if made.Pending == 0 {
		return nil, nil
	}
	if most > 0 && made.Pending > uint64(most) {
		return nil, &bridge.Error{Code: bridge.CodeTooBig, Msg: fmt.Sprintf("more than %d subjects match", most),
			Hint: "narrow the filter"}
	}
	return c.wait(fctx, b)
}

// wait returns what was collected.
func (c *lastsCall) wait(ctx context.Context, b *Broker) ([]uint64, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, b.unavailable(ctx, ctx.Err())
	case <-b.life.Done():
		return nil, b.unavailable(ctx, nats.ErrConnectionClosed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return nil, c.fault
	}
	slices.Sort(c.seqs)
	return c.seqs, nil
}
