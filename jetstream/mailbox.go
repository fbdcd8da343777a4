package jetstream

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// maxMailboxes is how many mailboxes wait for a pull. Each costs some 10 KB.
const maxMailboxes = 64

// mailbox is a subscription for the messages of one pull at a time. Making one
// costs more than the pull, so it is kept for the next pull of any consumer,
// but only after one that was answered in full: nothing more can come for that.
type mailbox struct {
	b   *Broker
	sub *nats.Subscription // static after construction

	mu   sync.Mutex
	pull *pull // guarded by mu; nil while nobody uses it
}

// mailboxes are those that nobody uses.
type mailboxes struct {
	mu   sync.Mutex
	idle []*mailbox
}

// openMailbox returns a mailbox for a pull.
func (b *Broker) openMailbox(p *pull) (*mailbox, error) {
	if x := b.mailboxes.get(); x != nil {
		x.assign(p)
		return x, nil
	}
	x := &mailbox{b: b, pull: p}
	sub, err := b.nc.Subscribe(b.nc.NewInbox(), x.receive)
	if err != nil {
		return nil, err
	}
	x.sub = sub
	// What comes is bounded by the pull; a limit here would drop jobs.
	return x, sub.SetPendingLimits(-1, -1)
}

func (s *mailboxes) get() *mailbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle) - 1
	if n < 0 {
		return nil
	}
	x := s.idle[n]
	s.idle = s.idle[:n]
	return x
}

// keep puts a mailbox aside for another pull. The one that had it was answered
// in full.
func (x *mailbox) keep() {
	x.assign(nil)
	s := &x.b.mailboxes
	s.mu.Lock()
	room := len(s.idle) < maxMailboxes
	if room {
		s.idle = append(s.idle, x)
	}
	s.mu.Unlock()
	if !room {
		x.close()
	}
}

// close ends the subscription. It fails only when that has ended, or with the
// connection.
func (x *mailbox) close() { _ = x.sub.Unsubscribe() }

func (x *mailbox) assign(p *pull) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pull = p
}

func (x *mailbox) receive(m *nats.Msg) {
	x.mu.Lock()
	p := x.pull
	x.mu.Unlock()
	if p != nil {
		p.receive(m)
	} else if _, isMessage := parseMeta(m.Reply); isMessage {
		_ = x.b.giveBack(m.Reply) // without a connection, ack_wait does that
	}
}
