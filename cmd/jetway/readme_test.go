package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen collects what a command prints, for a test that watches it.
type screen struct {
	mu      sync.Mutex
	changed sync.Cond
	text    bytes.Buffer
}

func newScreen() *screen {
	s := &screen{}
	s.changed.L = &s.mu
	return s
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
	return s.text.Write(b)
}

// find waits for a match and returns its first group, or all of it.
func (s *screen) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(30 * time.Second)
	timer := time.AfterFunc(30*time.Second, func() { s.mu.Lock(); defer s.mu.Unlock(); s.changed.Broadcast() })
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if m := re.FindStringSubmatch(s.text.String()); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q in:\n%s", pattern, s.text.String())
		}
		s.changed.Wait()
	}
}

// quickStart returns the arguments of the README's "go run ./cmd/jetway …".
func quickStart(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	word := regexp.MustCompile(`'[^']*'|\S+`)
	for _, m := range regexp.MustCompile("(?m)^go run ./cmd/jetway(.*)$").FindAllStringSubmatch(string(text), -1) {
		var args []string
		for _, w := range word.FindAllString(m[1], -1) {
			args = append(args, strings.Trim(w, "'"))
		}
		commands = append(commands, args)
	}
	return commands
}

// TestReadmeQuickStart runs the very commands of the README's quick start: the
// server, a subscriber, a publisher. Only the ports differ, by variables.
func TestReadmeQuickStart(t *testing.T) {
	commands := quickStart(t)
	if len(commands) != 3 || len(commands[0]) != 0 || commands[1][0] != "sub" || commands[2][0] != "pub" {
		t.Fatalf("the quick start has changed: %q", commands)
	}
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	start := func(env []string, args []string) (*screen, *screen, chan int) {
		out, problems, code := newScreen(), newScreen(), make(chan int, 1)
		m := &Main{Stdin: strings.NewReader(""), Stdout: out, Stderr: problems, Env: env}
		go func() { code <- m.Run(ctx, args) }()
		return out, problems, code
	}
	env := []string{"JETWAY_LISTEN=127.0.0.1:0", "JETWAY_ADMIN_LISTEN=127.0.0.1:0", "JETWAY_NATS_EMBEDDED_LISTEN=127.0.0.1:0"}
	server, problems, served := start(env, commands[0])
	url := server.find(t, `clients +(ws://\S+)`)
	server.find(t, `page +http://`)
	server.find(t, `data +\./jetway-data \(sync: always`)
	server.find(t, `open to +everyone who reaches 127\.0\.0\.1`)

	env = []string{"JETWAY_URL=" + url}
	subscriber, _, subscribed := start(env, commands[1])
	publisher, _, published := start(env, commands[2])
	if code := <-published; code != exitDone {
		t.Errorf("pub: exit code %d", code)
	}
	publisher.find(t, `^[a-z0-9]+-1\n$`)
	subscriber.find(t, `^events\.demo \{"hello":"world"\}\n$`)

	// A new subscriber gets it too, and --until ends it.
	again, _, done := start(env, []string{"sub", "events.>", "--from", "first", "--until", "now", "--json"})
	if code := <-done; code != exitDone {
		t.Errorf("sub: exit code %d", code)
	}
	again.find(t, `"data":\{"hello":"world"\}`)

	stop()
	if code := <-subscribed; code != exitDone {
		t.Errorf("sub: exit code %d", code)
	}
	if code := <-served; code != exitDone {
		t.Errorf("serve: exit code %d: %s", code, problems.text.String())
	}
}

// TestPubRefused: what the server refuses is an error with a hint, exit code 1.
func TestPubRefused(t *testing.T) {
	out := newScreen()
	m := &Main{Stdin: strings.NewReader(""), Stdout: out, Stderr: out, Env: []string{"JETWAY_URL=ws://127.0.0.1:1/ws"}}
	if code := m.Run(t.Context(), []string{"pub", "events.a", "1"}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	out.find(t, "jetway: .*127.0.0.1:1")
	if code := m.Run(t.Context(), []string{"pub"}); code != exitUsage {
		t.Errorf("exit code %d without a subject", code)
	}
}
