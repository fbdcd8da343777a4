package engineio

import (
	"sync"
	"time"
)

// Bounds of what is kept for the last polls of closed sessions: clients that
// come and go must not fill the memory. Beyond them the oldest go first.
const (
	tombTimeout  = 30 * time.Second // as long as the reference waits
	maxTombs     = 10_000
	maxTombBytes = 16 << 20
)

// grave keeps the answers to the last polls of sessions that were closed while
// none waited. Without it the client would take an orderly end for an error, or
// lose the messages before it.
type grave struct {
	mu    sync.Mutex
	bySID map[string]*tomb
	order []*tomb // oldest first, taken ones too
	bytes int
	sweep *time.Timer // nil while nothing is kept
}

type tomb struct {
	sid      string
	payloads [][]byte // one for each poll; nil once all are taken
	until    time.Time
}

func (g *grave) bury(sid string, payloads ...[]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bySID == nil {
		g.bySID = make(map[string]*tomb)
	}
	t := &tomb{sid: sid, payloads: payloads, until: time.Now().Add(tombTimeout)}
	g.bySID[sid] = t
	g.order = append(g.order, t)
	g.bytes += t.size()
	for len(g.order) > maxTombs || g.bytes > maxTombBytes {
		g.dropOldestLocked()
	}
	if g.sweep == nil {
		g.sweep = time.AfterFunc(tombTimeout, g.clean)
	}
}

// take returns what is kept for the next poll of a sid.
func (g *grave) take(sid string) ([]byte, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.bySID[sid]
	if !ok {
		return nil, false
	}
	payload := t.payloads[0]
	if len(t.payloads) == 1 {
		g.emptyLocked(t)
	} else {
		t.payloads = t.payloads[1:]
		g.bytes -= len(payload)
	}
	return payload, true
}

func (g *grave) emptyLocked(t *tomb) {
	if g.bySID[t.sid] == t { // unless the sid was used again
		delete(g.bySID, t.sid)
	}
	g.bytes -= t.size()
	t.payloads = nil
}

func (t *tomb) size() (n int) {
	for _, p := range t.payloads {
		n += len(p)
	}
	return n
}

func (g *grave) dropOldestLocked() {
	if t := g.order[0]; t.payloads != nil {
		g.emptyLocked(t)
	}
	g.order[0] = nil
	g.order = g.order[1:]
}

// clean drops what nobody has asked for in time.
func (g *grave) clean() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for len(g.order) > 0 && !g.order[0].until.After(now) {
		g.dropOldestLocked()
	}
	if len(g.order) == 0 {
		g.order, g.sweep = nil, nil
		return
	}
	g.sweep.Reset(g.order[0].until.Sub(now))
}
