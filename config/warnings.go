package config

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings returns what is allowed but dangerous or useless, one line each, in
// the form of a [Problem].
func (c *Config) Warnings() []string {
	var out []string
	warn := func(key, format string, args ...any) {
		out = append(out, (&Problem{Where: c.at(key).String(), Key: key, Msg: oneLine(fmt.Sprintf(format, args...)), at: c.at(key)}).Error())
	}
	for _, name := range c.stray {
		out = append(out, oneLine(name)+": sets no key of Jetway's; it is ignored")
	}
	anonymous := c.Auth.Anonymous
	switch {
	case anonymous == "" && !c.Auth.Takes():
		warn("auth.anonymous", `no client can connect: clients without a token are refused, and no tokens are taken; configure auth.jwt, name a role, such as user, or listen on loopback`)
	case anonymous == "":
	case c.Auth.Takes() && c.Roles[anonymous].everything():
		warn("auth.anonymous", "tokens are taken, but who has none has the role %q, which may read and write everything; use a role with fewer rights", anonymous)
	case !loopback(c.Listen):
		warn("auth.anonymous", "everyone who can reach %s has the role %q (%s); use a role with fewer rights, or listen on loopback",
			c.Listen, anonymous, c.Roles[anonymous].summary())
	}
	c.authWarnings(warn)
	c.roleWarnings(warn)
	switch every := slices.Contains(c.AllowedOrigins, "*"); {
	case every && anonymous != "":
		warn("allowed_origins", `with "*", any web page that is open in a browser that can reach %s may act with the role %q; list the origins of your pages`,
			c.Listen, anonymous)
	case every && public(c.Listen):
		warn("allowed_origins", `with "*", any web page may connect to %s from the browsers of its visitors; list the origins of your pages`, c.Listen)
	}
	for _, p := range c.Proxies() {
		if p.Bits() == 0 {
			warn("trusted_proxies", "everyone is trusted to say which address he has, so that limits.per_address limits nobody; list the addresses of your proxies")
		}
	}
	if public(c.Listen) && c.TLS.Cert == "" {
		warn("tls.cert", "is empty: tokens and events cross the network of %s in plain text, where they can be read and changed; set it and tls.key, or have a proxy end TLS and let nobody else reach this address", c.Listen)
	}
	c.natsWarnings(warn)
	if a := c.Admin.Listen; a != "" && !loopback(a) {
		warn("admin.listen", "everyone who can reach %s is an administrator, there is no authentication; keep it on loopback or behind a firewall", a)
	}
	if c.Limits.UserPublishRate < c.Limits.PublishRate && c.Auth.Takes() {
		warn("limits.user_publish_rate", "is less than limits.publish_rate (%s), which no client of a user ever reaches; raise it", formatRate(c.Limits.PublishRate))
	}
	if c.Limits.UserPublishBytes < c.Limits.PublishBytes && c.Auth.Takes() {
		warn("limits.user_publish_bytes", "is less than limits.publish_bytes (%s), which no client of a user ever reaches; raise it", formatByteRate(c.Limits.PublishBytes))
	}
	if c.Limits.MaxMessageBytes > c.Log.MaxBytes {
		warn("log.max_bytes", "is less than limits.max_message_bytes (%s): larger events are not kept in memory; raise it", FormatSize(c.Limits.MaxMessageBytes))
	}
	if n := c.SocketIO.MaxHTTPBufferSize; c.SocketIO.On() && n > c.Log.MaxBytes {
		warn("log.max_bytes", "is less than socketio.max_http_buffer_size (%s): larger events are not kept in memory; raise it", FormatSize(n))
	}
	c.mapWarnings(warn)
	return out
}

// natsMaxPayload is what a NATS server takes that was not told otherwise.
const natsMaxPayload = mib

func (c *Config) natsWarnings(warn func(key, format string, args ...any)) {
	if c.NATS.URL != "" {
		if n := c.Limits.MaxMessageBytes; n > natsMaxPayload {
			warn("limits.max_message_bytes", "%s is more than a NATS server takes by default (%s): raise max_payload there, else larger events are refused with too_big", FormatSize(n), FormatSize(natsMaxPayload))
		}
		return
	}
	e := c.NATS.Embedded
	if e.Listen != "" && !loopback(e.Listen) {
		warn("nats.embedded.listen", "everyone who can reach %s may read and write everything, there is no authentication; keep it on loopback or behind a firewall", e.Listen)
	}
	if e.Sync > 0 {
		warn("nats.embedded.sync", "with %s, a power cut loses what was acknowledged in the last %[1]s, and clients are not told; write always, unless that may be lost", formatDuration(e.Sync))
	}
}

// roleWarnings are those about roles that were written down: the default ones
// are nobody's until somebody is given them.
func (c *Config) roleWarnings(warn func(key, format string, args ...any)) {
	for _, name := range sortedRoles(c.Roles) {
		key, r := "roles."+name, c.Roles[name]
		switch {
		case c.at(key).layer == fromDefault || name == c.Auth.Anonymous:
		case !c.Auth.Takes():
			warn(key, "nobody can have it: no tokens are taken, and auth.anonymous is another; configure auth.jwt or auth.callout, or remove it")
		case public(c.Listen) && r.widest() != "":
			warn(key, "whoever has a token with it may %s everything, of all users; list what it is for, such as events.chat.> or events.users.{user}.>", r.widest())
		}
	}
}

// widest names what is allowed without any bound, "" if nothing is.
func (r Role) widest() string {
	var all []string
	for _, l := range []struct {
		does          string
		allow, denied []string
	}{{"publish to", r.Pub, r.Deny.Pub}, {"subscribe to", r.Sub, r.Deny.Sub}, {"work on", r.Work, r.Deny.Work}, {"ask", r.Req, r.Deny.Req}} {
		if slices.Contains(l.allow, ">") && len(l.denied) == 0 {
			all = append(all, l.does)
		}
	}
	return strings.Join(all, ", ")
}

// OpenToAll reports whether clients without a token may do everything, as is
// the default on loopback.
func (c *Config) OpenToAll() bool {
	return c.Auth.Anonymous != "" && c.Roles[c.Auth.Anonymous].everything()
}

// everything reports whether nothing is out of reach of the role.
func (r Role) everything() bool {
	return slices.Contains(r.Pub, ">") && slices.Contains(r.Sub, ">")
}

// summary names what a role allows in one phrase.
func (r Role) summary() string {
	if r.everything() {
		return "it may read and write everything"
	}
	return fmt.Sprintf("%d filters to publish, %d to subscribe", len(r.Pub), len(r.Sub))
}
