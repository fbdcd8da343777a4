package config

import (
	"regexp"
	"strings"
)

const envPrefix = "JETWAY_"

// serviceLink matches what Kubernetes puts into every container for a service
// named "jetway" or "jetway-…" ("enableServiceLinks", on by default): refusing
// these would make the obvious name of a service a crash loop. linkURL matches
// "JETWAY_PORT=tcp://10.0.0.1:8080", which is one only because of its value.
var (
	serviceLink = regexp.MustCompile(`^JETWAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	linkURL     = regexp.MustCompile(`^JETWAY_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)
)

// These tell the client commands where the gateway is, and who they are; they
// set no key.
const (
	urlVariable   = envPrefix + "URL"
	tokenVariable = envPrefix + "TOKEN"
)

// envKey finds the key that a variable sets. Names are resolved against the
// table, because "_" separates both levels and words. A name that is close to
// a known one is a mistake; one that is not belongs to somebody else's script,
// which is worth a warning and no refusal: stray.
func envKey(name, value string, at origin, ps *problems) (key Key, ok, stray bool) {
	for _, k := range keys {
		if k.Env() == name {
			return k, true, false
		}
	}
	if name == urlVariable || name == tokenVariable || serviceLink.MatchString(name) || linkURL.MatchString(name+"="+value) {
		return Key{}, false, false
	}
	rest := strings.TrimPrefix(name, envPrefix)
	for _, l := range later {
		if up := envName(l); rest == up || strings.HasPrefix(rest, up+"_") {
			ps.add(at, "", "%q is not available in this release: unset it", l)
			return Key{}, false, false
		}
	}
	var names []string
	for _, k := range keys {
		if k.field != nil {
			names = append(names, envName(k.Path))
		}
	}
	if meant := nearest(rest, names); meant != "" {
		ps.add(at, "", "sets no known key: did you mean %s?", envPrefix+meant)
		return Key{}, false, false
	}
	return Key{}, false, true
}

func envName(path string) string { return strings.ToUpper(strings.ReplaceAll(path, ".", "_")) }
