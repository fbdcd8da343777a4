package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// sockets is the listener of clients: it bounds the open connections, whatever
// comes of them, before anything is read. Those that are let in as clients have
// limits of their own; these are for connections that never get so far, send
// their first line byte by byte, or keep open what they do not use.
//
// A client may need three connections for a while: a poll, a POST, and the
// WebSocket that replaces them, while its browser keeps the other two for later.
// All clients of an address may have come just now (those of an office, after
// its network was away, or all there are, after a restart), so there is room for
// four times as many, and for three times as many as all of them.
type sockets struct {
	net.Listener // accepts TCP
	rules        func() *Rules
	refused      func() // counts

	failed  atomic.Uint64         // times that accepting failed
	failing atomic.Pointer[fault] // the last time; nil since it has succeeded

	mu   sync.Mutex
	open int
	from map[string]int // by neighbours, without proxies
}

// fault is why accepting failed.
type fault struct {
	err error
	at  time.Time
}

func newSockets(l net.Listener, rules func() *Rules, refused func()) *sockets {
	return &sockets{Listener: l, rules: rules, refused: refused, from: make(map[string]int)}
}

// Accept returns the next connection that there is room for, and closes those
// for which there is none. It does not wait for anything but connections.
func (l *sockets) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			l.failed.Add(1)
			l.failing.Store(&fault{err, time.Now()})
			return nil, err // net/http waits, and tries again, while file descriptors are missing
		}
		l.failing.Store(nil)
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		if one := l.enter(tcp); one != nil {
			return one, nil
		}
		l.refused()
		_ = c.Close() // nothing was said
	}
}

// faultsCount is how long a fault of accepting is held against the gateway: it
// is tried again every second at most, but only as long as somebody comes.
const faultsCount = 5 * time.Second

// ready says why connections cannot be accepted at the moment, if so.
func (l *sockets) ready() error {
	if f := l.failing.Load(); f != nil && time.Since(f.at) < faultsCount {
		return fmt.Errorf("connections cannot be accepted: %w: raise the limit of open files (LimitNOFILE)", f.err)
	}
	return nil
}

// enter makes room for a connection; nil if there is none.
func (l *sockets) enter(c *net.TCPConn) *socket {
	rules := l.rules()
	address := addressOf(c.RemoteAddr().String())
	key := neighbours(address)
	if a, err := netip.ParseAddr(address); err == nil && covers(rules.TrustedProxies, a.Unmap()) {
		key = "" // it speaks for many
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= rules.maxSockets() || key != "" && l.from[key] >= rules.maxSocketsPerAddress() {
		return nil
	}
	l.open++
	if key != "" {
		l.from[key]++
	}
	return &socket{TCPConn: c, of: l, key: key}
}

func (r *Rules) maxSockets() int           { return 3*r.MaxClients + 1024 }
func (r *Rules) maxSocketsPerAddress() int { return 4*r.MaxPerAddress + 64 }

func (l *sockets) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if key == "" {
		return
	}
	if l.from[key]--; l.from[key] == 0 {
		delete(l.from, key)
	}
}

// count returns how many connections are open, and of how many addresses.
func (l *sockets) count() (open, addresses int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, len(l.from)
}

// socket is a connection that gives its place back when it is closed. What the
// embedded one can, such as writing many slices at once, it can, too.
type socket struct {
	*net.TCPConn
	of   *sockets
	key  string
	left atomic.Bool
}

// Close implements [net.Conn].
func (s *socket) Close() error {
	if !s.left.Swap(true) {
		s.of.leave(s.key)
	}
	return s.TCPConn.Close()
}
