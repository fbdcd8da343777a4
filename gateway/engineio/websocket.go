package engineio

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// Times of the end of a WebSocket.
const (
	cutTimeout    = 5 * time.Second // to take the last frames, and to close
	finishTimeout = 2 * time.Second // of these, to close after the last frame
)

// attach makes the connection answer the client's WebSocket pings.
func (s *Session) attach(conn *websock.Conn) {
	conn.OnPing(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == conn && !s.closed {
			s.pongDue = true
			s.wakeLocked()
		}
	})
}

// read is the goroutine of a session on a WebSocket: it reads until the
// connection or the session ends, and returns when nothing uses the connection
// any more.
func (s *Session) read(conn *websock.Conn) {
	for conn.Next(s.receiveMessage) {
	}
	s.leave(conn)
}

// receiveMessage hands one WebSocket message to the session, or ends it with
// the error that stands for the next one. It reports whether the session goes
// on.
func (s *Session) receiveMessage(msg []byte, text bool, err error) bool {
	if err != nil {
		s.end(endRead(err))
		return false
	}
	s.handling.take()
	defer s.handling.pass()
	p := Packet{Type: PacketMessage, Binary: true, Data: msg}
	if text {
		if p, err = Decode(msg); err != nil {
			s.end(endNoPacket)
			return false
		}
	}
	return s.receive(p)
}

// endWebSocketLocked has the client told goodbye, after what is queued.
func (s *Session) endWebSocketLocked(e ending) {
	if e.code == 0 {
		s.broken = true
		_ = s.conn.Close()
		return
	}
	s.pongDue = false // nothing may follow a close frame
	text := e.reason
	if e == endTooBig { // what the client's developer sees of it
		text = fmt.Sprintf("a message has at most %d bytes", s.server.opts.MaxHTTPBufferSize)
	}
	websock.AppendClose(s.pendingLocked(), e.code, text)
	s.wakeLocked()
	conn := s.conn
	s.cutter = time.AfterFunc(cutTimeout, func() { _ = conn.Close() })
}

// leave waits until the last frames have been written, and closes the
// connection. The session has ended.
func (s *Session) leave(conn *websock.Conn) {
	s.mu.Lock()
	for s.writing {
		s.changed.Wait()
	}
	broken, cutter := s.broken, s.cutter
	s.mu.Unlock()
	if broken {
		_ = conn.Close()
	} else {
		_ = conn.Finish(finishTimeout) // it is over either way
	}
	if cutter != nil {
		cutter.Stop()
	}
}

// greet queues the packet that opens the session: on a WebSocket it is the first
// frame.
func (s *Session) greet() {
	opening := s.opening()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		websock.AppendText(s.pendingLocked(), opening)
		s.wakeLocked()
	}
}

// cut closes the WebSocket, if there is one, without a word.
func (s *Session) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// dismiss closes a WebSocket that has not become a session's.
func dismiss(conn *websock.Conn, code websock.Code, why string) {
	out := new(bridge.Output)
	websock.AppendClose(out, code, why)
	if conn.Write(out) != nil {
		_ = conn.Close()
		return
	}
	_ = conn.Finish(finishTimeout) // it is over either way
}
