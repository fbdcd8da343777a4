package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Bounds of the queues' times. A lease of less than a second would be lost to
// the network alone; with more than half a day, a job of a worker that hangs
// would be forgotten before it comes back.
const (
	shortestLease = time.Second
	longestLease  = 12 * time.Hour
	longestPause  = 24 * time.Hour
	mostPauses    = 20
)

// On reports whether there are queues.
func (q Queues) On() bool { return len(q.Subjects) > 0 }

// EventSubjects returns the subjects of the job events, one filter for all
// queues with the same beginning: "jobs.events.>" for "jobs.*".
func (q Queues) EventSubjects() []string {
	var list []string
	for _, s := range q.Subjects {
		if e := bridge.JobEventsFilter(s); !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// DeadSubjects returns the subjects of the dead letters: "dead.jobs.*" for
// "jobs.*".
func (q Queues) DeadSubjects() []string {
	var list []string
	for _, s := range q.Subjects {
		list = append(list, bridge.DeadSubject(s))
	}
	return list
}

// fitQueues makes the default sizes of job events and dead letters fit into
// what a small store has left: who sizes the streams alone means that. What is
// left of nothing is not reserved, and bounded by the store.
func (c *Config) fitQueues() {
	if !c.Queues.On() || c.NATS.URL != "" {
		return
	}
	left := c.NATS.Embedded.MaxStore
	for _, s := range c.Streams {
		left -= min(s.MaxBytes, left)
	}
	share := left / 4
	if share < mib {
		share = 0
	}
	if !c.given("queues.events_max_bytes") {
		c.Queues.EventsMaxBytes = min(c.Queues.EventsMaxBytes, share)
	}
	if !c.given("queues.dead_max_bytes") {
		c.Queues.DeadMaxBytes = min(c.Queues.DeadMaxBytes, share)
	}
}

func (c *Config) validateQueues(ps *problems) {
	q := &c.Queues
	if !q.On() {
		return // what is not used is in nobody's way
	}
	before := len(ps.list)
	for i, s := range q.Subjects {
		c.validateQueueSubject(i, s, ps)
	}
	if len(ps.list) == before {
		c.validateQueueOverlaps(ps)
	}
	c.validateQueueNames(ps)
	c.validateQueueTimes(ps)
}

func (c *Config) validateQueueSubject(i int, s string, ps *problems) {
	const key = "queues.subjects"
	if msg := badQueueSubject(s); msg != "" {
		ps.add(c.at(key), key, "%q: %s", s, msg)
		return
	}
	for _, other := range c.Queues.Subjects[:i] {
		if badQueueSubject(other) == "" && bridge.Overlap(s, other) {
			ps.add(c.at(key), key, "%q overlaps %q: remove one of them, a job belongs to one queue", s, other)
		}
	}
}

// badQueueSubject says why a text is not the subject of a queue, "" if it is.
func badQueueSubject(s string) string {
	if err := bridge.ValidFilter(s); err != nil {
		return because(err)
	}
	tokens := strings.Split(s, ".")
	switch last := len(tokens) - 1; {
	case bridge.Reserved(s):
		return "belongs to NATS or Jetway: begin with another word, such as jobs.*"
	case last == 0:
		return "has one token only: write two or more, such as jobs.* or jobs.resize"
	case tokens[last] == ">":
		return "a queue is one token: end with *, such as jobs.*, or with a name, such as jobs.resize"
	case !bridge.Literal(strings.Join(tokens[:last], ".")):
		return "only the last token can be *: write the others out, such as jobs.*"
	}
	return ""
}

// validateQueueOverlaps wants each subject in one stream only: those of the
// queues, of their events and of their dead letters, and the streams' own.
func (c *Config) validateQueueOverlaps(ps *problems) {
	const key = "queues.subjects"
	q := &c.Queues
	derived := []struct {
		what     string
		subjects []string
	}{{"the queues", q.Subjects}, {"the job events", q.EventSubjects()}, {"the dead letters", q.DeadSubjects()}}
	told := map[int]bool{}
	for i, a := range derived {
		for _, b := range derived[:i] {
			if s, other, ok := overlapping(a.subjects, b.subjects); ok {
				ps.add(c.at(key), key, "%s (%s) overlap %s (%s): choose other subjects for the queues", a.what, s, b.what, other)
			}
		}
		for j, stream := range c.Streams {
			if s, other, ok := overlapping(a.subjects, stream.Subjects); ok && !told[j] {
				told[j] = true // once is enough: "jobs.>" has both the queues and their events
				c.refuseOverlap(fmt.Sprintf("streams[%d].subjects", j), stream.Name, other, a.what, s, ps)
			}
		}
	}
}

// refuseOverlap reports a stream that stores what belongs to the queues. Who
// has never heard of queues is told that there are some, and how to be without.
func (c *Config) refuseOverlap(path, name, subject, what, of string, ps *problems) {
	const key = "queues.subjects"
	if c.given(key) {
		ps.add(c.at(key), key, "%s (%s) overlap %q of the stream %s: change one of them, or write %s: [] for no queues", what, of, subject, name, key)
		return
	}
	ps.add(c.at(path), path, "%q overlaps %q, where %s of Jetway are by default: change the subject, name other queues in %s, or write %s: [] for no queues",
		subject, of, what, key, key)
}

func overlapping(a, b []string) (x, y string, ok bool) {
	for _, x := range a {
		for _, y := range b {
			if bridge.Overlap(x, y) {
				return x, y, true
			}
		}
	}
	return "", "", false
}

func (c *Config) validateQueueNames(ps *problems) {
	q := &c.Queues
	if q.Replicas > 1 && c.NATS.URL == "" {
		ps.add(c.at("queues.replicas"), "queues.replicas", "%d copies need a NATS cluster, the embedded server keeps 1: set nats.url, or write 1", q.Replicas)
	}
	taken := map[string]string{}
	for i, s := range c.Streams {
		taken[s.Name] = fmt.Sprintf("streams[%d].name", i)
	}
	for _, n := range []struct{ key, name string }{
		{"queues.stream", q.Stream}, {"queues.events", q.Events}, {"queues.dead_letter", q.DeadLetter},
	} {
		if msg := badStreamName(n.name); msg != "" {
			ps.add(c.at(n.key), n.key, "%s", msg)
		} else if first, ok := taken[n.name]; ok && c.given(n.key) {
			ps.add(c.at(n.key), n.key, "%q is also the name of %s: give one of them another", n.name, strings.TrimSuffix(first, ".name"))
		} else if ok {
			ps.add(c.at(first), first, "%q is also the default of %s: give one of them another", n.name, n.key)
		}
		taken[n.name] = n.key
	}
}

func (c *Config) validateQueueTimes(ps *problems) {
	q := &c.Queues
	add := func(key, format string, args ...any) { ps.add(c.at(key), key, format, args...) }
	if q.Lease < shortestLease || q.Lease > longestLease {
		add("queues.lease", "%q is not from 1s to 12h: write what one step of a job takes at most, a worker can extend it", formatDuration(q.Lease))
	}
	if q.ResumeGrace > q.Lease {
		add("queues.resume_grace", "%s is longer than queues.lease (%s), which ends first: write at most that", formatDuration(q.ResumeGrace), formatDuration(q.Lease))
	}
	if n := len(q.Backoff); n == 0 || n > mostPauses {
		add("queues.backoff", "has %d pauses: write 1 to %d, such as [1s, 5s, 30s]", n, mostPauses)
	}
	for _, d := range q.Backoff {
		if d <= 0 || d > longestPause {
			add("queues.backoff", "%q is not over 0 and at most 24h: write a pause such as 5s", formatDuration(d))
		}
	}
	if q.EventsMaxAge > 0 && q.EventsMaxAge < shortestWindow {
		add("queues.events_max_age", "%q is too short: write at least 100ms, or 0 for no limit", formatDuration(q.EventsMaxAge))
	}
}
