package jetstream

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// A delayed job waits in a stream of its own, as a message on a subject that
// only it has, with a schedule (ADR-51): when its time has come, nats-server
// removes it and stores its content on the subject of jobs that are due. From
// there a mover brings it into its queue (mover.go). Its own stream, because
// nats-server takes no schedules in one that refuses what it has no room for,
// as the queue stream must.
const (
	delayedSubject = "jetway.delayed." // + the job's name
	dueSubject     = "jetway.due."     // + the queue
)

// Headers of a schedule. nats-server removes them when it puts the message
// where it is due, and adds headScheduler.
const (
	headSchedule       = "Nats-Schedule"
	headScheduleTarget = "Nats-Schedule-Target"
	headScheduleTTL    = "Nats-Schedule-TTL" // becomes headTTL
	headScheduler      = "Nats-Scheduler"    // the subject of the schedule
	headTTL            = "Nats-TTL"
)

// dueHeaders is room for the headers that a job gets on its way into its
// queue, their values excepted.
const dueHeaders = 64

// canSchedule reports whether a server of that version has message schedules.
// An older one ignores the setting, and would keep such jobs for ever.
func canSchedule(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 2 || major == 2 && minor >= 12
}

// canDelay reports whether the connected server can keep delayed jobs, and
// notes why not.
func (b *Broker) canDelay() bool {
	version := b.nc.ConnectedServerVersion()
	if canSchedule(version) {
		return true
	}
	b.noDelay = fmt.Sprintf("jobs cannot be delayed: the NATS server %s has no message schedules; 2.12 has", version)
	b.o.Logger.Warn(b.noDelay)
	return false
}

// refusesSchedules reports whether the server refused the stream of delayed
// jobs because of what it is, and notes that.
func (b *Broker) refusesSchedules(err error) bool {
	switch errCode(err) {
	case errInvalidConfig, errBadJSON, errRequiredLevel:
	default:
		return false
	}
	b.noDelay = fmt.Sprintf("jobs cannot be delayed: NATS refuses the stream %s with message schedules", b.o.Queues.Delayed)
	b.o.Logger.Warn(b.noDelay, "err", err)
	return true
}

// delay stores a job until its time has come.
func (b *Broker) delay(p *bridge.Publication, done func(bridge.Receipt, error)) {
	if err := b.refuseDelay(p); err != nil {
		done(bridge.Receipt{}, err)
		return
	}
	q := b.scheduled(p)
	s, size := b.delayed, messageSize(q)
	// Later it has other headers: those of nats-server, and the mover's ID; and
	// then it must still have its room in the queue.
	if err := b.tooBig(size + len(dueID(s, p.Name)) + dueHeaders + b.room(p)); err != nil {
		done(bridge.Receipt{}, err)
		return
	}
	s.committer.enqueue(&item{p: q, size: size, deadline: time.Now().Add(b.o.Timeout), done: func(r bridge.Receipt, err error) {
		if err == nil && !r.Duplicate {
			s.held.Add(1)
		}
		done(r, err)
	}})
}

// refuseDelay returns why a job cannot be delayed.
func (b *Broker) refuseDelay(p *bridge.Publication) error {
	switch most := b.o.Queues.MaxDelayed; {
	case b.queue == nil || p.Slot != b.queue.slot:
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: "only the jobs of a queue can be delayed"}
	case b.delayed == nil:
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: b.noDelay, Hint: "publish the job when it is due"}
	case p.Expect != nil:
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "a delayed job cannot have a condition", Hint: "leave it out, or publish the job when it is due"}
	case strings.Contains(p.Name, ".") || bridge.ValidSubject(p.Name) != nil:
		return &bridge.Error{Code: bridge.CodeBadSubject, Msg: fmt.Sprintf("the name %q of a delayed job is not one token", p.Name)}
	case most > 0 && b.delayed.held.Load() >= most:
		return &bridge.Error{Code: bridge.CodeQueueFull, Msg: fmt.Sprintf("%d jobs are delayed, as many as may be", most), Hint: "try again later", Retry: 5 * time.Second}
	}
	return nil
}

// scheduled is a job as the stream of delayed jobs takes it.
func (b *Broker) scheduled(p *bridge.Publication) *bridge.Publication {
	q := *p
	q.Slot, q.Subject, q.TTL = b.delayed.slot, delayedSubject+p.Name, 0
	q.Head = append(slices.Clone(p.Head),
		bridge.Field{Name: headSchedule, Value: "@at " + p.NotBefore.UTC().Format(time.RFC3339Nano)},
		bridge.Field{Name: headScheduleTarget, Value: dueSubject + p.Subject})
	if p.TTL > 0 {
		q.Head = append(q.Head, bridge.Field{Name: headScheduleTTL, Value: ttlText(p.TTL)})
	}
	return &q
}
