package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a [Bridge]. The zero value is usable.
type Options struct {
	Logger *slog.Logger // nil discards

	// RingMessages and RingBytes bound the newest events that are kept in
	// memory, of all streams together; both hold. 0 means 100,000 and 64 MiB.
	// More of them means that more of the clients who come back, or lag, are
	// served without reading a stream.
	RingMessages int
	RingBytes    int

	// GoneGrace is how long subscriptions outlive the deletion of their
	// stream, for one that is made again at once. 0 means 10 s.
	GoneGrace time.Duration

	// SessionTTL is how long the broker keeps a session that nobody uses; it
	// has to be opened with the same. 0 means 24 h.
	SessionTTL time.Duration

	// Queues says how jobs are tried, if the broker keeps queues.
	Queues QueueOptions
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RingMessages <= 0 {
		o.RingMessages = 100_000
	}
	if o.RingBytes <= 0 {
		o.RingBytes = 64 << 20
	}
	if o.SessionTTL <= 0 {
		o.SessionTTL = 24 * time.Hour
	}
	if o.GoneGrace <= 0 {
		o.GoneGrace = 10 * time.Second
	}
	return o
}

// Bridge joins clients and a [Broker]. See the package documentation.
type Bridge struct {
	// Static after New.
	broker    Broker
	opts      Options
	logger    *slog.Logger
	id        string // of this gateway, among all
	log       *Log
	hub       *hub
	crew      crew
	histories []*history
	stats     *Stats
	ctx       context.Context // ends with Stop
	cancel    context.CancelFunc
	states    []*stateCall           // by slot
	acked     []atomic.Pointer[mark] // by slot, the newest message published here

	work    sync.WaitGroup // goroutines that Stop waits for
	warm    atomic.Bool
	clients atomic.Uint64 // ever connected; spreads them over the shards

	attaching keyLocks
	queues    *queues // nil without queues

	mu        sync.Mutex
	connected map[*Client]struct{}
	durables  map[string]*durable
	sessions  map[string]*Session // by key, those that clients here hold
	listeners map[string]*listener
	gone      map[*Stream]*time.Timer // streams that were deleted
	revoked   func(Revocation)        // nil: nobody wants to know
}

// New makes a bridge over a broker. It does nothing until Start.
func New(broker Broker, opts Options) *Bridge {
	opts = opts.withDefaults()
	streams := broker.Streams()
	b := &Bridge{
		broker:    broker,
		opts:      opts,
		logger:    opts.Logger,
		id:        randomID(),
		log:       newLog(streams, opts.RingMessages, opts.RingBytes),
		stats:     &Stats{},
		acked:     make([]atomic.Pointer[mark], len(streams)),
		connected: make(map[*Client]struct{}),
		durables:  make(map[string]*durable),
		sessions:  make(map[string]*Session),
		listeners: make(map[string]*listener),
		gone:      make(map[*Stream]*time.Timer),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.hub = newHub(b.log, b.stats)
	b.crew.most = runtime.GOMAXPROCS(0)
	for slot := range streams {
		b.histories = append(b.histories, &history{bridge: b, slot: slot})
		b.states = append(b.states, &stateCall{})
	}
	b.queues = newQueues(b)
	return b
}

// randomID returns 128 random bits as hex digits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}

// Start begins to follow the streams and returns when the ring is warm: those
// who come back after a restart are served from memory too. When ctx ends
// before that, the bridge is stopped.
func (b *Bridge) Start(ctx context.Context) error {
	if b.queues != nil {
		if err := b.queues.check(); err != nil {
			return err
		}
	}
	for _, s := range b.hub.shards {
		b.work.Go(func() { s.run(b.ctx.Done()) })
	}
	stop, err := b.broker.Signals(b.heard)
	if err != nil {
		b.cancel()
		return fmt.Errorf("bridge: listening to other gateways: %w", err)
	}
	context.AfterFunc(b.ctx, stop)
	var warming []mark
	for slot, s := range b.broker.Streams() {
		state, err := b.broker.State(ctx, slot)
		if err != nil {
			return errors.Join(fmt.Errorf("bridge: reading the state of stream %s: %w", s.Name, err), b.Stop(ctx))
		}
		from := b.warmFrom(state)
		b.log.startAt(state.Stream, from-1)
		warming = append(warming, mark{state.Stream, state.Last})
		b.work.Go(func() { b.follow(slot, from) })
	}
	for _, m := range warming {
		if err := b.log.waitFor(ctx, m); err != nil {
			return errors.Join(fmt.Errorf("bridge: stream %s was not read up to its end: %w", m.stream.Name, err), b.Stop(ctx))
		}
	}
	b.work.Go(b.tick)
	b.warm.Store(true)
	return nil
}

// warmFrom is the sequence from which a stream's end fills the ring.
func (b *Bridge) warmFrom(state StreamState) uint64 {
	n := uint64(b.opts.RingMessages)
	if state.Messages > 0 {
		n = min(n, uint64(b.opts.RingBytes)/(state.Bytes/state.Messages+1))
	}
	return max(state.First, 1, state.Last+1-min(n, state.Last))
}

// trimPause is how long the ring may hold what a stream has trimmed.
const trimPause = time.Second

// tick does what is to be done now and then.
func (b *Bridge) tick() {
	trim, touch, keep := time.NewTicker(trimPause), time.NewTicker(durableTouch), time.NewTicker(sessionTouch(b.opts.SessionTTL))
	defer trim.Stop()
	defer touch.Stop()
	defer keep.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-touch.C:
			b.touchDurables()
		case <-keep.C:
			b.touchSessions()
		case <-trim.C:
			for slot := range b.states {
				ctx, cancel := context.WithTimeout(b.ctx, readTimeout)
				_, _ = b.state(ctx, slot) // whoever needs it will see the error
				cancel()
			}
		}
	}
}

// Ready returns nil when clients can be served, else a sentence that says why
// they cannot.
func (b *Bridge) Ready() error {
	switch {
	case b.stopped():
		return errors.New("stopping")
	case !b.warm.Load():
		return errors.New("reading the newest events into memory")
	}
	b.mu.Lock()
	for s := range b.gone {
		b.mu.Unlock()
		return fmt.Errorf("stream %s has been deleted: restore a backup of it, or create it again (clients are told of a gap)", s.Name)
	}
	b.mu.Unlock()
	return b.broker.Ready()
}

func (b *Bridge) stopped() bool { return b.ctx.Err() != nil }

// Stop ends all that the bridge does and waits for it, no longer than ctx.
// Clients must have been closed before; those that are left are.
func (b *Bridge) Stop(ctx context.Context) error {
	b.cancel()
	b.mu.Lock()
	left := make([]*Client, 0, len(b.connected))
	for c := range b.connected {
		left = append(left, c)
	}
	for _, t := range b.gone {
		t.Stop()
	}
	b.mu.Unlock()
	for _, c := range left {
		c.Close()
	}
	if b.queues != nil {
		b.queues.stop(ctx)
	}
	ended := make(chan struct{})
	go func() {
		b.work.Wait()
		b.crew.done.Wait()
		for _, h := range b.histories {
			h.done.Wait()
		}
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bridge: not everything ended in time: %w", ctx.Err())
	}
}

// Stats returns the counters.
func (b *Bridge) Stats() *Stats { return b.stats }

// Dedupe is the shortest time for which any of the streams remembers a key.
func (b *Bridge) Dedupe(ctx context.Context) (time.Duration, error) {
	shortest := time.Duration(0)
	for slot := range b.acked {
		state, err := b.broker.State(ctx, slot)
		if err != nil {
			return 0, err
		}
		if shortest == 0 || state.Dedupe < shortest {
			shortest = state.Dedupe
		}
	}
	return shortest, nil
}

// Connect makes a client, which must be closed. When the bridge is stopping it is
// closed already.
func (b *Bridge) Connect(opts ClientOptions) *Client {
	if opts.MaxSubscriptions <= 0 {
		opts.MaxSubscriptions = 100
	}
	if opts.MaxInflight <= 0 {
		opts.MaxInflight = 4096
	}
	if opts.Permissions == nil {
		opts.Permissions = &Permissions{}
	}
	n := b.clients.Add(1)
	c := &Client{bridge: b, shard: b.hub.shards[n%uint64(len(b.hub.shards))], encoder: opts.Encoder, transport: opts.Transport,
		failed: opts.Failed, maxSubs: opts.MaxSubscriptions, maxInflight: opts.MaxInflight}
	c.who.Store(&authority{opts.User, opts.Permissions})
	c.changed.L = &c.mu
	b.mu.Lock()
	c.closed = b.stopped() // then Stop does not know of it, and would not wait for who writes for it
	b.connected[c] = struct{}{}
	b.mu.Unlock()
	b.stats.Clients.Add(1)
	return c
}

// forget is the end of a client. It may be called more than once.
func (b *Bridge) forget(c *Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.connected[c]; ok {
		delete(b.connected, c)
		b.stats.Clients.Add(-1)
	}
}

// drop undoes what Subscribe did, once, after the client has let go.
func (b *Bridge) drop(sub *Subscription) {
	if len(sub.slots) > 0 || sub.bundle {
		sub.client.shard.remove(sub)
	} else {
		b.unlisten(sub)
	}
	b.stats.Subscriptions.Add(-1)
	b.closeDurable(sub)
}

// dropAll drops many; durables, for which the broker has to be asked, side by
// side.
func (b *Bridge) dropAll(subs []*Subscription) {
	var asking sync.WaitGroup
	for _, sub := range subs {
		if sub.durable != nil {
			asking.Go(func() { b.drop(sub) })
		} else {
			b.drop(sub)
		}
	}
	asking.Wait()
}
