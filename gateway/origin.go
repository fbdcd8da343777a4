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
	return sameOrigin(origins[0], r.Host)
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return false
	}
	// The scheme is not compared. Behind a proxy that ends TLS it differs, and
	// X-Forwarded-Proto would not say more about the page than that proxy's
	// rules do: who can write into a plain HTTP page of the same host is stopped
	// by Strict-Transport-Security, and nothing here.
	return strings.EqualFold(u.Host, host)
}

// ownPage reports whether a request is of a page that may use its visitor's
// cookies: one of the server's own origin, or one on the list by its name. A
// browser sends no Origin with a GET to the page's own server (that is how
// Socket.IO polls), but says then that it is one, in a field that no page can
// set (Fetch Metadata, section 2.3).
func ownPage(h http.Header, host string, allowed []string) bool {
	origins := h.Values("Origin")
	switch len(origins) {
	case 0:
		return slices.Equal(h.Values("Sec-Fetch-Site"), []string{"same-origin"})
	case 1:
		return origins[0] != "*" && slices.Contains(allowed, origins[0]) || sameOrigin(origins[0], host)
	}
	return false
}
