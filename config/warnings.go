package config

import (
	"fmt"
	"slices"
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
	if anonymous != "" && slices.Contains(c.AllowedOrigins, "*") {
		warn("allowed_origins", `with "*", any web page that is open in a browser that can reach %s may act with the role %q; list the origins of your pages`,
			c.Listen, anonymous)
	}
	for _, p := range c.Proxies() {
		if p.Bits() == 0 {
			warn("trusted_proxies", "everyone is trusted to say which address he has, so that limits.per_address limits nobody; list the addresses of your proxies")
		}
	}
	if a := c.NATS.Embedded.Listen; c.NATS.URL == "" && a != "" && !loopback(a) {
		warn("nats.embedded.listen", "everyone who can reach %s may read and write everything, there is no authentication; keep it on loopback or behind a firewall", a)
	}
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
