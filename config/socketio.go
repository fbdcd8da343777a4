package config

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds of namespaces: a client may name one in each packet.
const (
	maxNamespaces     = 100
	maxNamespaceBytes = 128
)

var (
	// socketPath is "/" and segments, each with a slash at its end, of what a
	// URL needs no escapes for (RFC 3986, 2.3).
	socketPath = regexp.MustCompile(`^/([A-Za-z0-9._~-]+/)+$`)
	// cookieName is a token of RFC 9110, 5.6.2, as RFC 6265, 4.1.1 wants.
	cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")
)

// ownPaths are the first segments of what Jetway itself answers.
var ownPaths = []string{"ws", "pub", "sub", "req", "livez", "readyz", "metrics", "console", "jobs", "chat"}

func (c *Config) validateSocketIO(ps *problems) {
	s := &c.SocketIO
	if !s.On() {
		return // what is not used is in nobody's way
	}
	add := func(key, format string, args ...any) { ps.add(c.at(key), key, format, args...) }
	if msg := badSocketPath(s.Path); msg != "" {
		add("socketio.path", "%q %s", s.Path, msg)
	}
	if len(s.Namespaces) == 0 || len(s.Namespaces) > maxNamespaces {
		add("socketio.namespaces", `has %d namespaces: list 1 to %d, such as [/], or write socketio.path: "" for no Socket.IO`, len(s.Namespaces), maxNamespaces)
	}
	for i, n := range s.Namespaces {
		if msg := badNamespace(n); msg != "" {
			add("socketio.namespaces", "%q %s", n, msg)
		} else if slices.Contains(s.Namespaces[:i], n) {
			add("socketio.namespaces", "%q is listed twice: remove one of them", n)
		}
	}
	if s.Cookie != "" && !cookieName.MatchString(s.Cookie) {
		add("socketio.cookie", `%q is not a name of a cookie: write 1 to 64 letters, digits, "-" or "_", such as io, or "" for none`, s.Cookie)
	}
	c.validateSocketTimes(ps)
}

func badSocketPath(path string) string {
	if path == "/" {
		return "would take the place of everything else: write a path such as /socket.io/"
	}
	if !socketPath.MatchString(path) {
		return `is not a path: begin and end with a slash and use letters, digits, "-", "_" and ".", such as /socket.io/`
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case slices.Contains(segments, "."), slices.Contains(segments, ".."):
		return "has a segment of dots, which clients resolve: write the path that is meant"
	case slices.Contains(ownPaths, segments[0]):
		return "begins with /" + segments[0] + ", which is Jetway's own: write another, such as /socket.io/"
	}
	return ""
}

// badNamespace says why a text is no namespace: on the wire, a comma or a
// question mark ends one.
func badNamespace(n string) string {
	switch {
	case !strings.HasPrefix(n, "/"):
		return "does not begin with a slash: write it as clients do, such as /chat"
	case len(n) > maxNamespaceBytes:
		return "is longer than 128 bytes: shorten it"
	case strings.ContainsAny(n, ",?#") || strings.ContainsFunc(n, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return `has a comma, "?", "#", white space or a control character: write letters, digits, "-", "_" and slashes, such as /chat`
	}
	return ""
}

func (c *Config) validateSocketTimes(ps *problems) {
	s := &c.SocketIO
	for _, t := range []struct {
		key         string
		value       time.Duration
		least, most time.Duration
	}{
		{"socketio.session_ttl", s.SessionTTL, time.Second, 366 * 24 * time.Hour},
		{"socketio.ping_interval", s.PingInterval, 10 * time.Millisecond, time.Hour},
		{"socketio.ping_timeout", s.PingTimeout, 10 * time.Millisecond, time.Hour},
		{"socketio.connect_timeout", s.ConnectTimeout, 10 * time.Millisecond, time.Hour},
		{"socketio.upgrade_timeout", s.UpgradeTimeout, 10 * time.Millisecond, time.Hour},
	} {
		if t.value < t.least || t.value > t.most {
			ps.add(c.at(t.key), t.key, "%q is not from %s to %s: write a duration such as %s",
				formatDuration(t.value), formatDuration(t.least), formatDuration(t.most), defaultText(t.key))
		}
	}
}

// defaultText is the default of a key, as it is written in a file.
func defaultText(key string) string {
	k, _ := keyAt(key)
	return k.Default
}
