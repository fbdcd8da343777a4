package engineio

import "time"

// The heartbeat (Engine.IO protocol v4, "Heartbeat"): a ping PingInterval after
// the session opened or the last pong came, and the end of the session
// PingTimeout after a ping without a pong. One timer serves both.

func (s *Session) startHeartbeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Now().Add(s.server.opts.PingInterval)
	s.timer = time.AfterFunc(s.server.opts.PingInterval, s.beat)
}

// beat is called by the timer.
func (s *Session) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.closed || now.Before(s.due): // a packet came in between, and set it anew
	case s.awaiting:
		s.endLocked(endSilent)
	default:
		s.awaiting, s.extended = true, false
		// From when it was due, lest the delays of two timers add up.
		s.due = s.due.Add(s.server.opts.PingTimeout)
		s.timer.Reset(s.due.Sub(now))
		s.queuePacketLocked(Packet{Type: PacketPing})
	}
}

// checkHeartLocked does what a timer that is late has still to do: on a busy
// machine it may be by milliseconds, and a poll that comes after the time for
// the pong must not be answered because of it.
func (s *Session) checkHeartLocked() {
	if !s.closed && s.awaiting && !time.Now().Before(s.due) {
		s.endLocked(endSilent)
	}
}

// heard notes that a packet came, and reports whether the session is open.
func (s *Session) heard(t PacketType) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false
	case t == PacketPong:
		s.awaiting = false
		s.setTimerLocked(s.server.opts.PingInterval)
	case s.awaiting && !s.extended:
		// The pong may be behind something large. The reference waits once
		// more, too.
		s.extended = true
		s.setTimerLocked(s.server.opts.PingTimeout)
	}
	return true
}

func (s *Session) setTimerLocked(d time.Duration) {
	s.due = time.Now().Add(d)
	s.timer.Reset(d)
}
