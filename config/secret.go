package config

import (
	"fmt"
	"strings"
)

// masked stands in the place of a secret that is there.
func masked(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// String hides the secret, wherever a configuration ends up in a message. The
// other fields are in it as they are.
func (j JWT) String() string {
	j.Secret, j.JWKSURL = masked(j.Secret), MaskURL(j.JWKSURL)
	type plain JWT // without this method
	return fmt.Sprintf("%+v", plain(j))
}

// GoString is String for %#v.
func (j JWT) GoString() string { return j.String() }

// String hides what the URL has of secrets.
func (n NATS) String() string {
	n.URL = MaskURL(n.URL)
	type plain NATS
	return fmt.Sprintf("%+v", plain(n))
}

// GoString is String for %#v.
func (n NATS) GoString() string { return n.String() }

// MaskURL hides the passwords and tokens in a list of URLs: what is before the
// host, and the values of parameters.
func MaskURL(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		parts[i] = maskUser(maskQuery(part))
	}
	return strings.Join(parts, ",")
}

func maskUser(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return url
	}
	user, _, isPassword := strings.Cut(rest[:at], ":")
	if !isPassword {
		user = "***" // a token
	} else {
		user += ":***"
	}
	return scheme + "://" + user + rest[at:]
}

func maskQuery(url string) string {
	before, query, ok := strings.Cut(url, "?")
	if !ok {
		return url
	}
	var names []string
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if value != "" {
			name += "=***"
		}
		names = append(names, name)
	}
	return before + "?" + strings.Join(names, "&")
}
