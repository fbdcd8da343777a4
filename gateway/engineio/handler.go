package engineio

// Handler is told what happens to sessions. Its calls for one session are
// serial and in order, also across an upgrade; those for different sessions
// are concurrent.
type Handler interface {
	// Open comes first, before the client knows its session: it should not
	// wait for anything slow. What it sends follows the handshake.
	Open(s *Session)

	// Message comes for each message, in the order in which the client sent
	// them. The handler may keep data, which is valid UTF-8 unless binary. As
	// long as it does not return, nothing more of this client is read.
	Message(s *Session, data []byte, binary bool)

	// Close comes last, exactly once for each Open. Send and Write fail by
	// then. The reason is one of the Reason constants.
	Close(s *Session, reason string)
}

// Why a session was closed, in the words of the reference.
const (
	ReasonTransportClose = "transport close"      // the client closed it, or its connection ended
	ReasonTransportError = "transport error"      // overlapping or aborted requests, a write that failed, a broken WebSocket
	ReasonPingTimeout    = "ping timeout"         // no pong in time
	ReasonParseError     = "parse error"          // a packet that is none
	ReasonForcedClose    = "forced close"         // [Session.Close]
	ReasonShutdown       = "server shutting down" // [Server.Shutdown]
)

// ignore is the handler of a server without one.
type ignore struct{}

func (ignore) Open(*Session)                  {}
func (ignore) Message(*Session, []byte, bool) {}
func (ignore) Close(*Session, string)         {}
