package bridge

// mark is a place in one incarnation of a stream, as the bridge keeps it.
type mark struct {
	stream *Stream
	seq    uint64
}

// phase says who brings a subscription its next event.
type phase uint8

const (
	behind  phase = iota // the client's writer reads the log for it
	live                 // the hub offers it each event
	waiting              // a history reader will fill items
	held                 // nobody, until the client gives credit
	paused               // nobody, until a timer says so
	ended                // nobody, ever
)

// Subscription is one client's interest in the subjects of a filter.
type Subscription struct {
	// Static after Subscribe.
	SID     string // unique within the client
	Filter  string // the first one of a bundle
	client  *Client
	want    wanted
	slots   []int    // the streams that serve it; none: live only, or a bundle of nothing
	durable *durable // nil without `as`
	max     int      // credit; 0 is unlimited
	until   []mark   // where it ends, stream by stream as in marks; nil is never

	// A bundle stands in the hub once for each filter: itself for the first,
	// and a branch, which is nothing else, for each of the others.
	bundle   bool
	branches []*Subscription
	main     *Subscription // of a branch; nil for all others

	// Owned by the client's writer.
	marks    []mark    // per stream, everything up to which has been written
	sought   bool      // cursor is good
	snapshot *snapshot // what is to be written before everything else ("last"); nil is nothing
	announce bool      // tell the client when it has caught up
	pos      Position  // memory for encoding marks

	// Guarded by client.mu. The cursor is the writer's while behind.
	phase   phase
	cursor  uint64         // log index up to which all is queued or written
	owed    int            // events queued or written and not seen; only with credit
	unseen  []mark         // those of them that are written, oldest first
	lapsed  []mark         // how far it was live when it fell behind; true once the queue is written
	history *historyReader // not nil while waiting

	place int // in the hub's trie; guarded by the shard
}

func (s *Subscription) triePlace() *int { return &s.place }

// whole is the subscription that a branch belongs to; all others are their own.
func (s *Subscription) whole() *Subscription {
	if s.main != nil {
		return s.main
	}
	return s
}

// reads reports whether the subscription is served from the stream in a slot.
func (s *Subscription) reads(slot int) bool { return s.at(slot) >= 0 }

// at returns the place of a stream among the marks, -1 when it is not there.
// Subscriptions read one stream, rarely a few.
func (s *Subscription) at(slot int) int {
	for i, at := range s.slots {
		if at == slot {
			return i
		}
	}
	return -1
}

// starved reports whether the client has to give credit first.
func (s *Subscription) starved() bool { return s.max > 0 && s.owed >= s.max }

// end makes the subscription over for everyone. The client's mutex is held.
func (s *Subscription) end() {
	s.phase = ended
	if s.history != nil {
		s.history.gone.Store(true)
		if s.history.timer != nil {
			s.history.timer.Stop()
		}
	}
}

// position is the wire form of the marks.
func (s *Subscription) position() Position {
	s.pos = s.pos[:0]
	for _, m := range s.marks {
		s.pos = append(s.pos, Mark{m.stream.Tag, m.seq})
	}
	return s.pos
}

// finished reports whether the subscription has reached its `until`.
func (s *Subscription) finished() bool {
	if s.until == nil {
		return false
	}
	for i, u := range s.until {
		if s.marks[i].stream == u.stream && s.marks[i].seq < u.seq {
			return false
		}
	}
	return true
}
