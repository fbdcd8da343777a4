package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/jetway-io/jetway/bridge"
)

// markInterval is how often the streams are looked at and their high-water
// marks recorded: what damage can hide of a stream's end is what was stored
// since the last mark.
const markInterval = 5 * time.Second

// Broker is a [bridge.Broker] on NATS JetStream. Make one with [Open].
type Broker struct {
	// Static after construction.
	o         Options
	srv       *embedded  // nil with an external server
	nc        *nats.Conn // publishing, tails, jobs, requests, control
	hist      *nats.Conn // history
	acks      *inbox     // answers to all that is sent on nc
	gets      *inbox     // answers to direct gets, on hist
	answers   *inbox     // answers of other gateways, on nc
	reads     chan struct{}
	streams   []*stream // by slot
	exposed   int       // so many of streams, the first ones
	queue     *stream   // nil without queues; one of streams
	delayed   *stream   // nil without schedules; one of streams
	times     queueTimes
	sessions  *sessions       // nil when none are kept
	noDelay   string          // why there is no delayed
	life      context.Context // ends with Close
	end       context.CancelFunc
	wg        sync.WaitGroup     // committers, watcher, Follow calls, answers to gateways
	pulls     asks               // pulls under way
	mailboxes mailboxes          // for pulls
	asks      asks               // waiting for an answer on acks
	mover     sync.WaitGroup     // the mover; ends before all else
	halt      context.CancelFunc // ends the mover
	open      atomic.Bool        // Open has returned; streams and all below are there

	mu     sync.Mutex
	closed bool           // guarded by mu
	online chan struct{}  // guarded by mu; closed while connected
	down   error          // guarded by mu; why publishes hang, nil when they do not
	closer sync.Once      // runs the shutdown once
	fault  error          // of the shutdown, after closer
	subs   map[*sub]empty // guarded by mu; Listen and Signals
}

type empty = struct{}

// maxReads is how many direct gets of history run at once. Each holds a stream's lock
// in nats-server that publishers need.
const maxReads = 4

// Open starts the embedded server, or connects to the external one, and makes
// the streams. On an error nothing is left running.
func Open(ctx context.Context, o Options) (_ *Broker, err error) {
	o = o.withDefaults()
	b := &Broker{o: o, reads: make(chan struct{}, maxReads), online: make(chan struct{}), subs: map[*sub]empty{}}
	b.times = timesOf(o.Queues.Lease)
	b.life, b.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			// The error at hand says more than one of the roll-back.
			stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = b.Close(stop)
		}
	}()
	if o.URL == "" {
		if b.srv, err = startEmbedded(ctx, o); err != nil {
			return nil, err
		}
	}
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := b.openStreams(ctx); err != nil {
		return nil, err
	}
	if err := b.openSessions(ctx); err != nil {
		return nil, err
	}
	for _, s := range b.streams {
		s.committer = newCommitter(b, s)
		b.wg.Go(s.committer.run)
	}
	if err := b.watchAdvisories(); err != nil {
		return nil, err
	}
	b.wg.Go(b.watch)
	if b.delayed != nil {
		var moving context.Context
		moving, b.halt = context.WithCancel(b.life)
		b.mover.Go(func() { b.moveDue(moving) })
	}
	b.open.Store(true)
	return b, nil
}

// connect opens both connections and their inboxes.
func (b *Broker) connect() (err error) {
	if b.nc, err = b.dial("jetway", b.onState); err != nil {
		return err
	}
	b.setOnline(true)
	if b.hist, err = b.dial("jetway history", nil); err != nil {
		return err
	}
	if b.acks, err = newInbox(b.nc, b.nc.NewInbox()); err != nil {
		return fmt.Errorf("subscribe to the answers of NATS: %w", err)
	}
	if b.gets, err = newInbox(b.hist, b.hist.NewInbox()); err != nil {
		return fmt.Errorf("subscribe to the answers of NATS: %w", err)
	}
	// Below the control subjects, so that one permission is enough for a gateway
	// to answer others.
	if b.answers, err = newInbox(b.nc, ctlAnswer+nuid.Next()); err != nil {
		return fmt.Errorf("subscribe to the answers of other gateways: %w", err)
	}
	return nil
}

// dial connects for good: a lost connection is retried without end.
func (b *Broker) dial(name string, state func(up bool)) (*nats.Conn, error) {
	if state == nil {
		state = func(bool) {}
	}
	opts := []nats.Option{
		nats.Name(name),
		nats.Timeout(b.o.Timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		// Nothing is queued while disconnected: the caller would wait for an
		// answer to something that may be sent minutes later.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			state(false)
			if b.life.Err() == nil {
				b.o.Logger.Warn("the connection to NATS is lost, reconnecting", "conn", name, "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.o.Logger.Info("reconnected to NATS", "conn", name)
			state(true)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			b.o.Logger.Warn("NATS reports an error", "conn", name, "subject", subject, "err", err)
		}),
	}
	url := b.o.URL
	if b.srv != nil {
		opts = append(opts, nats.InProcessServer(b.srv.srv))
	} else if b.o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(b.o.Credentials))
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to NATS at %s: %w: check nats.url and nats.credentials, and that the server runs", hosts(url), err)
	}
	return nc, nil
}

// onState reacts to the loss and the return of the main connection.
func (b *Broker) onState(up bool) {
	b.setOnline(up)
	if !b.open.Load() {
		return // Open is still making the streams
	}
	for _, s := range b.streams {
		if up {
			s.poke(pokeReconnected)
		} else {
			s.committer.disconnected()
		}
	}
	if !up {
		b.pulls.abandon(errLost)
		b.asks.abandon(errLost)
	}
}

func (b *Broker) setOnline(up bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.online:
		if !up {
			b.online = make(chan struct{})
		}
	default:
		if up {
			close(b.online)
		}
	}
}

// enter counts a call that Close waits for; false when the broker is closed.
func (b *Broker) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.wg.Add(1)
	}
	return !b.closed
}

// connected returns a channel that is closed while the main connection is up.
func (b *Broker) connected() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.online
}

// MaxPayload is the largest message in bytes that NATS takes, headers included.
func (b *Broker) MaxPayload() int64 { return b.nc.MaxPayload() }

// ClientURL returns the address at which other programs reach the embedded
// server, empty when it does not listen or when the server is external.
func (b *Broker) ClientURL() string {
	if b.srv == nil || b.o.Embedded.Listen == "" {
		return ""
	}
	return b.srv.srv.ClientURL()
}

// Streams implements [bridge.Broker].
func (b *Broker) Streams() []*bridge.Stream {
	list := make([]*bridge.Stream, b.exposed)
	for i, s := range b.streams[:b.exposed] {
		list[i] = s.current().stream
	}
	return list
}

// hosts is what may be shown of NATS URLs: they can carry a password or token,
// and anyone may read /readyz.
func hosts(urls string) string {
	var list []string
	for _, one := range strings.Split(urls, ",") {
		if at := strings.LastIndex(one, "@"); at >= 0 {
			one = one[at+1:]
		} else if _, after, ok := strings.Cut(one, "://"); ok {
			one = after
		}
		list = append(list, strings.TrimSpace(one))
	}
	return strings.Join(list, ", ")
}

// Ready implements [bridge.Broker].
func (b *Broker) Ready() error {
	b.mu.Lock()
	closed, down := b.closed, b.down
	b.mu.Unlock()
	switch {
	case closed:
		return errors.New("the broker is closed")
	case !b.nc.IsConnected():
		return fmt.Errorf("not connected to NATS: check that the server at %s runs", hosts(b.o.URL))
	case down != nil:
		return down
	}
	for _, s := range b.streams {
		if s.missing.Load() {
			return fmt.Errorf("the stream %s does not exist any more: restore a backup of it, or create it again (clients are told of a gap)", s.cfg.Name)
		}
	}
	return nil
}

// setDown records that publishes hang, or, with nil, that they do not.
func (b *Broker) setDown(err error) {
	b.mu.Lock()
	b.down = err
	b.mu.Unlock()
}

// Close ends all that the broker runs: publishes that wait are answered with
// CodeUnavailable, and so are pulls,
// settlements, requests and the saving of sessions; Follow returns, high-water
// marks are recorded, and the embedded server stops. Idempotent. When ctx ends first, it returns an error
// and leaves the rest to the end of the process.
func (b *Broker) Close(ctx context.Context) error {
	b.closer.Do(func() { b.fault = b.shutdown(ctx) })
	return b.fault
}

func (b *Broker) shutdown(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	subs := b.subs
	b.subs = nil
	b.mu.Unlock()
	for s := range subs {
		s.stop()
	}
	b.stopJobs(ctx)
	if b.nc != nil && b.nc.IsConnected() {
		b.markAll(ctx)
	}
	for _, s := range b.streams {
		s.sweep.close()
	}
	b.end()
	b.asks.close()
	errs := []error{wait(ctx, &b.wg), wait(ctx, &b.mover)}
	for _, nc := range []*nats.Conn{b.nc, b.hist} {
		if nc != nil {
			nc.Close()
		}
	}
	if b.srv != nil {
		errs = append(errs, b.srv.stop(ctx))
	}
	return errors.Join(errs...)
}

// stopJobs takes no more jobs, and lets the mover finish those that it has.
// Before anything else, as a message that is delivered to a broker that stops
// is out until its ack_wait has passed.
func (b *Broker) stopJobs(ctx context.Context) {
	if b.halt != nil {
		b.halt()
	}
	b.pulls.close()
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	_ = wait(ctx, &b.mover) // what it could not finish, it gives back
}

// wait waits for the broker's goroutines, or for ctx.
func wait(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the broker: %w", context.Cause(ctx))
	}
}

var (
	_ bridge.Broker      = (*Broker)(nil)
	_ bridge.QueueBroker = (*Broker)(nil)
	_ bridge.Requester   = (*Broker)(nil)
)
