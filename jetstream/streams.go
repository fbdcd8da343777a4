package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// streamSettings is the part of a stream's configuration that is used.
type streamSettings struct {
	Name      string            `json:"name"`
	Subjects  []string          `json:"subjects"`
	Retention string            `json:"retention"`
	Storage   string            `json:"storage"`
	Discard   string            `json:"discard"`
	Replicas  int               `json:"num_replicas"`
	MaxAge    time.Duration     `json:"max_age"`
	MaxBytes  int64             `json:"max_bytes"`
	Dedupe    time.Duration     `json:"duplicate_window,omitempty"`
	Direct    bool              `json:"allow_direct"`
	Atomic    bool              `json:"allow_atomic"`
	TTL       bool              `json:"allow_msg_ttl"`
	Metadata  map[string]string `json:"metadata,omitempty"`

	// Only of the streams of jobs. Older servers do not know all of these.
	PerSubject    int64 `json:"max_msgs_per_subject,omitempty"`
	NewPerSubject bool  `json:"discard_new_per_subject,omitempty"`
	Schedules     bool  `json:"allow_msg_schedules,omitempty"`
	Rollup        bool  `json:"allow_rollup_hdrs,omitempty"`
}

func (c *streamSettings) epoch() uint64 { return c.number(metaEpoch) }
func (c *streamSettings) mark() uint64  { return c.number(metaMark) }

// number reads a number of the metadata; one that somebody garbled is 0, which
// is what a stream starts with.
func (c *streamSettings) number(key string) uint64 {
	n, _ := strconv.ParseUint(c.Metadata[key], 10, 64)
	return n
}

// openStreams makes or updates the configured streams.
func (b *Broker) openStreams(ctx context.Context) error {
	plans := b.o.plans()
	if err := checkPlans(plans); err != nil {
		return err
	}
	var known *ledger
	if b.srv != nil {
		var err error
		if known, err = readLedger(b.srv.dir); err != nil {
			return err
		}
	}
	fresh := false
	for slot, p := range plans {
		if p.schedules && !b.canDelay() {
			continue
		}
		s := newStream(b, slot, p)
		made, err := b.openStream(ctx, p, known)
		if p.schedules && b.refusesSchedules(err) {
			continue
		}
		if err != nil {
			return err
		}
		fresh = fresh || made
		if _, _, err := s.look(ctx); err != nil {
			return fmt.Errorf("stream %s: %w", p.Name, err)
		}
		b.streams = append(b.streams, s)
	}
	b.assign()
	if known == nil {
		return nil
	}
	if fresh && !b.srv.sync {
		if err := b.srv.syncStore(); err != nil {
			return fmt.Errorf("cannot sync the store after making a stream: %w", err)
		}
	}
	// After the sync: a stream is only expected once it is known to be on disk.
	return known.write()
}

// assign tells apart the streams that are there.
func (b *Broker) assign() {
	for _, s := range b.streams {
		switch {
		case s.cfg.schedules:
			b.delayed = s
		case s.cfg.retention == retainJobs:
			b.queue = s
		default:
			b.exposed++
		}
	}
}

// checkPlans finds what no server would accept, or would accept and then
// store a message twice for.
func checkPlans(list []plan) error {
	for i, c := range list {
		if c.Name == sessionStream {
			return fmt.Errorf("the stream %s belongs to the sessions: use another name", c.Name)
		}
		if c.Name == "" || strings.ContainsAny(c.Name, " \t\r\n.*>/\\") {
			return fmt.Errorf("the stream name %q is not valid: use letters, digits, '-' and '_'", c.Name)
		}
		if len(c.Subjects) == 0 {
			return fmt.Errorf("the stream %s has no subjects: give it at least one, such as %q", c.Name, strings.ToLower(c.Name)+".>")
		}
		for _, subject := range c.Subjects {
			if err := bridge.ValidFilter(subject); err != nil {
				return fmt.Errorf("the stream %s has a bad subject %q: %w", c.Name, subject, err)
			}
			if bridge.Overlap(subject, sessionPrefix+">") {
				return fmt.Errorf("the stream %s would store the sessions, too, by its subject %q: make it narrower", c.Name, subject)
			}
		}
		for _, o := range list[:i] {
			if o.Name == c.Name {
				return fmt.Errorf("the stream %s is configured twice: remove one", c.Name)
			}
			for _, x := range o.Subjects {
				for _, y := range c.Subjects {
					if bridge.Overlap(x, y) {
						return fmt.Errorf("the streams %s and %s both store subjects that match %q and %q: make them disjoint", o.Name, c.Name, x, y)
					}
				}
			}
		}
	}
	return nil
}

// openStream makes a stream, or brings an existing one in line.
func (b *Broker) openStream(ctx context.Context, cfg plan, known *ledger) (made bool, err error) {
	var info *streamInfo
	for { // a server that has just started may need a moment until its API answers
		info, err = b.info(ctx, cfg.Name, nil)
		if err == nil || errCode(err) != 0 || ctx.Err() != nil || !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) || b.srv == nil {
			break
		}
	}
	switch {
	case err == nil:
		known.add(cfg.Name)
		return false, b.adapt(ctx, cfg, info)
	case errCode(err) != errStreamNotFound:
		return false, fmt.Errorf("stream %s: %w: check that JetStream is enabled and that these credentials may use it", cfg.Name, err)
	case known.has(cfg.Name):
		return false, fmt.Errorf("the stream %s was here and is gone (a power cut, or files removed by hand): restore a backup of it, or delete its name from %s to begin with an empty one", cfg.Name, known.path)
	}
	if err := b.api(ctx, "STREAM.CREATE."+cfg.Name, cfg.settings(), nil); err != nil {
		return false, fmt.Errorf("cannot make the stream %s: %w", cfg.Name, err)
	}
	known.add(cfg.Name)
	return true, nil
}

// unlimited translates "no limit" for NATS, which refuses 0 on some servers.
func unlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// adapt brings an existing stream in line, never at the cost of a message.
func (b *Broker) adapt(ctx context.Context, cfg plan, info *streamInfo) error {
	if err := b.refuse(ctx, cfg, info); err != nil {
		return fmt.Errorf("stream %s: %w", cfg.Name, err)
	}
	change := cfg.changes(info.Config)
	if len(change) == 0 {
		return nil
	}
	if err := b.update(ctx, cfg.Name, info.Raw, change); err != nil {
		return fmt.Errorf("cannot update the stream %s: %w: change it with the nats command, or its configuration here", cfg.Name, err)
	}
	b.o.Logger.Info("updated a stream", "stream", cfg.Name, "changes", len(change))
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// refuse returns why bringing the stream in line would lose messages, or why
// it cannot be used at all.
func (b *Broker) refuse(ctx context.Context, cfg plan, info *streamInfo) error {
	have, state := info.Config, info.State
	if err := cfg.unfit(have.Retention); err != nil {
		return err
	}
	switch {
	case cfg.Replicas != 0 && cfg.Replicas < have.Replicas:
		return fmt.Errorf("it has %d replicas and the configuration says %d: set replicas to %d, or lower it with the nats command", have.Replicas, cfg.Replicas, have.Replicas)
	case cfg.MaxBytes > 0 && state.Bytes > uint64(cfg.MaxBytes):
		return fmt.Errorf("max_bytes %s is less than the %s that it holds, the oldest messages would be deleted: raise max_bytes, or purge the stream first",
			bytesText(cfg.MaxBytes), bytesText(int64(state.Bytes)))
	case cfg.MaxAge > 0 && cfg.MaxAge != have.MaxAge && state.Messages > 0 && time.Since(state.FirstTime) > cfg.MaxAge:
		return fmt.Errorf("max_age %v is less than the age of its oldest message (%v), which would be deleted: raise max_age, or purge the stream first",
			cfg.MaxAge, time.Since(state.FirstTime).Round(time.Second))
	}
	if subject, held, err := b.overfull(ctx, cfg, have); err != nil {
		return err
	} else if subject != "" {
		return fmt.Errorf("the queue %s holds %d jobs, more than max_jobs %d, and the oldest would be deleted: raise max_jobs, or work the queue off first", subject, held, cfg.perSubject)
	}
	for _, old := range have.Subjects {
		if slices.ContainsFunc(cfg.Subjects, func(f string) bool { return bridge.Within(old, f) }) {
			continue
		}
		orphan, err := b.orphan(ctx, cfg, old)
		if err != nil {
			return err
		}
		if orphan != "" {
			return fmt.Errorf("the configuration drops the subjects %q, but messages are stored on %q: keep the subjects, or purge those messages first", old, orphan)
		}
	}
	return nil
}

// update changes some settings of a stream and keeps all others, also those
// that this version does not know.
func (b *Broker) update(ctx context.Context, name string, raw json.RawMessage, change map[string]any) error {
	all := map[string]any{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("decode the configuration of the stream %s: %w", name, err)
	}
	keep := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &keep); err != nil {
		return fmt.Errorf("decode the configuration of the stream %s: %w", name, err)
	}
	for k, v := range keep { // raw numbers: a float would lose digits
		all[k] = v
	}
	for k, v := range change {
		all[k] = v
	}
	return b.api(ctx, "STREAM.UPDATE."+name, all, nil)
}

// watchAdvisories learns from nats-server's advisories of streams that are
// deleted, made or restored, so that tails need not wait for their next look.
func (b *Broker) watchAdvisories() error {
	_, err := b.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.*.>", func(m *nats.Msg) {
		rest := strings.TrimPrefix(m.Subject, "$JS.EVENT.ADVISORY.STREAM.")
		what, name, _ := strings.Cut(rest, ".")
		if what == "UPDATED" {
			return // marks do that every few seconds
		}
		for _, s := range b.streams {
			if s.cfg.Name == name {
				s.poke(pokeLook)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe to stream advisories: %w", err)
	}
	return nil
}

// State implements [bridge.Broker].
func (b *Broker) State(ctx context.Context, slot int) (bridge.StreamState, error) {
	info, inc, err := b.streams[slot].look(ctx)
	if err != nil {
		return bridge.StreamState{}, err
	}
	st := bridge.StreamState{Stream: inc.stream, First: info.State.First, Last: info.State.Last,
		Messages: info.State.Messages, Bytes: info.State.Bytes, Dedupe: info.Config.Dedupe}
	if st.Messages == 0 {
		st.First = st.Last + 1
	}
	return st, nil
}
