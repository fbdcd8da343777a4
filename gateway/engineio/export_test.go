package engineio

import (
	"net"
	"net/http"

	"github.com/jetway-io/jetway/bridge"
)

// The bounds of what is kept for last polls.
const (
	MaxTombs     = maxTombs
	MaxTombBytes = maxTombBytes
	TombTimeout  = tombTimeout
	NoopDelay    = noopDelay
	BodyTimeout  = DefaultMessageTimeout
	CutTimeout   = cutTimeout
)

// ErrFrames is what AppendFrames returns for what are no frames.
var ErrFrames = errFrames

// AppendFrames transcodes frames to a payload.
func AppendFrames(dst []byte, bufs net.Buffers) ([]byte, error) { return appendFrames(dst, bufs) }

// PayloadOf is the answer to a poll.
func PayloadOf(out *bridge.Output, last []byte) ([]byte, error) { return payloadOf(out, last) }

// Grave is what is kept for last polls.
type Grave = grave

// Bury keeps payloads.
func (g *Grave) Bury(sid string, payloads ...[]byte) { g.bury(sid, payloads...) }

// Take takes the next.
func (g *Grave) Take(sid string) ([]byte, bool) { return g.take(sid) }

// Kept returns how much is kept.
func (g *Grave) Kept() (tombs, entries, bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.bySID), len(g.order), g.bytes
}

// Sessions returns how many sessions there are.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Waiting returns how many bytes wait for the client.
func (s *Session) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil {
		return 0
	}
	return s.pending.Size()
}

// Polled reports whether a poll waits.
func (s *Session) Polled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll != nil
}

// ServePoll is a poll that was on its way to the session already.
func (s *Session) ServePoll(w http.ResponseWriter, r *http.Request) *Error { return s.servePoll(w, r) }
