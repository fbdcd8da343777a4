package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
)

func TestEffective(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, config.Source{File: "jetway.yaml", Text: text, Env: []string{"JETWAY_DRAIN=3s"}, Flags: flags(t, "--listen=127.0.0.1:7")})
	got, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/full.effective", string(got))
}

// What is printed configures the same: every golden file that loads survives.
func TestEffectiveRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := config.ParseOnly(config.Source{File: file, Text: text}); err == nil {
			roundTrip(t, c)
		}
	}
}

func roundTrip(t *testing.T, c *config.Config) {
	t.Helper()
	text, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.ParseOnly(config.Source{File: "effective.yaml", Text: text})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want, got := c.WithoutOrigins(), again.WithoutOrigins()
	want.NATS.URL = config.MaskURL(want.NATS.URL)
	if !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", got, want, text)
	}
}

// normal makes empty and missing lists the same.
func normal(c config.Config) config.Config {
	roles := map[string]config.Role{}
	for name, r := range c.Roles {
		for _, list := range []*[]string{&r.Pub, &r.Sub, &r.Work, &r.Req} {
			*list = append([]string{}, *list...)
		}
		roles[name] = r
	}
	c.Roles, c.Streams = roles, append([]config.Stream{}, c.Streams...)
	c.Bridge.Connect.Subscribe = append([]config.ConnectSubscription{}, c.Bridge.Connect.Subscribe...)
	c.Bridge.Map = append([]bridge.MapRule{}, c.Bridge.Map...)
	return c
}

// hardening.md H06: secrets are never in what is printed.
func TestSecretsAreMasked(t *testing.T) {
	for in, want := range map[string]string{
		"nats://bob:hunter2@h:4222":           "nats://bob:***@h:4222",
		"nats://token@h":                      "nats://***@h",
		"nats://h:4222":                       "nats://h:4222",
		"nats://h,tls://bob:p%2Cw@h2":         "nats://h,tls://bob:***@h2",
		"nats://bob:a@b@h,nats://bob:c:d@h:1": "nats://bob:***@h,nats://bob:***@h:1",
	} {
		if got := config.MaskURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	c := load(t, config.Source{Env: []string{"JETWAY_NATS_URL=nats://bob:hunter2@h:4222"}})
	text, err := c.Effective()
	if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "bob:***@h") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, bad := range []string{"http://bob:hunter2@h", "nats://bob:hunter2@", "hunter2", "nats://bob:hun ter2@h", "nats://bob:hunter2@h:port"} {
		if _, err := config.ParseOnly(config.Source{Env: []string{"JETWAY_NATS_URL=" + bad}}); err == nil || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // beginnings, in order
	}{
		{"defaults", "", nil},
		{"dev in public", "listen: :8080\nauth: {anonymous: dev}",
			[]string{`jetway.yaml:2: auth.anonymous: everyone who can reach :8080 has the role "dev" (it may read and write everything)`}},
		{"user in public", "listen: :8080\nauth: {anonymous: user}",
			[]string{`jetway.yaml:2: auth.anonymous: everyone who can reach :8080 has the role "user" (2 filters to publish, 2 to subscribe)`}},
		{"nobody can connect", "listen: :8080", []string{"default: auth.anonymous: no client can connect"}},
		{"any origin", `allowed_origins: ["*"]`, []string{`jetway.yaml:1: allowed_origins: with "*", any web page`}},
		{"any proxy", "trusted_proxies: [10.0.0.7, 0.0.0.0/0]", []string{"jetway.yaml:1: trusted_proxies: everyone is trusted"}},
		{"NATS in public", "nats: {embedded: {listen: 0.0.0.0:4222}}", []string{"jetway.yaml:1: nats.embedded.listen: everyone"}},
		{"admin on a private network", "admin: {listen: 10.1.2.3:8081}", []string{"jetway.yaml:1: admin.listen: everyone"}},
		{"large Socket.IO messages", "socketio: {max_http_buffer_size: 32MiB}\nlog: {max_bytes: 16MiB}",
			[]string{"jetway.yaml:2: log.max_bytes: is less than socketio.max_http_buffer_size (32MiB)"}},
		{"no Socket.IO", `socketio: {path: "", max_http_buffer_size: 32MiB}`, nil},
		{"one direction", "bridge:\n  map:\n    - {event: notice, subject: a.notice}\n    - {event: notice, subject: b.notice}",
			[]string{`jetway.yaml:4: bridge.map[1].event: "notice" is published by rule 0, to "a.notice"`}},
		{"another name", "bridge:\n  map:\n    - {event: message, subject: chat.general}\n    - {event: \"chat:{room}\", subject: \"chat.{room}\"}",
			[]string{`jetway.yaml:4: bridge.map[1].subject: has subjects in common with rule 0: they arrive as "message", not as "chat:{room}"`}},
		{"small user", "auth: {jwt: {secret: 0123456789abcdef0123456789abcdef}}\nlimits: {publish_rate: 10000/s, user_publish_bytes: 1MiB/s}",
			[]string{"default: limits.user_publish_rate: is less than limits.publish_rate (10000/s)", "jetway.yaml:2: limits.user_publish_bytes: is less"}},
		{"small log", "log: {max_bytes: 1MiB}\nlimits: {max_message_bytes: 2MiB}", []string{"jetway.yaml:1: log.max_bytes: is less"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := load(t, config.Source{File: "jetway.yaml", Text: []byte(tt.text)}).Warnings()
			if len(got) != len(tt.want) {
				t.Fatalf("got %q", got)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("got %q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jetway.yaml")
	if err := os.WriteFile(file, []byte(`allowed_origins: ["*"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	warnings, err := config.Check(file)
	if err != nil || len(warnings) != 1 {
		t.Errorf("got %q, %v", warnings, err)
	}
	if _, err := config.Check(file + ".missing"); err == nil {
		t.Error("a missing file is good")
	}
}
