package engineio

import (
	"errors"
	"net/http"
	"time"
)

// The errors of a [Session]'s methods.
var (
	// ErrClosed is returned when the session has been closed.
	ErrClosed = errors.New("engineio: the session is closed")

	// ErrFull is returned when what waits for the client would be more than
	// MaxBufferedBytes. The message is not queued, nor anything of it.
	ErrFull = errors.New("engineio: too much waits for the client")

	// ErrSeparator is returned when a text message holds U+001E, which
	// separates packets in the payload of a poll. JSON never holds it.
	ErrSeparator = errors.New("engineio: text with the separator U+001E")
)

// Code is an error code of the handshake, as clients see it.
type Code int

// The codes of the reference (Engine.IO protocol v4 leaves them open).
const (
	CodeUnknownTransport    Code = 0
	CodeUnknownSID          Code = 1
	CodeBadHandshakeMethod  Code = 2
	CodeBadRequest          Code = 3
	CodeForbidden           Code = 4
	CodeUnsupportedProtocol Code = 5
)

// codeMessages are the texts of the reference, which client code compares.
var codeMessages = [...]string{
	CodeUnknownTransport:    "Transport unknown",
	CodeUnknownSID:          "Session ID unknown",
	CodeBadHandshakeMethod:  "Bad handshake method",
	CodeBadRequest:          "Bad request",
	CodeForbidden:           "Forbidden",
	CodeUnsupportedProtocol: "Unsupported protocol version",
}

// Error refuses a request. Its JSON is the body of the answer.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`

	status int
	retry  time.Duration // when the client may try again; 0 is unsaid
	told   bool          // with its status also to a WebSocket
}

// Error returns the message, with its origin.
func (e *Error) Error() string { return "engineio: " + e.Message }

// refusal returns the error of a code with the message that belongs to it.
func refusal(c Code) *Error {
	status := http.StatusBadRequest
	if c == CodeForbidden {
		status = http.StatusForbidden
	}
	return &Error{Code: c, Message: codeMessages[c], status: status}
}

// Refusal is an error of [Options.AllowRequest] that says more than why.
type Refusal struct {
	Status     int // of the answer, also to a WebSocket's handshake
	Message    string
	RetryAfter time.Duration // 0 leaves the field out
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// notAllowed is the error for a handshake that AllowRequest refuses.
func notAllowed(err error) *Error {
	e := refusal(CodeForbidden)
	e.Message = err.Error()
	if more := (*Refusal)(nil); errors.As(err, &more) {
		e.status, e.retry, e.told = more.Status, more.RetryAfter, true
	}
	return e
}

// errDraining refuses handshakes while the server stops; the stock client
// tries again, with backoff.
var errDraining = &Error{Code: CodeBadRequest, Message: "Server shutting down", status: http.StatusServiceUnavailable}

// errTooBig refuses a POST over MaxHTTPBufferSize; the session goes on.
var errTooBig = &Error{Code: CodeBadRequest, Message: "Payload too large", status: http.StatusRequestEntityTooLarge}
