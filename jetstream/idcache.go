package jetstream

import "time"

// maxIDs bounds the identifiers remembered per stream, about 8 MB.
const maxIDs = 1 << 16

// idCache remembers where recently stored messages went by their ID, so that a
// repeated one need not be sent: in an atomic batch it would refuse the whole
// batch. It forgets a bit earlier than nats-server does, so that it never calls
// a message a duplicate that would be stored. Guarded by its owner.
type idCache struct {
	inc  *incarnation
	seqs map[string]idEntry
	ring []string // in order of storing, from next on
	next int
}

type idEntry struct {
	seq   uint64
	until time.Time
	place int // in ring; an entry that was renewed has a later one
}

// find returns the sequence of the message that was stored with this ID.
func (c *idCache) find(inc *incarnation, id string, now time.Time) (uint64, bool) {
	if c.inc != inc {
		return 0, false
	}
	e, ok := c.seqs[id]
	if !ok || now.After(e.until) {
		return 0, false
	}
	return e.seq, true
}

// add remembers a message; sent is a time before nats-server saw it.
func (c *idCache) add(inc *incarnation, id string, seq uint64, sent time.Time) {
	if c.inc != inc {
		*c = idCache{inc: inc, seqs: map[string]idEntry{}}
	}
	e := idEntry{seq: seq, until: sent.Add(inc.dedupe - inc.dedupe/10), place: c.next}
	if len(c.ring) < maxIDs {
		c.ring = append(c.ring, id)
	} else {
		if old := c.ring[c.next]; c.seqs[old].place == c.next {
			delete(c.seqs, old)
		}
		c.ring[c.next] = id
	}
	c.next = (c.next + 1) % maxIDs
	c.seqs[id] = e
}
