package client

import (
	"context"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

// seenEvery is how many events may pass before a durable subscription is
// moved, when they come without a pause.
const seenEvery = 64

// Follow subscribes and calls fn for every message, in order and on this
// goroutine, until ctx ends (it returns the context's error), fn fails (its
// error), the subscription ends by itself because of "until" (nil), or the
// server refuses for good (its error). Whenever the connection is lost it
// connects again, after the pause that the server asked for or one with
// jitter, and goes on after the last event that fn has taken: none is missed
// and none comes twice, or a message of kind gap says what is missing. A
// subject that no stream stores has no such memory.
//
// With [SubOptions.As] or Max, events are reported as seen once fn has
// returned, so that a durable subscription moves and credit comes back; after
// a crash, events of a durable one may come again.
func Follow(ctx context.Context, url string, o Options, filter string, so SubOptions, fn func(Message) error) error {
	f := &follower{url: url, opts: o, filter: filter, sub: so, fn: fn, retry: retry{onRetry: o.OnRetry}}
	for {
		err := f.connection(ctx)
		switch {
		case f.over:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !worthRetrying(err):
			return err
		}
		if err := f.retry.pause(ctx, err); err != nil {
			return err
		}
	}
}

type follower struct {
	url    string
	opts   Options
	filter string
	sub    SubOptions // From moves with the events
	fn     func(Message) error

	retry  retry
	over   bool   // nothing is left to do
	unseen int    // events since the last seen
	last   string // position of the newest of them
}

// connection serves one connection until it ends.
func (f *follower) connection(ctx context.Context) error {
	c, err := Dial(ctx, f.url, f.opts)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Subscribe(ctx, f.filter, f.sub)
	if err != nil {
		return err
	}
	f.retry.failed, f.unseen = 0, 0
	f.moveTo(s.From)
	if s.Gap != nil {
		if err := f.hand(Message{Kind: native.KindGap, After: s.Gap.After, Next: s.Gap.Next}); err != nil {
			return err
		}
	}
	for {
		m, err := s.Next(ctx)
		if err == nil {
			err = f.message(c, s, m)
		}
		if err != nil || f.over {
			return err
		}
	}
}

// moveTo keeps where to go on. A durable subscription knows by itself, and a
// "from" would move it.
func (f *follower) moveTo(pos string) {
	switch {
	case f.sub.As != "":
		f.sub.From = ""
	case pos != "":
		f.sub.From = pos
	}
}

func (f *follower) message(c *Client, s *Sub, m Message) error {
	if err := f.hand(m); err != nil {
		return err
	}
	switch m.Kind {
	case native.KindEvent:
		f.moveTo(m.Pos)
		return f.seen(c, s, m.Pos)
	case native.KindLive:
		f.moveTo(m.Pos)
		return f.flush(c, s) // the last event may have been held back for this frame
	case native.KindEnd:
		f.over = true
		return endOf(m.Why)
	}
	return nil
}

// hand calls fn, whose error is final.
func (f *follower) hand(m Message) error {
	err := f.fn(m)
	f.over = err != nil
	return err
}

// seen reports progress when nothing more is waiting, or often enough that
// credit does not run out.
func (f *follower) seen(c *Client, s *Sub, pos string) error {
	if pos == "" || f.sub.As == "" && f.sub.Max == 0 {
		return nil
	}
	f.unseen++
	f.last = pos
	if s.Buffered() > 0 && f.unseen < seenEvery && (f.sub.Max == 0 || f.unseen < (f.sub.Max+1)/2) {
		return nil
	}
	return f.flush(c, s)
}

// flush says what has been seen and not yet said.
func (f *follower) flush(c *Client, s *Sub) error {
	if f.unseen == 0 {
		return nil
	}
	f.unseen = 0
	return c.SeenNoAck(s, f.last)
}

// endOf is what the end of a subscription means to who follows it.
func endOf(why string) error {
	hint := "subscribe again if it should go on"
	switch why {
	case "until":
		return nil
	case "taken_over":
		return &bridge.Error{Code: bridge.CodeTakenOver, Msg: "another client has attached under the same name", Hint: "use another name"}
	case "revoked":
		return &bridge.Error{Code: bridge.CodeForbidden, Msg: "the permission was withdrawn", Hint: "ask for it again"}
	case "stream_deleted":
		return &bridge.Error{Code: bridge.CodeNoStream, Msg: "the stream was deleted", Hint: hint}
	}
	return &bridge.Error{Code: bridge.CodeNotFound, Msg: "the subscription has ended: " + why, Hint: hint}
}
