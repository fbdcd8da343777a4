package jetstream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Figures of the mover.
const (
	dueConsumer = "jw-due"
	moverBatch  = 256
	moverPull   = 5 * time.Second
	moverPoll   = time.Second      // while the stream or the server is away
	moverMost   = 8 * time.Second  // between two tries to move a job into a full queue
	moverStuck  = 30 * time.Second // between two tries to move one that fits nowhere
)

// moveDue brings jobs whose time has come into their queues. Every gateway does
// so; nats-server gives each job to one of them.
//
// A job is acknowledged only after its queue has it. If that acknowledgement
// gets lost, the job is moved again, with the same ID: within the dedupe window
// the queue stores it once.
func (b *Broker) moveDue(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.openDue(ctx)
		for err == nil && ctx.Err() == nil {
			err = b.moveSome()
		}
		if ctx.Err() == nil {
			b.o.Logger.Debug("the mover of delayed jobs starts again", "err", err)
			pause(ctx, moverPoll, nil)
		}
	}
}

// openDue makes the consumer of due jobs. It has no inactive threshold: how
// often a job was tried decides how long it waits for a full queue.
func (b *Broker) openDue(ctx context.Context) error {
	return b.openPuller(ctx, b.delayed, dueConsumer, dueSubject+">", map[string]any{
		"description": "Jetway: brings delayed jobs into their queues when they are due",
		// A job is out while it is published, which takes two timeouts at most.
		"ack_wait": max(30*time.Second, moverPull+4*b.o.Timeout),
	})
}

// moveSome moves what one pull brings, and waits until all of it is settled.
func (b *Broker) moveSome() error {
	var out sync.WaitGroup
	ended := make(chan error, 1)
	p := &pull{b: b, s: b.delayed, consumer: dueConsumer, batch: moverBatch, expires: moverPull,
		done: func(err error) { ended <- err }}
	p.take = func(m *nats.Msg, at meta, _ time.Time) {
		out.Add(1)
		b.move(m, at, func(err error) {
			if err != nil {
				b.o.Logger.Debug("a delayed job is not settled, it will be moved again", "seq", at.seq, "err", err)
			}
			out.Done()
		})
	}
	p.start()
	err := <-ended
	out.Wait()
	return err
}

// move stores a due job in its queue and settles it; done is called when both
// have been answered.
func (b *Broker) move(m *nats.Msg, at meta, done func(error)) {
	p := b.dueJob(m, at)
	nak := func(after time.Duration) {
		b.settleDue(m.Reply, bridge.Settlement{How: bridge.SettleNak, Delay: after}, done)
	}
	if !covers(b.queue.current().stream.Subjects, p.Subject) {
		b.o.Logger.Error("a delayed job is for a queue that the stream of the queues does not hold any more: add it to the queues again, or remove the job",
			"queue", p.Subject, "stream", b.delayed.cfg.Name, "seq", at.seq)
		nak(moverStuck)
		return
	}
	b.Publish(p, func(_ bridge.Receipt, err error) {
		switch e := bridge.ErrorOf(err); {
		case err == nil:
			b.settleDue(m.Reply, bridge.Settlement{How: bridge.SettleAck}, func(err error) {
				if err == nil {
					b.delayed.held.Add(-1)
				}
				done(err)
			})
		case e.Code == bridge.CodeQueueFull, e.Code == bridge.CodeUnavailable:
			nak(min(time.Second<<min(at.tries-1, 3), moverMost))
		default:
			b.o.Logger.Error("a delayed job cannot be moved into its queue", "queue", p.Subject, "stream", b.delayed.cfg.Name, "seq", at.seq, "err", err)
			nak(moverStuck)
		}
	})
}

// settleDue settles a due job. When Close has lost its patience, there are no
// confirmations any more; what is left is sent all the same.
func (b *Broker) settleDue(handle string, s bridge.Settlement, done func(error)) {
	switch {
	case b.life.Err() == nil:
		b.settle(handle, settlement(s), done)
	case s.How == bridge.SettleNak:
		done(b.giveBack(handle))
	default:
		done(b.nc.Publish(handle, []byte(settlement(s))))
	}
}

// dueJob is a due job as its queue takes it. Each queue is an owner of its own,
// so that a full one holds up no other.
func (b *Broker) dueJob(m *nats.Msg, at meta) *bridge.Publication {
	p := &bridge.Publication{Slot: b.queue.slot, Subject: strings.TrimPrefix(m.Subject, dueSubject), Data: m.Data, Head: fields(m.Header), Owner: m.Subject}
	name, ok := strings.CutPrefix(last(m.Header, headScheduler), delayedSubject)
	if !ok {
		name = fmt.Sprint("#", at.seq) // put there by hand
	}
	p.ID = dueID(b.delayed, name)
	if ttl, err := time.ParseDuration(last(m.Header, headTTL)); err == nil {
		p.TTL = ttl
	}
	return p
}

// dueID is the ID under which the mover stores a job. It has the job's name
// rather than its sequence: a crash between storing it as due and removing its
// schedule makes it due twice, with two sequences.
func dueID(delayed *stream, name string) string {
	inc := delayed.current().stream
	return "due:" + inc.Name + ":" + inc.Tag + ":" + name
}
