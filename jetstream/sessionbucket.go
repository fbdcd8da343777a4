package jetstream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// The sessions are a key-value bucket, so that the nats command shows them
// ("nats kv ls JETWAY_SESSIONS") and other programs can watch them.
const (
	sessionBucket = "JETWAY_SESSIONS"
	sessionStream = "KV_" + sessionBucket
	sessionPrefix = "$KV." + sessionBucket + "." // + the key
)

// errNameInUse is the answer to making a stream that exists with other settings.
const errNameInUse = 10058

// sessions is the bucket of the sessions. It is none of the streams with slots:
// nobody reads its history, and its records are saved beside the committers,
// each answered by its own acknowledgement.
//
// What is in it can be had again from the gateways that have the clients. So a
// bucket that is gone is made again, with a warning, by whoever finds out: a
// call, which then goes on. All are told what is true by then, that there is no
// such record, and who still has a session saves it. [bridge.CodeUnavailable]
// is left for a bucket that cannot be made or does not answer. nats-server may
// bring back what was in it, when it has not removed its files: records with
// the revisions that they had, so that nothing is amiss.
type sessions struct {
	b        *Broker
	ttl      time.Duration
	replicas int

	copies  atomic.Int32 // of the stream, as last seen
	missing atomic.Bool  // the last look did not find it
	lock    chan empty   // held while making it again
}

// openSessions makes the bucket, or brings it in line. Unlike other streams it
// may lose what the new settings do not allow, and is not missed when it is
// gone.
func (b *Broker) openSessions(ctx context.Context) error {
	o := b.o.Sessions
	if !o.Keep || o.TTL < 0 {
		return nil
	}
	s := &sessions{b: b, ttl: o.TTL, replicas: o.Replicas, lock: make(chan empty, 1)}
	info, err := b.info(ctx, sessionStream, nil)
	if errCode(err) == errStreamNotFound {
		if err = s.create(ctx); errCode(err) == errNameInUse { // another gateway was faster
			info, err = b.info(ctx, sessionStream, nil)
		}
	}
	if err == nil && info != nil {
		err = s.adapt(ctx, info)
	}
	if err != nil {
		return fmt.Errorf("cannot make the bucket %s for the sessions (stream %s): %w", sessionBucket, sessionStream, err)
	}
	b.sessions = s
	return nil
}

// dedupeWindow is the one that nats.go gives to a bucket.
func (s *sessions) dedupeWindow() time.Duration { return min(2*time.Minute, s.ttl) }

// create makes the stream just as nats.go makes that of a bucket.
func (s *sessions) create(ctx context.Context) error {
	err := s.b.api(ctx, "STREAM.CREATE."+sessionStream, map[string]any{
		"name": sessionStream, "subjects": []string{sessionPrefix + ">"}, "retention": "limits", "storage": "file",
		"num_replicas": max(s.replicas, 1), "max_age": s.ttl, "duplicate_window": s.dedupeWindow(), "discard": "new",
		"max_msgs_per_subject": 1, "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
		"deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true,
	}, nil)
	if err == nil {
		s.copies.Store(int32(max(s.replicas, 1)))
	}
	return err
}

// adapt brings an existing bucket in line and keeps what an operator has set
// beyond that, such as its storage or max_bytes.
func (s *sessions) adapt(ctx context.Context, info *streamInfo) error {
	have := info.Config
	if have.Retention != "limits" || !covers(have.Subjects, sessionPrefix+"x") {
		return fmt.Errorf("a stream of that name is there, and it is not a bucket: remove it")
	}
	change := map[string]any{}
	set := func(differs bool, key string, value any) {
		if differs {
			change[key] = value
		}
	}
	set(have.MaxAge != s.ttl, "max_age", s.ttl)
	set(have.MaxAge != s.ttl || have.Dedupe > s.ttl, "duplicate_window", s.dedupeWindow())
	set(have.PerSubject != 1, "max_msgs_per_subject", 1)
	set(have.Discard != "new", "discard", "new")
	set(!have.Direct, "allow_direct", true)
	set(!have.Rollup, "allow_rollup_hdrs", true)
	set(s.replicas > have.Replicas, "num_replicas", s.replicas)
	s.copies.Store(int32(max(s.replicas, have.Replicas)))
	if len(change) == 0 {
		return nil
	}
	if err := s.b.update(ctx, sessionStream, info.Raw, change); err != nil {
		return err
	}
	s.b.o.Logger.Info("updated a stream", "stream", sessionStream, "changes", len(change))
	return nil
}

// watch looks whether the bucket is there, and how many copies it has. A call
// alone cannot always tell: somebody who listens to everything keeps NATS from
// saying that nobody stores a record.
func (s *sessions) watch(ctx context.Context) {
	if s == nil {
		return
	}
	info, err := s.b.info(ctx, sessionStream, nil)
	switch {
	case err == nil:
		s.found(info)
	case errCode(err) == errStreamNotFound:
		s.lost()
	}
}

func (s *sessions) found(info *streamInfo) {
	s.copies.Store(int32(info.Config.Replicas))
	s.missing.Store(false)
}

func (s *sessions) lost() {
	if !s.missing.Swap(true) {
		s.b.o.Logger.Warn("the bucket of the sessions does not exist any more, it is made again when it is next used", "bucket", sessionBucket)
	}
}

// restore makes the bucket again if it is gone.
func (s *sessions) restore(ctx context.Context) error {
	select {
	case s.lock <- empty{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return s.b.unavailable(ctx, ctx.Err())
	}
	info, err := s.b.info(ctx, sessionStream, nil)
	if err == nil {
		s.found(info)
		return nil
	}
	if errCode(err) != errStreamNotFound {
		return s.fault(err)
	}
	s.lost()
	if err := s.create(ctx); err != nil && errCode(err) != errNameInUse {
		return s.fault(err)
	}
	s.missing.Store(false)
	s.b.o.Logger.Warn("made the bucket of the sessions again; it is empty", "bucket", sessionBucket)
	return nil
}

// fault turns why the bucket cannot be looked at or made into what a client may
// see.
func (s *sessions) fault(err error) error {
	if errCode(err) == 0 {
		return err
	}
	s.b.o.Logger.Error("the bucket of the sessions cannot be used", "bucket", sessionBucket, "err", err)
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the bucket " + sessionBucket + " does not exist and cannot be made again",
		Hint: "the server's log has the reason; try again", Retry: 2 * time.Second}
}
