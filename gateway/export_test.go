package gateway

import "net"

// For the tests outside the package.
var (
	ClientAddress = clientAddress
	Neighbours    = neighbours
	Dump          = (*handshakes).known
	NewHandshakes = newHandshakes
	Enter         = (*handshakes).enter
	MaxAddresses  = maxAddresses
)

// known returns how many addresses are known.
func (h *handshakes) known() int { return len(h.young) + len(h.old) }

// Users returns how many users have a place.
func (s *Server) Users() int { return s.quotas.Users() }

// Sockets returns how many connections are open, and of how many addresses.
func (s *Server) Sockets() (open, addresses int) { return s.sockets.count() }

// Listen puts a listener in front of the one for clients. Call it before Start.
func (s *Server) Listen(wrap func(net.Listener) net.Listener) {
	s.sockets.Listener = wrap(s.sockets.Listener)
}

// TCPSocket is what Accept returns.
type TCPSocket = *socket

// Accept returns the next connection, as net/http gets it.
func (s *Server) Accept() (net.Conn, error) { return s.sockets.Accept() }
