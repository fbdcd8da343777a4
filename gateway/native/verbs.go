package native

import (
	"context"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// verb does what a well-formed frame asks for. An error is answered by the
// caller; each verb answers its own success.
func (s *Session) verb(f *Frame) error {
	switch f.Verb {
	case VerbSub, VerbOff, VerbWork, VerbPing, VerbHelp: // the others are counted as what they are, or answers
		if err := s.quota.Request(); err != nil {
			return err
		}
	}
	switch f.Verb {
	case VerbAuth:
		return s.auth(f)
	case VerbPub:
		return s.pub(f)
	case VerbSub:
		return s.sub(f)
	case VerbSeen:
		return s.seen(f)
	case VerbOff:
		return s.off(f)
	case VerbWork:
		return s.work(f)
	case VerbAck:
		return s.settle(f, bridge.SettleAck)
	case VerbNak:
		return s.settle(f, bridge.SettleNak)
	case VerbWip:
		return s.settle(f, bridge.SettleWip)
	case VerbTerm:
		return s.settle(f, bridge.SettleTerm)
	case VerbReq:
		return s.req(f)
	case VerbPing:
		s.text(func(dst []byte) []byte { return AppendPong(dst, f) })
		return nil
	case VerbHelp:
		s.client.Reply(func(out *bridge.Output) { appendText(out, func(dst []byte) []byte { return AppendHelp(dst, f) }) })
		return nil
	}
	return nil // Parse knows no other
}

// pub publishes. The answer comes when the stream has stored the message, from
// the broker's goroutine; without an id only a failure is answered.
func (s *Session) pub(f *Frame) error {
	payload, ok := f.Payload()
	if !ok {
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "pub without a payload", Hint: `add "data" (JSON) or "b64" (bytes), as in ` + VerbPub.Example()}
	}
	if err := s.mayPublish(len(payload)); err != nil {
		return err
	}
	s.client.Publish(bridge.PublishRequest{
		Subject: f.Text, Data: payload, Head: f.Head, Key: f.Key, TTL: f.TTL, If: f.If, At: f.At, Delay: f.Delay,
	}, func(a bridge.PublishAnswer, err error) {
		if err != nil {
			s.refuseLater(f, err)
		} else if f.ID != "" {
			s.text(func(dst []byte) []byte {
				return AppendPublished(dst, f.Ref(), Published{Pos: a.Pos, Dup: a.Duplicate, Watch: a.Watch})
			})
		}
	})
	return nil
}

// mayPublish returns a refusal when the client sends more than it may. Requests
// cost the bus what publishes cost, so they share the limits.
func (s *Session) mayPublish(bytes int) error {
	if err := s.client.Room(); err != nil {
		return err
	}
	return s.quota.Publish(s.user, bytes)
}

// refuseLater is refuse for what was found out on another goroutine than Run's.
func (s *Session) refuseLater(f *Frame, err error) {
	if s.refuse(f, err).Code == bridge.CodeBadFrame {
		s.misused.Store(true)
	}
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

// work makes the client a worker. Its answer is queued before the first job
// can be.
func (s *Session) work(f *Frame) error {
	return s.client.Work(context.Background(), f.Text, f.Max, func(out *bridge.Output, sid string) {
		appendText(out, func(dst []byte) []byte { return AppendSubscribed(dst, f.Ref(), &Subscribed{SID: sid}) })
	})
}

// settle says what becomes of a job. The answer comes when the server has
// confirmed it. Progress is stored, so it counts as a publish.
func (s *Session) settle(f *Frame, how bridge.SettleHow) error {
	data, has := f.Payload()
	if has && how == bridge.SettleWip {
		if err := s.mayPublish(len(data)); err != nil {
			return err
		}
	}
	r := bridge.SettleRequest{How: how, Lease: f.Text, Data: data, Delay: f.Delay, Why: f.Why}
	s.client.SettleJob(r, func(err error) {
		if err != nil || f.ID != "" {
			s.answer(f, err)
		}
	})
	return nil
}

// req asks a service. The answer comes when the service's does.
func (s *Session) req(f *Frame) error {
	data, _ := f.Payload()
	if err := s.mayPublish(len(data)); err != nil {
		return err
	}
	s.client.Request(bridge.Request{Subject: f.Text, Data: data, Head: f.Head, Wait: f.Wait}, func(e *bridge.Event, err error) {
		if err != nil {
			s.refuseLater(f, err)
			return
		}
		s.client.Reply(func(out *bridge.Output) {
			websock.AppendText(out, AppendReply(make([]byte, 0, 128+len(e.Data)), f.Ref(), e))
		})
	})
	return nil
}

// answer says yes or no.
func (s *Session) answer(f *Frame, err error) {
	if err != nil {
		s.refuseLater(f, err)
		return
	}
	s.text(func(dst []byte) []byte { return AppendOK(dst, f.Ref()) })
}
