package websock

import (
	"errors"
	"fmt"
)

// The errors of [Conn.ReadMessage]. They are final: the connection cannot be
// read any more, but may still be told goodbye. An error that is none of
// these, nor a [PeerClosed], means that the connection is gone.
var (
	// ErrTooBig is returned when a message is over MaxMessageBytes.
	ErrTooBig = errors.New("websock: message over the size limit")

	// ErrProtocol is returned when a frame breaks RFC 6455.
	ErrProtocol = errors.New("websock: protocol error")

	// ErrInvalidData is returned when a text message is not UTF-8, or a
	// compressed one does not inflate.
	ErrInvalidData = errors.New("websock: invalid data")

	// ErrIdle is returned when the client said nothing for IdleTimeout.
	ErrIdle = errors.New("websock: client is silent")

	// ErrSlowMessage is returned when a message was not complete after
	// MessageTimeout.
	ErrSlowMessage = errors.New("websock: message not finished in time")
)

// failures are the errors of a client's making, and what metrics call them.
var failures = [...]struct {
	err    error
	reason string
}{
	{ErrTooBig, "too_big"},
	{ErrProtocol, "protocol"},
	{ErrInvalidData, "invalid_data"},
	{ErrSlowMessage, "slow_message"},
	{ErrIdle, "silent"},
}

// PeerClosed is returned by [Conn.ReadMessage] when the client has sent a
// close frame. It wants one back (RFC 6455 section 5.5.1), with this code.
type PeerClosed struct {
	Code   Code // CodeNoStatus when the frame had none
	Reason string
}

// Error returns the code and the reason.
func (e *PeerClosed) Error() string {
	return fmt.Sprintf("websock: closed by the client: %d %q", e.Code, e.Reason)
}

// CloseCode returns the code to close a connection with after err, an error of
// [Conn.ReadMessage]; 0 when there is nobody left to tell.
func CloseCode(err error) Code {
	var peer *PeerClosed
	switch {
	case errors.As(err, &peer):
		return peer.Code
	case errors.Is(err, ErrTooBig):
		return CodeTooBig
	case errors.Is(err, ErrProtocol):
		return CodeProtocol
	case errors.Is(err, ErrInvalidData):
		return CodeInvalidData
	case errors.Is(err, ErrSlowMessage):
		return CodePolicy
	case errors.Is(err, ErrIdle):
		return CodeGoingAway
	}
	return 0
}
