package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// shortestWindow is the least that nats-server takes for max_age and for the
// window of duplicates.
const shortestWindow = 100 * time.Millisecond

func (c *Config) validateStreams(ps *problems) {
	names := map[string]string{}
	var total int64
	for i, s := range c.Streams {
		path := fmt.Sprintf("streams[%d]", i)
		if msg := badStreamName(s.Name); msg != "" {
			ps.add(c.at(path+".name"), path+".name", "%s", msg)
		} else if first, ok := names[s.Name]; ok {
			ps.add(c.at(path+".name"), path+".name", "%q is also the name of %s: give one of them another", s.Name, first)
		} else {
			names[s.Name] = path
		}
		c.validateSubjects(i, path, ps)
		c.validateKept(s, path, ps)
		total += min(s.MaxBytes, maxStoreSize)
	}
	c.validateStore(total, ps)
}

// validateStore compares what is reserved on disk with what there may be.
func (c *Config) validateStore(streams int64, ps *problems) {
	if c.NATS.URL != "" {
		return
	}
	most, queues := c.NATS.Embedded.MaxStore, int64(0)
	if c.Queues.On() {
		queues = min(c.Queues.EventsMaxBytes, maxStoreSize) + min(c.Queues.DeadMaxBytes, maxStoreSize)
	}
	switch {
	case streams > most:
		ps.add(c.at("streams"), "streams", "reserve %s together, more than nats.embedded.max_store (%s): raise it, or lower their max_bytes",
			FormatSize(streams), FormatSize(most))
	case streams+queues > most:
		ps.add(c.firstGiven("queues.events_max_bytes", "queues.dead_max_bytes", "streams", "nats.embedded.max_store"), "queues",
			"reserve %s (events_max_bytes and dead_max_bytes) besides the %s of the streams, more than nats.embedded.max_store (%s): raise it, lower one of these, or write queues.subjects: [] for no queues",
			FormatSize(queues), FormatSize(streams), FormatSize(most))
	}
}

// firstGiven is the origin of the first key that some layer set, or the
// default's.
func (c *Config) firstGiven(keys ...string) origin {
	for _, k := range keys {
		if c.given(k) {
			return c.at(k)
		}
	}
	return origin{}
}

// badStreamName says why a stream cannot have the name, "" if it can.
// nats-server uses it as a directory, and as a token in subjects.
func badStreamName(name string) string {
	switch {
	case name == "":
		return "is missing: write a name, such as EVENTS"
	case bridge.ValidName(name) != nil, strings.Contains(name, "="):
		return fmt.Sprintf("%q is not a name of a stream: write 1 to 64 letters, digits, _ or -", name)
	}
	for _, prefix := range []string{"KV_", "OBJ_", "JETWAY_"} {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			return fmt.Sprintf("%q: names that begin with %s belong to NATS or Jetway: choose another", name, prefix)
		}
	}
	return ""
}

func (c *Config) validateSubjects(i int, path string, ps *problems) {
	key := path + ".subjects"
	at := c.at(key)
	if len(c.Streams[i].Subjects) == 0 && !c.refused(key, ps) {
		ps.add(at, key, "is missing: list the subjects that the stream stores, such as [events.>]")
	}
	for j, s := range c.Streams[i].Subjects {
		if msg := badStreamSubject(s); msg != "" {
			ps.add(at, key, "%q: %s", s, msg)
			continue
		}
		for _, other := range c.Streams[i].Subjects[:j] {
			if bridge.Overlap(s, other) {
				ps.add(at, key, "%q overlaps %q of the same stream: remove one of them", s, other)
			}
		}
		for k, earlier := range c.Streams[:i] {
			for _, other := range earlier.Subjects {
				if bridge.Overlap(s, other) {
					ps.add(at, key, "%q overlaps %q of streams[%d] (%s): an event can be stored once only, change one of them", s, other, k, earlier.Name)
				}
			}
		}
	}
}

// refused reports whether a problem with the key is known already.
func (c *Config) refused(key string, ps *problems) bool {
	for _, p := range ps.list {
		if p.Key == key {
			return true
		}
	}
	return false
}

func badStreamSubject(s string) string {
	if err := bridge.ValidFilter(s); err != nil {
		return because(err)
	}
	switch {
	case bridge.Reserved(s):
		return "belongs to NATS or Jetway: remove it"
	case s[0] == '*' || s[0] == '>':
		return "would store the messages of NATS itself, too: begin with a word, such as events.>"
	}
	return ""
}

// validateKept checks what nats-server would refuse when the stream is made.
func (c *Config) validateKept(s Stream, path string, ps *problems) {
	add := func(field, format string, args ...any) {
		ps.add(c.at(path+"."+field), path+"."+field, format, args...)
	}
	if s.MaxAge > 0 && s.MaxAge < shortestWindow {
		add("max_age", "%q is too short: write at least 100ms, or 0 for no limit", formatDuration(s.MaxAge))
	} else if s.Dedupe < shortestWindow {
		add("dedupe", "%q is too short: write at least 100ms", formatDuration(s.Dedupe))
	} else if s.MaxAge > 0 && s.Dedupe > s.MaxAge {
		add("dedupe", "%s is longer than max_age (%s): write at most that, a removed event cannot be known as a duplicate",
			formatDuration(s.Dedupe), formatDuration(s.MaxAge))
	}
	if s.Replicas > 1 && c.NATS.URL == "" {
		add("replicas", "%d copies need a NATS cluster, the embedded server keeps 1: set nats.url, or write 1", s.Replicas)
	}
}
