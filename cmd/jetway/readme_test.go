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

// commandsOf returns the arguments of each "go run ./cmd/jetway …" that the
// README has between two texts.
func commandsOf(t *testing.T, from, to string) [][]string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(readme), from)
	text, _, ended := strings.Cut(text, to)
	if !ok || !ended {
		t.Fatalf("the README has no %q and then %q", from, to)
	}
	var commands [][]string
	word := regexp.MustCompile(`'[^']*'|\S+`)
	for _, m := range regexp.MustCompile("(?m)^go run ./cmd/jetway(.*)$").FindAllStringSubmatch(text, -1) {
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
	commands := commandsOf(t, "\n## Quick start\n", "\n### ")
	if len(commands) != 3 || len(commands[0]) != 0 || commands[1][0] != "sub" || commands[2][0] != "pub" {
		t.Fatalf("the quick start has changed: %q", commands)
	}
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	start := starter(ctx)
	server, problems, served := start(anyPort, commands[0])
	url := server.find(t, `clients +(ws://\S+)`)
	server.find(t, `page +http://`)
	server.find(t, `data +\./jetway-data \(sync: always`)
	server.find(t, `open to +everyone who reaches 127\.0\.0\.1`)

	env := []string{"JETWAY_URL=" + url}
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

// anyPort are variables for a server beside others.
var anyPort = []string{"JETWAY_LISTEN=127.0.0.1:0", "JETWAY_ADMIN_LISTEN=127.0.0.1:0", "JETWAY_NATS_EMBEDDED_LISTEN=127.0.0.1:0"}

// starter returns what starts a command, until ctx ends.
func starter(ctx context.Context) func(env, args []string) (out, problems *screen, code chan int) {
	return func(env, args []string) (*screen, *screen, chan int) {
		out, problems, code := newScreen(), newScreen(), make(chan int, 1)
		m := &Main{Stdin: strings.NewReader(""), Stdout: out, Stderr: problems, Env: env}
		go func() { code <- m.Run(ctx, args) }()
		return out, problems, code
	}
}

// TestReadmeJobs runs the very commands that the README shows of jobs.
func TestReadmeJobs(t *testing.T) {
	commands := commandsOf(t, "\n**Jobs.**", "A page that submits jobs")
	if len(commands) != 4 || commands[0][0] != "pub" || commands[1][0] != "work" || commands[2][0] != "sub" || commands[3][0] != "dead" {
		t.Fatalf("the README has changed: %q", commands)
	}
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	start := starter(ctx)
	server, problems, served := start(anyPort, nil)
	env := []string{"JETWAY_URL=" + server.find(t, `clients +(ws://\S+)`)}
	pub, _, published := start(env, commands[0])
	if code := <-published; code != exitDone {
		t.Errorf("pub: exit code %d", code)
	}
	pub.find(t, `jobs\.events\.resize\.1`)
	_, _, worked := start(env, commands[1])
	sub, _, subscribed := start(env, commands[2])
	sub.find(t, `(?s)"queued".*"active".*"done".*"data":\{"done":true\}`)
	_, _, listed := start(env, commands[3])
	if code := <-listed; code != exitDone {
		t.Errorf("dead ls: exit code %d", code)
	}
	stop()
	for what, code := range map[string]chan int{"work": worked, "sub": subscribed, "serve": served} {
		if c := <-code; c != exitDone {
			t.Errorf("%s: exit code %d: %s", what, c, problems.text.String())
		}
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
