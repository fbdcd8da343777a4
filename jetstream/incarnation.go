package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Keys in a stream's metadata. They travel with the stream: into its backups,
// to its replicas, and past every gateway.
const (
	metaEpoch = "jetway-epoch"      // how often its sequences went back
	metaMark  = "jetway-high-water" // a sequence that was given out
)

// incarnation is one life of a stream, with what does not change within it
// but by Jetway's own hand. Immutable.
type incarnation struct {
	stream  *bridge.Stream
	created time.Time
	epoch   uint64
	dedupe  time.Duration
	atomic  bool // takes atomic batches
	copies  int
}

// stream is a stream of any incarnation: an exposed one, or one of the queues.
type stream struct {
	b         *Broker
	slot      int
	cfg       plan
	committer *committer // set before the broker is handed out
	sweep     sweep

	cur     atomic.Pointer[incarnation]
	missing atomic.Bool   // the last look did not find it
	high    atomic.Uint64 // the highest sequence seen in cur
	marked  atomic.Uint64 // the high-water mark last seen in the metadata
	held    atomic.Int64  // about how many messages it holds
	lock    chan empty    // held while looking; a mutex that obeys a context

	mu      sync.Mutex
	tails   map[chan poke]empty // guarded by mu
	deleted *deletedSet         // guarded by mu; nil until asked for
}

// poke is a hint to the tails of a stream.
type poke int

const (
	pokeLook        poke = iota // something happened to the stream: look at it
	pokeReconnected             // the connection is another: consumers may be gone
)

func newStream(b *Broker, slot int, cfg plan) *stream {
	s := &stream{b: b, slot: slot, cfg: cfg, lock: make(chan empty, 1), tails: map[chan poke]empty{}}
	s.sweep.b, s.sweep.s = b, s
	return s
}

func (s *stream) current() *incarnation { return s.cur.Load() }

// saw raises the highest sequence seen in an incarnation.
func (s *stream) saw(inc *incarnation, seq uint64) {
	for inc == s.cur.Load() {
		h := s.high.Load()
		if seq <= h || s.high.CompareAndSwap(h, seq) {
			return
		}
	}
}

// poke hints the stream's tails; one that has a hint waiting needs no other,
// but a reconnect must not be lost behind a look.
func (s *stream) poke(p poke) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.tails {
		select {
		case c <- p:
		default:
		}
	}
}

// follow registers a channel for pokes.
func (s *stream) follow() (c chan poke, done func()) {
	c = make(chan poke, 4)
	s.mu.Lock()
	s.tails[c] = empty{}
	s.mu.Unlock()
	return c, func() {
		s.mu.Lock()
		delete(s.tails, c)
		s.mu.Unlock()
	}
}

// streamInfo is the part of STREAM.INFO that is used. Config stays raw too, so
// that an update keeps what this version does not know.
type streamInfo struct {
	Raw     json.RawMessage `json:"config"`
	Config  streamSettings  `json:"-"`
	Created time.Time       `json:"created"`
	State   streamState     `json:"state"`
}

type streamState struct {
	Messages   uint64            `json:"messages"`
	Bytes      uint64            `json:"bytes"`
	First      uint64            `json:"first_seq"`
	FirstTime  time.Time         `json:"first_ts"`
	Last       uint64            `json:"last_seq"`
	NumDeleted int               `json:"num_deleted"`
	Deleted    []uint64          `json:"deleted"`
	Subjects   map[string]uint64 `json:"subjects"`
	Lost       *struct {
		Msgs []uint64 `json:"msgs"`
	} `json:"lost"`
}

// info asks for a stream. One that is missing is an error with errStreamNotFound.
func (b *Broker) info(ctx context.Context, name string, req any) (*streamInfo, error) {
	var i streamInfo
	if err := b.api(ctx, "STREAM.INFO."+name, req, &i); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(i.Raw, &i.Config); err != nil {
		return nil, fmt.Errorf("decode the configuration of the stream %s: %w", name, err)
	}
	return &i, nil
}

// look asks for the stream's state and brings its incarnation up to date:
// another one if it was made again, or if its sequences went back.
func (s *stream) look(ctx context.Context) (*streamInfo, *incarnation, error) {
	select {
	case s.lock <- empty{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	// Before asking: what is stored meanwhile must not look like a step back.
	before, seen := s.current(), s.high.Load()
	info, err := s.settled(ctx, before, seen)
	if errCode(err) == errStreamNotFound {
		if !s.missing.Swap(true) {
			s.b.o.Logger.Error("a stream does not exist any more", "stream", s.cfg.Name)
			s.poke(pokeLook)
		}
		return nil, nil, gone(s.cfg.Name)
	}
	if err != nil {
		return nil, nil, err
	}
	inc, err := s.identify(ctx, info, before, seen)
	if err != nil {
		return nil, nil, err
	}
	s.missing.Store(false)
	s.held.Store(int64(info.State.Messages))
	return info, inc, nil
}

// settled asks for the stream's state, and again when its last sequence is
// lower than one that was given out: nats-server reads state and metadata one
// after the other, and a replica that has just become leader may still have to
// apply what it has.
func (s *stream) settled(ctx context.Context, cur *incarnation, seen uint64) (*streamInfo, error) {
	tries, rest := 3, 20*time.Millisecond
	var high uint64
	for n := 0; ; n++ {
		info, err := s.b.info(ctx, s.cfg.Name, nil)
		if err != nil {
			return nil, err
		}
		if info.Config.Replicas > 1 {
			tries, rest = 20, 200*time.Millisecond
		}
		if n == 0 {
			high = floor(info, cur, seen)
		}
		if info.State.Last >= high || n == tries {
			return info, nil
		}
		pause(ctx, rest, nil)
	}
}

// floor returns a sequence that the stream of info has given out.
func floor(info *streamInfo, cur *incarnation, seen uint64) uint64 {
	if cur != nil && cur.created.Equal(info.Created) && cur.epoch == info.Config.epoch() {
		return max(info.Config.mark(), seen)
	}
	return info.Config.mark()
}

// identify finds the incarnation that info describes, raising the epoch when
// the last sequence is lower than one that was given out: a damaged last block
// makes nats-server start at a lower sequence and use the ones above again, so
// that a position kept by a client would skip messages in silence.
func (s *stream) identify(ctx context.Context, info *streamInfo, cur *incarnation, seen uint64) (*incarnation, error) {
	epoch, mark := info.Config.epoch(), info.Config.mark()
	same := cur != nil && cur.created.Equal(info.Created) && cur.epoch == epoch
	high := floor(info, cur, seen)
	if info.State.Last < high {
		s.b.o.Logger.Error("a stream's sequences went back: its end was damaged or an older backup was restored; clients are told of a gap",
			"stream", s.cfg.Name, "last", info.State.Last, "before", high)
		epoch++
		mark = info.State.Last
		if err := s.note(ctx, info, epoch, mark); err != nil {
			return nil, err
		}
		same = false
	}
	s.marked.Store(mark)
	if same {
		s.saw(cur, info.State.Last)
		return cur, nil
	}
	inc := &incarnation{
		stream: &bridge.Stream{Slot: s.slot, Name: s.cfg.Name, Subjects: info.Config.Subjects,
			Tag: tag(s.cfg.Name, info.Created, epoch)},
		created: info.Created, epoch: epoch, dedupe: info.Config.Dedupe,
		atomic: info.Config.Atomic, copies: info.Config.Replicas,
	}
	s.mu.Lock()
	s.deleted = nil
	s.mu.Unlock()
	s.high.Store(info.State.Last)
	s.cur.Store(inc)
	if cur != nil {
		s.b.o.Logger.Warn("a stream is another one now", "stream", s.cfg.Name, "tag", inc.stream.Tag, "before", cur.stream.Tag)
		s.poke(pokeLook)
	}
	return inc, nil
}

// note writes epoch and high-water mark into the stream's metadata. The API
// has no conditional update: of two gateways that do it at once one wins, with
// an epoch that both agree on and a mark that is seconds old at worst.
func (s *stream) note(ctx context.Context, info *streamInfo, epoch, mark uint64) error {
	md := maps.Clone(info.Config.Metadata)
	if md == nil {
		md = map[string]string{}
	}
	md[metaEpoch] = strconv.FormatUint(epoch, 10)
	md[metaMark] = strconv.FormatUint(mark, 10)
	return s.b.update(ctx, s.cfg.Name, info.Raw, map[string]any{"metadata": md})
}

// mark records the last sequence, unless the one recorded is as high already.
func (s *stream) mark(ctx context.Context) error {
	info, inc, err := s.look(ctx)
	if err != nil {
		return err
	}
	if info.State.Last <= s.marked.Load() {
		return nil
	}
	if err := s.note(ctx, info, inc.epoch, info.State.Last); err != nil {
		return err
	}
	s.marked.Store(info.State.Last)
	return nil
}

// tag names an incarnation: 8 of [a-z0-9].
func tag(name string, created time.Time, epoch uint64) string {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", name, created.UnixNano(), epoch))
	out := make([]byte, 8)
	for i := range out {
		out[i] = digits[int(sum[i])%len(digits)]
	}
	return string(out)
}

// watch looks at the streams from time to time and records their marks, and at
// the bucket of the sessions.
func (b *Broker) watch() {
	tick := time.NewTicker(markInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
			b.markAll(b.life)
			b.sessions.watch(b.life)
		}
	}
}

// markAll records all marks. What fails is tried again a few seconds later;
// until then the older mark serves.
func (b *Broker) markAll(ctx context.Context) {
	for _, s := range b.streams {
		if err := s.mark(ctx); err != nil && ctx.Err() == nil && !s.missing.Load() {
			b.o.Logger.Warn("cannot record a stream's high-water mark, trying again", "stream", s.cfg.Name, "err", err)
		}
	}
}
