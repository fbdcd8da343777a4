package engineio

import (
	"errors"

	"github.com/jetway-io/jetway/gateway/websock"
)

// ending is how a session ends: what its handler and its client are told.
type ending struct {
	reason string       // to the handler
	packet PacketType   // on polling, to the poll that waits
	later  bool         // on polling, whether otherwise the next poll still gets it
	code   websock.Code // on a WebSocket; 0 when there is nobody to tell
}

// The endings. A session that ends by a fault of the client leaves nothing
// behind: its next poll gets 400, as the protocol's test suite wants it.
var (
	endLeft       = ending{ReasonTransportClose, PacketNoop, true, websock.CodeNormal}          // packet 1 of the client
	endForced     = ending{ReasonForcedClose, PacketClose, true, websock.CodeNormal}            // Session.Close
	endShutdown   = ending{ReasonShutdown, PacketClose, true, websock.CodeRestart}              // Server.Shutdown
	endSilent     = ending{ReasonPingTimeout, PacketClose, false, websock.CodeGoingAway}        // no pong
	endNoPacket   = ending{ReasonParseError, PacketClose, false, websock.CodeProtocol}          // what is sent is no packet
	endPing       = ending{ReasonTransportError, PacketClose, false, websock.CodeProtocol}      // a ping of the client: since v4 only servers do
	endOverlap    = ending{ReasonTransportError, PacketClose, false, websock.CodePolicy}        // two GETs or two POSTs at once
	endBinary     = ending{ReasonTransportError, PacketClose, false, websock.CodePolicy}        // a POST of a binary type: v3
	endAborted    = ending{ReasonTransportError, PacketClose, false, websock.CodePolicy}        // a request that its client gave up
	endUntaken    = ending{ReasonTransportError, PacketClose, false, websock.CodePolicy}        // nothing was taken for WriteTimeout
	endUnwritable = ending{ReasonTransportError, PacketClose, false, 0}                         // a write failed
	endGone       = ending{ReasonTransportClose, PacketClose, false, 0}                         // the connection ended
	endTooBig     = ending{ReasonTransportError, PacketClose, false, websock.CodeMessageTooBig} // a WebSocket message over the limit
)

// endRead is how a session ends after an error of [websock.Conn.ReadMessage].
func endRead(err error) ending {
	var peer *websock.PeerClosed
	switch code := websock.CloseCode(err); {
	case code == 0:
		return endGone
	case errors.Is(err, websock.ErrTooBig):
		return endTooBig
	case errors.As(err, &peer):
		return ending{ReasonTransportClose, PacketClose, false, code}
	default:
		return ending{ReasonTransportError, PacketClose, false, code}
	}
}
