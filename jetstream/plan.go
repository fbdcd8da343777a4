package jetstream

import (
	"context"
	"fmt"

	"github.com/jetway-io/jetway/bridge"
)

// Retentions of a stream: history, or jobs that go when they are done.
const (
	retainHistory = "limits"
	retainJobs    = "workqueue"
)

// plan is a stream as it shall be. It is one that is exposed, or one of the two
// that keep jobs: the queue stream, and the stream of delayed jobs.
type plan struct {
	StreamConfig
	retention  string
	perSubject int64 // a subject takes no more messages than this; 0: no limit
	schedules  bool  // nats-server puts its messages elsewhere when their time has come
}

// plans lists the streams by slot: those exposed, then those of the queues.
func (o Options) plans() []plan {
	var list []plan
	for _, c := range o.Streams {
		list = append(list, plan{StreamConfig: c, retention: retainHistory})
	}
	q := o.Queues
	if q.Stream == "" {
		return list
	}
	return append(list,
		plan{
			StreamConfig: StreamConfig{Name: q.Stream, Subjects: q.Subjects, Dedupe: q.Dedupe, Replicas: q.Replicas, DiscardNew: true},
			retention:    retainJobs, perSubject: max(q.MaxJobs, 0),
		},
		// Schedules and "discard new" exclude each other, and "discard old"
		// would drop jobs: so no limit, and delayed.go keeps count.
		plan{
			StreamConfig: StreamConfig{Name: q.Delayed, Subjects: []string{delayedSubject + "*", dueSubject + ">"}, Dedupe: q.Dedupe, Replicas: q.Replicas},
			retention:    retainJobs, schedules: true,
		})
}

// settings are those of a new stream.
func (p plan) settings() streamSettings {
	discard := "old"
	if p.DiscardNew {
		discard = "new"
	}
	return streamSettings{
		Name: p.Name, Subjects: p.Subjects, Retention: p.retention, Storage: "file", Discard: discard,
		Replicas: max(p.Replicas, 1), MaxAge: p.MaxAge, MaxBytes: unlimited(p.MaxBytes), Dedupe: p.Dedupe,
		PerSubject: p.perSubject, NewPerSubject: p.perSubject > 0,
		Direct: true, Atomic: true, TTL: true, Schedules: p.schedules, Rollup: p.schedules,
		Metadata: map[string]string{metaEpoch: "0", metaMark: "0"},
	}
}

// changes are what brings a stream in line.
func (p plan) changes(have streamSettings) map[string]any {
	change := map[string]any{}
	if !sameSet(have.Subjects, p.Subjects) {
		change["subjects"] = p.Subjects
	}
	if have.MaxAge != p.MaxAge {
		change["max_age"] = p.MaxAge
	}
	if unlimited(have.MaxBytes) != unlimited(p.MaxBytes) {
		change["max_bytes"] = unlimited(p.MaxBytes)
	}
	if p.Dedupe != 0 && have.Dedupe != p.Dedupe {
		change["duplicate_window"] = p.Dedupe
	}
	if p.Replicas > have.Replicas {
		change["num_replicas"] = p.Replicas
	}
	if p.DiscardNew && have.Discard != "new" {
		change["discard"] = "new"
	}
	if p.retention == retainJobs && max(have.PerSubject, 0) != p.perSubject {
		change["max_msgs_per_subject"] = unlimited(p.perSubject)
	}
	if p.retention == retainJobs && have.NewPerSubject != (p.perSubject > 0) {
		change["discard_new_per_subject"] = p.perSubject > 0
	}
	for key, on := range map[string]bool{"allow_direct": have.Direct, "allow_atomic": have.Atomic, "allow_msg_ttl": have.TTL,
		"allow_msg_schedules": have.Schedules || !p.schedules, "allow_rollup_hdrs": have.Rollup || !p.schedules} {
		if !on {
			change[key] = true
		}
	}
	return change
}

// unfit returns why a stream with that retention cannot be used for the plan;
// nats-server cannot change it.
func (p plan) unfit(retention string) error {
	switch {
	case retention == p.retention:
		return nil
	case p.retention == retainJobs:
		return fmt.Errorf("its retention is %q, and jobs need %q: use another name for the stream of the queues", retention, retainJobs)
	default:
		return fmt.Errorf("its retention is %q, and only streams with %q can be read again: use another name, or expose it as a queue", retention, retainHistory)
	}
}

// overfull returns a subject that holds more messages than it may, which
// nats-server would delete; empty when there is none.
func (b *Broker) overfull(ctx context.Context, p plan, have streamSettings) (subject string, held uint64, err error) {
	if p.perSubject <= 0 || have.PerSubject > 0 && have.PerSubject <= p.perSubject {
		return "", 0, nil
	}
	err = b.eachSubject(ctx, p.Name, ">", func(s string, n uint64) bool {
		if n > uint64(p.perSubject) {
			subject, held = s, n
		}
		return subject == ""
	})
	return subject, held, err
}

// eachSubject calls fn for the stored subjects that match the filter, until it
// returns false.
func (b *Broker) eachSubject(ctx context.Context, name, filter string, fn func(subject string, n uint64) bool) error {
	for offset := 0; ; {
		info, err := b.info(ctx, name, map[string]any{"subjects_filter": filter, "offset": offset})
		if err != nil || len(info.State.Subjects) == 0 {
			return err
		}
		for subject, n := range info.State.Subjects {
			if !fn(subject, n) {
				return nil
			}
		}
		offset += len(info.State.Subjects) // a page has 100,000
	}
}

// orphan returns a stored subject that matches the filter and none of the
// plan's, empty when there is none.
func (b *Broker) orphan(ctx context.Context, p plan, filter string) (orphan string, err error) {
	err = b.eachSubject(ctx, p.Name, filter, func(subject string, _ uint64) bool {
		if !covers(p.Subjects, subject) {
			orphan = subject
		}
		return orphan == ""
	})
	return orphan, err
}

// covers reports whether one of the filters matches the subject.
func covers(filters []string, subject string) bool {
	for _, f := range filters {
		if bridge.Matches(f, subject) {
			return true
		}
	}
	return false
}
