package socketio

import (
	"bytes"
	"encoding/json"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// ConnectError refuses a namespace. The client sees all of it, as the error of
// its "connect_error" event (Socket.IO protocol v5, "Connection to a
// namespace").
type ConnectError struct {
	Message string // err.message
	Data    any    // err.data, written with encoding/json; nil leaves it out
}

// Error returns the message, with its origin.
func (e *ConnectError) Error() string { return "socketio: refused: " + e.Message }

// internalError is what clients see of errors that are none of their business.
var internalError = &ConnectError{Message: "Internal error"}

// appendJSON appends the payload of the packet. Data that cannot be written is
// left out, and is the error.
func (e *ConnectError) appendJSON(dst []byte) ([]byte, error) {
	dst = jsontext.AppendString(append(dst, `{"message":`...), e.Message)
	if e.Data == nil {
		return append(dst, '}'), nil
	}
	data, err := marshal(e.Data)
	if err != nil {
		return append(dst, '}'), err
	}
	return append(append(append(dst, `,"data":`...), data...), '}'), nil
}

// marshal is json.Marshal, but leaves <, > and & as they are: clients get the
// text that they would have written.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
