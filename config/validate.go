package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// validate checks what needs more than one value or knowledge of a broker.
func (c *Config) validate(ps *problems) {
	c.validateAddresses(ps)
	c.validateOrigins(ps)
	c.validateProxies(ps)
	c.validateNATS(ps)
	c.validateStreams(ps)
	c.validateQueues(ps)
	c.validateRoles(ps)
	c.validateAuth(ps)
	c.validateSocketIO(ps)
	c.validateBridge(ps)
	c.validateTimes(ps)
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		have, lacks := "tls.cert", "tls.key"
		if c.TLS.Cert == "" {
			have, lacks = lacks, have
		}
		ps.add(c.at(have), have, "needs %s: set both, or neither for plain HTTP", lacks)
	}
}

func (c *Config) validateAddresses(ps *problems) {
	if c.Listen == "" {
		ps.add(c.at("listen"), "listen", "is empty: write host:port, such as 127.0.0.1:8080")
	}
	// hardening.md H04: no authentication, so not where strangers are.
	if a := c.Admin.Listen; a != "" && !loopback(a) && !private(a) {
		ps.add(c.at("admin.listen"), "admin.listen",
			`%q may be reached by anyone, and the admin listener has no authentication: write a loopback or private address, or "" to turn it off`, a)
	}
	type listener struct{ key, address string }
	listeners := []listener{{"listen", c.Listen}, {"admin.listen", c.Admin.Listen}}
	if c.NATS.URL == "" {
		listeners = append(listeners, listener{"nats.embedded.listen", c.NATS.Embedded.Listen})
	}
	for i, b := range listeners {
		for _, a := range listeners[:i] {
			if collide(a.address, b.address) {
				ps.add(c.at(b.key), b.key, "%q is taken by %s: give one of them another port", b.address, a.key)
			}
		}
	}
}

// collide reports whether two listeners cannot exist together.
func collide(a, b string) bool {
	ah, ap, err := net.SplitHostPort(a)
	bh, bp, err2 := net.SplitHostPort(b)
	if err != nil || err2 != nil || ap != bp || ap == "0" {
		return false
	}
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return ah == bh || every(ah) || every(bh)
}

// validateOrigins wants origins as browsers send them (RFC 6454, 6.1): they
// are compared byte for byte, so anything else would never match.
func (c *Config) validateOrigins(ps *problems) {
	const key = "allowed_origins"
	for _, o := range c.AllowedOrigins {
		if o == "*" {
			if len(c.AllowedOrigins) > 1 {
				ps.add(c.at(key), key, `"*" allows every origin: leave the others out, or it`)
			}
			continue
		}
		u, err := url.Parse(o)
		switch {
		case err != nil, u.Scheme == "", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "", strings.Contains(u.Host, "*"):
			ps.add(c.at(key), key, "%q is not an origin: write scheme://host or scheme://host:port, such as https://app.example.com", o)
		case u.Path != "":
			ps.add(c.at(key), key, "%q has a path, an origin has none: write %q", o, u.Scheme+"://"+u.Host)
		case o != strings.ToLower(o):
			ps.add(c.at(key), key, "%q has upper-case letters, browsers send none: write %q", o, strings.ToLower(o))
		case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
			ps.add(c.at(key), key, "%q has the default port, browsers leave it out: write %q", o, u.Scheme+"://"+u.Hostname())
		}
	}
}

// validateNATS never repeats a URL in a message: it may hold a password.
func (c *Config) validateNATS(ps *problems) {
	if c.NATS.URL == "" {
		if c.NATS.Credentials != "" {
			ps.add(c.at("nats.credentials"), "nats.credentials", "is for nats.url, which is empty: set it too, or remove this")
		}
		if c.NATS.Embedded.StoreDir == "" {
			ps.add(c.at("nats.embedded.store_dir"), "nats.embedded.store_dir", "is empty: name a directory, such as ./jetway-data")
		}
		return
	}
	for i, part := range strings.Split(c.NATS.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			ps.add(c.at("nats.url"), "nats.url", "URL %d is not one of NATS: write nats://host:4222 or tls://host:4222, and %%-escape special characters of a password", i+1)
		}
	}
	for _, k := range keys {
		if strings.HasPrefix(k.Path, "nats.embedded.") && c.given(k.Path) {
			ps.add(c.at(k.Path), k.Path, "is for the embedded server, but nats.url (%s) names another: remove one of them", c.at("nats.url"))
		}
	}
}

func (c *Config) validateTimes(ps *problems) {
	for _, t := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{
		{"durable_inactive_threshold", c.DurableInactiveThreshold, time.Second},
		{"limits.auth_timeout", c.Limits.AuthTimeout, 100 * time.Millisecond},
		{"limits.handshake_timeout", c.Limits.HandshakeTimeout, 100 * time.Millisecond},
		{"limits.message_timeout", c.Limits.MessageTimeout, 100 * time.Millisecond},
		{"ping.interval", c.Ping.Interval, 10 * time.Millisecond},
		{"ping.timeout", c.Ping.Timeout, 10 * time.Millisecond},
	} {
		if t.value < t.least {
			ps.add(c.at(t.key), t.key, "%q is too short: write at least %s", formatDuration(t.value), formatDuration(t.least))
		}
	}
}

func (c *Config) validateRoles(ps *problems) {
	for _, name := range sortedRoles(c.Roles) {
		path := "roles." + name
		if err := bridge.ValidName(name); err != nil {
			ps.add(c.at(path), "", "role %q: %s", name, because(err))
		}
		r := c.Roles[name]
		for _, field := range append(slices.Clone(roleLists), denyLists()...) {
			for _, filter := range *r.list(field) {
				if msg := badPermission(filter); msg != "" {
					ps.add(c.at(path+"."+field), path+"."+field, "%q: %s", filter, msg)
				}
			}
		}
	}
	if a := c.Auth.Anonymous; a != "" {
		if _, ok := c.Roles[a]; !ok {
			ps.add(c.at("auth.anonymous"), "auth.anonymous", "there is no role %q: write one of %s, or add it under roles", a,
				strings.Join(sortedRoles(c.Roles), ", "))
		}
	}
}

// denyLists are the names of the lists of what a role denies.
func denyLists() []string {
	var names []string
	for _, list := range roleLists {
		names = append(names, "deny."+list)
	}
	return names
}

// badPermission says why a text is no subject filter of a role, "" if it is.
func badPermission(filter string) string {
	tokens := strings.Split(filter, ".")
	for i, t := range tokens {
		if t == "{user}" {
			tokens[i] = "user"
		} else if strings.ContainsAny(t, "{}") {
			return "a token in braces can only be {user}: write it so, and as a whole token"
		}
	}
	if err := bridge.ValidFilter(strings.Join(tokens, ".")); err != nil {
		return because(err)
	}
	if bridge.Reserved(filter) {
		return "belongs to NATS or Jetway, no client may touch it: remove it"
	}
	return ""
}

func sortedRoles(roles map[string]Role) []string {
	names := make([]string, 0, len(roles))
	for n := range roles {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// because is the message of a bridge error with what to do, if it says so.
func because(err error) string {
	var be *bridge.Error
	if !errors.As(err, &be) {
		return err.Error()
	}
	if be.Hint == "" {
		return be.Msg
	}
	return be.Msg + ": " + be.Hint
}
