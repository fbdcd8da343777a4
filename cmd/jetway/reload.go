package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jetway-io/jetway/config"
)

// reloads are the keys, and those below them, that a running server takes, all
// but restarts.
var reloads, restarts = []string{"allowed_origins", "trusted_proxies", "auth", "roles", "limits"}, []string{"limits.max_message_bytes", "limits.max_durables",
	"limits.handshake_timeout", "limits.message_timeout", "limits.max_header_bytes"}

func reloadable(key string) bool {
	return !slices.Contains(restarts, key) && slices.ContainsFunc(reloads, func(r string) bool { return key == r || strings.HasPrefix(key, r+".") })
}

// reload takes the roles, keys, limits and origins of a configuration, all of
// them or, if something is wrong, none. What else is new waits for a restart.
func (s *service) reload(read func() (*config.Config, error)) {
	c, err := read()
	if err == nil {
		err = s.take(c)
	}
	if err != nil {
		s.logger.Error("the configuration is not reloaded, nothing has changed", "problems", oneLine(err))
	}
}

func (s *service) take(c *config.Config) error {
	changed := slices.DeleteFunc(s.taken.Differs(c), func(key string) bool { return !reloadable(key) })
	waiting := slices.DeleteFunc(s.config.Differs(c), reloadable) // compared with what was started
	access, err := newAccess(c, s.bridge, s.logger)
	if err != nil {
		return err
	}
	// An issuer that is away now must not lock out whom its keys, which are
	// known, would let in.
	if c.Auth.JWT == s.taken.Auth.JWT && c.Auth.JWT.PublicKeyFile == "" {
		access.keep(s.access)
	}
	o, err := gatewayOptions(c, s.bridge, s.logger)
	if err != nil {
		access.close()
		return err
	}
	o.Auth = access.policy
	s.server.Reload(o.Rules())
	if access.verifier != s.access.verifier {
		s.access.close()
	}
	s.access, s.taken = access, c
	for _, w := range c.Warnings() {
		s.logger.Warn(w)
	}
	s.logger.Info("the configuration was reloaded", "changed", strings.Join(changed, " "), "waits for a restart", strings.Join(waiting, " "))
	return nil
}

// oneLine joins the lines of an error of the configuration.
func oneLine(err error) string { return strings.ReplaceAll(fmt.Sprint(err), "\n", "; ") }
