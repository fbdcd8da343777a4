package jetstream

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Conn is the broker's connection, for tests that act as another NATS client.
func (b *Broker) Conn() *nats.Conn { return b.nc }

// Server is the embedded NATS server.
func (b *Broker) Server() *server.Server { return b.srv.srv }

// Mark records the high-water marks now.
func (b *Broker) Mark() { b.markAll(b.life) }

// PublishPlainly turns group commit off: each message is synced by itself.
func (b *Broker) PublishPlainly(slot int) {
	inc := *b.streams[slot].current()
	inc.atomic = false
	b.streams[slot].cur.Store(&inc)
}

// ToIdleMailbox has a message arrive where no pull is any more.
func (b *Broker) ToIdleMailbox(m *nats.Msg) {
	x := b.mailboxes.get()
	x.receive(m)
	x.keep()
}

// Internals for table tests.
var (
	ParseMeta = parseMeta
	ParseAck  = parseAck
	Tag       = tag
	Hosts     = hosts
)

// Rest is what is missing between after and next although it is not among the
// deleted ranges (pairs, inclusive) of a stream that holds first to last.
func Rest(first, last uint64, ranges []uint64, after, next uint64) (rest []bridge.Range, covered bool) {
	d := &deletedSet{first: first, last: last, ranges: ranges}
	return d.rest(after, next), d.covers(after, next)
}

// ConfirmNone asks as if the stream had copies.
func (b *Broker) ConfirmNone(ctx context.Context, slot int, filter string, seq uint64) error {
	s := b.streams[slot]
	copied := *s.current()
	copied.copies = 3
	return b.confirmNone(ctx, s, &copied, filter, seq)
}

// LeaderLast asks the leader for the last message of a subject.
func (b *Broker) LeaderLast(ctx context.Context, slot int, subject string) (uint64, error) {
	return b.leaderSeq(ctx, b.streams[slot], leaderGet{LastFor: subject})
}

// Internals of the queues for table tests.
var (
	ConsumerName = consumerName
	CanSchedule  = canSchedule
)

// QueueTimes are the durations of a queue's consumer for a lease.
func QueueTimes(lease time.Duration) (pull, margin, ackWait time.Duration) {
	t := timesOf(lease)
	return t.pull, t.margin, t.ackWait
}

// SessionCopies makes the broker ask as if the sessions had copies.
func (b *Broker) SessionCopies(n int32) { b.sessions.copies.Store(n) }

// WatchSessions looks whether the sessions are there, as is done from time to
// time.
func (b *Broker) WatchSessions() { b.sessions.watch(b.life) }
