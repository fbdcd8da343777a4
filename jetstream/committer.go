package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Figures of a committer.
const (
	minBatch      = 16      // with fewer waiting, plain publishes are faster: a batch costs about 3 ms
	maxBatch      = 1000    // nats-server's limit of an atomic batch
	maxFlight     = 8 << 20 // bytes of a flight, as far as it has several messages
	maxPlain      = 64      // plain publishes beside a batch: each is a sync of its own
	scanLimit     = 4 * maxBatch
	gatherPart    = 8 // of the time of a batch, what is waited before the next
	gatherMost    = time.Millisecond
	batchRest     = 30 * time.Second // without batches, after one that was not answered
	windowFlights = 8                // flights on their way without group commit
	windowFlight  = 512              // messages of such a flight; nats-server queues 10,000 per stream
)

// item is a publication on its way into a stream.
type item struct {
	p        *bridge.Publication
	done     func(bridge.Receipt, error)
	size     int
	deadline time.Time
	twins    []*item // later ones of the same ID: duplicates as soon as this one is stored
}

// settle answers the item, once, and its twins.
func (it *item) settle(r bridge.Receipt, err error) {
	it.done(r, err)
	if err == nil {
		r.Duplicate = true
	}
	for _, t := range it.twins {
		t.settle(r, err)
	}
}

// committer brings publications into one stream.
//
// With group commit (the embedded server syncs every write) one flight is on
// its way at a time; what arrives meanwhile makes up the next one. A flight is
// plain publishes if it is small, else one atomic batch, which nats-server
// syncs once. Without group commit, flights are plain and overlap.
//
// Nobody pays for a neighbour's fault: an atomic batch is refused whole because
// of one duplicate, so known duplicates are answered from memory, a refused
// batch is divided until the culprits stand alone (refusal.go), and an owner
// who had some is sent beside the batches for a while.
type committer struct {
	b *Broker
	s *stream

	mu      sync.Mutex
	queue   []*item              // guarded by mu
	bytes   int                  // guarded by mu; of queue
	closed  bool                 // guarded by mu
	ids     idCache              // guarded by mu
	flights map[*flight]bool     // guarded by mu; on their way
	calls   map[*batchCall]bool  // guarded by mu; on their way
	crowded map[string]time.Time // guarded by mu; subjects that were full, and until when that counts
	hung    bool                 // guarded by mu; something was not acknowledged since the last that was

	wake   chan empty // has one when queue may have something
	window chan empty // flights on their way without group commit

	// Owned by run.
	suspects map[string]*suspect
	noBatch  time.Time       // until then no batches
	back     []*item         // to be queued again at the front after this flight
	shut     map[string]bool // owners with something in back that came from the present batch
}

func newCommitter(b *Broker, s *stream) *committer {
	return &committer{b: b, s: s, flights: map[*flight]bool{}, calls: map[*batchCall]bool{},
		crowded: map[string]time.Time{}, wake: make(chan empty, 1), window: make(chan empty, windowFlights), suspects: map[string]*suspect{}}
}

// Publish implements [bridge.Broker].
func (b *Broker) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	size := messageSize(p)
	if err := b.tooBig(size + b.room(p)); err != nil {
		done(bridge.Receipt{}, err)
		return
	}
	if !p.NotBefore.IsZero() {
		b.delay(p, done)
		return
	}
	if p.Slot >= 0 {
		b.streams[p.Slot].committer.enqueue(&item{p: p, done: done, size: size, deadline: time.Now().Add(b.o.Timeout)})
		return
	}
	if err := b.nc.PublishMsg(message(p)); err != nil {
		done(bridge.Receipt{}, b.unavailable(context.Background(), err))
		return
	}
	done(bridge.Receipt{}, nil)
}

// Room that a message has to leave in what NATS takes, for headers that are
// added to it. Without it, a message just as large as NATS takes would have the
// batch that it is in refused, and one job that nobody can do would never
// become a dead letter.
const (
	batchRoom = 128     // the three headers of a batch
	deadRoom  = 4 << 10 // of a job: those of a dead letter, among them a subject, a user and a reason
	idRoom    = 128     // of a job: the ID under which it is put back into its queue
)

// room is how much a message has to leave.
func (b *Broker) room(p *bridge.Publication) int {
	switch {
	case p.Slot < 0:
		return 0
	case b.streams[p.Slot] == b.queue:
		return batchRoom + deadRoom + max(idRoom-idSize(p), 0)
	}
	return batchRoom
}

// tooBig returns an error for a message that NATS does not take.
func (b *Broker) tooBig(size int) error {
	most := b.nc.MaxPayload()
	if int64(size) <= most {
		return nil
	}
	return &bridge.Error{Code: bridge.CodeTooBig, Msg: fmt.Sprintf("the message has %d bytes with its headers, NATS takes %d", size, most),
		Hint: "put the bulk elsewhere and send a reference"}
}

// message is a publication as NATS takes it.
func message(p *bridge.Publication) *nats.Msg {
	m := &nats.Msg{Subject: p.Subject, Data: p.Data, Header: headers(p.Head, 0)}
	set := func(name, value string) {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[name] = []string{value}
	}
	if p.ID != "" {
		set("Nats-Msg-Id", p.ID)
	}
	if p.TTL > 0 {
		set(headTTL, ttlText(p.TTL))
	}
	if p.Expect != nil {
		set("Nats-Expected-Last-Subject-Sequence", fmt.Sprint(*p.Expect))
	}
	return m
}

// ttlText is a TTL in whole seconds, which is what nats-server counts in.
func ttlText(d time.Duration) string { return fmt.Sprintf("%ds", max(int64(d/time.Second), 1)) }

// messageSize is what counts against NATS's max_payload: payload and headers.
func messageSize(p *bridge.Publication) int {
	n := 0
	for _, f := range p.Head {
		n += len(f.Name) + len(f.Value) + 4
	}
	n += idSize(p)
	if p.TTL > 0 {
		n += 30
	}
	if p.Expect != nil {
		n += 60
	}
	if n > 0 {
		n += 12 // "NATS/1.0\r\n" and the empty line
	}
	return n + len(p.Data)
}

// idSize is what of a message's size its ID is.
func idSize(p *bridge.Publication) int {
	if p.ID == "" {
		return 0
	}
	return len(p.ID) + 15
}

// enqueue takes an item, or answers at once that there is no room: waiting
// would take memory without a bound.
func (c *committer) enqueue(it *item) {
	c.mu.Lock()
	var refused *bridge.Error
	switch {
	case c.closed:
		refused = &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the server is stopping", Hint: "reconnect and try again", Retry: time.Second}
	case len(c.queue) >= c.b.o.QueueMessages || c.bytes+it.size > c.b.o.QueueBytes && len(c.queue) > 0:
		refused = &bridge.Error{Code: bridge.CodeUnavailable, Msg: "more is published than the stream can store; this message was not stored",
			Hint: "publish slower", Retry: time.Second}
	default:
		c.queue = append(c.queue, it)
		c.bytes += it.size
	}
	c.mu.Unlock()
	if refused != nil {
		it.settle(bridge.Receipt{}, refused)
		return
	}
	c.nudge()
}

func (c *committer) nudge() {
	select {
	case c.wake <- empty{}:
	default:
	}
}

// run sends flights until the broker ends; then it answers what is left.
func (c *committer) run() {
	defer c.stop()
	for {
		select {
		case <-c.b.life.Done():
			return
		case <-c.wake:
		}
		for c.b.life.Err() == nil {
			var more bool
			if c.grouping() {
				more = c.flyGroup()
			} else {
				more = c.flyFree()
			}
			if !more {
				break
			}
		}
	}
}

// grouping reports whether each plain publish would cost a sync of its own.
func (c *committer) grouping() bool {
	inc := c.s.current()
	return c.b.srv != nil && c.b.srv.sync && inc.atomic && inc.copies <= 1
}

// batching reports whether batches are worth a try.
func (c *committer) batching() bool { return !time.Now().Before(c.noBatch) }

// stop answers everything that waits or is on its way.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	left := append(c.back, c.queue...)
	c.queue, c.back, c.bytes = nil, nil, 0
	c.mu.Unlock()
	c.disconnected()
	for _, it := range left {
		it.settle(bridge.Receipt{}, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the server is stopping; this message was not stored",
			Hint: "reconnect and try again", Retry: time.Second})
	}
}

// disconnected answers what is on its way: its acknowledgement will not come.
func (c *committer) disconnected() {
	c.mu.Lock()
	flights, calls := c.flights, c.calls
	c.flights, c.calls = map[*flight]bool{}, map[*batchCall]bool{}
	c.mu.Unlock()
	for f := range flights {
		f.abandon("the connection to NATS was lost")
	}
	for k := range calls {
		k.abandon()
	}
}

// flyFree sends what waits without waiting for it to be stored.
func (c *committer) flyFree() bool {
	c.mu.Lock()
	n, size := 0, 0
	for n < len(c.queue) && n < windowFlight && (n == 0 || size+c.queue[n].size <= maxFlight) {
		size += c.queue[n].size
		n++
	}
	list := c.queue[:n:n]
	c.queue = c.queue[n:]
	c.bytes -= size
	c.mu.Unlock()
	if n == 0 {
		return false
	}
	select {
	case c.window <- empty{}:
	case <-c.b.life.Done():
		c.back = append(c.back, list...)
		return false
	}
	f := c.newFlight(len(list), func() { <-c.window })
	f.send(list)
	return true
}

// gather lets those who were just answered publish again, so that it leaves with
// the next batch and not with the one after that: else they would divide into
// two halves that wait for each other, with twice the batches (what
// commit_delay of PostgreSQL is for). took is how long the last flight was.
func (c *committer) gather(took time.Duration) {
	c.mu.Lock()
	full := len(c.queue) >= maxBatch
	c.mu.Unlock()
	if full {
		return
	}
	timer := time.NewTimer(min(took/gatherPart, gatherMost))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.b.life.Done():
	}
}

// load is what a flight carries.
type load struct {
	plain, batch []*item
	known        []*item  // duplicates of what is stored
	seqs         []uint64 // of known
	inc          *incarnation
}

// flyGroup sends one flight and waits until it is stored.
func (c *committer) flyGroup() bool {
	l := c.take()
	for i, it := range l.known {
		it.settle(bridge.Receipt{Stream: l.inc.stream, Seq: l.seqs[i], Duplicate: true}, nil)
	}
	if len(l.plain)+len(l.batch) == 0 {
		return len(l.known) > 0
	}
	if len(l.batch) < minBatch || !c.batching() {
		// All plain; no owner is in both lists, so that their order is free.
		l.plain, l.batch = append(l.plain, l.batch...), nil
	}
	f := c.newFlight(len(l.plain), nil)
	f.send(l.plain)
	if len(l.batch) > 0 {
		c.commit(l.batch)
		c.gather(time.Since(f.sent))
	}
	<-f.done
	c.judge(f)
	c.mu.Lock()
	if len(c.back) > 0 {
		c.queue = append(c.back, c.queue...)
		for _, it := range c.back {
			c.bytes += it.size
		}
		c.back = nil
	}
	c.mu.Unlock()
	return true
}

// take chooses what the next flight carries. Within a flight plain publishes
// and the batch are stored in no particular order, so an owner is in one of
// them only; what would be in the other waits, and so does all that comes
// after it from the same owner.
func (c *committer) take() load {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	l := load{inc: c.s.current()}
	small := len(c.queue) < minBatch
	lanes := map[string]lane{}
	ids := map[string]*item{}
	size, i := 0, 0
	var kept []*item
	for ; i < len(c.queue) && i < scanLimit && len(l.batch) < maxBatch; i++ {
		it := c.queue[i]
		if size > 0 && size+it.size > maxFlight {
			break
		}
		if c.isTwin(&l, ids, it, now) {
			c.bytes -= it.size
			continue
		}
		want := laneBatch
		if small || it.p.Expect != nil || c.suspect(it.p.Owner, now) || c.isCrowded(it.p.Subject, now) {
			want = lanePlain
		}
		at := lanes[it.p.Owner]
		if at != laneNone && at != want || want == lanePlain && len(l.plain) >= maxPlain {
			lanes[it.p.Owner] = laneShut
			kept = append(kept, it)
			continue
		}
		lanes[it.p.Owner] = want
		size += it.size
		c.bytes -= it.size
		if it.p.ID != "" {
			ids[it.p.ID] = it
		}
		if want == lanePlain {
			l.plain = append(l.plain, it)
		} else {
			l.batch = append(l.batch, it)
		}
	}
	if c.queue = c.queue[i:]; len(kept) > 0 {
		c.queue = append(kept, c.queue...)
	}
	return l
}

// lane is where an owner's messages go in a flight.
type lane byte

const (
	laneNone lane = iota
	lanePlain
	laneBatch
	laneShut // wait for the next flight
)

// isTwin finds an item that need not be sent: its ID is stored, or on its way
// in this flight.
func (c *committer) isTwin(l *load, ids map[string]*item, it *item, now time.Time) bool {
	if it.p.ID == "" {
		return false
	}
	if seq, ok := c.ids.find(l.inc, it.p.ID, now); ok {
		l.known, l.seqs = append(l.known, it), append(l.seqs, seq)
		return true
	}
	if first := ids[it.p.ID]; first != nil {
		first.twins = append(first.twins, it)
		return true
	}
	return false
}
