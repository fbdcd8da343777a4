package client

import (
	"fmt"
	"net/http"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// ClosedError says that there is no connection, any more or yet.
type ClosedError struct {
	Code  websock.Code  // from the close frame or bye; CodeAbnormal without either
	Why   string        // in the server's words, if it had any
	Retry time.Duration // when the server wants to see the client again; 0 means unsaid

	cause error
}

// Error returns the code and the reason.
func (e *ClosedError) Error() string {
	s := fmt.Sprintf("connection closed: %d (%s)", uint16(e.Code), e.Code)
	if e.Why != "" {
		s += ": " + e.Why
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause, and a bridge.Error with CodeUnavailable: whether
// what was asked for has happened is not known.
func (e *ClosedError) Unwrap() []error {
	as := &bridge.Error{Code: bridge.CodeUnavailable, Msg: e.Error(), Hint: "connect again, and repeat what had no answer with its key", Retry: e.Retry}
	if e.cause == nil {
		return []error{as}
	}
	return []error{as, e.cause}
}

// MayReconnect reports whether it makes sense to connect again unchanged.
func (e *ClosedError) MayReconnect() bool { return e.Code.MayReconnect() }

// refused is what an HTTP answer other than 101 means.
func refused(r *http.Response) error {
	codes := map[int]bridge.Code{
		http.StatusBadRequest:         bridge.CodeBadFrame,
		http.StatusUnauthorized:       bridge.CodeUnauthenticated,
		http.StatusForbidden:          bridge.CodeForbidden,
		http.StatusNotFound:           bridge.CodeNotFound,
		http.StatusTooManyRequests:    bridge.CodeRateLimited,
		http.StatusServiceUnavailable: bridge.CodeUnavailable,
	}
	code, ok := codes[r.StatusCode]
	e := &bridge.Error{Code: code, Msg: "the server answered " + r.Status}
	if !ok {
		e.Code = bridge.CodeUnavailable
	}
	if !ok || code == bridge.CodeNotFound {
		e.Hint = "is this the URL of a Jetway, such as ws://127.0.0.1:8080/ws?"
	}
	return e
}
