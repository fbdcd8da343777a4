package bridge

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// MaxKeyBytes bounds an idempotency key.
const MaxKeyBytes = 256

// PublishRequest is what a client wants stored.
type PublishRequest struct {
	Subject string
	Data    []byte        // kept until the answer; must not be changed
	Head    []Field       // without the names that are NATS's or Jetway's own
	Key     string        // idempotency key, unique to the user; "" for none
	TTL     time.Duration // dropped after this; 0: with the stream's limits
	If      string        // position that must be the subject's last; "" for no condition

	// Of jobs: not before this, or after this; both zero is now.
	At    time.Time
	Delay time.Duration
}

// PublishAnswer says where the message was stored.
type PublishAnswer struct {
	Pos       Position // nil when no stream covers the subject
	Duplicate bool     // the key was seen before; Pos is of the first message
	Watch     string   // of a job: the subject of its events
}

// UserHeader names who published a message.
const UserHeader = "Jetway-User"

// Publish stores a message. done is called exactly once, perhaps before
// Publish returns, and must not block: with nil after the stream has stored
// the message, else with an [Error]: bad_subject, bad_frame, bad_position,
// forbidden, no_stream, conflict, queue_full, too_big, unavailable (the outcome
// is unknown: try again with the same key). Messages of one client are stored
// in the order of calls.
func (c *Client) Publish(r PublishRequest, done func(PublishAnswer, error)) {
	p, err := c.publication(r)
	if err != nil {
		done(PublishAnswer{}, err)
		return
	}
	var a PublishAnswer
	answered := c.asks(1, func(err error) { done(a, err) })
	c.bridge.broker.Publish(p, func(got Receipt, err error) {
		if err == nil && got.Stream != nil {
			c.bridge.published(got)
			a = PublishAnswer{Pos: Position{{got.Stream.Tag, got.Seq}}, Duplicate: got.Duplicate}
			if c.bridge.isQueue(p.Subject) {
				a.Watch = c.bridge.queues.added(p, got)
			}
		}
		answered(err)
	})
}

// publication validates a request and makes what the broker stores of it.
func (c *Client) publication(r PublishRequest) (*Publication, error) {
	if err := ValidSubject(r.Subject); err != nil {
		return nil, err
	}
	who := c.who.Load()
	if err := who.perms.allowPub(r.Subject); err != nil {
		return nil, err
	}
	p := &Publication{Slot: c.bridge.covering(r.Subject), Subject: r.Subject, Data: r.Data, TTL: r.TTL, Owner: who.user}
	if c.bridge.isQueue(r.Subject) {
		p.Slot = c.bridge.queues.broker.QueueStream().Slot
	}
	if err := c.bridge.checkJob(p, &r); err != nil {
		return nil, err
	}
	if p.Slot < 0 && (r.Key != "" || r.TTL != 0 || r.If != "") {
		return nil, &Error{Code: CodeNoStream, Msg: fmt.Sprintf("no stream covers %q: nothing is stored", r.Subject),
			Hint: `leave out "key", "ttl" and "if", or have a stream configured for it`}
	}
	if err := checkKey(r.Key); err != nil {
		return nil, err
	}
	if r.Key != "" {
		// The user is escaped so that no user can make another's prefix.
		p.ID = url.PathEscape(who.user) + "/" + r.Key
	}
	if r.TTL != 0 && (r.TTL < time.Second || r.TTL%time.Second != 0) {
		return nil, &Error{Code: CodeBadFrame, Msg: "ttl is not a whole number of seconds", Hint: `write "ttl":"30s"`}
	}
	if r.If != "" {
		expect, err := c.bridge.expected(p.Slot, r.If)
		if err != nil {
			return nil, err
		}
		p.Expect = &expect
	}
	p.Head = append(append(make([]Field, 0, len(r.Head)+2), r.Head...), Field{UserHeader, who.user})
	if p.NotBefore = r.notBefore(time.Now()); !p.NotBefore.IsZero() {
		p.Name = delayedName(p.ID)
		p.Head = append(p.Head, Field{jobHeader, p.Name})
	}
	return p, nil
}

func checkKey(key string) error {
	if len(key) > MaxKeyBytes {
		return &Error{Code: CodeBadFrame, Msg: "key is longer than 256 bytes", Hint: "use a UUID, or a hash"}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return &Error{Code: CodeBadFrame, Msg: "key has white space or a control character", Hint: "use a UUID, or a hash"}
	}
	return nil
}

// expected turns the position of `if` into the sequence that must be the
// subject's last.
func (b *Bridge) expected(slot int, pos string) (uint64, error) {
	p, err := ParsePosition(pos)
	if err != nil {
		return 0, err
	}
	seq, ok := p.Seq(b.log.mark(slot).stream.Tag)
	if !ok {
		return 0, &Error{Code: CodeConflict, Msg: "the position in if is of another stream, or of one that was made anew", Hint: "read the subject again"}
	}
	return seq, nil
}

// covering returns the slot of the stream that stores a subject, -1 for none.
func (b *Bridge) covering(subject string) int {
	for _, s := range b.broker.Streams() {
		if s.covers(subject) {
			return s.Slot
		}
	}
	return -1
}

// published notes the newest sequence given out through this gateway.
func (b *Bridge) published(got Receipt) {
	if !got.Duplicate {
		b.stats.Published.Add(1)
	}
	if got.Stream.Slot >= len(b.acked) {
		return // a job: nobody reads on from it
	}
	at := &b.acked[got.Stream.Slot]
	for {
		was := at.Load()
		if was != nil && was.stream == got.Stream && was.seq >= got.Seq {
			return
		}
		if at.CompareAndSwap(was, &mark{got.Stream, got.Seq}) {
			return
		}
	}
}
