package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/jetway-io/jetway/bridge"
)

// Times of a sweep.
const (
	sweepKept     = 5 * time.Second // how long its consumer is there for the next read
	sweepPatience = 2 * time.Second // for what was asked for
	sweepBarred   = time.Minute     // after a consumer that could not be made, or did not answer
)

// errSwept is a consumer that is of no use any more: it was deleted, say. The
// next read may make another.
var errSwept = errors.New("the consumer is gone, or a message was lost on the way")

// sweep reads a stream in order, from one place on, through an ephemeral pull
// consumer (ADR-13). That brings what a batched direct get does, for a fraction
// of the work: into each answer to a direct get nats-server formats six headers,
// which nats.go takes apart. But the consumer has to be made. On a single
// server that costs as much as some twenty messages; in a cluster its leader
// decides, so there only a read that goes on where the one before has ended is
// worth one.
type sweep struct {
	b *Broker
	s *stream

	busy   sync.Mutex // held while reading; guards what follows
	life   *sweepLife // nil while there is no consumer
	ended  uint64     // where the last read has ended, if that was a direct get
	barred time.Time  // no consumer is made before
}

// sweepLife is the life of one consumer of a sweep.
type sweepLife struct {
	inc   *incarnation
	lost  uint64 // reconnects of the connection before it was made
	from  string // the subject of its pulls
	inbox string // the reply subject of a pull, but for its number
	sub   *nats.Subscription
	next  uint64    // guarded by sweep.busy; the sequence to go on from
	used  time.Time // guarded by sweep.busy
	pulls uint64    // guarded by sweep.busy

	mu   sync.Mutex
	pull *sweepPull // guarded by mu; the one under way, nil for none
	dseq uint64     // guarded by mu; the consumer's sequence of the last message
}

// sweepPull is one request for messages. What it brings is good when done is
// closed.
type sweepPull struct {
	reply  string
	most   int
	events []*bridge.Event
	large  bool // nothing has come because the first message alone is too large
	fault  error
	done   chan empty
}

// read returns the next messages from a sequence on. None means that it is for a
// direct get to find out more.
func (w *sweep) read(ctx context.Context, inc *incarnation, r getRequest) []*bridge.Event {
	if !w.busy.TryLock() {
		return nil
	}
	defer w.busy.Unlock()
	if w.life != nil && (w.life.next != r.Seq || w.life.inc != inc || time.Since(w.life.used) > sweepKept) {
		w.end()
	}
	if w.life == nil {
		worth := w.ended == r.Seq || w.b.hist.ConnectedClusterName() == ""
		if !worth || time.Now().Before(w.barred) {
			return nil
		}
		if err := w.begin(ctx, inc, r.Seq); err != nil {
			w.failed(ctx, err)
			return nil
		}
	}
	events, err := w.pull(ctx, r.Batch, r.MaxBytes)
	switch n := len(events); {
	case err != nil:
		w.failed(ctx, err) // what has come before is good
	case n > 0:
		w.life.next = events[n-1].Seq + 1
	}
	return events
}

// passed notes where a read has ended that was none of the sweep's.
func (w *sweep) passed(next uint64) {
	if w.busy.TryLock() {
		w.ended = next
		w.busy.Unlock()
	}
}

// begin makes the consumer.
func (w *sweep) begin(ctx context.Context, inc *incarnation, from uint64) error {
	name := "jw-sweep-" + nuid.Next()
	l := &sweepLife{inc: inc, next: from, lost: w.b.hist.Stats().Reconnects, from: w.s.cfg.Name + "." + name, inbox: w.b.hist.NewInbox() + "."}
	sub, err := w.b.hist.Subscribe(l.inbox+"*", l.receive)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	l.sub = sub
	w.life = l
	// What comes is bounded by the pulls; a limit here would drop.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	return w.b.api(ctx, "CONSUMER.CREATE."+l.from, map[string]any{
		"stream_name": w.s.cfg.Name, "action": "create",
		"config": map[string]any{
			"name": name, "description": "Jetway history", "deliver_policy": "by_start_sequence", "opt_start_seq": from,
			"ack_policy": "none", "replay_policy": "instant", "inactive_threshold": 2 * sweepKept,
			"mem_storage": true, "num_replicas": 1,
		},
	}, nil)
}

// end is the end of the consumer.
func (w *sweep) end() {
	l := w.life
	if l == nil {
		return
	}
	w.life = nil
	// Both fail only without a connection; nats-server then deletes the
	// consumer by itself, as nobody asks it for anything.
	_ = l.sub.Unsubscribe()
	_ = w.b.nc.Publish("$JS.API.CONSUMER.DELETE."+l.from, nil)
}

// failed parts with the consumer, and does without one for a while if that will
// not be better at once: direct gets bring the same.
func (w *sweep) failed(ctx context.Context, err error) {
	away := !w.b.hist.IsConnected() || !w.b.nc.IsConnected() || w.life != nil && w.life.lost != w.b.hist.Stats().Reconnects
	w.end()
	if away || ctx.Err() != nil || w.b.life.Err() != nil || errors.Is(err, errSwept) {
		return
	}
	w.barred = time.Now().Add(sweepBarred)
	w.b.o.Logger.Warn("history is read the slow way for a minute: no consumer to read it with",
		"stream", w.s.cfg.Name, "err", err)
}

// close ends the consumer, unless somebody reads.
func (w *sweep) close() {
	if w.busy.TryLock() {
		w.end()
		w.busy.Unlock()
	}
}

// pull asks for the next messages, as many and as large as a direct get would
// bring: at least one, if there is any.
func (w *sweep) pull(ctx context.Context, most, maxBytes int) ([]*bridge.Event, error) {
	p := w.ask(ctx, most, maxBytes)
	if p.fault == nil && p.large {
		p = w.ask(ctx, 1, 0)
	}
	return p.events, p.fault
}

// ask sends one request and waits for what it brings.
func (w *sweep) ask(ctx context.Context, most, maxBytes int) *sweepPull {
	ctx, cancel := context.WithTimeout(ctx, min(sweepPatience, w.b.o.Timeout))
	defer cancel()
	l := w.life
	l.pulls++
	l.used = time.Now()
	p := &sweepPull{reply: l.inbox + strconv.FormatUint(l.pulls, 36), most: most, done: make(chan empty)}
	l.mu.Lock()
	l.pull = p
	l.mu.Unlock()
	request := fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"no_wait":true}`, most, maxBytes)
	if err := w.b.hist.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+l.from, p.reply, request); err != nil {
		return &sweepPull{fault: err}
	}
	select {
	case <-p.done:
		return p
	case <-ctx.Done():
		return &sweepPull{fault: fmt.Errorf("%w: may the user of nats.url publish all that docs/operations.md says?", ctx.Err())}
	case <-w.b.life.Done():
		return &sweepPull{fault: nats.ErrConnectionClosed}
	}
}

// receive takes what the consumer sends: messages, and the word that no more
// will come.
func (l *sweepLife) receive(m *nats.Msg) {
	at, isMessage := parseMeta(m.Reply)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pull
	switch {
	case p == nil || !isMessage && m.Subject != p.reply: // of the pull before
	case !isMessage:
		l.finish(p.ended(m))
	case at.dseq != l.dseq+1:
		l.finish(errSwept)
	default:
		l.dseq = at.dseq
		p.events = append(p.events, delivered(l.inc.stream, m, at))
		if len(p.events) == p.most {
			l.finish(nil)
		}
	}
}

// finish ends the pull under way. The caller holds l.mu.
func (l *sweepLife) finish(err error) {
	l.pull.fault = err
	close(l.pull.done)
	l.pull = nil
}

// ended reads the status that ends a pull: no error when it is over because
// there is no more, or no room for more.
func (p *sweepPull) ended(m *nats.Msg) error {
	switch code, text := status(m), m.Header.Get("Description"); {
	case code == 404, code == 408, code == 409 && strings.Contains(text, "Batch Completed"):
		return nil
	case code == 409 && strings.Contains(text, "MaxBytes"):
		p.large = len(p.events) == 0
		return nil
	}
	return errSwept
}
