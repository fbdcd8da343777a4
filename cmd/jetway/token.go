package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/token"
)

// maxTTL bounds what is signed for development: such a token cannot be taken
// back, and ends up in shell histories.
const maxTTL = 30 * 24 * time.Hour

// tokenFlags are those of "jetway token".
type tokenFlags struct {
	user, file string
	roles      []string
	grants     bridge.Permissions
	ttl        time.Duration
}

func newTokenCmd(m *Main) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "token --sub USER",
		Short: "Sign a token for development",
		Long: `Sign a JSON Web Token for development and tests, with the secret of the
configuration: auth.jwt.secret, or better JETWAY_AUTH_JWT_SECRET. "iss" and
"aud" are what the configuration wants.

It does so only where that secret is all there is. Where the configuration names
public keys (auth.jwt.public_key_file, .jwks_url), tokens come from their issuer,
which knows who its users are, and keeps its private key to itself.`,
		Example: `  JETWAY_AUTH_JWT_SECRET=… jetway token --sub ann --role user
  jetway token --sub ann --pub 'events.chat.>' --sub-filter 'events.>' --ttl 10m
  JETWAY_TOKEN=$(jetway token --sub ann --role user) jetway sub 'events.chat.>'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.token(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.user, "sub", "", "the user; required")
	flags.StringArrayVar(&f.roles, "role", nil, "a role of the configuration; may be repeated")
	flags.DurationVar(&f.ttl, "ttl", time.Hour, "how long the token is good, at most 720h")
	flags.StringArrayVar(&f.grants.Pub, "pub", nil, "a filter that may be published to, beside those of roles; may be repeated")
	flags.StringArrayVar(&f.grants.Sub, "sub-filter", nil, "a filter that may be subscribed to; may be repeated")
	flags.StringArrayVar(&f.grants.Work, "work", nil, "queues that may be worked on; may be repeated")
	flags.StringArrayVar(&f.grants.Req, "req", nil, "a filter that requests may be sent to; may be repeated")
	flags.StringVar(&f.file, "config", "", `file to read (default "jetway.yaml" if it is in the working directory)`)
	flags.SortFlags = false
	return cmd
}

// token prints a token.
func (m *Main) token(cmd *cobra.Command, f tokenFlags) error {
	switch {
	case f.user == "":
		return usagef(cmd, "--sub is missing: name the user")
	case f.ttl < time.Second || f.ttl > maxTTL:
		return usagef(cmd, "--ttl %v is not between 1s and 720h", f.ttl)
	}
	c, err := m.tokenConfig(cmd, f.file)
	if err != nil {
		return err
	}
	secret, err := secretOf(c)
	if err != nil {
		return err
	}
	for _, role := range f.roles {
		if _, ok := c.Roles[role]; !ok {
			return fmt.Errorf("there is no role %q: name one of those under roles, or give --config", role)
		}
	}
	raw, err := token.Sign(token.SignOptions{
		Secret: []byte(secret), User: f.user, Roles: slices.Clone(f.roles), Grants: f.grants,
		Issuer: c.Auth.JWT.Issuer, Audience: c.Auth.JWT.Audience, Issued: time.Now(), Expires: time.Now().Add(f.ttl),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(m.Stdout, raw)
	return err
}

// tokenConfig is the configuration that a gateway started here would have.
func (m *Main) tokenConfig(cmd *cobra.Command, file string) (*config.Config, error) {
	if file == "" && !cmd.Flags().Changed("config") {
		if _, err := os.Stat(defaultFile); !errors.Is(err, fs.ErrNotExist) {
			file = defaultFile
		}
	}
	return config.Load(config.Source{File: file, Env: m.Env})
}

// secretOf is the secret that tokens are signed with in development.
func secretOf(c *config.Config) (string, error) {
	j := c.Auth.JWT
	switch {
	case j.PublicKeyFile != "" || j.JWKSURL != "":
		return "", errors.New("this is not a configuration for development: its tokens are signed by an issuer (auth.jwt.public_key_file, .jwks_url); get one there")
	case j.Secret == "":
		return "", errors.New("there is no secret to sign with: set auth.jwt.secret or JETWAY_AUTH_JWT_SECRET, for the gateway too")
	}
	return j.Secret, nil
}
