package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/bridge"
)

// ownNames refuses pages that reach a gateway of this machine alone by a name
// which is not this machine's. Their site may have pointed its name at a
// loopback address after its page was loaded (DNS rebinding), and is of the
// same origin then. It matters where clients need no token: the network is
// what keeps strangers out there, and the page is within.
func (s *Server) ownNames(next http.Handler) http.Handler {
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, rules := r.Header.Get("Origin"), s.rules.Load()
		if origin == "" || !rules.Auth.Open() || localName(r.Host) || slices.Contains(rules.AllowedOrigins, origin) || slices.Contains(rules.AllowedOrigins, "*") {
			next.ServeHTTP(w, r)
			return
		}
		s.refuse(w, refusedOrigin, &bridge.Error{Code: bridge.CodeForbidden, Msg: "this origin may not connect: its name is not this machine's, and clients need no token", Hint: "add it to allowed_origins"})
	})
}

// localName reports whether a Host is that of this machine for sure: no DNS
// server is asked for it (RFC 6761 section 6.3).
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
