//go:build !linux && !darwin

package websock

import "github.com/jetway-io/jetway/bridge"

// WriteSome implements [bridge.Transport]: it leaves all to Write.
func (*Conn) WriteSome(*bridge.Output) error { return nil }
