package memory

import "time"

// maxIDs bounds what clients that give every event a key can make a stream
// remember; beyond it the oldest ids are forgotten before their time.
const maxIDs = 1_000_000

// dedupe remembers which ids were stored within a window of time.
type dedupe struct {
	window time.Duration
	seqs   map[string]uint64
	order  []seenID // oldest first
}

type seenID struct {
	id   string
	time time.Time
}

func newDedupe(window time.Duration) *dedupe {
	return &dedupe{window: window, seqs: make(map[string]uint64)}
}

// seq returns the sequence under which the id was stored, if it still counts.
// That message itself may be gone.
func (d *dedupe) seq(id string) (seq uint64, seen bool) {
	seq, seen = d.seqs[id]
	return seq, seen
}

// add remembers an id that has not been seen.
func (d *dedupe) add(id string, seq uint64, now time.Time) {
	if len(d.order) >= maxIDs {
		d.forgetFirst()
	}
	d.seqs[id] = seq
	d.order = append(d.order, seenID{id, now})
}

// expire forgets what is older than the window.
func (d *dedupe) expire(now time.Time) {
	for len(d.order) > 0 && now.Sub(d.order[0].time) >= d.window {
		d.forgetFirst()
	}
}

func (d *dedupe) forgetFirst() {
	delete(d.seqs, d.order[0].id)
	d.order[0] = seenID{}
	d.order = d.order[1:]
}
