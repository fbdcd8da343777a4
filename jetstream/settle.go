package jetstream

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Settle implements [bridge.QueueBroker]. It asks for a confirmation: after a
// crash, up to 496 of 74,000 jobs came back that had been acknowledged without.
//
// nats-server confirms also what has no effect, or the wrong one. An ack of a
// job that was given to another worker meanwhile removes it, progress revives
// its lease, and an ack of a job that is gone is confirmed like any other
// (nats-server issues 4786 and 6937, consumer.go processAck). So nothing can be
// learned from the answer but that it was processed.
func (b *Broker) Settle(j *bridge.Job, s bridge.Settlement, done func(error)) {
	if j.Event != nil && j.Event.Stream.Tag != b.QueueStream().Tag {
		// The handle has no more than a sequence, which is another job's by now.
		done(&bridge.Error{Code: bridge.CodeLeaseLost, Msg: "the stream of the queues was made anew; the job is gone", Hint: "stop working on it"})
		return
	}
	if s.How == bridge.SettleNak && s.Delay <= 0 {
		// If this does not arrive, the next does not either, and says so.
		_ = b.giveBack(j.Handle)
	}
	b.settle(j.Handle, settlement(s), done)
}

// giveBack returns a message that nobody works on, unconfirmed, so that it
// comes again within milliseconds. nats-server forgets a nak without a delay
// when it restarts, and leaves the job out until its ack_wait has passed; one
// with a delay, however small, it stores. The jobs that a gateway with the
// embedded server gives back as it stops would all be late.
func (b *Broker) giveBack(handle string) error {
	return b.nc.Publish(handle, []byte(settlement(bridge.Settlement{How: bridge.SettleNak, Delay: 1})))
}

// settle sends a settlement to where a message says that it wants it.
func (b *Broker) settle(handle, how string, done func(error)) {
	b.ask(&nats.Msg{Subject: handle, Data: []byte(how)}, b.o.Timeout, func(m *nats.Msg, err error) {
		switch {
		case err != nil:
			e := b.failed(err)
			e.Msg += "; whether the job is settled is unknown"
			done(e)
		case status(m) == 503:
			done(&bridge.Error{Code: bridge.CodeUnavailable, Msg: "nobody keeps the queue at the moment; whether the job is settled is unknown",
				Hint: "its consumer was deleted, or has no leader: try again", Retry: time.Second})
		default:
			done(nil)
		}
	})
}

// settlement is how nats-server reads it (ADR-13, consumer.go).
func settlement(s bridge.Settlement) string {
	switch s.How {
	case bridge.SettleNak:
		if s.Delay > 0 {
			return fmt.Sprintf(`-NAK {"delay":%d}`, s.Delay.Nanoseconds())
		}
		return "-NAK"
	case bridge.SettleWip:
		return "+WPI"
	case bridge.SettleTerm:
		return strings.TrimSpace("+TERM " + s.Why)
	default:
		return "+ACK"
	}
}
