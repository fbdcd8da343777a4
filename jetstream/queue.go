package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// A queue is a subject of the queue stream. Its jobs are handed out by one
// durable pull consumer, which all gateways of a cluster share: nats-server
// gives each job to one pull, and again when its ack_wait has passed.

// queueTimes are the durations of a queue's consumer. A job is handed out at
// some moment of a pull, so that ack_wait must cover the pull on top of the
// lease; the margin covers timers, and that nats-server stores in whole seconds,
// some moments later, since when a job is out: after it was killed, it may give
// the job out again more than a second early.
type queueTimes struct {
	pull    time.Duration // how long a pull waits for jobs
	margin  time.Duration
	ackWait time.Duration
}

func timesOf(lease time.Duration) queueTimes {
	clamp := func(d, low, high time.Duration) time.Duration { return min(max(d, low), high) }
	t := queueTimes{pull: clamp(lease/4, 100*time.Millisecond, 5*time.Second), margin: clamp(lease/10, 1250*time.Millisecond, 2*time.Second)}
	t.ackWait = lease + t.pull + t.margin
	return t
}

// hold is how long a job is safe from being given to anybody else.
func (t queueTimes) hold() time.Duration { return t.ackWait - t.margin }

// QueueStream implements [bridge.QueueBroker].
func (b *Broker) QueueStream() *bridge.Stream {
	if b.queue == nil {
		return nil
	}
	return b.queue.current().stream
}

// consumerName is a name that operators recognise where that is possible, and
// a digest of the subject elsewhere. No two subjects have the same: '_' stands
// for dots only.
func consumerName(subject string) string {
	const prefix, most = "jw-", 64
	plain := func(r rune) bool {
		return r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if len(prefix)+len(subject) <= most && strings.IndexFunc(subject, func(r rune) bool { return !plain(r) }) < 0 {
		return prefix + strings.ReplaceAll(subject, ".", "_")
	}
	sum := sha256.Sum256([]byte(subject))
	return prefix + hex.EncodeToString(sum[:16])
}

// OpenQueue implements [bridge.QueueBroker].
func (b *Broker) OpenQueue(ctx context.Context, subject string) error {
	if b.queue == nil || bridge.ValidSubject(subject) != nil || !covers(b.queue.current().stream.Subjects, subject) {
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: fmt.Sprintf("%q is not a queue", subject), Hint: "the queues are the subjects of the queue stream"}
	}
	config := map[string]any{
		"description": "Jetway queue " + subject,
		"metadata":    map[string]string{"jetway-queue": subject},
		"ack_wait":    b.times.ackWait,
	}
	if b.o.DurableInactive > 0 {
		config["inactive_threshold"] = b.o.DurableInactive
	}
	return b.openPuller(ctx, b.queue, consumerName(subject), subject, config)
}

// openPuller makes a durable consumer for pulls, or brings it in line. Several
// gateways may do so at once: all ask for the same, and all succeed.
func (b *Broker) openPuller(ctx context.Context, s *stream, name, filter string, config map[string]any) error {
	info, err := b.consumer(ctx, s, name)
	if err == nil {
		// Somebody may have changed it by hand. With a bound on deliveries, the
		// server would stop giving a job out, and nobody would bury it.
		c := info.Config
		if c.Filter == filter && c.AckWait == config["ack_wait"] && len(c.BackOff) == 0 && c.MaxDeliver == -1 && c.MaxPending == -1 {
			return nil
		}
	}
	fresh := errCode(err) == errConsumerNotFound
	if err != nil && !fresh {
		return b.pullerError(s, filter, err)
	}
	for key, value := range map[string]any{
		"name": name, "durable_name": name, "filter_subject": filter, "ack_policy": "explicit", "deliver_policy": "all",
		"replay_policy": "instant", "max_deliver": -1, "max_ack_pending": -1,
	} {
		config[key] = value
	}
	err = b.api(ctx, "CONSUMER.CREATE."+s.cfg.Name+"."+name+"."+filter, map[string]any{"stream_name": s.cfg.Name, "config": config}, nil)
	if err != nil {
		return b.pullerError(s, filter, err)
	}
	if fresh && b.srv != nil && !b.srv.sync {
		// A young consumer's file is not on disk yet; a power cut would take
		// it, and with it how often each job was tried.
		if err := b.srv.syncStore(); err != nil {
			b.o.Logger.Warn("cannot sync the store after making a consumer", "consumer", name, "err", err)
		}
	}
	return nil
}

// pullerError turns what a consumer was refused with into what a client may see.
func (b *Broker) pullerError(s *stream, filter string, err error) error {
	switch errCode(err) {
	case errStreamNotFound:
		return gone(s.cfg.Name)
	case errNotUnique, errSeveralUnfiltered:
		return &bridge.Error{Code: bridge.CodeConflict, Msg: fmt.Sprintf("another consumer of the stream %s takes the jobs of %s", s.cfg.Name, filter),
			Hint: "the operator has to delete it, or to work the queue with it alone"}
	case errMaxConsumers:
		return &bridge.Error{Code: bridge.CodeRateLimited, Msg: "the stream has as many consumers as it may have", Hint: "use fewer queues, or ask the operator to raise the limit"}
	}
	return err
}
