package sio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// ArgsHeader says of a payload that it is a JSON array of so many arguments.
// With one argument the payload is the argument, and with none it is null.
const ArgsHeader = "Jetway-Args"

// BinaryHeader says of a payload how many attachments were in its arguments.
// Each is {"_placeholder":true,"num":N,"b64":"…"} in the payload. A lone binary
// argument is the payload as it is.
const BinaryHeader = "Jetway-Attachments"

// event does what the client has emitted asks for.
func (s *Socket) event(p *socketio.Packet) {
	elements, err := socketio.Split(p.Data)
	name, ok := p.Event()
	if err != nil || !ok {
		return // the connection has checked it
	}
	args := elements[1:]
	if verb, is := controlVerb(name); is {
		s.verb(p, verb, args)
		return
	}
	r, err := s.publication(name, args, p.Attachments)
	if err == nil {
		err = s.mayPublish(len(r.Data))
	}
	if err != nil {
		s.refuse(p, err)
		return
	}
	s.publish(p, r)
}

// publish stores an event, unless it is too big: other clients could not even
// be sent it.
func (s *Socket) publish(p *socketio.Packet, r bridge.PublishRequest) {
	if most := s.h.opts.MaxMessageBytes; len(r.Data) > most {
		s.refuse(p, &bridge.Error{Code: bridge.CodeTooBig, Msg: fmt.Sprintf("the event has %d bytes, limits.max_message_bytes is %d", len(r.Data), most),
			Hint: "put what is large into an object store, and its address into the event"})
		return
	}
	s.store(p, r, time.Now().Add(storeWithin))
}

// store publishes. A stock client with retries takes any acknowledgement for
// success, {ok: false} too, and does not send the event again: so one with a
// key, which is stored once however often it is published, is tried until the
// stream takes it, or the client is gone and sends it again itself.
func (s *Socket) store(p *socketio.Packet, r bridge.PublishRequest, until time.Time) {
	s.client.Publish(r, func(a bridge.PublishAnswer, err error) {
		switch e := bridge.ErrorOf(err); {
		case err == nil:
			s.answer(p, published(a))
		case p.HasID && r.Key != "" && e.Code == bridge.CodeUnavailable && time.Now().Before(until) && s.park(1):
			time.AfterFunc(max(e.Retry, storePause), func() {
				if s.park(-1) {
					s.store(p, r, until)
				}
			})
		default:
			s.refuse(p, err)
		}
	})
}

// Bounds of what is tried again.
const (
	storeWithin = time.Minute
	storePause  = 100 * time.Millisecond
	maxParked   = 100 // events of a socket: with retries, a stock client sends one at a time
)

// park counts the events that wait to be tried again. It returns false when
// there are too many, or the socket has ended.
func (s *Socket) park(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.parked+n > maxParked {
		return false
	}
	s.parked += n
	return true
}

// publication makes a message of an event.
func (s *Socket) publication(name string, args, attachments [][]byte) (bridge.PublishRequest, error) {
	subject, key, err := s.h.opts.Mapping.Subject(name, s.user)
	if err != nil {
		return bridge.PublishRequest{}, err
	}
	r := bridge.PublishRequest{Subject: subject}
	if key != bridge.NoKey {
		if key >= len(args) || json.Unmarshal(args[key], &r.Key) != nil || r.Key == "" {
			return r, &bridge.Error{Code: bridge.CodeBadFrame, Msg: fmt.Sprintf("argument %d of %.100q is not a text", key, name), Hint: "it is the idempotency key: a text that is new for each event"}
		}
		args = slices.Delete(slices.Clone(args), key, key+1)
	}
	r.Data, r.Head, err = payload(args, attachments)
	return r, err
}

// payload is what is stored of arguments.
func payload(args, attachments [][]byte) ([]byte, []bridge.Field, error) {
	if len(args) == 1 && len(attachments) == 1 {
		if places, err := socketio.Placeholders(args[0]); err == nil && len(places) == 1 && places[0].Start == 0 && places[0].End == len(args[0]) {
			return attachments[0], nil, nil
		}
	}
	var head []bridge.Field
	var data []byte
	switch len(args) {
	case 0:
		return []byte("null"), nil, nil
	case 1:
		data = args[0]
	default:
		data = socketio.AppendArray(nil, args...)
		head = append(head, bridge.Field{Name: ArgsHeader, Value: strconv.Itoa(len(args))})
	}
	if len(attachments) == 0 {
		return data, head, nil
	}
	places, err := socketio.Placeholders(data)
	if err != nil {
		return nil, nil, &bridge.Error{Code: bridge.CodeBadFrame, Msg: "attachments and their places do not fit together"}
	}
	head = append(head, bridge.Field{Name: BinaryHeader, Value: strconv.Itoa(len(attachments))})
	return inline(data, places, attachments), head, nil
}

// inline puts attachments into the places that they have in a payload.
func inline(data []byte, places []socketio.Placeholder, attachments [][]byte) []byte {
	var out []byte
	from := 0
	for _, p := range places {
		out = append(out, data[from:p.Start]...)
		out = append(out, inlinePrefix...)
		out = strconv.AppendInt(out, int64(p.Num), 10)
		out = append(out, `,"b64":"`...)
		out = base64.StdEncoding.AppendEncode(out, attachments[p.Num])
		out = append(out, '"', '}')
		from = p.End
	}
	return append(out, data[from:]...)
}

// inlinePrefix is how an attachment in a payload begins, byte for byte: only
// what inline wrote is taken out again.
const inlinePrefix = `{"_placeholder":true,"num":`

// outline is the reverse of inline. What it does not understand stays as it is.
func outline(data []byte, most int) (out []byte, attachments [][]byte) {
	rest := data
	for len(attachments) < min(most, socketio.MaxAttachments) {
		i := bytes.Index(rest, []byte(inlinePrefix))
		if i < 0 {
			break
		}
		end := bytes.IndexByte(rest[i:], '}')
		if end < 0 {
			break
		}
		var one struct {
			Num int    `json:"num"`
			B64 []byte `json:"b64"`
		}
		if json.Unmarshal(rest[i:i+end+1], &one) != nil || one.Num != len(attachments) {
			break
		}
		out = append(out, rest[:i]...)
		out = append(out, inlinePrefix...)
		out = append(strconv.AppendInt(out, int64(one.Num), 10), '}')
		attachments = append(attachments, one.B64)
		rest = rest[i+end+1:]
	}
	return append(out, rest...), attachments
}

// arguments is the reverse of payload: the arguments of an event as they stand
// in its packet, each after a comma.
func arguments(e *bridge.Event) (args []byte, attachments [][]byte) {
	if !json.Valid(e.Data) {
		return []byte(`,{"_placeholder":true,"num":0}`), [][]byte{e.Data}
	}
	data := bytes.TrimSpace(e.Data)
	if n, err := strconv.Atoi(header(e.Head, BinaryHeader)); err == nil && n > 0 {
		data, attachments = outline(data, n)
	}
	if places, err := socketio.Placeholders(data); err != nil || len(places) != len(attachments) {
		// Somebody's own JSON that looks like placeholders: a client would
		// close its connection over it, so it goes as bytes.
		return []byte(`,{"_placeholder":true,"num":0}`), [][]byte{e.Data}
	}
	if n, err := strconv.Atoi(header(e.Head, ArgsHeader)); err == nil {
		if elements, err := socketio.Split(data); err == nil && len(elements) == n && n > 0 {
			inner := bytes.TrimSpace(data[1 : len(data)-1])
			return append([]byte{','}, inner...), attachments
		}
	}
	return append([]byte{','}, data...), attachments
}

func header(head []bridge.Field, name string) string {
	for _, f := range head {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
