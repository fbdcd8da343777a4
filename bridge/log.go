package bridge

import (
	"context"
	"sort"
	"sync"
	"sync/atomic"
)

// Log gives the events of all streams one order, the one in which this gateway
// received them, and keeps the newest in memory (the ring), so that clients
// who reconnect or lag a little are served without asking a stream.
//
// Each entry has an index, from 1. A cursor is such an index ("everything up
// to here has been looked at"); it is good as long as no event that it has not
// passed has left the ring, stream by stream: see covers.
//
// Safe for concurrent use.
type Log struct {
	maxMessages int
	maxBytes    int

	mu       sync.RWMutex
	ring     []*Event // entry i is ring[i % len(ring)], for first <= i < next
	first    uint64
	next     uint64
	bytes    int
	streams  []logStream            // by slot
	subjects map[string]*indexQueue // entries in the ring, by subject; stored events only
	grown    chan struct{}          // closed when a head moves; made by who waits for that
}

// logStream is what the log knows of one stream.
type logStream struct {
	stream     *Stream       // the incarnation that is being received
	head       uint64        // the newest sequence received
	newest     atomic.Uint64 // the same, to be read without the lock
	floor      uint64        // every event above it that exists is in the ring
	floorIndex uint64        // no cursor below this index can be served from the ring
	entries    indexQueue    // its entries in the ring
}

func (s *logStream) moveHead(seq uint64) {
	s.head = seq
	s.newest.Store(seq)
}

func newLog(streams []*Stream, maxMessages, maxBytes int) *Log {
	l := &Log{
		maxMessages: maxMessages,
		maxBytes:    maxBytes,
		ring:        make([]*Event, maxMessages),
		first:       1,
		next:        1,
		streams:     make([]logStream, len(streams)),
		subjects:    make(map[string]*indexQueue),
	}
	for i, s := range streams {
		l.streams[i].stream = s
	}
	return l
}

// startAt says that the ring will hold what comes after seq in this stream.
func (l *Log) startAt(s *Stream, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[s.Slot].stream = s
	l.streams[s.Slot].moveHead(seq)
	l.streams[s.Slot].floor = seq
}

// append adds an event. One that its stream has already delivered is ignored.
func (l *Log) append(e *Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.streams[e.Stream.Slot]
	if e.Stream != s.stream {
		l.cutLocked(e.Stream, e.Seq-1) // nobody said that it was made anew, but it was
	}
	if e.Seq <= s.head {
		return false
	}
	s.moveHead(e.Seq)
	l.push(e)
	s.entries.push(e.index)
	q := l.subjects[e.Subject]
	if q == nil {
		q = &indexQueue{}
		l.subjects[e.Subject] = q
	}
	q.push(e.index)
	for l.bytes > l.maxBytes && l.first < l.next-1 {
		l.evict()
	}
	l.grewLocked()
	return true
}

func (l *Log) push(e *Event) {
	if l.next-l.first == uint64(len(l.ring)) {
		l.evict()
	}
	e.index = l.next
	l.ring[l.next%uint64(len(l.ring))] = e
	l.next++
	l.bytes += e.size()
}

// evict drops the oldest entry.
func (l *Log) evict() {
	at := &l.ring[l.first%uint64(len(l.ring))]
	e := *at
	*at = nil
	l.first++
	l.bytes -= e.size()
	if e.notice {
		return
	}
	s := &l.streams[e.Stream.Slot]
	if s.entries.front() != e.index {
		return // the stream was cut since
	}
	s.entries.pop()
	s.floor, s.floorIndex = max(s.floor, e.Seq), e.index
	if q := l.subjects[e.Subject]; q.pop() == 0 {
		delete(l.subjects, e.Subject)
	}
}

// reached says that the stream has nothing more up to seq.
func (l *Log) reached(s *Stream, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := &l.streams[s.Slot]; at.stream == s && at.head < seq {
		at.moveHead(seq)
		l.grewLocked()
	}
}

// cut ends what the ring holds of a stream: what comes next does not follow
// from it (messages were lost, or the stream is another incarnation). Everyone
// who is behind has to ask the stream, which tells them what is missing. The
// notice takes its place in the order, so that the hub turns live subscribers
// into ones who are behind at exactly that point.
func (l *Log) cut(s *Stream, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutLocked(s, seq)
}

func (l *Log) cutLocked(s *Stream, seq uint64) {
	at := &l.streams[s.Slot]
	for at.entries.len() > 0 {
		e := l.ring[at.entries.front()%uint64(len(l.ring))]
		at.entries.pop()
		if q := l.subjects[e.Subject]; q.pop() == 0 {
			delete(l.subjects, e.Subject)
		}
	}
	// What live subscribers have passed is what was there before.
	l.push(&Event{Stream: at.stream, Seq: at.head, notice: true})
	at.stream, at.floor, at.floorIndex = s, seq, l.next-1
	at.moveHead(seq)
	l.grewLocked()
}

// trimmed says that the stream keeps nothing before the sequence first. Nor
// does the ring then: what was purged must not come out of it, and a client
// that missed it is told so, whether or not memory still had it.
func (l *Log) trimmed(s *Stream, first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := &l.streams[s.Slot]
	if at.stream != s || first == 0 || first-1 <= at.floor {
		return
	}
	at.floor = first - 1
	for at.entries.len() > 0 {
		e := l.ring[at.entries.front()%uint64(len(l.ring))]
		if e.Seq >= first {
			return
		}
		at.entries.pop()
		at.floorIndex = e.index
		if q := l.subjects[e.Subject]; q.pop() == 0 {
			delete(l.subjects, e.Subject)
		}
	}
}

// head returns the index of the newest entry.
func (l *Log) head() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.next - 1
}

// mark returns the newest place of a stream.
func (l *Log) mark(slot int) mark {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return mark{l.streams[slot].stream, l.streams[slot].head}
}

// lag returns how many messages of its stream are newer than the event.
func (l *Log) lag(e *Event) uint64 {
	newest := l.streams[e.Stream.Slot].newest.Load()
	if newest < e.Seq {
		return 0
	}
	return newest - e.Seq
}

func (l *Log) grewLocked() {
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// waitFor returns when the stream has been received up to seq, or is another
// incarnation by now, or ctx ends.
func (l *Log) waitFor(ctx context.Context, m mark) error {
	for {
		l.mu.Lock()
		s := &l.streams[m.stream.Slot]
		if s.stream != m.stream || s.head >= m.seq {
			l.mu.Unlock()
			return nil
		}
		if l.grown == nil {
			l.grown = make(chan struct{})
		}
		grown := l.grown
		l.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// floor returns the incarnation of a stream and the sequence above which the
// ring has all of it.
func (l *Log) floor(slot int) (*Stream, uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.streams[slot].stream, l.streams[slot].floor
}

// from appends to dst the entries from the index on, as many as fit in its
// capacity. ok is false when some of them have left the ring.
func (l *Log) from(index uint64, dst []*Event) (_ []*Event, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if index < l.first {
		return dst, false
	}
	for ; index < l.next && len(dst) < cap(dst); index++ {
		dst = append(dst, l.ring[index%uint64(len(l.ring))])
	}
	return dst, true
}

// seek finds the cursor from which a subscription with these marks can go on
// from the ring. uncovered is the first mark for which the ring does not reach
// back far enough, or whose incarnation is over; -1 when there is none.
func (l *Log) seek(marks []mark) (cursor uint64, uncovered int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	cursor = l.next - 1
	for i, m := range marks {
		s := &l.streams[m.stream.Slot]
		if s.stream != m.stream || m.seq < s.floor {
			return 0, i
		}
		n := sort.Search(s.entries.len(), func(i int) bool {
			return l.ring[s.entries.at(i)%uint64(len(l.ring))].Seq > m.seq
		})
		if n < s.entries.len() {
			cursor = min(cursor, s.entries.at(n)-1)
		}
	}
	return cursor, -1
}

// scanStep bounds how many entries one read looks at, so that a reader with a
// rare filter does not keep the log locked.
const scanStep = 1024

// ringRead is one read of the ring, with the memory it reuses.
type ringRead struct {
	events []*Event // found; no more than its capacity
	upTo   uint64   // the new cursor
	heads  []mark   // the newest marks of the streams asked for, if atHead
	atHead bool     // there was nothing more to look at
	full   bool     // there is a match that did not fit
}

// read fills r with events after the cursor that are wanted. It returns
// false when an event of these streams that the cursor has not passed may have
// left the ring.
func (l *Log) read(r *ringRead, want wanted, cursor uint64, marks []mark) bool {
	r.events, r.heads, r.atHead, r.full = r.events[:0], r.heads[:0], false, false
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, m := range marks {
		// Below the floor's index the cursor may have passed over what is gone;
		// not so a mark above the floor, behind which everything is there.
		if s := &l.streams[m.stream.Slot]; s.stream != m.stream || cursor < s.floorIndex && m.seq < s.floor {
			return false
		}
	}
	if want.literal {
		l.readSubject(r, want.filters[0], cursor)
	} else {
		l.readAll(r, want, cursor)
	}
	if r.upTo == l.next-1 {
		r.atHead = true
		for _, m := range marks {
			s := &l.streams[m.stream.Slot]
			r.heads = append(r.heads, mark{s.stream, s.head})
		}
	}
	return true
}

func (l *Log) readSubject(r *ringRead, subject string, cursor uint64) {
	r.upTo = l.next - 1
	q := l.subjects[subject]
	if q == nil {
		return
	}
	for i := q.search(cursor + 1); i < q.len(); i++ {
		if len(r.events) == cap(r.events) {
			r.upTo, r.full = q.at(i)-1, true
			return
		}
		r.events = append(r.events, l.ring[q.at(i)%uint64(len(l.ring))])
	}
}

func (l *Log) readAll(r *ringRead, want wanted, cursor uint64) {
	i := max(cursor+1, l.first)
	for end := min(l.next, i+scanStep); i < end; i++ {
		e := l.ring[i%uint64(len(l.ring))]
		// What was cut off is still in the ring until its turn comes to leave.
		if e.notice || e.index <= l.streams[e.Stream.Slot].floorIndex || !want.matches(e.Subject) {
			continue
		}
		if r.full = len(r.events) == cap(r.events); r.full {
			break
		}
		r.events = append(r.events, e)
	}
	r.upTo = i - 1
}

// indexQueue is a queue of ascending log indices that can be searched.
type indexQueue struct {
	buf  []uint64 // a ring; its length is a power of two
	head int
	n    int
}

func (q *indexQueue) len() int { return q.n }

func (q *indexQueue) at(i int) uint64 { return q.buf[(q.head+i)&(len(q.buf)-1)] }

// front returns the oldest index, 0 when there is none.
func (q *indexQueue) front() uint64 {
	if q.n == 0 {
		return 0
	}
	return q.buf[q.head]
}

func (q *indexQueue) push(index uint64) {
	if q.n == len(q.buf) {
		grown := make([]uint64, max(2, 2*len(q.buf)))
		for i := range q.n {
			grown[i] = q.at(i)
		}
		q.buf, q.head = grown, 0
	}
	q.buf[(q.head+q.n)&(len(q.buf)-1)] = index
	q.n++
}

// pop removes the oldest index and returns how many are left.
func (q *indexQueue) pop() int {
	q.head = (q.head + 1) & (len(q.buf) - 1)
	q.n--
	return q.n
}

// search returns the place of the first index that is at least the given one.
func (q *indexQueue) search(index uint64) int {
	return sort.Search(q.n, func(i int) bool { return q.at(i) >= index })
}
