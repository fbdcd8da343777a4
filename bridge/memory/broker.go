package memory

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.Broker = (*Broker)(nil)

// Broker keeps streams in memory. All methods may be called concurrently.
type Broker struct {
	streams   []*stream // static after construction
	queues    *queues   // static after construction; nil without queues
	services  services
	sessions  sessions
	gateways  gateways
	listeners listeners[*bridge.Event]
	signals   listeners[signal]
	closed    atomic.Bool

	mu       sync.Mutex
	notReady error // guarded by mu
}

// New returns a broker with empty streams and queues. A mistake in the options is an
// [ErrStream] or [ErrOverlap]. The caller closes the broker.
func New(o Options) (*Broker, error) {
	o, err := o.cloneWithDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{sessions: sessions{ttl: o.SessionTTL}, gateways: gateways{closed: make(chan struct{})}}
	for slot, s := range o.Streams {
		b.streams = append(b.streams, newStream(slot, s, o))
	}
	if o.Queues.Stream != "" {
		b.queues = newQueues(len(b.streams), o)
	}
	return b, nil
}

// Close ends the broker: what is asked of it from now on is an error with
// [bridge.CodeUnavailable]; so is what pulls and requests that wait are told,
// those of gateways included.
// As the contract has it, followers stay until their contexts end. Closing
// again does nothing.
func (b *Broker) Close() {
	if b.closed.Swap(true) {
		return
	}
	b.services.close()
	b.gateways.close()
	if b.queues != nil {
		b.queues.close()
	}
}

// Streams implements [bridge.Broker]. A removed stream is shown as it last was.
func (b *Broker) Streams() []*bridge.Stream {
	all := make([]*bridge.Stream, len(b.streams))
	for i, s := range b.streams {
		s.mu.Lock()
		all[i] = s.info
		s.mu.Unlock()
	}
	return all
}

// Ready implements [bridge.Broker]; see [Broker.SetReady].
func (b *Broker) Ready() error {
	if b.closed.Load() {
		return errClosed()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notReady
}

// lock returns the slot's stream, locked and rid of what has expired. It fails
// when ctx has ended, the broker is closed or the stream is removed.
func (b *Broker) lock(ctx context.Context, slot int) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.closed.Load() {
		return nil, errClosed()
	}
	s := b.streams[slot]
	s.lock()
	if s.gone {
		s.mu.Unlock()
		return nil, &bridge.Error{Code: bridge.CodeNoStream, Msg: "the stream " + s.opts.Name + " does not exist any more"}
	}
	return s, nil
}

// slotOf returns the slot of the stream that covers the subject, -1 for none.
func (b *Broker) slotOf(subject string) int {
	if b.queues != nil && b.queues.covers(subject) {
		return b.queues.slot
	}
	return slices.IndexFunc(b.streams, func(s *stream) bool { return s.covers(subject) })
}

func errClosed() error {
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the broker is closed"}
}
