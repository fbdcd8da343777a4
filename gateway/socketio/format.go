package socketio

import (
	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// Format is how packets are written as messages of Engine.IO: the "parser" of
// the reference. Client and server do not negotiate it.
type Format byte

// The formats.
const (
	// FormatAuto is that of the client's first message: msgpack if it is
	// binary, which no packet in text begins with.
	FormatAuto Format = iota

	// FormatText is the default parser: text, and attachments after it.
	FormatText

	// FormatMsgpack is socket.io-msgpack-parser: one binary message.
	FormatMsgpack
)

// messageMark is the type of an Engine.IO message in a text frame (Engine.IO
// protocol v4, "Packet types"); binary frames have none.
const messageMark = '4'

// headBytes holds what comes before a payload on the stack, unless the
// namespace is long.
const headBytes = 128

// AppendFrames appends the packet as whole WebSocket frames, for
// [engineio.Session.Write]: the attachments follow their packet, and nothing
// comes between them. With [FormatAuto] it is text. Large payloads and
// attachments are not copied, and must not change until out is reset. Msgpack
// may fail as [Packet.AppendMsgpack] says, and then nothing is appended; text
// does not fail.
func (p *Packet) AppendFrames(out *bridge.Output, f Format) error {
	if f == FormatMsgpack {
		b, err := p.AppendMsgpack(nil)
		if err == nil {
			appendBinary(out, b)
		}
		return err
	}
	var h [headBytes]byte
	head := p.AppendHead(append(h[:0], messageMark))
	var w [websock.MaxHeaderBytes]byte
	out.Append(websock.AppendHeader(w[:0], websock.OpText, len(head)+len(p.Data))...)
	out.Append(head...)
	out.AppendShared(p.Data)
	out.EndFrame()
	for _, a := range p.Attachments {
		appendBinary(out, a)
	}
	return nil
}

// appendBinary appends a binary frame, without copying what is large.
func appendBinary(out *bridge.Output, b []byte) {
	var w [websock.MaxHeaderBytes]byte
	out.Append(websock.AppendHeader(w[:0], websock.OpBinary, len(b))...)
	out.AppendShared(b)
	out.EndFrame()
}
