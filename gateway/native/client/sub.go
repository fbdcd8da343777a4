package client

import (
	"context"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// SubOptions say what of a subject filter is wanted; zero leaves each out.
type SubOptions struct {
	From  string // a pos, "new", "first", "last", "last:N", "-10m", or a time
	As    string // the name of a durable subscription
	Max   int    // credit: how many events may be unseen
	Until string // "now" ends it when it has caught up
}

// Gap is a stretch of positions whose messages no longer exist.
type Gap struct{ After, Next string }

// Message is what a subscription or a worker receives. Which fields are set
// depends on Kind: [native.KindEvent], KindLive, KindGap, KindEnd, and for
// workers KindJob and KindLost.
type Message struct {
	Kind native.Kind

	Subject string // events and jobs
	Pos     string // events, jobs, live; "" when no stream stores the subject
	Time    time.Time
	Lag     uint64
	Head    []bridge.Field
	Data    []byte // a JSON payload, else nil
	Binary  []byte // any other payload

	After, Next string // gap
	Why         string // end, lost

	Lease string // job, lost
	Try   int
	For   time.Duration
}

// Payload returns the bytes that were published.
func (m *Message) Payload() []byte {
	if m.Data != nil {
		return m.Data
	}
	return m.Binary
}

func messageOf(f *native.Received) Message {
	return Message{
		Kind: f.Kind, Subject: f.Subject, Pos: f.Pos, Time: f.Time, Lag: f.Lag, Head: f.Head, Data: f.Data, Binary: f.Binary,
		After: f.After, Next: f.Next, Why: f.Why, Lease: f.Lease, Try: f.Try, For: f.For,
	}
}

// Sub is a subscription, or the work on a queue.
type Sub struct {
	SID    string
	From   string // delivery starts after this pos; "" for live-only subjects
	Behind uint64 // how many messages of the stream lay ahead
	Gap    *Gap   // nil when nothing was missing

	client   *Client
	work     bool
	messages chan Message
	gone     chan struct{} // closed when nothing more will be put
	once     sync.Once
}

// Subscribe subscribes to a subject filter. Read the Sub until its end, or end
// it with Off.
func (c *Client) Subscribe(ctx context.Context, filter string, o SubOptions) (*Sub, error) {
	return c.open(ctx, &native.Frame{Verb: native.VerbSub, Text: filter, From: o.From, As: o.As, Max: o.Max, Until: o.Until})
}

// Work becomes a worker on a queue, with at most max jobs unsettled; 0 is the
// server's default of 1.
func (c *Client) Work(ctx context.Context, queue string, max int) (*Sub, error) {
	return c.open(ctx, &native.Frame{Verb: native.VerbWork, Text: queue, Max: max})
}

func (c *Client) open(ctx context.Context, f *native.Frame) (*Sub, error) {
	s := &Sub{client: c, work: f.Verb == native.VerbWork, messages: make(chan Message, c.opts.Buffer), gone: make(chan struct{})}
	if _, err := c.do(ctx, f, s); err != nil {
		return nil, err
	}
	return s, nil
}

// begin takes the answer.
func (s *Sub) begin(f *native.Received) {
	s.SID, s.From, s.Behind = f.SID, f.From, f.Behind
	if f.After != "" || f.Next != "" {
		s.Gap = &Gap{After: f.After, Next: f.Next}
	}
}

// put hands a message over, and waits for room: that is how a slow reader
// slows the server down.
func (s *Sub) put(m Message) {
	select {
	case s.messages <- m:
	case <-s.gone:
	case <-s.client.stop:
	}
}

func (s *Sub) leave() { s.once.Do(func() { close(s.gone) }) }

// Next returns the next message, in order. After the end of the connection it
// first returns what had arrived, then the client's error; after a message of
// kind "end" there is no next.
func (s *Sub) Next(ctx context.Context) (Message, error) {
	select {
	case m := <-s.messages:
		return m, nil
	default:
	}
	select {
	case m := <-s.messages:
		return m, nil
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	case <-s.gone:
	case <-s.client.done:
	}
	select {
	case m := <-s.messages:
		return m, nil
	default:
	}
	if err := s.client.Err(); err != nil {
		return Message{}, err
	}
	return Message{}, &bridge.Error{Code: bridge.CodeNotFound, Msg: "the subscription has ended", Hint: "subscribe again"}
}

// Buffered returns how many messages Next would return without waiting.
func (s *Sub) Buffered() int { return len(s.messages) }

// Seen tells the server that everything up to pos is processed, and waits
// until it has stored that.
func (c *Client) Seen(ctx context.Context, s *Sub, pos string) error {
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbSeen, Text: pos, SID: s.SID}, nil)
	return err
}

// SeenNoAck is Seen without waiting; a refusal goes to [Options.OnError].
func (c *Client) SeenNoAck(s *Sub, pos string) error {
	return c.write(native.AppendFrame(nil, &native.Frame{Verb: native.VerbSeen, Text: pos, SID: s.SID}))
}

// Off ends a subscription or work. What arrives meanwhile is dropped.
func (c *Client) Off(ctx context.Context, s *Sub) error {
	s.leave()
	_, err := c.do(ctx, &native.Frame{Verb: native.VerbOff, Text: s.SID}, nil)
	c.mu.Lock()
	delete(c.subs, s.SID)
	c.mu.Unlock()
	return err
}
