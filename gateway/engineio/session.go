package engineio

import (
	"sync"

	"github.com/jetway-io/jetway/bridge"
)

// Session is one client, on whatever transport it is. All methods may be
// called concurrently, and from within a [Handler].
type Session struct {
	// Data is the handler's: set it in Open, before anybody else can see the
	// session.
	Data any

	// Static after construction.
	server *Server
	id     string
	req    *Request

	mu        sync.Mutex
	transport string
}

// ID returns the sid. Who knows it can speak for the client: it is a secret.
func (s *Session) ID() string { return s.id }

// Request returns what is known of the request that opened the session.
func (s *Session) Request() *Request { return s.req }

// Transport returns the transport that the session is on now, [Polling] or
// [WebSocket].
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}

// Send queues one message and never blocks. The data is copied. It returns
// [ErrFull] when too much waits already (the session goes on: the caller drops
// the message, or the client), [ErrSeparator], or [ErrClosed]. Messages that
// must follow one another without others in between, such as a Socket.IO
// packet and its attachments, belong into one Write or TryWrite.
func (s *Session) Send(data []byte, binary bool) error { return ErrClosed }

// Write implements [bridge.Transport]: it takes whole WebSocket frames of a
// server. A text frame is an Engine.IO packet with its type (`4hello`), a binary
// frame a binary message. On a WebSocket they leave in one system call, and
// have left when Write returns. On polling they are kept for the next poll;
// while more than MaxBufferedBytes would wait, Write waits, until WriteTimeout
// ends the session. The error is [ErrClosed] or the connection's, and final.
func (s *Session) Write(out *bridge.Output) error { return ErrClosed }

// TryWrite is Write for those who must not wait: it queues the frames, all or
// none, and returns [ErrFull] or [ErrClosed].
func (s *Session) TryWrite(out *bridge.Output) error { return ErrClosed }

// Close ends the session after what is queued, and does not wait. The handler
// is told [ReasonForcedClose]. A stock client connects again.
func (s *Session) Close() {}

var _ bridge.Transport = (*Session)(nil)
