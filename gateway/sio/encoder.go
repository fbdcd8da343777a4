package sio

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// beforeOffset is what stands between an event's arguments and its offset.
const beforeOffset = `,"`

// noOffset is the offset of who has no place yet. Clients would take an empty
// one, or none, for their own last argument.
const noOffset = "0"

// encoder writes what a socket receives as frames of its namespace.
type encoder struct {
	// Static after construction.
	socket   *Socket
	head     []byte // what each event's packet begins with: `42` and the namespace
	key      any    // a formKey: made into an interface once, and not for each delivery
	trailing bool   // events end with the offset

	mu       sync.Mutex
	bundle   string // the sid whose places are the socket's
	recovers bool   // the client keeps an offset
	offset   []byte // its place, as text
	due      bool   // a cursor is to be sent
}

var _ bridge.Encoder = (*encoder)(nil)

func newEncoder(s *Socket) *encoder {
	p := socketio.Packet{Type: socketio.PacketEvent, Namespace: s.namespace}
	return &encoder{socket: s, head: p.AppendHead([]byte{messageMark}), key: formKey{s.namespace},
		trailing: s.h.opts.Recovery == RecoveryTrailing, offset: []byte(noOffset)}
}

// messageMark is the type of an Engine.IO message in a text frame.
const messageMark = '4'

// start sets the place from which the client goes on.
func (e *encoder) start(at bridge.Position, recovers bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recovers = recovers
	e.due = recovers
	if len(at) > 0 {
		e.offset = at.Append(e.offset[:0])
	}
}

// follow says which subscription's places are the socket's.
func (e *encoder) follow(sid string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bundle = sid
}

// form is what this protocol makes of an event, once for all clients of a
// namespace: the packet up to where the offset would be.
type form struct {
	head        []byte // up to and including the name
	args        []byte // `,` and the arguments; empty for none
	attachments [][]byte
	perUser     bool // the name is not the same for all
}

// formKey names the forms of a namespace among those of an event.
type formKey struct{ namespace string }

// Event writes one event. A delivery of the bundle takes one lock and no memory:
// there is one for each event and client.
func (e *encoder) Event(out *bridge.Output, d *bridge.Delivery) {
	f := d.Event.Encoded(e.key, e.form).(*form)
	name := ""
	if f.perUser {
		name = e.socket.h.opts.Mapping.Event(d.Event.Subject, e.socket.user)
	}
	if f.head == nil && name == "" {
		return // a name that clients could not bear
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noteLocked(d)
	switch {
	case d.SID != e.bundle && e.socket.isDurable(d.SID):
		e.durable(out, d, f, name)
	case f.perUser || len(f.attachments) > 0 || e.socket.conn.Format() == socketio.FormatMsgpack:
		e.slowLocked(out, f, name)
	default:
		e.fastLocked(out, f)
	}
}

// noteLocked notes the place after an event. Whatever the event is: if its last
// argument is a text, clients take that for their offset.
func (e *encoder) noteLocked(d *bridge.Delivery) {
	if d.Pos != nil && d.SID == e.bundle {
		e.offset = d.Pos.Append(e.offset[:0])
	}
	e.due = e.recovers
}

// fastLocked writes an event as its form has it for all. A client without a
// session gets an offset, too: events have one shape, and pages may save it.
func (e *encoder) fastLocked(out *bridge.Output, f *form) {
	var h [websock.MaxHeaderBytes]byte
	size := len(f.head) + len(f.args) + len("]")
	if e.trailing {
		size += len(beforeOffset) + len(e.offset) + len(`"`)
	}
	out.Append(websock.AppendHeader(h[:0], websock.OpText, size)...)
	out.AppendShared(f.head)
	out.AppendShared(f.args)
	if e.trailing {
		out.AppendString(beforeOffset)
		out.Append(e.offset...)
		out.AppendString(`"]`)
	} else {
		out.AppendString("]")
	}
	out.EndFrame()
}

// form makes an event's form.
func (e *encoder) form(ev *bridge.Event) any {
	args, attachments := arguments(ev)
	f := &form{args: args, attachments: attachments}
	mapping := e.socket.h.opts.Mapping
	if f.perUser = mapping.PerUser(ev.Subject); f.perUser {
		return f
	}
	if name := mapping.Event(ev.Subject, ""); name != "" {
		f.head = jsontext.AppendString(append(bytes.Clone(e.head), '['), name)
	}
	return f
}

// slowLocked writes an event that has no form for all: of msgpack, with
// attachments, or with a name of the user's own.
func (e *encoder) slowLocked(out *bridge.Output, f *form, name string) {
	var tail []byte
	if e.trailing {
		tail = append(append(append(tail, beforeOffset...), e.offset...), '"')
	}
	data := f.array(name, len(e.head), tail)
	p := &socketio.Packet{Type: socketio.PacketEvent, Namespace: e.socket.namespace, Data: data, Attachments: f.attachments}
	e.packet(out, p)
}

// array is the payload of an event's packet. head is how much of the form's
// comes before it.
func (f *form) array(name string, head int, tail []byte) []byte {
	var data []byte
	if f.perUser {
		data = jsontext.AppendString(append(data, '['), name)
	} else {
		data = append(data, f.head[head:]...)
	}
	return append(append(append(data, f.args...), tail...), ']')
}

// packet writes any packet.
func (e *encoder) packet(out *bridge.Output, p *socketio.Packet) {
	if err := p.AppendFrames(out, e.socket.conn.Format()); err != nil {
		// Only what is deeper than msgpack is read; nothing of it is written.
		e.socket.h.opts.Logger.Warn("an event cannot be written", "namespace", p.Namespace, "error", err)
	}
}

// durable writes an event that the client is to acknowledge.
func (e *encoder) durable(out *bridge.Output, d *bridge.Delivery, f *form, name string) {
	id, ok := e.socket.await(pending{sid: d.SID, pos: d.Pos.String()})
	if !ok {
		return // it comes again: it is not seen
	}
	e.packet(out, &socketio.Packet{Type: socketio.PacketEvent, Namespace: e.socket.namespace, ID: id, HasID: true,
		Data: f.array(name, len(e.head), nil), Attachments: f.attachments})
}

// Live tells that a subscription of its own has caught up.
func (e *encoder) Live(out *bridge.Output, sid string, pos bridge.Position) {
	if !e.isBundle(sid) {
		e.control(out, "live", appendMember(jsontext.AppendString([]byte(`{"sid":`), sid), "pos", pos.String()))
	}
}

// Gap tells that messages no longer exist.
func (e *encoder) Gap(out *bridge.Output, sid string, after, next bridge.Position) {
	data := []byte(`{"after":"`)
	data = append(after.Append(data), `","next":"`...)
	data = append(next.Append(data), '"')
	if sid != "" && !e.isBundle(sid) {
		data = jsontext.AppendString(append(data, `,"sid":`...), sid)
	}
	e.control(out, "gap", data)
}

// End tells that a subscription has ended.
func (e *encoder) End(out *bridge.Output, sid, why string) {
	data := jsontext.AppendString([]byte(`{"why":`), why)
	if !e.isBundle(sid) {
		data = appendMember(data, "sid", sid)
	}
	e.control(out, "end", data)
}

// Job writes a job for its worker, who settles it by its acknowledgement.
func (e *encoder) Job(out *bridge.Output, j *bridge.JobDelivery) {
	id, ok := e.socket.await(pending{lease: j.Lease})
	name := e.socket.h.opts.Mapping.Event(j.Event.Subject, e.socket.user)
	if !ok || name == "" {
		return // its lease ends, and somebody else gets it
	}
	args, attachments := arguments(j.Event)
	data := jsontext.AppendString([]byte{'['}, name)
	data = append(data, args...)
	data = jsontext.AppendString(append(data, `,{"lease":`...), j.Lease)
	data = strconv.AppendInt(append(data, `,"try":`...), int64(j.Try), 10)
	data = append(appendMember(data, "for", j.For.String()), '}', ']')
	e.packet(out, &socketio.Packet{Type: socketio.PacketEvent, Namespace: e.socket.namespace, ID: id, HasID: true, Data: data, Attachments: attachments})
}

// Lost tells that a lease has ended.
func (e *encoder) Lost(out *bridge.Output, lease, why string) {
	e.socket.forgetLease(lease)
	e.control(out, "lost", appendMember(jsontext.AppendString([]byte(`{"lease":`), lease), "why", why))
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return jsontext.AppendString(dst, value)
}

// control writes a control event; data is its argument without the brace that
// closes it. It asks for an acknowledgement, which nobody waits for, because
// clients do not take the last argument of such an event for their offset.
func (e *encoder) control(out *bridge.Output, name string, data []byte) {
	array := jsontext.AppendString([]byte{'['}, "jetway:"+name)
	array = append(append(append(array, ','), data...), '}', ']')
	e.packet(out, &socketio.Packet{Type: socketio.PacketEvent, Namespace: e.socket.namespace, ID: e.socket.nextAck(), HasID: true, Data: array})
}

func (e *encoder) isBundle(sid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return sid == e.bundle
}

// finish adds the cursor to what is about to be written, if one is due.
func (e *encoder) finish(out *bridge.Output) {
	if e.socket.h.opts.Recovery != RecoveryEvent {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.due {
		return
	}
	e.due = false
	data := append([]byte(`["`+CursorEvent+`","`), e.offset...)
	e.packet(out, &socketio.Packet{Type: socketio.PacketEvent, Namespace: e.socket.namespace, Data: append(data, '"', ']')})
}
