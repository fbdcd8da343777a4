package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// SIGHUP takes roles, keys, limits and origins, all or nothing, for those who
// are connected, too.
func TestReload(t *testing.T) {
	t.Chdir(t.TempDir())
	const base = "listen: 127.0.0.1:0\nadmin: {listen: \"\"}\nnats: {embedded: {listen: \"\"}}\nauth: {jwt: {secret: " + testSecret + "}"
	write := func(rest string) {
		t.Helper()
		if err := os.WriteFile("jetway.yaml", []byte(base+rest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(", anonymous: user}\nroles: {a: {pub: [events.a], sub: [events.>]}}\n")
	hangup := make(chan os.Signal)
	ctx, stop := context.WithCancel(t.Context())
	server, log := newScreen(), newScreen()
	served := make(chan int, 1)
	go func() {
		m := &Main{Stdout: server, Stderr: log, Hangup: func() <-chan os.Signal { return hangup }}
		served <- m.Run(ctx, nil)
	}()
	url := server.find(t, `clients +(ws://\S+)`)
	code, out, problems := runHere(ctx, "token", "--sub", "ann", "--role", "a")
	if code != exitDone {
		t.Fatal(problems)
	}
	ann := dialTest(t, url, strings.TrimSpace(out))
	nobody := dialTest(t, url, "")
	sub, err := ann.Subscribe(ctx, "events.>", client.SubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	publishes := func(subject string, ok bool) {
		t.Helper()
		_, err := ann.Publish(ctx, subject, []byte("1"), client.PubOptions{})
		if (err == nil) != ok || !ok && !errors.Is(err, &bridge.Error{Code: bridge.CodeForbidden}) {
			t.Errorf("publish to %s: %v", subject, err)
		}
	}
	publishes("events.a", true)
	publishes("events.b", false)

	write(", anonymous: user}\nroles: {a: {pub: [events..b]}}\n")
	hangup <- syscall.SIGHUP
	log.find(t, `nothing has changed.*jetway.yaml:5: roles.a.pub`)
	publishes("events.a", true)

	write("}\nroles: {a: {pub: [events.b], sub: [events.b]}}\nlimits: {max_clients: 1}\ndrain: 9s\n")
	hangup <- syscall.SIGHUP
	log.find(t, `was reloaded" changed="auth.anonymous roles limits.max_clients" "waits for a restart"=drain`)
	publishes("events.a", false)
	publishes("events.b", true)
	for { // the subscription is wider than the rights are now
		m, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Why == "revoked" {
			break
		}
	}
	<-nobody.Done() // may not be here without a token any more
	if _, err := client.Dial(ctx, url, client.Options{Token: strings.TrimSpace(out)}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("over the new limit: %v", err)
	}
	stop()
	if code := <-served; code != exitDone {
		t.Errorf("serve: exit code %d: %s", code, log.text.String())
	}
	if strings.Contains(log.text.String(), testSecret) {
		t.Error("the secret is in the log")
	}
}

// runHere runs a command in the working directory.
func runHere(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	out, errs := newScreen(), newScreen()
	code = (&Main{Stdin: strings.NewReader(""), Stdout: out, Stderr: errs}).Run(ctx, args)
	return code, out.text.String(), errs.text.String()
}

func dialTest(t *testing.T, url, token string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), url, client.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
