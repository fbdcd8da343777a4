package main

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestQueueFromAShell goes the way of a job with the very commands: published,
// done, and given up, requeued and dropped.
func TestQueueFromAShell(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	start := func(ctx context.Context, args ...string) (*screen, *screen, chan int) {
		out, problems, code := newScreen(), newScreen(), make(chan int, 1)
		m := &Main{Stdin: strings.NewReader(""), Stdout: out, Stderr: problems, Env: os.Environ()}
		go func() { code <- m.Run(ctx, args) }()
		return out, problems, code
	}
	jetway := func(args ...string) string {
		t.Helper()
		out, problems, code := start(ctx, args...)
		if c := <-code; c != exitDone {
			t.Fatalf("%q: exit code %d: %s", args, c, problems.text.String())
		}
		return out.text.String()
	}

	server, _, served := start(ctx, "--listen", "127.0.0.1:0", "--admin.listen", "", "--nats.embedded.listen", "",
		"--queues.max_tries", "2", "--queues.backoff", "1ms")
	t.Setenv("JETWAY_URL", server.find(t, `clients +(ws://\S+)`))

	watch := regexp.MustCompile(`watch it on (jobs\.events\.r\.1)\)`)
	if out := jetway("pub", "jobs.r", `{"w":1}`); !watch.MatchString(out) {
		t.Errorf("published %q", out)
	}
	working, end := context.WithCancel(ctx)
	worker, problems, worked := start(working, "work", "jobs.r", "--exec", `test $JETWAY_POS != "" && cat && test $JETWAY_TRY = 1 || { echo bad luck >&2; exit 1; }`)
	worker.find(t, `jobs\.r \S+-1 done, try 1`)
	end()
	if c := <-worked; c != exitDone {
		t.Errorf("work: exit code %d: %s", c, problems.text.String())
	}
	if out := jetway("sub", "jobs.events.r.1", "--from", "first", "--until", "now"); !strings.Contains(out, `{"w":1}`) {
		t.Errorf("the result is not among %s", out)
	}

	jetway("pub", "jobs.r", `2`)
	working, end = context.WithCancel(ctx)
	worker, _, worked = start(working, "work", "jobs.r", "--exec", "echo bad luck >&2; exit 1")
	worker.find(t, `jobs\.r \S+-2 failed, try 2, after .*: bad luck`)
	end()
	<-worked
	line := regexp.MustCompile(`^(\S+)  \S+  jobs\.r  tries 2  .*bad luck\n$`).FindStringSubmatch(jetway("dead", "ls", "jobs.r"))
	if line == nil {
		t.Fatalf("the dead letters are %q", jetway("dead", "ls"))
	}
	if out := jetway("dead", "show", line[1]); !strings.Contains(out, "worker   anonymous\n") || !strings.HasSuffix(out, "\n\n2\n") {
		t.Errorf("shown as %q", out)
	}
	if out := jetway("dead", "requeue", line[1]); !strings.Contains(out, "watch it on jobs.events.r.3") {
		t.Errorf("requeued %q", out)
	}
	working, end = context.WithCancel(ctx)
	worker, _, worked = start(working, "work", "jobs.r")
	worker.find(t, `jobs\.r 2\n`)
	end()
	<-worked
	if out := jetway("dead", "ls"); out != "" {
		t.Errorf("dead letters are left: %s", out)
	}
	stop()
	if c := <-served; c != exitDone {
		t.Errorf("serve: exit code %d", c)
	}
}
