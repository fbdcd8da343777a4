package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

const testSecret = "0123456789abcdef0123456789abcdef"

func TestTokenRefuses(t *testing.T) {
	secret := []string{"JETWAY_AUTH_JWT_SECRET=" + testSecret}
	for _, tt := range []struct {
		name, file string
		env, args  []string
		code       int
		stderr     string
	}{
		{name: "no user", env: secret, code: exitUsage, stderr: "--sub is missing"},
		{name: "no secret", args: []string{"--sub", "ann"}, code: exitFailed, stderr: "there is no secret to sign with"},
		{name: "short secret", env: []string{"JETWAY_AUTH_JWT_SECRET=hunter2"}, args: []string{"--sub", "ann"}, code: exitFailed, stderr: "auth.jwt.secret: has 7 bytes"},
		{name: "private key", env: []string{"JETWAY_AUTH_JWT_SECRET=-----BEGIN PRIVATE KEY-----hunter2"}, args: []string{"--sub", "ann"}, code: exitFailed, stderr: "auth.jwt.secret: is a PEM file"},
		{name: "a secret as flag", args: []string{"--sub", "ann", "--secret", testSecret}, code: exitUsage, stderr: "unknown flag: --secret"},
		{name: "a private key file", args: []string{"--sub", "ann", "--key", "private.pem"}, code: exitUsage, stderr: "unknown flag: --key"},
		{name: "issuer of its own", file: "auth: {jwt: {jwks_url: https://issuer.example/k}}", args: []string{"--sub", "ann"}, code: exitFailed, stderr: "not a configuration for development"},
		{name: "issuer beside a secret", file: "auth: {jwt: {jwks_url: https://issuer.example/k}}", env: secret, args: []string{"--sub", "ann"}, code: exitFailed, stderr: "not a configuration for development"},
		{name: "public keys beside a secret", file: "auth: {jwt: {public_key_file: jetway.yaml}}", env: secret, args: []string{"--sub", "ann"}, code: exitFailed, stderr: "not a configuration for development"},
		{name: "unknown role", env: secret, args: []string{"--sub", "ann", "--role", "usr"}, code: exitFailed, stderr: `there is no role "usr"`},
		{name: "long life", env: secret, args: []string{"--sub", "ann", "--ttl", "9999h"}, code: exitUsage, stderr: "is not between"},
		{name: "bad user", env: secret, args: []string{"--sub", "a\nb"}, code: exitFailed, stderr: `"sub" must be there`},
		{name: "bad filter", env: secret, args: []string{"--sub", "ann", "--pub", "a..b"}, code: exitFailed, stderr: "jetway.pub"},
		{name: "reserved", env: secret, args: []string{"--sub", "ann", "--sub-filter", "$JS.>"}, code: exitFailed, stderr: "reserved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, tt.file, tt.env, append([]string{"token"}, tt.args...)...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.stderr) || strings.Contains(stderr, "hunter2") || strings.Contains(stderr, testSecret) {
				t.Errorf("%d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

// A gateway that takes tokens, and clients that have one, another, and none.
func TestTokens(t *testing.T) {
	t.Chdir(t.TempDir())
	env := []string{"JETWAY_AUTH_JWT_SECRET=" + testSecret, "JETWAY_AUTH_JWT_AUDIENCE=jetway",
		`JETWAY_ROLES={"reader": {"sub": ["events.>"], "deny": {"sub": ["events.secret.>"]}}}`}
	ctx, stop := context.WithCancel(t.Context())
	server, errs := newScreen(), newScreen()
	served := make(chan int, 1)
	go func() {
		m := &Main{Stdout: server, Stderr: errs, Env: env}
		served <- m.Run(ctx, []string{"--listen", "127.0.0.1:0", "--admin.listen", "", "--nats.embedded.listen", ""})
	}()
	url := server.find(t, `clients +(ws://\S+)`)
	server.find(t, `tokens +of a secret`)
	command := func(token string, args ...string) (code int, stdout, stderr string) {
		var out, problems bytes.Buffer
		m := &Main{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &problems, Env: append([]string{"JETWAY_URL=" + url, "JETWAY_TOKEN=" + token}, env...)}
		code = m.Run(ctx, args)
		return code, out.String(), problems.String()
	}
	sign := func(args ...string) string {
		code, out, problems := command("", append([]string{"token"}, args...)...)
		if code != exitDone || strings.Count(out, ".") != 2 {
			t.Fatalf("%d, %q, %q", code, out, problems)
		}
		return strings.TrimSpace(out)
	}
	ann := sign("--sub", "ann", "--role", "reader", "--pub", "events.>")
	bob := sign("--sub", "bob", "--role", "reader")
	for _, tt := range []struct {
		name, token string
		args        []string
		code        int
		says        string
	}{
		{"may publish", ann, []string{"pub", "events.a", "1"}, exitDone, ""},
		{"may read", bob, []string{"sub", "events.a", "--from", "first", "--until", "now"}, exitDone, "events.a"},
		{"may not publish", bob, []string{"pub", "events.a", "1"}, exitFailed, "not allowed to publish"},
		{"denied", bob, []string{"sub", "events.secret.x", "--until", "now"}, exitFailed, "not allowed to subscribe"},
		{"without token", "", []string{"pub", "events.a", "1"}, exitFailed, "auth comes first"},
		{"told what to do", "", []string{"pub", "events.a", "1"}, exitFailed, "\nhint: set JETWAY_TOKEN"},
		{"with a bad one", ann + "x", []string{"pub", "events.a", "1"}, exitFailed, "401 Unauthorized\nhint: set JETWAY_TOKEN"},
		{"told what is allowed", bob, []string{"pub", "events.a", "1"}, exitFailed, "\nhint: "},
	} {
		code, out, problems := command(tt.token, tt.args...)
		if code != tt.code || !strings.Contains(out+problems, tt.says) {
			t.Errorf("%s: %d, %q, %q", tt.name, code, out, problems)
		}
	}
	stop()
	if code := <-served; code != exitDone {
		t.Errorf("serve: exit code %d: %s", code, errs.text.String())
	}
	if strings.Contains(errs.text.String(), ann[:30]) {
		t.Errorf("the token is in the log: %s", errs.text.String())
	}
}

// A service decides, over NATS; without an answer nobody is let in.
func TestCallout(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	server, errs := newScreen(), newScreen()
	served := make(chan int, 1)
	go func() {
		m := &Main{Stdout: server, Stderr: errs, Env: []string{"JETWAY_AUTH_CALLOUT=jetway.auth"}}
		served <- m.Run(ctx, []string{"--listen", "127.0.0.1:0", "--admin.listen", "", "--nats.embedded.listen", "127.0.0.1:0"})
	}()
	url := server.find(t, `clients +(ws://\S+)`)
	nc, err := nats.Connect(server.find(t, `nats +(nats://\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	publish := func(token string) (code int, problems string) {
		var errs bytes.Buffer
		m := &Main{Stdin: strings.NewReader(""), Stdout: new(bytes.Buffer), Stderr: &errs, Env: []string{"JETWAY_URL=" + url, "JETWAY_TOKEN=" + token}}
		return m.Run(ctx, []string{"pub", "events.a", "1"}), errs.String()
	}
	if code, problems := publish("ann's"); code != exitFailed || !strings.Contains(problems, "503") {
		t.Errorf("without a service: %d, %s", code, problems)
	}
	_, err = nc.Subscribe("jetway.auth", func(m *nats.Msg) {
		answer := `{"refuse":"who are you?"}`
		if strings.Contains(string(m.Data), `"token":"ann's"`) {
			answer = `{"user":"ann","permissions":{"pub":["events.>"]}}`
		}
		_ = m.Respond([]byte(answer)) // the gateway is there
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	if code, problems := publish("ann's"); code != exitDone {
		t.Errorf("ann: %d, %s", code, problems)
	}
	if code, problems := publish("bob's"); code != exitFailed || !strings.Contains(problems, "403") {
		t.Errorf("bob: %d, %s", code, problems)
	}
	stop()
	if code := <-served; code != exitDone {
		t.Errorf("serve: exit code %d: %s", code, errs.text.String())
	}
	if strings.Contains(errs.text.String(), "ann's") {
		t.Errorf("a token is in the log: %s", errs.text.String())
	}
}
