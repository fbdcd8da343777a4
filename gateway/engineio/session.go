package engineio

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/websock"
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
	pace   *quota.Pace // of POSTs; nil without a bound

	// handling is held by whoever calls the handler, and from construction
	// until Open has returned: so the calls are serial. It is taken before mu.
	handling turn

	mu        sync.Mutex // guards what follows; taken before the server's
	changed   sync.Cond  // room, the turn to write, or the end
	closed    bool
	transport string
	pending   *bridge.Output // WebSocket frames that wait, on polling as well; nil without any

	// The heartbeat.
	timer    *time.Timer
	due      time.Time // when the timer has something to do
	awaiting bool      // a pong; otherwise the next ping is due
	extended bool      // the time for the pong has been

	// On polling.
	poll    *poll // the GET that waits
	posting bool
	takes   uint64      // how often a poll has taken what waits
	untaken *time.Timer // ends the session when none does

	// On the way to a WebSocket.
	upgrading bool          // claimed by one
	probed    bool          // it has answered the probe
	candidate *websock.Conn // the WebSocket; nil during its handshake

	// On a WebSocket.
	conn    *websock.Conn // nil on polling
	writing bool          // somebody has the turn to write
	waiters int           // Writes that wait for it, or for room
	pongDue bool          // the conn may owe a pong
	broken  bool          // the conn takes nothing any more
	cutter  *time.Timer   // closes the conn if the client does not, after the end
}

// turn is a mutex that a goroutine may wait for however long a handler takes. A
// sync.Mutex is for waits that are short.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) pass() { <-t }

// newSession returns a session that is not open yet: its handling is held.
func newSession(server *Server, id string, req *Request, conn *websock.Conn) *Session {
	s := &Session{server: server, id: id, req: req, pace: quota.NewPace(server.maxRate()), handling: make(turn, 1), transport: Polling, conn: conn}
	if conn != nil {
		s.transport = WebSocket
	}
	s.changed.L = &s.mu
	s.handling.take()
	s.startHeartbeat()
	return s
}

// open tells the handler.
func (s *Session) open() {
	defer s.handling.pass()
	s.server.opts.Handler.Open(s)
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

// handshake is the data of the packet that opens a session (Engine.IO protocol
// v4, "Handshake").
type handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // milliseconds
	PingTimeout  int64    `json:"pingTimeout"`  // milliseconds
	MaxPayload   int      `json:"maxPayload"`   // bytes
}

// opening returns the packet that opens the session.
func (s *Session) opening() []byte {
	o := &s.server.opts
	h := handshake{
		SID:          s.id,
		Upgrades:     []string{},
		PingInterval: o.PingInterval.Milliseconds(),
		PingTimeout:  o.PingTimeout.Milliseconds(),
		MaxPayload:   o.MaxHTTPBufferSize,
	}
	if s.Transport() == Polling && s.server.speaks(WebSocket) {
		h.Upgrades = append(h.Upgrades, WebSocket)
	}
	data, _ := json.Marshal(h) // such a struct always can be
	return Packet{Type: PacketOpen, Data: data}.Append(nil)
}

// receive does what one packet asks for, and reports whether the session goes
// on. The caller holds s.handling.
func (s *Session) receive(p Packet) bool {
	if !s.heard(p.Type) {
		return false
	}
	switch p.Type {
	case PacketMessage:
		s.server.opts.Handler.Message(s, p.Data, p.Binary)
	case PacketClose:
		s.end(endLeft)
		return false
	case PacketPing:
		s.end(endPing)
		return false
	}
	return true // the reference ignores the others, too
}

// Close ends the session after what is queued, and does not wait. The handler
// is told [ReasonForcedClose]. A stock client connects again.
func (s *Session) Close() { s.end(endForced) }

// end ends the session, the first time that it is called.
func (s *Session) end(e ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(e)
}

func (s *Session) endLocked(e ending) {
	if s.closed {
		return
	}
	s.closed = true
	s.timer.Stop()
	if s.candidate != nil {
		_ = s.candidate.Close() // whoever reads it sees that
	}
	var last [][]byte
	if s.conn != nil {
		s.endWebSocketLocked(e)
	} else {
		last = s.endPollingLocked(e)
	}
	s.changed.Broadcast()
	s.server.remove(s, last)
	go s.tellClosed(e.reason) // awaited by Shutdown
}

// tellClosed calls the handler for the last time. It is on a goroutine of its
// own because whoever ended the session may hold what the handler needs.
func (s *Session) tellClosed(reason string) {
	defer s.server.running.Done()
	s.handling.take()
	defer s.handling.pass()
	s.server.opts.Logger.Debug("session closed", "client", s.req.RemoteAddr, "reason", reason)
	s.server.opts.Handler.Close(s, reason)
}
