package jetstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// refusal turns what a publish was answered with into what a client may see.
func (c *committer) refusal(err error) error {
	e := &bridge.Error{Code: bridge.CodeUnavailable, Retry: time.Second}
	switch code := errCode(err); {
	case err == nats.ErrNoResponders:
		c.s.poke(pokeLook)
		return gone(c.s.cfg.Name)
	case code == errWrongLast, code == errWrongLastConst:
		return &bridge.Error{Code: bridge.CodeConflict, Msg: "the subject has a newer message than the one given", Hint: "read it again"}
	case code == errTooBig, code == errHeaderTooBig:
		return &bridge.Error{Code: bridge.CodeTooBig, Msg: "the message or its headers are larger than the stream takes"}
	case code == errTTLInvalid, code == errTTLDisabled:
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "the stream does not take this ttl", Hint: "give whole seconds, at least 1s"}
	case limitOf(err) != limitNone:
		return c.overLimit(err)
	case code == errSchedulePattern, code == errScheduleTarget:
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "NATS does not take this time or this name for a delayed job"}
	case full(err):
		e.Msg, e.Hint, e.Retry = "the store is full; this message was not stored", "the operator has to raise max_store or to free space", 5*time.Second
		c.unready(fmt.Errorf("the store is full (%w): raise max_store, lower max_age or max_bytes of a stream, or purge one", err))
	case code == errDuplicateInWork:
		e.Msg, e.Hint = "the same message is being stored", "try again"
	case code != 0:
		e.Msg, e.Hint = "NATS refused the message", "the server's log has the detail"
		c.b.o.Logger.Error("a publish is refused", "stream", c.s.cfg.Name, "err", err)
	default:
		e.Msg, e.Hint = "NATS answered the publish with something unreadable; whether it is stored is unknown", "publish it again with the same key"
		c.b.o.Logger.Error("a publish has an unreadable answer", "stream", c.s.cfg.Name, "err", err)
	}
	return e
}

// full reports whether an error means that the whole store takes no more.
func full(err error) bool {
	code := errCode(err)
	return code == errResources || code == errStorage || code == errStoreFailed && limitOf(err) == limitNone || code == errAccountResources
}

// limit is what a stream with "discard new" has reached.
type limit int

const (
	limitNone limit = iota
	limitSubject
	limitStream
)

// limitOf tells which limit a publish would have exceeded. nats-server has one
// code for these and for faults of the disk; the words are those of store.go.
func limitOf(err error) limit {
	var e *apiError
	if !errors.As(err, &e) || e.ErrCode != errStoreFailed {
		return limitNone
	}
	switch e.Description {
	case "maximum messages per subject exceeded":
		return limitSubject
	case "maximum messages exceeded", "maximum bytes exceeded":
		return limitStream
	}
	return limitNone
}

// overLimit is the error for a message that a stream has no room for. That is
// how it was configured, so the broker stays ready.
func (c *committer) overLimit(err error) error {
	if limitOf(err) == limitSubject && c.s == c.b.queue {
		return &bridge.Error{Code: bridge.CodeQueueFull, Msg: fmt.Sprintf("the queue is full: it holds %d jobs, as many as it may", c.s.cfg.perSubject),
			Hint: "publish slower, or add workers", Retry: time.Second}
	}
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: fmt.Sprintf("the stream %s is full, and refuses new messages instead of dropping old ones; this message was not stored", c.s.cfg.Name),
		Hint: "the operator has to remove messages, or to raise the stream's limits", Retry: 5 * time.Second}
}

// maxCrowded bounds the subjects remembered as full.
const maxCrowded = 10_000

// crowd remembers that a subject was full a moment ago. Its messages go beside
// the batches for a while: one of them would have a batch refused.
func (c *committer) crowd(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.crowded) >= maxCrowded {
		clear(c.crowded)
	}
	c.crowded[subject] = time.Now().Add(suspectFor)
}

// isCrowded reports whether a subject was full. The caller holds c.mu.
func (c *committer) isCrowded(subject string, now time.Time) bool {
	until, ok := c.crowded[subject]
	if ok && now.After(until) {
		delete(c.crowded, subject)
		return false
	}
	return ok
}
