package sio

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/socketio"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// Control events are the verbs of jetway.v1: socket.emit("jetway:pub", frame,
// ack), in which frame is what would be sent over /ws, and the acknowledgement
// gets one object, {ok:true,…} or {ok:false,code,msg,hint?,retry?}.
const controlPrefix = "jetway:"

// controlVerb returns the verb of a control event; VerbNone if there is none.
// is says whether the name is one of a control event.
func controlVerb(name string) (v native.Verb, is bool) {
	word, is := strings.CutPrefix(name, controlPrefix)
	if !is {
		return native.VerbNone, false
	}
	for v := native.VerbAuth; v.String() != ""; v++ {
		if v.String() == word {
			return v, true
		}
	}
	return native.VerbNone, true
}

// verb does what a control event asks for.
func (s *Socket) verb(p *socketio.Packet, v native.Verb, args [][]byte) {
	f, err := s.frame(v, args, p)
	if err == nil {
		err = s.do(p, f)
	}
	if err != nil {
		s.refuse(p, err)
	}
}

// frame reads the argument of a control event.
func (s *Socket) frame(v native.Verb, args [][]byte, p *socketio.Packet) (*native.Frame, error) {
	if v == native.VerbNone || len(args) == 0 {
		return nil, &bridge.Error{Code: bridge.CodeUnknownVerb, Msg: "no such control event, or none without an argument", Hint: `as in emit("jetway:sub", {sub: "events.>"}, ack)`}
	}
	text := args[0]
	if text[0] == '"' { // emit("jetway:off", sid)
		text = append(append([]byte(`{"`+v.String()+`":`), text...), '}')
	}
	f := &native.Frame{}
	if err := native.Parse(text, f); err != nil {
		return nil, err
	}
	if f.Verb != v {
		return nil, &bridge.Error{Code: bridge.CodeBadFrame, Msg: fmt.Sprintf("%q carries the verb %q", controlPrefix+v.String(), f.Verb), Hint: "the argument is the frame of the same verb"}
	}
	if len(p.Attachments) > 0 && f.Data != nil {
		data, _, err := payload([][]byte{f.Data}, p.Attachments)
		if err != nil {
			return nil, err
		}
		f.SetPayload(data)
	}
	return f, nil
}

// do does a verb; its success is answered here, or later.
func (s *Socket) do(p *socketio.Packet, f *native.Frame) error {
	switch f.Verb {
	case native.VerbSub, native.VerbOff, native.VerbWork, native.VerbPing: // the others are counted as what they are, or answers
		if err := s.quota.Request(); err != nil {
			return err
		}
	}
	switch f.Verb {
	case native.VerbAuth:
		return s.auth(p, f)
	case native.VerbPub:
		return s.pub(p, f)
	case native.VerbSub:
		return s.sub(p, f)
	case native.VerbOff:
		return s.off(p, f)
	case native.VerbSeen:
		return s.seen(p, f)
	case native.VerbWork:
		return s.client.Work(context.Background(), f.Text, f.Max, func(out *bridge.Output, sid string) { s.answerTo(out, p, member(nil, "sid", sid)) })
	case native.VerbAck, native.VerbNak, native.VerbWip, native.VerbTerm:
		return s.settle(p, f)
	case native.VerbReq:
		return s.req(p, f)
	case native.VerbPing:
		s.answer(p, append([]byte(`,"pong":`), f.Value...))
		return nil
	}
	return &bridge.Error{Code: bridge.CodeUnknownVerb, Msg: fmt.Sprintf("%q is no control event", f.Verb), Hint: "use auth, pub, sub, off, seen, work, ack, nak, wip, term, req or ping"}
}

func (s *Socket) pub(p *socketio.Packet, f *native.Frame) error {
	data, ok := f.Payload()
	if !ok {
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "pub without a payload", Hint: `add data, as in {pub: "events.chat.1", data: "hi"}`}
	}
	if err := s.mayPublish(len(data)); err != nil {
		return err
	}
	s.publish(p, bridge.PublishRequest{Subject: f.Text, Data: data, Head: f.Head, Key: f.Key, TTL: f.TTL, If: f.If, At: f.At, Delay: f.Delay})
	return nil
}

// sub subscribes: without more the filter becomes part of the socket's bundle,
// which its session remembers. With a place or an end of its own, or where no
// stream covers it, it stands by itself, and is the socket's alone.
func (s *Socket) sub(p *socketio.Packet, f *native.Frame) error {
	if s.h.opts.Bridge.Stored(f.Text) && (f.From == "" || f.From == "new") && f.As == "" && f.Max == 0 && f.Until == "" {
		return s.join(p, f.Text)
	}
	r := bridge.SubscribeRequest{Filter: f.Text, From: f.From, As: f.As, Max: f.Max, Until: f.Until}
	return s.client.Subscribe(context.Background(), r, func(out *bridge.Output, a bridge.SubscribeAnswer) {
		if f.As != "" {
			s.noteDurable(a.SID)
		}
		extra := member(nil, "sid", a.SID)
		if a.From != nil {
			extra = member(extra, "from", a.From.String())
			extra = fmt.Appendf(extra, `,"behind":%d`, a.Behind)
		}
		if a.After != nil {
			extra = fmt.Appendf(extra, `,"gap":{"after":%q,"next":%q}`, a.After, a.Next)
		}
		s.answerTo(out, p, extra)
	})
}

// join adds a filter to the bundle.
func (s *Socket) join(p *socketio.Packet, filter string) error {
	if !slices.Contains(s.filters, filter) {
		if len(s.filters) >= s.most {
			return bridge.OverLimit(bridge.LimitSubscriptions, fmt.Sprintf("a socket has at most %d subscriptions", s.most), "end one with jetway:off, or use one wider filter", 0)
		}
		if err := s.refilter(append(slices.Clone(s.filters), filter)); err != nil {
			return err
		}
	}
	s.answer(p, member(nil, "sid", s.sidOf(filter)))
	return nil
}

// sidOf is the name that the client knows a filter of the bundle by.
func (s *Socket) sidOf(filter string) string {
	for sid, of := range s.named {
		if of == filter {
			return sid
		}
	}
	s.lastSID++
	sid := fmt.Sprint("b", s.lastSID)
	s.named[sid] = filter
	return sid
}

// off ends a subscription or work. A filter of the bundle goes by its sid, or by
// its own text: a recovered socket has no sids of the one before.
func (s *Socket) off(p *socketio.Packet, f *native.Frame) error {
	filter, ok := s.named[f.Text]
	if !ok && slices.Contains(s.filters, f.Text) {
		filter, ok = f.Text, true
	}
	var err error
	switch {
	case ok:
		maps.DeleteFunc(s.named, func(_, of string) bool { return of == filter })
		err = s.refilter(slices.DeleteFunc(slices.Clone(s.filters), func(o string) bool { return o == filter }))
	case f.Text == s.bundle:
		err = &bridge.Error{Code: bridge.CodeNotFound, Msg: fmt.Sprintf("there is no subscription %q", f.Text), Hint: "use a sid that the answer to jetway:sub named, or its filter"}
	default:
		err = s.client.Unsubscribe(f.Text)
	}
	if err != nil {
		return err
	}
	s.answer(p, nil)
	return nil
}

func (s *Socket) seen(p *socketio.Packet, f *native.Frame) error {
	pos, err := bridge.ParsePosition(f.Text)
	if err != nil {
		return err
	}
	return s.client.Seen(f.SID, pos, func(err error) { s.answerOrRefuse(p, err) })
}

// settleHow are the verbs that settle a job.
var settleHow = map[native.Verb]bridge.SettleHow{
	native.VerbAck: bridge.SettleAck, native.VerbNak: bridge.SettleNak, native.VerbWip: bridge.SettleWip, native.VerbTerm: bridge.SettleTerm,
}

func (s *Socket) settle(p *socketio.Packet, f *native.Frame) error {
	data, has := f.Payload()
	if has && f.Verb == native.VerbWip {
		if err := s.mayPublish(len(data)); err != nil {
			return err
		}
	}
	r := bridge.SettleRequest{How: settleHow[f.Verb], Lease: f.Text, Data: data, Delay: f.Delay, Why: f.Why}
	s.client.SettleJob(r, func(err error) { s.answerOrRefuse(p, err) })
	return nil
}

func (s *Socket) req(p *socketio.Packet, f *native.Frame) error {
	data, _ := f.Payload()
	if err := s.mayPublish(len(data)); err != nil {
		return err
	}
	s.client.Request(bridge.Request{Subject: f.Text, Data: data, Head: f.Head, Wait: f.Wait}, func(e *bridge.Event, err error) {
		if err != nil {
			s.refuse(p, err)
			return
		}
		if json.Valid(e.Data) {
			s.answer(p, append([]byte(`,"data":`), e.Data...))
			return
		}
		b64, _ := json.Marshal(e.Data) // bytes always marshal
		s.answer(p, append([]byte(`,"b64":`), b64...))
	})
	return nil
}

// mayPublish returns a refusal when the client sends more than it may.
func (s *Socket) mayPublish(bytes int) error {
	if err := s.client.Room(); err != nil {
		return err
	}
	return s.quota.Publish(s.member, bytes)
}

// listens counts a refusal, and closes the connection of a client that goes on
// however often it is refused.
func (s *Socket) listens() {
	if !s.quota.Refused() {
		s.conn.Close()
	}
}

// published are the members of the answer to an event.
func published(a bridge.PublishAnswer) []byte {
	var extra []byte
	if a.Pos != nil {
		extra = member(extra, "pos", a.Pos.String())
	}
	if a.Duplicate {
		extra = append(extra, `,"dup":true`...)
	}
	if a.Watch != "" {
		extra = member(extra, "watch", a.Watch)
	}
	return extra
}

func member(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return jsontext.AppendString(dst, value)
}

// answer says yes to an event that wants to know, with some members more.
func (s *Socket) answer(p *socketio.Packet, members []byte) {
	s.client.Reply(func(out *bridge.Output) { s.answerTo(out, p, members) })
}

// answerTo is answer for where the bridge has it written at once: it holds
// what Reply needs.
func (s *Socket) answerTo(out *bridge.Output, p *socketio.Packet, members []byte) {
	if p.HasID {
		s.encoder.packet(out, s.ack(p, append(append([]byte(`[{"ok":true`), members...), '}', ']')))
	}
}

func (s *Socket) answerOrRefuse(p *socketio.Packet, err error) {
	if err != nil {
		s.refuse(p, err)
		return
	}
	s.answer(p, nil)
}

// refuse says no. Who does not want to know is told by an event.
func (s *Socket) refuse(p *socketio.Packet, err error) {
	e := bridge.ErrorOf(err)
	if e.Code == bridge.CodeInternal {
		s.h.opts.Logger.Error("an event failed", "namespace", s.namespace, "error", err)
	}
	s.h.opts.Bridge.Stats().Refuse(e)
	s.listens()
	object := member([]byte(`{"ok":false`), "code", string(e.Code))
	object = member(object, "msg", e.Msg)
	if e.Hint != "" {
		object = member(object, "hint", e.Hint)
	}
	if e.Retry > 0 {
		object = member(object, "retry", e.Retry.String())
	}
	if p.HasID {
		ack := s.ack(p, append(append([]byte{'['}, object...), '}', ']'))
		s.client.Reply(func(out *bridge.Output) { s.encoder.packet(out, ack) })
		return
	}
	name, _ := p.Event()
	s.control("error", append(member(object, "event", name), '}'))
}

// ack is the answer to an event.
func (s *Socket) ack(p *socketio.Packet, data []byte) *socketio.Packet {
	return &socketio.Packet{Type: socketio.PacketAck, Namespace: s.namespace, ID: p.ID, HasID: true, Data: data}
}

// control sends a control event.
func (s *Socket) control(name string, object []byte) {
	s.client.Reply(func(out *bridge.Output) { s.encoder.control(out, name, object[:len(object)-1]) })
}
