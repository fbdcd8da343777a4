package memory

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// stream is one slot: the present incarnation and what is stored in it.
type stream struct {
	// Static after construction.
	slot   int
	opts   Stream
	broker Options

	perSubject int // messages on one subject, beyond which new ones are refused; 0 or less: no limit

	mu sync.Mutex
	// Guarded by mu.
	info     *bridge.Stream // the present incarnation, or the last one when gone
	gone     bool           // removed and not made again
	log      *log
	ids      *dedupe
	ttl      expiry
	durables durables
	changed  chan struct{} // closed at the next change; nil when nobody waits
}

func newStream(slot int, opts Stream, broker Options) *stream {
	s := &stream{slot: slot, opts: opts, broker: broker}
	s.renewLocked()
	return s
}

// renewLocked starts an empty incarnation.
func (s *stream) renewLocked() {
	s.info = &bridge.Stream{Slot: s.slot, Name: s.opts.Name, Subjects: slices.Clone(s.opts.Subjects), Tag: newTag()}
	s.gone = false
	s.clearLocked()
}

func (s *stream) clearLocked() {
	s.log = newLog()
	s.ids = newDedupe(s.opts.Dedupe)
	s.ttl = expiry{}
	s.durables = newDurables(s.broker.MaxDurables, s.broker.DurableIdle)
}

// newTag returns 8 random characters of [a-z2-7]: 40 bits, so that no two
// incarnations of a test's life are alike.
func newTag() string { return strings.ToLower(rand.Text()[:8]) }

func (s *stream) covers(subject string) bool {
	return slices.ContainsFunc(s.opts.Subjects, func(f string) bool { return bridge.Matches(f, subject) })
}

// lock takes the mutex and drops what has expired.
func (s *stream) lock() {
	s.mu.Lock()
	s.expireLocked(time.Now())
}

func (s *stream) expireLocked(now time.Time) {
	s.ids.expire(now)
	for m := s.ttl.due(now); m != nil; m = s.ttl.due(now) {
		s.log.remove(m)
	}
	if s.opts.MaxAge > 0 {
		for s.log.count() > 0 && now.Sub(s.log.messages[0].time) >= s.opts.MaxAge {
			s.log.trimFirst()
		}
	}
}

// limitLocked trims the oldest messages until the limits hold.
func (s *stream) limitLocked() {
	l := s.log
	for s.opts.MaxMessages > 0 && int64(l.count()) > s.opts.MaxMessages {
		l.trimFirst()
	}
	for s.opts.MaxBytes > 0 && l.bytes > uint64(s.opts.MaxBytes) {
		l.trimFirst()
	}
	s.ttl.purge(l.count())
}

// waitLocked returns a channel that the next change closes.
func (s *stream) waitLocked() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// wakeLocked wakes the followers.
func (s *stream) wakeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// event makes the message into an event of its own: receivers keep notes in an
// Event (its place in their Log), so two of them must not share one. It reads
// only what never changes and needs no lock.
func (m *message) event(s *bridge.Stream) *bridge.Event {
	return &bridge.Event{Subject: m.subject.name, Stream: s, Seq: m.seq, Time: m.time, Head: m.head, Data: m.data}
}

func events(messages []*message, s *bridge.Stream) []*bridge.Event {
	all := make([]*bridge.Event, len(messages))
	for i, m := range messages {
		all[i] = m.event(s)
	}
	return all
}
