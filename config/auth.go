package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/bridge"
)

// minSecretBytes is what RFC 7518 section 3.2 wants of an HS256 secret.
const minSecretBytes = 32

// leastDifferent is fewer different bytes than 32 random ones ever have.
const leastDifferent = 10

// different is how many different bytes a text has.
func different(s string) int {
	var seen [256]bool
	n := 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			n++
		}
	}
	return n
}

// validateAuth never repeats a secret, nor a URL that may hold one.
func (c *Config) validateAuth(ps *problems) {
	j := c.Auth.JWT
	if n := len(j.Secret); n > 0 && n < minSecretBytes {
		ps.add(c.at("auth.jwt.secret"), "auth.jwt.secret", "has %d bytes: use at least %d random ones, such as those of openssl rand -base64 48", n, minSecretBytes)
	}
	if strings.Contains(j.Secret, "-----BEGIN") {
		ps.add(c.at("auth.jwt.secret"), "auth.jwt.secret", "is a PEM file, and a public key that was a secret would let anybody sign: name the file in auth.jwt.public_key_file")
	}
	if j.JWKSURL != "" {
		u, err := url.Parse(j.JWKSURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
			ps.add(c.at("auth.jwt.jwks_url"), "auth.jwt.jwks_url", "is not a URL of a key set: write https://issuer.example/.well-known/jwks.json")
		}
	}
	for _, k := range []struct {
		key, value string
		on         bool
	}{
		{"auth.jwt.issuer", j.Issuer, j.On()}, {"auth.jwt.audience", j.Audience, j.On()},
		{"auth.cookie", c.Auth.Cookie, c.Auth.Takes()}, {"auth.query", c.Auth.Query, c.Auth.Takes()},
	} {
		if k.value != "" && !k.on {
			ps.add(c.at(k.key), k.key, "is about tokens, and none are taken: set auth.jwt.secret, .public_key_file or .jwks_url, or remove this")
		}
	}
	c.validateCallout(ps)
	c.validateSources(ps)
}

// validateCallout keeps the subject on which tokens travel out of the reach of
// clients: who could subscribe to it would read them, and answer.
func (c *Config) validateCallout(ps *problems) {
	const key = "auth.callout"
	subject := c.Auth.Callout
	if subject == "" {
		return
	}
	if err := bridge.ValidSubject(subject); err != nil {
		ps.add(c.at(key), key, "%q: %s", subject, because(err))
		return
	}
	if strings.HasPrefix(subject, "jetway.ctl.") || strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, "_INBOX.") {
		ps.add(c.at(key), key, "%q belongs to NATS or to gateways: write another, such as jetway.auth", subject)
		return
	}
	if bridge.Reserved(subject) {
		return
	}
	for _, name := range sortedRoles(c.Roles) {
		r := c.Roles[name]
		for _, filter := range slices.Concat(r.Pub, r.Sub, r.Work, r.Req) {
			if bridge.Overlap(anyUser(filter), subject) {
				ps.add(c.at(key), key, "%q is in reach of the role %q, whose holders could read the tokens of others: write a subject that no client can reach, such as jetway.auth", subject, name)
				return
			}
		}
	}
}

// validateSources checks where tokens are taken from.
func (c *Config) validateSources(ps *problems) {
	for _, k := range []struct{ key, name string }{{"auth.cookie", c.Auth.Cookie}, {"auth.query", c.Auth.Query}} {
		if strings.ContainsFunc(k.name, notName) {
			ps.add(c.at(k.key), k.key, "%q is not a name: use letters, digits, '-', '_' and '.'", k.name)
		}
	}
	if name := c.Auth.Cookie; name != "" && name == c.SocketIO.Cookie && c.SocketIO.On() {
		ps.add(c.at("auth.cookie"), "auth.cookie", "%q is socketio.cookie, too, which has the connection's id: give one of them another name", name)
	}
	if slices.Contains([]string{"EIO", "transport", "sid", "t", "j"}, c.Auth.Query) && c.SocketIO.On() {
		ps.add(c.at("auth.query"), "auth.query", "%q is a parameter of Socket.IO's own: use another name, such as access_token", c.Auth.Query)
	}
	// hardening.md A04: any page could act as whoever visits it.
	if c.Auth.Cookie != "" && slices.Contains(c.AllowedOrigins, "*") {
		ps.add(c.at("auth.cookie"), "auth.cookie", `with "*" in allowed_origins, any web page could use its visitors' cookies: list the origins of your pages, or take no cookies`)
	}
}

// notName is the complement of what names of cookies and parameters are made
// of here: what is the same in a header, a URL, and a log.
func notName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// authWarnings are those about tokens.
func (c *Config) authWarnings(warn func(key, format string, args ...any)) {
	j := c.Auth.JWT
	if c.Auth.Query != "" {
		warn("auth.query", "tokens in URLs end up in the logs of proxies and in histories of browsers; send them as Authorization, cookie or auth frame, and make them short-lived")
	}
	if (j.JWKSURL != "" || j.PublicKeyFile != "") && j.Audience == "" {
		warn("auth.jwt.audience", "is empty: tokens that the issuer made for other services are good here, too; set it, if the issuer has others")
	}
	if j.JWKSURL != "" && j.Issuer == "" {
		warn("auth.jwt.issuer", "is empty: tokens of every issuer whose keys are in the set are good here; set it to what the issuer writes into iss")
	}
	if n := different(j.Secret); n > 0 && n < leastDifferent {
		warn("auth.jwt.secret", "has only %d different characters, and who guesses it is everybody; use random ones, such as those of openssl rand -base64 48", n)
	}
	u, err := url.Parse(j.JWKSURL)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()+":0") {
		warn("auth.jwt.jwks_url", "whoever is between here and the issuer can replace the keys; use https")
	}
}
