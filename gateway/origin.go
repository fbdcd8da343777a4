package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// originAllowed decides whether a page may open a connection: one of the
// server's own origin, one on the list (compared exactly: scheme, host and
// port), any when the list says "*". A request without Origin does not come
// from a page. Browsers do not apply the same-origin policy to WebSocket, so
// this is the only check there is (RFC 6455, section 10.2).
func originAllowed(r *http.Request, allowed []string) bool {
	origins := r.Header.Values("Origin")
	switch {
	case len(origins) == 0:
		return true
	case len(origins) > 1:
		return false
	case slices.Contains(allowed, "*"), slices.Contains(allowed, origins[0]):
		return true
	}
	u, err := url.Parse(origins[0])
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return false
	}
	// The scheme is not compared: behind a proxy that ends TLS it differs.
	return strings.EqualFold(u.Host, r.Host)
}
