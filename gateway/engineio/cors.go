package engineio

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a preflight allows, and for how long, in seconds.
const (
	corsMethods  = "GET, POST"
	corsMaxAge   = "600"
	maxCORSBytes = 1024 // of header names that a page asks for
)

// handle writes the header fields that the request's origin is owed, on errors
// as well: without them a page cannot see why it was refused. It reports
// whether the request is answered by that, as a preflight is.
func (c *CORS) handle(w http.ResponseWriter, r *http.Request) bool {
	if c == nil {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin, one := singleOrigin(r)
	switch {
	case one && slices.Contains(c.origins(), origin):
		h.Set("Access-Control-Allow-Origin", origin)
		if c.Credentials {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	case slices.Contains(c.origins(), "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		if asked := r.Header.Get("Access-Control-Request-Headers"); isFieldNames(asked) {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// origins is the list as it is now.
func (c *CORS) origins() []string {
	if c.Current != nil {
		return c.Current()
	}
	return c.Origins
}

// isFieldNames reports whether s may be given back as a list of header names.
func isFieldNames(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == ',' || r == ' '
	}
	return s != "" && len(s) <= maxCORSBytes && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

// singleOrigin returns the Origin of a request, "" without one; false when
// there are several.
func singleOrigin(r *http.Request) (string, bool) {
	switch origins := r.Header.Values("Origin"); len(origins) {
	case 0:
		return "", true
	case 1:
		return origins[0], true
	}
	return "", false
}

// allows decides whether a page may open a session, or move it to a WebSocket:
// one of the server's own origin, or one on the list. A request without Origin
// does not come from a page. For a WebSocket, to which browsers do not apply
// CORS, it is the only check there is (RFC 6455 section 10.2).
func (c *CORS) allows(r *http.Request) bool {
	origin, one := singleOrigin(r)
	switch {
	case !one:
		return false
	case origin == "":
		return len(r.Header.Values("Origin")) == 0
	case c != nil && (slices.Contains(c.origins(), "*") || slices.Contains(c.origins(), origin)):
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return false
	}
	// The scheme is not compared: behind a proxy that ends TLS it differs.
	return strings.EqualFold(u.Host, r.Host)
}
