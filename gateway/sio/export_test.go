package sio

import (
	"log/slog"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// Internals for table tests.
var (
	Payload   = payload
	Arguments = arguments
)

// NewEncoder returns the encoder of a socket that is connected to nobody, and
// whose bundle is called sid.
func NewEncoder(recovery Recovery, sid string) bridge.Encoder {
	h := &Handler{opts: Options{Recovery: recovery, Mapping: &bridge.Mapping{}, Logger: slog.New(slog.DiscardHandler)}}
	e := newEncoder(&Socket{h: h, conn: &socketio.Conn{}, namespace: "/"})
	e.start(nil, recovery != RecoveryOff)
	e.follow(sid)
	return e
}
