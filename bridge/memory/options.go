package memory

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Defaults of [Options], [Stream] and [Queues].
const (
	DefaultMaxMessages = 1_000_000
	DefaultMaxBytes    = 256 << 20
	DefaultDedupe      = 2 * time.Minute
	DefaultDurableIdle = 7 * 24 * time.Hour
	DefaultMaxDurables = 100
	DefaultLease       = 30 * time.Second
	DefaultMaxJobs     = 100_000
	DefaultSessionTTL  = 24 * time.Hour
)

// Errors of [New].
var (
	// ErrStream is returned when a stream has no valid name or subjects, or
	// has a negative duration.
	ErrStream = errors.New("memory: bad stream")
	// ErrOverlap is returned when a subject would belong to two filters.
	ErrOverlap = errors.New("memory: overlapping subjects")
)

// Options says which streams a [Broker] has. The zero value is a broker
// without streams, which only passes events on to listeners.
type Options struct {
	// Streams are the exposed streams; their index is their slot.
	Streams []Stream

	// DurableIdle is how long a durable lives that nobody opens or moves.
	// 0 means 7 days, negative for ever.
	DurableIdle time.Duration

	// MaxDurables is how many durables a user may have in one stream: it stops
	// a client that invents names from filling the memory. 0 means 100,
	// negative no limit.
	MaxDurables int

	// Queues are the work queues. The zero value means none.
	Queues Queues

	// SessionTTL is how long a session is kept that nobody saves: it stops
	// clients that never come back from filling the memory. 0 means 24 h,
	// negative no sessions.
	SessionTTL time.Duration
}

// Queues describes the stream that holds the jobs. Each subject of it is a
// queue.
type Queues struct {
	// Stream is the stream's name; "" means that there are no queues.
	Stream string

	// Subjects are the filters of the queues' subjects; required. They must
	// not overlap with each other or with a stream's.
	Subjects []string

	// Lease is for how long a worker can have a job without a sign of life.
	// The broker holds it a little longer: see [bridge.Job.Until]. 0 means
	// 30 seconds.
	Lease time.Duration

	// MaxJobs is how many jobs a queue may hold, those handed out included: it
	// stops clients from filling the memory while no worker is there. 0 means
	// 100,000, negative no limit.
	MaxJobs int

	// Dedupe is the window in which a Publication.ID is remembered. 0 means
	// two minutes.
	Dedupe time.Duration

	// NoDelays makes a broker that cannot delay jobs: one with NotBefore is
	// refused with [bridge.CodeNoStream].
	NoDelays bool
}

// Stream describes one stream. When a limit is exceeded, the oldest messages
// are trimmed.
type Stream struct {
	// Name is the stream's name; required, no two alike.
	Name string

	// Subjects are the filters of what it stores; required. They must not
	// overlap with each other or with another stream's.
	Subjects []string

	// MaxMessages is how many messages are kept. 0 means 1,000,000, negative
	// no limit.
	MaxMessages int64

	// MaxBytes is how much is kept, in bytes of subjects, headers and
	// payloads. 0 means 256 MiB, negative no limit.
	MaxBytes int64

	// MaxAge is how long a message is kept. 0 means for ever.
	MaxAge time.Duration

	// Dedupe is the window in which a Publication.ID is remembered. 0 means
	// two minutes, or MaxAge where that is less.
	Dedupe time.Duration
}

func (o Options) cloneWithDefaults() (Options, error) {
	if o.DurableIdle == 0 {
		o.DurableIdle = DefaultDurableIdle
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = DefaultSessionTTL
	}
	if o.MaxDurables == 0 {
		o.MaxDurables = DefaultMaxDurables
	}
	o.Streams = slices.Clone(o.Streams)
	for i := range o.Streams {
		s := &o.Streams[i]
		if err := s.check(); err != nil {
			return o, err
		}
		for j := range o.Streams[:i] {
			if o.Streams[j].Name == s.Name {
				return o, fmt.Errorf("%w: the name %q is there twice", ErrStream, s.Name)
			}
		}
		s.setDefaults()
	}
	all, err := o.Queues.complete(o.Streams)
	if err != nil {
		return o, err
	}
	return o, checkOverlap(all)
}

// complete checks the queues, sets their defaults, and returns the streams
// and the one of the queues.
func (q *Queues) complete(streams []Stream) ([]Stream, error) {
	if q.Stream == "" && len(q.Subjects) == 0 {
		return streams, nil
	}
	s := Stream{Name: q.Stream, Subjects: q.Subjects, Dedupe: q.Dedupe}
	if err := s.check(); err != nil {
		return nil, err
	}
	if q.Lease < 0 {
		return nil, fmt.Errorf("%w: %s has a negative lease", ErrStream, q.Stream)
	}
	if slices.ContainsFunc(streams, func(other Stream) bool { return other.Name == q.Stream }) {
		return nil, fmt.Errorf("%w: the name %q is there twice", ErrStream, q.Stream)
	}
	s.setDefaults()
	q.Subjects, q.Dedupe = s.Subjects, s.Dedupe
	if q.Lease == 0 {
		q.Lease = DefaultLease
	}
	if q.MaxJobs == 0 {
		q.MaxJobs = DefaultMaxJobs
	}
	return append(slices.Clone(streams), s), nil
}

func (s *Stream) check() error {
	if err := bridge.ValidName(s.Name); err != nil {
		return fmt.Errorf("%w: name %q: %w", ErrStream, s.Name, err)
	}
	if len(s.Subjects) == 0 {
		return fmt.Errorf("%w: %s has no subjects", ErrStream, s.Name)
	}
	for _, f := range s.Subjects {
		if err := bridge.ValidFilter(f); err != nil {
			return fmt.Errorf("%w: %s: subject %q: %w", ErrStream, s.Name, f, err)
		}
	}
	if s.MaxAge < 0 || s.Dedupe < 0 {
		return fmt.Errorf("%w: %s has a negative duration", ErrStream, s.Name)
	}
	return nil
}

func (s *Stream) setDefaults() {
	s.Subjects = slices.Clone(s.Subjects)
	if s.MaxMessages == 0 {
		s.MaxMessages = DefaultMaxMessages
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	if s.Dedupe == 0 {
		s.Dedupe = DefaultDedupe
		if s.MaxAge > 0 {
			s.Dedupe = min(s.Dedupe, s.MaxAge)
		}
	}
}

func checkOverlap(streams []Stream) error {
	var seen []string
	for _, s := range streams {
		for _, f := range s.Subjects {
			for _, other := range seen {
				if bridge.Overlap(f, other) {
					return fmt.Errorf("%w: %q and %q", ErrOverlap, other, f)
				}
			}
			seen = append(seen, f)
		}
	}
	return nil
}
