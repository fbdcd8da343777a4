package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Headers of a bucket's messages (ADR-8).
const (
	headExpectLast   = "Nats-Expected-Last-Subject-Sequence"
	headOperation    = "KV-Operation"       // on the mark that a key was deleted
	headMarkerReason = "Nats-Marker-Reason" // on a mark of nats-server's own
)

// kept is the newest message of a key. The zero value is none.
type kept struct {
	revision uint64
	dropped  bool // it is the mark of a deletion
	record   []byte
}

// SaveSession implements [bridge.SessionStore]. The server compares the
// revision, so that of several gateways one wins.
func (b *Broker) SaveSession(ctx context.Context, key string, record []byte, revision uint64) (uint64, error) {
	if err := bridge.ValidSessionKey(key); err != nil {
		return 0, err
	}
	s := b.sessions
	if s == nil {
		return 0, &bridge.Error{Code: bridge.CodeNoStream, Msg: "no sessions are kept"}
	}
	saved, err := s.put(ctx, key, record, headExpectLast, strconv.FormatUint(revision, 10))
	if !errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}) {
		return saved, err
	}
	// The bucket has another newest message of the key, or none; that need not
	// mean that somebody has saved it.
	have, lerr := s.last(ctx, key)
	switch {
	case lerr != nil:
		return 0, lerr
	case have.revision == 0: // forgotten, or the bucket was made again
	case have.dropped && revision == 0:
	default:
		return 0, err
	}
	return s.put(ctx, key, record, headExpectLast, strconv.FormatUint(have.revision, 10))
}

// LoadSession implements [bridge.SessionStore].
func (b *Broker) LoadSession(ctx context.Context, key string) (record []byte, revision uint64, err error) {
	if err := bridge.ValidSessionKey(key); err != nil {
		return nil, 0, err
	}
	var have kept
	if b.sessions != nil {
		if have, err = b.sessions.last(ctx, key); err != nil {
			return nil, 0, err
		}
	}
	if have.revision == 0 || have.dropped {
		return nil, 0, &bridge.Error{Code: bridge.CodeNotFound, Msg: "there is no such session"}
	}
	return have.record, have.revision, nil
}

// DropSession implements [bridge.SessionStore]. What it leaves is the bucket's
// mark of a deletion, which goes after the TTL.
func (b *Broker) DropSession(ctx context.Context, key string) error {
	if err := bridge.ValidSessionKey(key); err != nil || b.sessions == nil {
		return err
	}
	_, err := b.sessions.put(ctx, key, nil, headOperation, "DEL")
	return err
}

// put stores a message with a header and returns its sequence when the server
// has acknowledged it.
func (s *sessions) put(ctx context.Context, key string, record []byte, name, value string) (uint64, error) {
	if s.missing.Load() {
		if err := s.restore(ctx); err != nil {
			return 0, err
		}
	}
	size := messageSize(&bridge.Publication{Data: record, Head: []bridge.Field{{Name: name, Value: value}}})
	if most := s.b.nc.MaxPayload(); int64(size) > most {
		return 0, &bridge.Error{Code: bridge.CodeTooBig, Msg: fmt.Sprintf("the session has %d bytes, NATS takes %d", size, most)}
	}
	for restored := false; ; restored = true {
		m := &nats.Msg{Subject: sessionPrefix + key, Data: record, Header: nats.Header{name: {value}}}
		answer, err := s.b.askAndWait(ctx, m)
		if err != nil {
			return 0, err
		}
		a, err := parseAck(answer)
		switch {
		case err == nil:
			return a.seq, nil
		case !errors.Is(err, nats.ErrNoResponders) || restored:
			return 0, s.refusal(err)
		}
		if err := s.restore(ctx); err != nil {
			return 0, err
		}
	}
}

// askAndWait is ask for one who has nothing else to do. No answer means that
// the outcome is unknown.
func (b *Broker) askAndWait(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, b.unavailable(ctx, err)
	}
	type outcome struct {
		answer *nats.Msg
		err    error
	}
	c := make(chan outcome, 1)
	b.ask(m, b.o.Timeout, func(answer *nats.Msg, err error) { c <- outcome{answer, err} })
	select {
	case o := <-c:
		if o.err != nil {
			e := b.failed(o.err)
			e.Msg += "; whether it is stored is unknown"
			return nil, e
		}
		return o.answer, nil
	case <-ctx.Done():
		return nil, b.unavailable(ctx, ctx.Err())
	}
}

// refusal turns what a save was answered with into what a client may see.
func (s *sessions) refusal(err error) error {
	e := &bridge.Error{Code: bridge.CodeUnavailable, Retry: time.Second}
	switch code := errCode(err); {
	case code == errWrongLast, code == errWrongLastConst:
		return &bridge.Error{Code: bridge.CodeConflict, Msg: "somebody else has saved the session", Hint: "it is theirs now"}
	case code == errTooBig, code == errHeaderTooBig:
		return &bridge.Error{Code: bridge.CodeTooBig, Msg: "the session is larger than the bucket " + sessionBucket + " takes"}
	case errors.Is(err, nats.ErrNoResponders):
		e.Msg, e.Hint = "the bucket "+sessionBucket+" does not answer", "it is starting, or without a leader; try again"
	case full(err), limitOf(err) != limitNone:
		e.Msg, e.Hint, e.Retry = "the store is full; the session was not saved", "the operator has to raise max_store or to free space", 5*time.Second
	default:
		e.Msg, e.Hint = "NATS refused to save a session", "the server's log has the detail"
		s.b.o.Logger.Error("a session is not saved", "bucket", sessionBucket, "err", err)
	}
	return e
}

// last returns the newest message of a key. Where there are copies the leader
// has to say what that is: a copy may not have yet what another gateway has
// just saved.
func (s *sessions) last(ctx context.Context, key string) (kept, error) {
	for restored := false; ; restored = true {
		var k kept
		var err error
		if s.copies.Load() > 1 {
			k, err = s.lastOfLeader(ctx, key)
		} else {
			k, err = s.lastOfAny(ctx, key)
		}
		gone := errCode(err) == errStreamNotFound || errors.Is(err, nats.ErrNoResponders)
		switch {
		case err == nil:
			return k, nil
		case gone && restored:
			return kept{}, s.refusal(nats.ErrNoResponders)
		case !gone:
			return kept{}, err
		}
		if err := s.restore(ctx); err != nil {
			return kept{}, err
		}
	}
}

// lastOfAny asks for the newest message by a direct get. It does not wait for
// the reads of histories, which have a stream of their own to lock.
func (s *sessions) lastOfAny(ctx context.Context, key string) (kept, error) {
	msgs, err := s.b.fetch(ctx, sessionStream+"."+sessionPrefix+key, []getRequest{{}}, false)
	if err != nil {
		return kept{}, err
	}
	m := msgs[0]
	if e := gotten(nil, m); e != nil {
		return kept{revision: e.Seq, dropped: deletion(m.Header), record: m.Data}, nil
	}
	switch status(m) {
	case 404:
		return kept{}, nil
	case 503:
		return kept{}, nats.ErrNoResponders
	}
	return kept{}, fmt.Errorf("direct get of %s: %s %s", sessionStream, m.Header.Get("Status"), m.Header.Get("Description"))
}

// lastOfLeader asks the stream's leader for the newest message.
func (s *sessions) lastOfLeader(ctx context.Context, key string) (kept, error) {
	var answer struct {
		Message struct {
			Seq  uint64 `json:"seq"`
			Head []byte `json:"hdrs"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	err := s.b.api(ctx, "STREAM.MSG.GET."+sessionStream, leaderGet{LastFor: sessionPrefix + key}, &answer)
	if errCode(err) == errNoMessage {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, err
	}
	k := kept{revision: answer.Message.Seq, record: answer.Message.Data}
	if len(answer.Message.Head) > 0 {
		head, err := nats.DecodeHeadersMsg(answer.Message.Head)
		if err != nil {
			return kept{}, fmt.Errorf("the headers of message %d of %s: %w", k.revision, sessionStream, err)
		}
		k.dropped = deletion(head)
	}
	return k, nil
}

// deletion reports whether a message marks that its key was deleted.
func deletion(h nats.Header) bool {
	op := h.Get(headOperation)
	return op == "DEL" || op == "PURGE" || h.Get(headMarkerReason) != ""
}

var _ bridge.SessionStore = (*Broker)(nil)
