package native

import (
	"context"
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// verb does what a well-formed frame asks for. An error is answered by the
// caller; each verb answers its own success.
func (s *Session) verb(f *Frame) error {
	switch f.Verb {
	case VerbPub:
		return s.pub(f)
	case VerbSub:
		return s.sub(f)
	case VerbSeen:
		return s.seen(f)
	case VerbOff:
		return s.off(f)
	case VerbPing:
		s.text(func(dst []byte) []byte { return AppendPong(dst, f) })
		return nil
	case VerbHelp:
		s.client.Reply(func(out *bridge.Output) { appendText(out, func(dst []byte) []byte { return AppendHelp(dst, f) }) })
		return nil
	}
	return f.Verb.unavailable()
}

// pub publishes. The answer comes when the stream has stored the message, from
// the broker's goroutine; without an id only a failure is answered.
func (s *Session) pub(f *Frame) error {
	payload, ok := f.Payload()
	if !ok {
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "pub without a payload", Hint: `add "data" (JSON) or "b64" (bytes), as in ` + VerbPub.Example()}
	}
	if r := s.limit.Reserve(); r.Delay() > 0 {
		wait := r.Delay()
		r.Cancel()
		return &bridge.Error{Code: bridge.CodeRateLimited, Msg: fmt.Sprintf("more than %g publishes per second", s.opts.PublishRate), Hint: "wait for retry", Retry: max(wait, time.Millisecond)}
	}
	s.client.Publish(bridge.PublishRequest{
		Subject: f.Text, Data: payload, Head: f.Head, Key: f.Key, TTL: f.TTL, If: f.If,
	}, func(a bridge.PublishAnswer, err error) {
		if err != nil {
			if s.refuse(f, err).Code == bridge.CodeBadFrame {
				s.misused.Store(true)
			}
		} else if f.ID != "" {
			s.text(func(dst []byte) []byte {
				return AppendPublished(dst, f.Ref(), Published{Pos: a.Pos, Dup: a.Duplicate})
			})
		}
	})
	return nil
}

// sub subscribes. Its answer is queued before the first event can be.
func (s *Session) sub(f *Frame) error {
	r := bridge.SubscribeRequest{Filter: f.Text, From: f.From, As: f.As, Max: f.Max, Until: f.Until}
	return s.client.Subscribe(context.Background(), r, func(out *bridge.Output, a bridge.SubscribeAnswer) {
		answer := &Subscribed{SID: a.SID, From: a.From, Behind: a.Behind}
		if a.After != nil {
			answer.Gap = &Gap{After: a.After, Next: a.Next}
		}
		appendText(out, func(dst []byte) []byte { return AppendSubscribed(dst, f.Ref(), answer) })
	})
}

// seen notes what the client has processed.
func (s *Session) seen(f *Frame) error {
	pos, err := bridge.ParsePosition(f.Text)
	if err != nil {
		return err
	}
	if f.SID == "" {
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "seen without a sid", Hint: "as in " + VerbSeen.Example()}
	}
	var stored func(error)
	if f.ID != "" {
		stored = func(err error) { s.answer(f, err) }
	}
	return s.client.Seen(f.SID, pos, stored)
}

// off ends a subscription.
func (s *Session) off(f *Frame) error {
	if err := s.client.Unsubscribe(f.Text); err != nil {
		return err
	}
	if f.ID != "" {
		s.answer(f, nil)
	}
	return nil
}

// answer says yes or no.
func (s *Session) answer(f *Frame, err error) {
	if err != nil {
		s.refuse(f, err)
		return
	}
	s.text(func(dst []byte) []byte { return AppendOK(dst, f.Ref()) })
}
