package bridge

import (
	"errors"
	"time"
)

// Code is the machine-readable half of an [Error]. The set is closed and is
// the one of the contract: a client may switch on it.
type Code string

// The error codes. Each one is also a metric label.
const (
	CodeBadFrame        Code = "bad_frame"       // the frame is not what the protocol allows
	CodeUnknownVerb     Code = "unknown_verb"    // no verb, or one that this server does not have
	CodeBadSubject      Code = "bad_subject"     // not a valid subject or subject filter
	CodeBadPosition     Code = "bad_position"    // not a position, or one that cannot apply here
	CodeUnauthenticated Code = "unauthenticated" // a token is needed, or this one is not good
	CodeForbidden       Code = "forbidden"       // the permissions do not allow it
	CodeNoStream        Code = "no_stream"       // no stream covers the subject, and the request needs one
	CodeNoResponders    Code = "no_responders"   // nobody answers requests on the subject
	CodeTimeout         Code = "timeout"         // no answer within the request's own time
	CodeService         Code = "service"         // the microservice answered with an error
	CodeConflict        Code = "conflict"        // a condition given by the client does not hold
	CodeQueueFull       Code = "queue_full"      // the queue holds all the jobs it may
	CodeTooBig          Code = "too_big"         // over a size limit
	CodeRateLimited     Code = "rate_limited"    // over a rate or a count limit
	CodeLeaseLost       Code = "lease_lost"      // the lease has ended
	CodeNotFound        Code = "not_found"       // no such subscription, durable or job
	CodeTakenOver       Code = "taken_over"      // another client has attached in this one's place
	CodeUnavailable     Code = "unavailable"     // NATS did not answer in time; the outcome may be unknown
	CodeInternal        Code = "internal"        // a fault of Jetway; the log has the detail
)

// Error is an error that may be shown to a client: a code to act on, a
// sentence to read, and, where there is one, what to do about it.
type Error struct {
	Code  Code
	Msg   string
	Hint  string        // what to do; may be empty
	Retry time.Duration // when it makes sense to try again; 0 means unsaid
	Limit Limit         // which one was met, for the metrics; "" for other refusals
}

// Error returns the code and the sentence.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Msg }

// Is reports whether target is an [Error] of the same code, so that
// errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// ErrorOf turns any error into one that may cross the wire: an [Error] in its
// chain as it is, anything else as "internal", whose detail stays in the log.
// No error is none.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Msg: "internal error", Hint: "the server's log has the detail"}
}
