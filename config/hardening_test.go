package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/jetway-io/jetway/config"
)

// H06: whatever is wrong with a configuration, or right, nobody is told a
// secret of it.
func TestH06(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	for _, text := range []string{
		"auth: {jwt: {secret: [" + secret + "]}}",
		"auth: {jwt: {secret: {a: " + secret + "}}}",
		"auth: {jwt: {secret: " + secret + ", secret: " + secret + "}}",
		"auth: {jwt: {secrte: " + secret + "}}",
		"auth: {jwt: {secret: hunter2}}",
		"auth: {jwt: {secret: \"" + secret + "}}",
		"auth: {jwt: {secret: |\n  " + secret + "\n\t" + secret + "}}",
		"auth: {jwt: " + secret + "}",
		"auth: " + secret,
		"auth.jwt.secret: " + secret,
		"auth: {jwt: {secret: &a " + secret + "}}\nlisten: *a",
		"auth: {jwt: {secret: '-----BEGIN PRIVATE KEY----- " + secret + "'}}",
		"auth: {jwt: {jwks_url: \"ftp://bob:" + secret + "@h/k\"}}",
		"auth: {jwt: {jwks_url: \"https://bob:" + secret + "@h:port/k\"}}",
		"nats: {url: [\"nats://bob:" + secret + "@h\"]}",
		"nats: {urls: \"nats://bob:" + secret + "@h\"}",
		"nats: {url: \"http://bob:" + secret + "@h\"}",
		"nats: {url: \"nats://bob:" + secret + "@h:port\"}",
		"nats: {url: \"nats://h," + secret + "\"}",
		"nats: {url: \"nats://bob:" + secret + "@h\", embedded: {sync: 1s}}",
	} {
		_, err := config.ParseOnly(config.Source{File: "jetway.yaml", Text: []byte(text)})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s\ngot %v", text, err)
		}
	}
	for _, env := range []string{"JETWAY_AUTH_JWT_SECRTE=" + secret, "JETWAY_NATS_URl=nats://bob:" + secret + "@h", "JETWAY_NATS_URL=" + secret, "JETWAY_STREAMS=" + secret + ": [", "JETWAY_AUTH_JWT_JWKS_URL=" + secret} {
		if _, err := config.ParseOnly(config.Source{Env: []string{env}}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", env, err)
		}
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.RegisterFlags(fs)
	if strings.Contains(fs.FlagUsages(), "hunter2") {
		t.Error("a secret is a default")
	}
	c := load(t, config.Source{Env: []string{"JETWAY_AUTH_JWT_SECRET=" + secret, "JETWAY_NATS_URL=nats://bob:hunter2@h,nats://hunter2@h2",
		"JETWAY_AUTH_JWT_JWKS_URL=https://bob:hunter2@issuer.example/k?key=hunter2&v", "JETWAY_HUNTER=hunter2", "JETWAY_TOKEN=hunter2", "JETWAY_LISTEN=:8080"}})
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "jwt", c.Auth.JWT, "auth", c.Auth, "nats", c.NATS)
	effective, err := c.Effective()
	for name, text := range map[string]string{"config": string(effective), "warnings": strings.Join(c.Warnings(), "\n"), "log": log.String(),
		"a panic": fmt.Sprint(recovered(c)), "%v": fmt.Sprintf("%v", *c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c), "an error": errors.Join(fmt.Errorf("%v", c.Auth)).Error()} {
		if err != nil || strings.Contains(text, "hunter2") || text == "" {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	if !strings.Contains(string(effective), "https://bob:***@issuer.example/k?key=***&v") {
		t.Errorf("%s", effective)
	}
}

// recovered is what a panic with the configuration says.
func recovered(c *config.Config) (said any) {
	defer func() { said = recover() }()
	panic(fmt.Sprintf("configuration %+v", c))
}

// H04: the admin listener is on loopback unless it is said otherwise, and then
// only where strangers are not. N09: so is the embedded NATS server, of which a
// public address is warned.
func TestH04(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:1": "", "[::1]:1": "", "localhost:1": "", "": "",
		"10.0.0.1:1": "warns", "192.168.1.1:1": "warns", "172.16.0.1:1": "warns", "[fd00::1]:1": "warns", "169.254.0.1:1": "warns",
		":1": "refused", "0.0.0.0:1": "refused", "[::]:1": "refused", "203.0.113.9:1": "refused", "[2001:db8::1]:1": "refused", "host.example:1": "refused",
		"172.32.0.1:1": "refused", "[::ffff:203.0.113.9]:1": "refused", "localhost.example:1": "refused",
	} {
		c, err := config.ParseOnly(config.Source{Env: []string{"JETWAY_ADMIN_LISTEN=" + listen}})
		got := ""
		switch {
		case err != nil:
			got = "refused"
		case strings.Contains(strings.Join(c.Warnings(), "\n"), "admin.listen: everyone who can reach"):
			got = "warns"
		}
		if got != want {
			t.Errorf("admin.listen %q: %q, want %q (%v)", listen, got, want, err)
		}
		if listen == "" || strings.HasPrefix(listen, "host") {
			continue
		}
		warned := strings.Contains(strings.Join(load(t, config.Source{Env: []string{"JETWAY_NATS_EMBEDDED_LISTEN=" + listen}}).Warnings(), "\n"), "nats.embedded.listen: everyone who can reach")
		if warned != (want != "") {
			t.Errorf("nats.embedded.listen %q: warned %t", listen, warned)
		}
	}
	c := load(t, config.Source{})
	if c.Admin.Listen != "127.0.0.1:8081" || c.NATS.Embedded.Listen != "127.0.0.1:4222" || c.Listen != "127.0.0.1:8080" {
		t.Errorf("by default: %s, %s, %s", c.Admin.Listen, c.NATS.Embedded.Listen, c.Listen)
	}
}
