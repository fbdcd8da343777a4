package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/bridge"
)

// forwardedFor is what proxies say about whom they speak for: each appends the
// address that it was connected from. The field Forwarded (RFC 7239) is not
// read: a proxy that knows one of them only passes the other on as the client
// has written it.
const forwardedFor = "X-Forwarded-For"

// maxFields bounds the fields of a request's header: each costs more than its
// bytes. Browsers send about twenty, and proxies add some.
const maxFields = 200

// behindProxies gives each request the address of its client as its RemoteAddr,
// which whoever looks at the request later takes for it: without a port where a
// proxy has told it. It is the one place that believes anything about that.
func (s *Server) behindProxies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fields(r.Header) > maxFields {
			s.refuseRequest(w, http.StatusRequestHeaderFieldsTooLarge, &bridge.Error{Code: bridge.CodeBadFrame, Msg: "too many header fields", Hint: fmt.Sprintf("send at most %d", maxFields)})
			return
		}
		if address, ok := clientAddress(r.RemoteAddr, r.Header, s.rules.Load().TrustedProxies); ok {
			r.RemoteAddr = address
		}
		next.ServeHTTP(w, r)
	})
}

func fields(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}

// clientAddress returns whom a connection from remote speaks for, if that is a
// trusted proxy: the right-most address of the header that is none. What stands
// further left may have been written by anybody. A walk that ends, at the
// beginning or at what is no address, ends at the last one that was good.
func clientAddress(remote string, h http.Header, trusted []netip.Prefix) (address string, ok bool) {
	last, good := parseAddress(remote)
	if !good || !covers(trusted, last) {
		return "", false
	}
	lines := h.Values(forwardedFor)
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			entry := line
			i := strings.LastIndexByte(line, ',')
			if more = i >= 0; more {
				line, entry = line[:i], line[i+1:]
			}
			next, good := parseAddress(strings.TrimSpace(entry))
			if !good {
				return last.String(), ok
			}
			if last, ok = next, true; !covers(trusted, next) {
				return last.String(), true
			}
		}
	}
	return last.String(), ok
}

// parseAddress reads an address with or without a port, and, if it is one of
// IPv6, brackets. One with a zone is refused: that is text of anybody's own.
func parseAddress(s string) (netip.Addr, bool) {
	host := s
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if host, _, err = net.SplitHostPort(s); err == nil {
			a, err = netip.ParseAddr(host)
		}
	}
	return a.Unmap(), err == nil && a.Zone() == ""
}

func covers(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addressOf is the host part of a remote address.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}

// neighbours is what the limits per address count by: an address of IPv4, and
// of IPv6 the network of 64 bits, all of which a single host commonly has.
func neighbours(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	return netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
}
