package engineio

import (
	"context"
	"net/http"
)

// Server opens sessions and hands requests to them. Its methods may be called
// concurrently.
type Server struct {
	opts Options
}

// NewServer returns a server. It holds nothing that would have to be freed
// until the first session opens; [Server.Shutdown] ends all.
func NewServer(opts Options) *Server { return &Server{opts: opts} }

// ServeHTTP serves every request of Engine.IO, whatever its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Shutdown refuses new sessions with 503, and closes those there are, after
// what is queued for them, in a way that makes stock clients connect again
// (WebSocket code 1012, packet 1). It returns when the handler has been told of
// the last, or, having cut the connections, soon after ctx ends, with its
// error. It does not stop the HTTP server.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
