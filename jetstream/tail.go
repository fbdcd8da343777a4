package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/jetway-io/jetway/bridge"
)

// Figures of a tail.
const (
	tailHeartbeat = 2 * time.Second        // of an idle consumer
	tailSilence   = 5 * time.Second        // without anything at all: start again
	tailPoll      = 500 * time.Millisecond // while the stream or the server is away
	tailInactive  = 10 * time.Second       // nats-server deletes a consumer that nobody listens to
)

// tail is one Follow. Its consumer is nats.go's ordered push consumer made by
// hand: ephemeral, in memory, without acknowledgements, restarted after the
// last message whenever something does not fit. By hand, because a jump in the
// stream's sequences has to be explained, and because a message costs one
// look at its reply subject here.
type tail struct {
	b  *Broker
	s  *stream
	to bridge.Follower

	mu   sync.Mutex   // held while a Follower method runs
	inc  *incarnation // guarded by mu
	next uint64       // guarded by mu; the next sequence to hand over
	life *tailLife    // guarded by mu; the consumer whose messages count
}

// tailLife is the life of one consumer of a tail.
type tailLife struct {
	t       *tail
	sub     *nats.Subscription
	name    string
	ended   chan empty // closed when the consumer is of no use any more
	known   *deletedSet
	over    bool   // guarded by t.mu; ended is closed
	jump    uint64 // guarded by t.mu; the sequence after an unexplained hole
	dseq    uint64 // guarded by t.mu; the consumer's sequence of the last message
	last    uint64 // guarded by t.mu; the sequence of the last message
	bound   uint64 // the stream's last sequence before this life
	reached bool   // guarded by t.mu; the follower was told that it has caught up
	upTo    uint64 // guarded by t.mu; how far it was told
	signs   uint64 // guarded by t.mu; messages and heartbeats so far
}

// Follow implements [bridge.Broker].
func (b *Broker) Follow(ctx context.Context, slot int, from uint64, to bridge.Follower) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(b.life, func() { cancel(context.Canceled) })()
	if !b.enter() {
		<-ctx.Done()
		return ctx.Err()
	}
	defer b.wg.Done()
	s := b.streams[slot]
	t := &tail{b: b, s: s, to: to, next: max(from, 1), inc: s.current()}
	pokes, done := s.follow()
	defer done()
	fromStart := from == 0
	for ctx.Err() == nil {
		err := t.run(ctx, pokes, fromStart)
		fromStart = false
		if err != nil && ctx.Err() == nil {
			b.o.Logger.Debug("a tail starts again", "stream", s.cfg.Name, "err", err)
			pause(ctx, tailPoll, pokes)
		}
	}
	return ctx.Err()
}

// pause waits for a while, a poke or the end.
func pause(ctx context.Context, d time.Duration, pokes <-chan poke) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-pokes:
	}
}

// run is the life of one consumer, with what leads to it.
func (t *tail) run(ctx context.Context, pokes <-chan poke, fromStart bool) error {
	info, err := t.arrive(ctx, pokes)
	if err != nil {
		return err
	}
	first := max(info.State.First, 1)
	if info.State.Messages == 0 {
		first = info.State.Last + 1
	}
	t.mu.Lock()
	inc := t.inc
	if t.next < first {
		after := t.next - 1
		t.next = first
		if !fromStart {
			t.to.Lost(inc.stream, after, first)
		}
	}
	t.mu.Unlock()
	l, err := t.begin(ctx, inc, info.State.Last)
	if err != nil {
		return err
	}
	err = t.attend(ctx, l, pokes)
	t.finish(l)
	if err != nil || ctx.Err() != nil {
		return err
	}
	return t.explain(ctx, l)
}

// arrive finds the stream, waits for one that is gone, and tells the follower
// of another incarnation.
func (t *tail) arrive(ctx context.Context, pokes <-chan poke) (*streamInfo, error) {
	away := false
	for {
		info, inc, err := t.s.look(ctx)
		switch {
		case err == nil:
			t.mu.Lock()
			if inc != t.inc || away {
				if inc != t.inc {
					t.next = 1 // all of it is new
				}
				t.inc = inc
				t.to.Renewed(inc.stream)
			}
			t.mu.Unlock()
			return info, nil
		case !t.s.missing.Load() || ctx.Err() != nil:
			return nil, err
		case !away:
			away = true
			t.mu.Lock()
			t.to.Gone(t.inc.stream)
			t.mu.Unlock()
		}
		pause(ctx, tailPoll, pokes)
	}
}

// begin makes the consumer. The life it returns is already the one that counts.
func (t *tail) begin(ctx context.Context, inc *incarnation, bound uint64) (*tailLife, error) {
	l := &tailLife{t: t, bound: bound, name: "jw-tail-" + nuid.Next(), ended: make(chan empty), known: t.s.knownDeleted()}
	deliver := t.b.nc.NewInbox()
	t.mu.Lock()
	t.life = l
	start := t.next
	t.mu.Unlock()
	sub, err := t.b.nc.Subscribe(deliver, l.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	l.sub = sub
	// Flow control bounds what is on its way; a limit here would drop.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.finish(l)
		return nil, err
	}
	var made struct {
		Pending uint64 `json:"num_pending"`
	}
	err = t.b.api(ctx, "CONSUMER.CREATE."+t.s.cfg.Name+"."+l.name, map[string]any{
		"stream_name": t.s.cfg.Name, "action": "create",
		"config": map[string]any{
			"name": l.name, "description": "Jetway tail", "deliver_subject": deliver,
			"deliver_policy": "by_start_sequence", "opt_start_seq": start, "ack_policy": "none",
			"replay_policy": "instant", "max_deliver": 1, "flow_control": true,
			"idle_heartbeat": tailHeartbeat, "inactive_threshold": tailInactive,
			"mem_storage": true, "num_replicas": 1,
		},
	}, &made)
	if err != nil {
		t.finish(l)
		return nil, fmt.Errorf("make the tail's consumer: %w", err)
	}
	if made.Pending == 0 {
		t.mu.Lock()
		l.reach(inc, t.next-1)
		t.mu.Unlock()
	}
	return l, nil
}

// attend watches over a consumer until it is of no use any more.
func (t *tail) attend(ctx context.Context, l *tailLife, pokes <-chan poke) error {
	tick := time.NewTicker(tailSilence)
	defer tick.Stop()
	var signs uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ended:
			return nil
		case p := <-pokes:
			if p == pokeReconnected {
				return nil // looks at the stream, then a new consumer
			}
			_, inc, err := t.s.look(ctx)
			if err != nil || inc != l.inc() {
				return nil // run finds out what it is
			}
		case <-tick.C:
			t.mu.Lock()
			silent := l.signs == signs
			signs = l.signs
			t.mu.Unlock()
			if silent {
				return fmt.Errorf("nothing from the tail's consumer for %v", tailSilence)
			}
		}
	}
}

func (l *tailLife) inc() *incarnation {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return l.t.inc
}

// finish ends a consumer; after it, none of its messages reaches the follower.
func (t *tail) finish(l *tailLife) {
	t.mu.Lock()
	if t.life == l {
		t.life = nil
	}
	t.s.saw(t.inc, l.last)
	t.mu.Unlock()
	// Both fail only without a connection; nats-server then deletes the
	// consumer by itself, for want of interest.
	_ = l.sub.Unsubscribe()
	_ = t.b.nc.Publish("$JS.API.CONSUMER.DELETE."+t.s.cfg.Name+"."+l.name, nil)
}

// explain looks into a hole in the sequences that ended a consumer's life, and
// tells the follower of what nobody deleted.
func (t *tail) explain(ctx context.Context, l *tailLife) error {
	t.mu.Lock()
	after, jump, inc := t.next-1, l.jump, t.inc
	t.mu.Unlock()
	if jump == 0 {
		return nil
	}
	lost, err := t.s.unexplained(ctx, inc, after, jump)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range lost {
		t.to.Lost(inc.stream, r.After, r.Next)
	}
	t.next = jump
	return nil
}

// receive takes what the consumer sends: messages, flow control, heartbeats.
func (l *tailLife) receive(m *nats.Msg) {
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life != l || l.over {
		return
	}
	l.signs++
	at, ok := parseMeta(m.Reply)
	if !ok {
		l.control(m)
		return
	}
	if at.dseq != l.dseq+1 {
		l.end() // a message was lost on the way
		return
	}
	if at.seq < t.next {
		l.end() // the stream is another one
		return
	}
	if at.seq > t.next && !l.known.covers(t.next-1, at.seq) {
		l.jump = at.seq
		l.end()
		return
	}
	l.dseq, l.last = at.dseq, at.seq
	t.next = at.seq + 1
	t.to.Append(delivered(t.inc.stream, m, at))
	if at.pending == 0 {
		l.reach(t.inc, at.seq)
	}
}

// control answers flow control, in the order of processing so that nats-server
// never sends more than this tail can take, and checks heartbeats.
func (l *tailLife) control(m *nats.Msg) {
	t := l.t
	if status(m) != 100 {
		return
	}
	if m.Reply != "" {
		_ = t.b.nc.Publish(m.Reply, nil) // lost with the connection, which ends this life
		return
	}
	if stalled := m.Header.Get("Nats-Consumer-Stalled"); stalled != "" {
		_ = t.b.nc.Publish(stalled, nil)
	}
	at, err := parseHeartbeat(m.Header)
	if err != nil {
		return
	}
	if at.dseq != l.dseq {
		l.end()
		return
	}
	if m.Header.Get("Nats-Consumer-Stalled") == "" && at.seq+1 >= t.next {
		l.reached = l.reached && at.seq <= l.upTo // the newest messages were deleted
		l.reach(t.inc, at.seq)
	}
}

// reach tells the follower once per consumer that it has caught up. Nothing is
// pending, so what lies between seq and the stream's end, as it was before the
// consumer, does not exist.
func (l *tailLife) reach(inc *incarnation, seq uint64) {
	if l.reached {
		return
	}
	l.reached, l.upTo = true, max(seq, l.bound)
	l.t.to.Reached(inc.stream, l.upTo)
}

// end makes attend return.
func (l *tailLife) end() {
	if !l.over {
		l.over = true
		close(l.ended)
	}
}
