package websock

import "strconv"

// Code is a WebSocket close code (RFC 6455 section 7.4). Those from 4400 on
// are Jetway's, numbered after the HTTP status that means the same.
type Code uint16

// The close codes of the contract, and those that the transport itself needs.
const (
	CodeNormal          Code = 1000 // the peer is done
	CodeGoingAway       Code = 1001 // this gateway stops, or has lost sight of the client
	CodeProtocol        Code = 1002 // a frame that RFC 6455 forbids
	CodeNoStatus        Code = 1005 // never sent: a close frame came without a code
	CodeAbnormal        Code = 1006 // never sent: the connection ended without a close frame
	CodeInvalidData     Code = 1007 // text that is not UTF-8, or data that does not inflate
	CodePolicy          Code = 1008 // a message begun and not finished in time
	CodeMessageTooBig   Code = 1009 // RFC 6455's own; Jetway sends CodeTooBig
	CodeInternal        Code = 1011 // a fault of Jetway
	CodeRestart         Code = 1012 // this gateway restarts
	CodeBadFrames       Code = 4400 // ten bad frames in a row
	CodeUnauthenticated Code = 4401 // no good token, or it has expired
	CodeForbidden       Code = 4403 // this origin or address may not connect
	CodeAuthTimeout     Code = 4408 // no auth in time
	CodeTakenOver       Code = 4409 // another connection took the session over
	CodeTooBig          Code = 4413 // a message over max_message_bytes
	CodeTooFast         Code = 4429 // far over the rate limits
	CodeNotReady        Code = 4503 // the gateway cannot serve yet
)

// closeCodes is the one table of close codes: what each is called (in logs and
// metric labels), and whether the client may come back as it is, without
// changing anything. Codes that are not listed allow it.
var closeCodes = map[Code]struct {
	name      string
	reconnect bool
}{
	CodeNormal:          {"normal", true},
	CodeGoingAway:       {"going_away", true},
	CodeProtocol:        {"protocol", true},
	CodeNoStatus:        {"no_status", true},
	CodeAbnormal:        {"abnormal", true},
	CodeInvalidData:     {"invalid_data", true},
	CodePolicy:          {"policy", true},
	CodeMessageTooBig:   {"message_too_big", false},
	CodeInternal:        {"internal", true},
	CodeRestart:         {"restart", true},
	CodeBadFrames:       {"bad_frames", false},
	CodeUnauthenticated: {"unauthenticated", false},
	CodeForbidden:       {"forbidden", false},
	CodeAuthTimeout:     {"auth_timeout", false},
	CodeTakenOver:       {"taken_over", false},
	CodeTooBig:          {"too_big", false},
	CodeTooFast:         {"too_fast", true},
	CodeNotReady:        {"not_ready", true},
}

// String returns the code's name, or its number when it has none.
func (c Code) String() string {
	if e, ok := closeCodes[c]; ok {
		return e.name
	}
	return strconv.Itoa(int(c))
}

// MayReconnect reports whether a client closed with this code may come back
// unchanged (after a pause, with jitter).
func (c Code) MayReconnect() bool {
	e, ok := closeCodes[c]
	return !ok || e.reconnect
}

// mayArrive reports whether a client may send the code: those that RFC 6455
// (section 7.4.1) and IANA's register know, except those that only stand for
// the lack of one, and those that are free for libraries and applications.
func (c Code) mayArrive() bool {
	switch {
	case c == 1004, c == CodeNoStatus, c == CodeAbnormal:
		return false
	case c >= CodeNormal && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}
