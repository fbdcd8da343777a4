package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// serving is "jetway serve" while a test runs.
type serving struct {
	out, errs *screen
	end       func() int
}

func startServe(t *testing.T, env []string, args ...string) *serving {
	t.Helper()
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	s := &serving{out: newScreen(), errs: newScreen()}
	served := make(chan int, 1)
	go func() {
		m := &Main{Stdout: s.out, Stderr: s.errs, Env: env}
		served <- m.Run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--nats.embedded.listen", ""}, args...))
	}()
	s.end = func() int {
		stop()
		return <-served
	}
	return s
}

// H06: nothing that a gateway says, to its operator or to anyone who asks, has
// a secret of its configuration in it; nor have the other commands.
func TestH06(t *testing.T) {
	const secret = "hunter2-0123456789abcdef0123456789"
	env := []string{"JETWAY_AUTH_JWT_SECRET=" + secret, "JETWAY_AUTH_QUERY=access_token", "JETWAY_HUNTER=hunter2"}
	s := startServe(t, env, "--admin.listen", "127.0.0.1:0")
	clients := s.out.find(t, `socket.io +(http://\S+?)/socket.io/`)
	metrics := s.out.find(t, `metrics +(http://\S+)/metrics`)
	var said strings.Builder
	for _, address := range []string{clients, metrics} {
		for _, path := range []string{"/", "/ws?access_token=hunter2.a.b", "/livez", "/readyz", "/metrics", "/config", "/debug/pprof/cmdline", "/debug/vars",
			"/socket.io/?EIO=4&transport=polling&access_token=hunter2", "/socket.io/?EIO=4&transport=polling&access_token=hunter2&access_token=hunter2"} {
			answer, err := http.Get(address + path)
			if err != nil {
				t.Fatal(err)
			}
			if err := answer.Write(&said); err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		}
	}
	if code := s.end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	file := "auth: {jwt: {secret: " + secret + "}, query: access_token}\nnats: {url: \"nats://bob:hunter2@h:4222\"}\n"
	for _, args := range [][]string{{"config"}, {"config", "--listen", ":80"}, {"check"}, {"check", "--config", "jetway.yaml"}, {"token"}, {"token", "--sub", "a", "--role", "none"},
		{"config", "--auth.jwt.secret"}, {"config", "--auth.jwt.secrte=hunter2"}, {"config", "--auth.jwt.secret=hunter2"}, {"config", "--drain=x"}, {"--help"}, {"serve", "--help"}, {"serve", "--drain=x"}} {
		_, stdout, stderr := run(t, file, nil, args...)
		said.WriteString(stdout + stderr)
	}
	said.WriteString(s.out.text.String() + s.errs.text.String())
	if i := strings.Index(said.String(), "hunter2"); i >= 0 {
		t.Errorf("a secret is told: …%s", said.String()[max(0, i-300):i+7])
	}
	for _, want := range []string{"secret: '***'", "nats://bob:***@h:4222", "tokens    of a secret", "jetway.yaml is good"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nobody said %q", want)
		}
	}
}

// H04: a gateway does not start with its admin listener where strangers are.
func TestH04(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "203.0.113.9:0"} {
		code, stdout, stderr := run(t, "", nil, "serve", "--listen", "127.0.0.1:0", "--nats.embedded.listen", "", "--admin.listen", address)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "--admin.listen: ") || !strings.Contains(stderr, "may be reached by anyone") {
			t.Errorf("%s: %d, %q, %q", address, code, stdout, stderr)
		}
	}
}

// What check warns of, serve logs, and development mode is not silent.
func TestServeWarns(t *testing.T) {
	s := startServe(t, []string{"JETWAY_ALLOWED_ORIGINS=*", "JETWAY_NATS_EMBEDDED_SYNC=1m"}, "--admin.listen", "")
	s.out.find(t, `clients +(ws://\S+)`)
	s.errs.find(t, `(DEVELOPMENT MODE): no token is needed, everyone who reaches this address may read and write everything`)
	if code := s.end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{`level=WARN msg="JETWAY_ALLOWED_ORIGINS: allowed_origins: with`, `level=WARN msg="JETWAY_NATS_EMBEDDED_SYNC: nats.embedded.sync: with 1m, a power cut`} {
		if !strings.Contains(s.errs.text.String(), want) {
			t.Errorf("no %s in\n%s", want, s.errs.text.String())
		}
	}
	s = startServe(t, []string{"JETWAY_AUTH_JWT_SECRET=" + testSecret}, "--admin.listen", "")
	s.out.find(t, `clients +(ws://\S+)`)
	if code := s.end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(s.errs.text.String(), "DEVELOPMENT") {
		t.Errorf("with tokens it says %s", s.errs.text.String())
	}
}

// Warnings do not fail a check: they are for who reads them.
func TestCheckWarns(t *testing.T) {
	const file = "listen: :8080\nallowed_origins: [\"*\"]\nauth: {anonymous: dev}\nnats: {embedded: {listen: 0.0.0.0:4222, sync: 1s}}\nadmin: {listen: 10.0.0.1:8081}\n"
	code, stdout, stderr := run(t, file, nil, "check")
	if code != exitDone || stderr != "" || !strings.HasSuffix(stdout, "jetway.yaml is good\n") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	for _, key := range []string{"auth.anonymous", "allowed_origins", "tls.cert", "nats.embedded.listen", "nats.embedded.sync", "admin.listen"} {
		if !strings.Contains(stdout, " "+key+": ") || strings.Count(stdout, "warning: ") != 6 {
			t.Errorf("%s: %s", key, stdout)
		}
	}
	var out bytes.Buffer
	if err := os.WriteFile("other.yaml", []byte("drain: x"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Main{Stdout: &out, Stderr: io.Discard}
	if code := m.Run(t.Context(), []string{"check", "--config", "other.yaml"}); code != exitFailed || out.Len() > 0 {
		t.Errorf("an error: %d, %s", code, out.String())
	}
}
