package memory

import (
	"cmp"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// message is a stored event. Immutable, save for dead, which the stream's
// mutex guards.
type message struct {
	seq     uint64
	time    time.Time
	expires time.Time // zero: never
	subject *subject
	head    []bridge.Field
	data    []byte
	dead    bool // deleted; it stays in log.messages until the next compaction
}

// subject is the index entry of one subject: its living messages, ascending.
type subject struct {
	name     string
	messages []*message
}

// log holds the messages of one incarnation of a stream. It has no lock.
type log struct {
	messages []*message // ascending; the first one is alive
	dead     int        // how many of messages are dead
	last     uint64     // last sequence given out
	trimmed  uint64     // highest sequence that a limit took; those below are gone too
	bytes    uint64     // of the living
	subjects map[string]*subject
}

func newLog() *log { return &log{subjects: make(map[string]*subject)} }

// first returns the first sequence kept, last+1 when there is none.
func (l *log) first() uint64 {
	if len(l.messages) == 0 {
		return l.last + 1
	}
	return l.messages[0].seq
}

func (l *log) count() int { return len(l.messages) - l.dead }

// append stores m under the next sequence.
func (l *log) append(name string, m *message) {
	s := l.subjects[name]
	if s == nil {
		s = &subject{name: name}
		l.subjects[name] = s
	}
	l.last++
	m.seq, m.subject = l.last, s
	s.messages = append(s.messages, m)
	l.messages = append(l.messages, m)
	l.bytes += m.weight()
}

// weight is what the message counts against MaxBytes.
func (m *message) weight() uint64 { return weigh(m.subject.name, m.head, m.data) }

func weigh(subject string, head []bridge.Field, data []byte) uint64 {
	n := len(subject) + len(data)
	for _, f := range head {
		n += len(f.Name) + len(f.Value)
	}
	return uint64(n)
}

// from returns the messages with sequences >= seq; dead ones are among them.
func (l *log) from(seq uint64) []*message { return l.messages[search(l.messages, seq):] }

// get returns the living message with this sequence, or nil.
func (l *log) get(seq uint64) *message {
	i := search(l.messages, seq)
	if i == len(l.messages) || l.messages[i].seq != seq || l.messages[i].dead {
		return nil
	}
	return l.messages[i]
}

// search returns the index of the first message with a sequence >= seq.
func search(messages []*message, seq uint64) int {
	i, _ := slices.BinarySearchFunc(messages, seq, compareSeq)
	return i
}

func compareSeq(m *message, seq uint64) int { return cmp.Compare(m.seq, seq) }

// trimFirst takes the oldest message away because of a limit.
func (l *log) trimFirst() {
	l.trimmed = l.messages[0].seq
	l.remove(l.messages[0])
}

// remove takes a living message away.
func (l *log) remove(m *message) {
	l.bytes -= m.weight()
	m.dead = true
	l.dead++
	s := m.subject
	i := search(s.messages, m.seq)
	switch {
	case len(s.messages) == 1:
		delete(l.subjects, s.name)
	case i == 0: // by far the most frequent: no copying
		s.messages[0] = nil
		s.messages = s.messages[1:]
	default:
		s.messages = slices.Delete(s.messages, i, i+1)
	}
	l.compact()
}

// compact drops the dead messages at the front at once, and those in between
// when they are more than the living: else one old message and a million
// expired ones would hold the memory of a million.
func (l *log) compact() {
	for len(l.messages) > 0 && l.messages[0].dead {
		l.messages[0] = nil // what was sliced off must not keep it alive
		l.messages = l.messages[1:]
		l.dead--
	}
	if l.dead > 64 && l.dead > l.count() {
		l.messages = slices.DeleteFunc(l.messages, func(m *message) bool { return m.dead })
		l.dead = 0
	}
}

// newest returns the newest message on the subject with a sequence <= upTo.
func (s *subject) newest(upTo uint64) *message {
	i, found := slices.BinarySearchFunc(s.messages, upTo, compareSeq)
	if found {
		i++
	}
	if i == 0 {
		return nil
	}
	return s.messages[i-1]
}

// eachSubject calls fn for every subject that matches the filter, in no
// particular order, until fn returns false.
func (l *log) eachSubject(filter string, fn func(*subject) bool) {
	if filter != "" && bridge.Literal(filter) {
		if s := l.subjects[filter]; s != nil {
			fn(s)
		}
		return
	}
	for name, s := range l.subjects {
		if matches(filter, name) && !fn(s) {
			return
		}
	}
}

// matches is [bridge.Matches], with "" for a filter that matches everything.
func matches(filter, subject string) bool { return filter == "" || bridge.Matches(filter, subject) }
