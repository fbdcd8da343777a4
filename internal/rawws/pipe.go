package rawws

import (
	"errors"
	"net"
	"sync"
	"time"
)

// end is one end of a connection in memory: one [net.Pipe] for each direction,
// so that either can end by itself, as over TCP. There is no buffer, and a read
// gets of one write at most.
type end struct{ in, out net.Conn }

// Pipe returns the two ends of a connection.
func Pipe() (client, server net.Conn) {
	up, upEnd := net.Pipe()
	down, downEnd := net.Pipe()
	return &end{in: downEnd, out: up}, &end{in: upEnd, out: down}
}

// Read implements [net.Conn].
func (e *end) Read(b []byte) (int, error) { return e.in.Read(b) }

// Write implements [net.Conn].
func (e *end) Write(b []byte) (int, error) { return e.out.Write(b) }

// CloseWrite has the other end read io.EOF.
func (e *end) CloseWrite() error { return e.out.Close() }

// Close implements [net.Conn].
func (e *end) Close() error { return errors.Join(e.out.Close(), e.in.Close()) }

// LocalAddr implements [net.Conn].
func (e *end) LocalAddr() net.Addr { return address }

// RemoteAddr implements [net.Conn].
func (e *end) RemoteAddr() net.Addr { return address }

// SetDeadline implements [net.Conn].
func (e *end) SetDeadline(t time.Time) error {
	return errors.Join(e.SetReadDeadline(t), e.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (e *end) SetReadDeadline(t time.Time) error { return e.in.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (e *end) SetWriteDeadline(t time.Time) error { return e.out.SetWriteDeadline(t) }

var address = &net.UnixAddr{Name: "pipe", Net: "unix"}

// Listener is a [net.Listener] in memory.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen returns a listener that takes what [Listener.Dial] brings.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects to the listener.
func (l *Listener) Dial() (net.Conn, error) {
	client, server := Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return address }

var (
	_ net.Conn     = (*end)(nil)
	_ net.Listener = (*Listener)(nil)
)
