package engineio

import (
	"net/http"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// probe is the data of the ping and the pong that open an upgrade (Engine.IO
// protocol v4, "Upgrade").
const probe = "probe"

// serveUpgrade answers the handshake of a WebSocket that wants to take a
// session over from polling.
func (s *Session) serveUpgrade(w http.ResponseWriter, r *http.Request) *Error {
	claimed, refused := s.claim()
	if refused != nil {
		return refused
	}
	conn, err := s.server.accept(w, r, nil)
	switch {
	case err != nil && claimed:
		s.abandon()
	case err != nil:
	case claimed:
		go func() { // awaited by Shutdown
			defer s.server.running.Done()
			s.upgrade(conn)
		}()
	default:
		// The one that was first stays as it is: whoever knows only the sid
		// must not be able to cut its client off.
		dismiss(conn, websock.CodePolicy, "the session has a WebSocket")
	}
	return nil
}

// claim begins an upgrade; false when another has begun, or is complete.
func (s *Session) claim() (bool, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, refusal(CodeUnknownSID)
	case s.conn != nil || s.upgrading:
		return false, nil
	}
	s.upgrading = true
	s.server.running.Add(1) // the session's own keeps the count above 0
	return true, nil
}

// abandon ends an upgrade that has failed before its goroutine began.
func (s *Session) abandon() {
	s.release()
	s.server.running.Done()
}

// release lets the session be upgraded by another WebSocket.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgrading, s.probed, s.candidate = false, false, nil
}

// upgrade probes the WebSocket, moves the session to it and reads it. Whatever
// goes wrong before the move closes the WebSocket, not the session.
func (s *Session) upgrade(conn *websock.Conn) {
	if !s.probe(conn) {
		s.release()
		dismiss(conn, websock.CodePolicy, "the upgrade failed")
		return
	}
	s.read(conn)
}

// probe waits for `2probe`, answers it, waits for `5` and moves the session.
// Nothing else is written before (Engine.IO protocol v4, "Upgrade"): the client
// would drop it.
func (s *Session) probe(conn *websock.Conn) bool {
	s.mu.Lock()
	s.candidate = conn
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return false
	}
	timeout := time.AfterFunc(s.server.opts.UpgradeTimeout, func() { _ = conn.Close() })
	defer timeout.Stop()
	s.attach(conn)

	if p, ok := readPacket(conn); !ok || p.Type != PacketPing || string(p.Data) != probe {
		return false
	}
	waiting := s.hurryPolls()
	out := new(bridge.Output)
	appendPacket(out, Packet{Type: PacketPong, Data: []byte(probe)})
	if conn.Write(out) != nil {
		return false
	}
	s.endPoll(waiting)
	if p, ok := readPacket(conn); !ok || p.Type != PacketUpgrade {
		return false
	}
	return timeout.Stop() && s.move(conn)
}

// readPacket reads a packet that must be text.
func readPacket(conn *websock.Conn) (Packet, bool) {
	msg, text, err := conn.ReadMessage(nil)
	if err != nil || !text {
		return Packet{}, false
	}
	p, err := Decode(msg)
	return p, err == nil
}

// hurryPolls lets no poll wait for long from now on, and returns the one that
// waits already: the client is going to wait for its end before it completes
// the upgrade. It is called before the probe is answered, since from then on
// the packet 5 may come, and a poll after it.
func (s *Session) hurryPolls() *poll {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probed = true
	return s.poll
}

// endPoll ends a poll for the sake of the upgrade, unless it has ended.
func (s *Session) endPoll(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPollLocked(p, PacketNoop)
}

// move puts the session on the WebSocket, and what waits on its way.
func (s *Session) move(conn *websock.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conn, s.transport, s.candidate = conn, WebSocket, nil
	s.upgrading, s.probed = false, false
	s.pongDue = true // for a ping that came before
	if s.poll != nil {
		// A client that keeps to the protocol has none now.
		s.poll.refused = refusal(CodeBadRequest)
		s.poll.signal()
		s.poll = nil
	}
	s.takenLocked()
	s.wakeLocked()
	return true
}
