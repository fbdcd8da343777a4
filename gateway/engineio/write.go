package engineio

import (
	"bytes"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// keptBytes bounds what is kept of a buffer for reuse.
const keptBytes = 64 << 10

var outputs = sync.Pool{New: func() any { return new(bridge.Output) }}

// recycle takes an output back whose bytes nobody needs any more.
func recycle(out *bridge.Output) {
	if out == nil || out.Size() > keptBytes {
		return
	}
	out.Reset()
	outputs.Put(out)
}

var _ bridge.Transport = (*Session)(nil)

// Send queues one message and never blocks. The data is copied; text must be
// UTF-8. It returns [ErrFull] when too much waits already (the session goes on:
// the caller drops the message, or the client), [ErrSeparator], or [ErrClosed].
// Messages that must follow one another without others in between, such as a
// Socket.IO packet and its attachments, belong into one Write or TryWrite.
func (s *Session) Send(data []byte, binary bool) error {
	if !binary && bytes.IndexByte(data, separator) >= 0 {
		return ErrSeparator
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(len(data)); err != nil {
		return err
	}
	s.queuePacketLocked(Packet{Type: PacketMessage, Binary: binary, Data: data})
	return nil
}

// TryWrite is Write for those who must not wait: it queues the frames, all or
// none, and returns [ErrFull] or [ErrClosed].
func (s *Session) TryWrite(out *bridge.Output) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(out.Size()); err != nil {
		return err
	}
	s.queueLocked(out)
	return nil
}

// Write implements [bridge.Transport]: it takes whole WebSocket frames of a
// server. A text frame is an Engine.IO packet with its type (`4hello`), a binary
// frame a binary message. On a WebSocket they leave in one system call, and
// have left when Write returns. On polling they are kept for the next poll;
// while more than MaxBufferedBytes would wait, Write waits, until WriteTimeout
// ends the session. The error is [ErrClosed] or the connection's, and final.
func (s *Session) Write(out *bridge.Output) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.awaitTurnLocked(out.Size()); err != nil {
		return err
	}
	if s.conn == nil {
		s.queueLocked(out)
		return nil
	}
	s.writing = true
	waiting := s.takeLocked()
	if waiting != nil {
		waiting.AppendOutput(out) // a copy costs less than a second system call
		out = waiting
	}
	err := s.writeLocked(out, (*websock.Conn).Write)
	recycle(waiting)
	s.writtenLocked()
	return err
}

// WriteSome implements [bridge.Transport]: it is Write as far as nobody has to
// wait. What the kernel takes a part of is the session's from then on.
func (s *Session) WriteSome(out *bridge.Output) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.waiters > 0:
		return nil // not before them
	case s.conn == nil && s.roomLocked(out.Size()) == nil:
		s.queueLocked(out)
		out.Reset()
		return nil
	case s.conn == nil, s.writing, s.pending != nil, s.pongDue:
		return nil // nor in the middle of something
	}
	s.writing = true
	size := out.Size()
	err := s.writeLocked(out, (*websock.Conn).WriteSome)
	if err == nil && 0 < out.Size() && out.Size() < size {
		s.adoptLocked(out)
		go s.flush() // awaited by leave
		return nil
	}
	s.writtenLocked()
	return err
}

// adoptLocked takes what is left of an output, as the first of what waits.
func (s *Session) adoptLocked(out *bridge.Output) {
	rest := outputs.Get().(*bridge.Output)
	*rest, *out = *out, *rest
	if s.pending != nil {
		rest.AppendOutput(s.pending)
		recycle(s.pending)
	}
	s.pending = rest
}

// writtenLocked ends a turn of writing.
func (s *Session) writtenLocked() {
	s.writing = false
	s.changed.Broadcast()
	s.wakeLocked()
}

// awaitTurnLocked waits until n bytes may be written to the WebSocket, or
// queued for the next poll.
func (s *Session) awaitTurnLocked(n int) error {
	s.waiters++
	defer func() { s.waiters-- }()
	for {
		switch {
		case s.closed:
			return ErrClosed
		case s.conn != nil && !s.writing:
			return nil
		case s.conn == nil && s.roomLocked(n) == nil:
			return nil
		case s.conn == nil && s.untaken == nil:
			takes := s.takes
			s.untaken = time.AfterFunc(s.server.opts.WriteTimeout, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.takes == takes {
					s.endLocked(endUntaken)
				}
			})
		}
		s.changed.Wait()
	}
}

// takenLocked notes that what waited has been taken.
func (s *Session) takenLocked() {
	s.takes++
	if s.untaken != nil {
		s.untaken.Stop()
		s.untaken = nil
	}
	s.changed.Broadcast()
}

// roomLocked reports whether n more bytes may wait.
func (s *Session) roomLocked(n int) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.pending != nil && s.pending.Size()+n > s.server.opts.MaxBufferedBytes:
		return ErrFull
	}
	return nil
}

// pendingLocked returns the output that waits, for more to be added.
func (s *Session) pendingLocked() *bridge.Output {
	if s.pending == nil {
		s.pending = outputs.Get().(*bridge.Output)
	}
	return s.pending
}

// queueLocked adds frames to what waits.
func (s *Session) queueLocked(out *bridge.Output) {
	if out.Size() == 0 {
		return
	}
	s.pendingLocked().AppendOutput(out)
	s.wakeLocked()
}

// queuePacketLocked adds one packet to what waits, whether or not there is room:
// the session's own are few.
func (s *Session) queuePacketLocked(p Packet) {
	appendPacket(s.pendingLocked(), p)
	s.wakeLocked()
}

// appendPacket adds a packet as a frame.
func appendPacket(out *bridge.Output, p Packet) {
	if p.Binary {
		websock.AppendBinary(out, p.Data)
		return
	}
	var h [websock.MaxHeaderBytes + 1]byte
	header := websock.AppendHeader(h[:0], websock.OpText, 1+len(p.Data))
	out.Append(append(header, '0'+byte(p.Type))...)
	out.Append(p.Data...)
	out.EndFrame()
}

// wakeLocked has what waits carried away: by the poll, or by a writer, which
// is started unless one runs and is going to see it.
func (s *Session) wakeLocked() {
	switch {
	case s.conn == nil && s.poll != nil && s.pending != nil:
		s.poll.signal()
	case s.conn != nil && !s.writing && !s.broken && (s.pending != nil || s.pongDue):
		s.writing = true
		go s.flush() // awaited by leave
	}
}

// flush writes to the WebSocket until nothing waits any more, or a Write takes
// over, which would never have its turn otherwise if others go on sending.
func (s *Session) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiters == 0 || s.closed {
		out := s.takeLocked()
		if out == nil {
			break
		}
		_ = s.writeLocked(out, (*websock.Conn).Write) // it has ended the session
		recycle(out)
	}
	s.writing = false
	s.changed.Broadcast()
}

// takeLocked takes what waits for the WebSocket, and the pong that it owes.
func (s *Session) takeLocked() *bridge.Output {
	out := s.pending
	s.pending = nil
	if s.pongDue {
		s.pongDue = false
		if out == nil {
			out = outputs.Get().(*bridge.Output)
		}
		s.conn.AppendPong(out)
	}
	if out != nil && (s.broken || out.Size() == 0) {
		recycle(out)
		return nil
	}
	return out
}

// writeLocked writes to the WebSocket, without the lock. The caller has the
// turn.
func (s *Session) writeLocked(out *bridge.Output, write func(*websock.Conn, *bridge.Output) error) error {
	conn := s.conn
	s.mu.Unlock()
	err := write(conn, out)
	s.mu.Lock()
	if err != nil {
		s.broken = true
		s.endLocked(endUnwritable)
	}
	return err
}
