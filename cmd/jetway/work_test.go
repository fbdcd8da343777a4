package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// jobFrame is a job whose payload is also its lease; payload is JSON.
func jobFrame(payload string) string {
	return fmt.Sprintf(`{"job":"jobs.r","sid":"w1","lease":%s,"try":2,"for":"30s","pos":"q-7","data":%s}`, quote(payload), payload)
}

// work runs "jetway work" against a gateway that gives it one job at a time,
// and returns how each was settled, in order.
func work(t *testing.T, jobs []string, args ...string) (settled []string, code int, stdout, stderr string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	g := newFakeGateway(t, func(p *fakePeer) {
		next := 0
		p.answer(func(f *native.Frame) []string {
			answer := []string{`{"ok":%s,"sid":"w1"}`}
			switch f.Verb {
			case native.VerbAck, native.VerbNak, native.VerbTerm:
				settled = append(settled, frameText(f))
			case native.VerbWork:
			default:
				return answer
			}
			if next == len(jobs) {
				stop()
				return answer
			}
			next++
			return append(answer, jobs[next-1])
		})
	})
	out, errs := newScreen(), newScreen()
	m := &Main{Stdout: out, Stderr: errs, Env: append(os.Environ(), "JETWAY_URL="+g.url)}
	code = m.Run(ctx, append([]string{"work", "jobs.r"}, args...))
	<-g.ended
	return settled, code, out.text.String(), errs.text.String()
}

// What becomes of a job is said by the command.
func TestWorkExec(t *testing.T) {
	for name, tt := range map[string]struct {
		payload, exec string
		want          string // how it is settled; the lease is left out
		stdout        string // what is printed of it; "" is not looked at
	}{
		"JSON result":       {`{"a": 1}`, "cat", `ack {"a": 1}`, "jobs.r q-7 done, try 2, after "},
		"text result":       {`1`, `printf 'a "b"\n\n'`, `ack "a \"b\""`, ""},
		"bytes result":      {`1`, `printf '\377\001'`, "ack \xff\x01", ""},
		"no result":         {`1`, "echo; cat > /dev/null", "ack", ""},
		"told of the job":   {`1`, `echo "[\"$JETWAY_SUBJECT\",$JETWAY_TRY,\"$JETWAY_POS\"]"`, `ack ["jobs.r",2,"q-7"]`, ""},
		"the lease is not":  {`"sesame"`, `cat >/dev/null; env | grep -c sesame || true`, `ack 0`, ""},
		"does not read":     {`"` + strings.Repeat("x", 100_000) + `"`, "true", "ack", ""},
		"to be tried again": {`1`, "echo busy >&2; exit 75", "nak: try again", "jobs.r q-7 failed, try 2, after "},
		"failed":            {`1`, "echo one >&2; printf 'two\\n \\n' >&2; exit 3", "nak: two", ": two\n"},
		"failed in silence": {`1`, "exit 3", "nak: exit status 3", ""},
		"failed in colour":  {`1`, `printf '\033[31mred\n' >&2; exit 3`, "nak: ?[31mred", ": ?[31mred\n"},
		"failed at length":  {`1`, `head -c 5000 /dev/zero | tr '\0' x >&2; exit 3`, "nak: " + strings.Repeat("x", 500), ""},
		"killed":            {`1`, "kill -9 $$", "nak: signal: killed", ""},
		"result too large":  {`1`, "head -c 262145 /dev/zero | tr '\\0' x", "term: the command has succeeded, but its result is larger than 256KiB", "given up"},
		"result just fits":  {`1`, "head -c 262142 /dev/zero | tr '\\0' x", `ack "` + strings.Repeat("x", 262142) + `"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			settled, code, stdout, stderr := work(t, []string{jobFrame(tt.payload)}, "--exec", tt.exec)
			if code != exitDone || len(settled) != 1 {
				t.Fatalf("exit code %d, settled %q, %s", code, settled, stderr)
			}
			if got := strings.Replace(settled[0], " "+tt.payload, "", 1); got != tt.want {
				t.Errorf("got  %.200q\nwant %.200q", got, tt.want)
			}
			if !strings.Contains(stdout, tt.stdout) {
				t.Errorf("printed %q, want %q", stdout, tt.stdout)
			}
		})
	}
}

func TestWorkExecJSON(t *testing.T) {
	settled, code, stdout, stderr := work(t, []string{jobFrame(`1`), jobFrame(`2`)}, "--exec", "read n; echo no >&2; test $n = 1", "--json")
	want := `{"job":"jobs.r","pos":"q-7","try":2,"did":"ack"}` + "\n" + `{"job":"jobs.r","pos":"q-7","try":2,"did":"nak","why":"no"}` + "\n"
	if code != exitDone || stdout != want || !slices.Equal(settled, []string{"ack 1", "nak 2: no"}) {
		t.Errorf("exit code %d, settled %q, printed\n%s%s", code, settled, stdout, stderr)
	}
}

// Without a command, a job is done when it is printed, and not before.
func TestWorkPrints(t *testing.T) {
	jobs := []string{jobFrame(`{"a": 1}`), `{"job":"jobs.r","sid":"w1","lease":"L","try":1,"for":"30s","pos":"q-8","head":{"A":"b"},"b64":"/w=="}`}
	settled, code, stdout, _ := work(t, jobs)
	if code != exitDone || stdout != "jobs.r {\"a\": 1}\njobs.r /w==\n" || !slices.Equal(settled, []string{`ack {"a": 1}`, "ack L"}) {
		t.Errorf("exit code %d, settled %q, printed %q", code, settled, stdout)
	}
	_, _, stdout, _ = work(t, jobs, "--json")
	want := `{"job":"jobs.r","pos":"q-7","try":2,"data":{"a":1}}` + "\n" + `{"job":"jobs.r","pos":"q-8","try":1,"head":{"A":"b"},"b64":"/w=="}` + "\n"
	if stdout != want {
		t.Errorf("printed %s", stdout)
	}
}

// brokenPipe is a standard output that nobody reads any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestWorkGivesBackWhatCannotBePrinted(t *testing.T) {
	var settled []string
	g := newFakeGateway(t, func(p *fakePeer) {
		p.answer(func(f *native.Frame) []string {
			settled = append(settled, frameText(f))
			if f.Verb == native.VerbWork {
				return []string{`{"ok":%s,"sid":"w1"}`, jobFrame("1")}
			}
			return []string{`{"ok":%s}`}
		})
	})
	m := &Main{Stdout: brokenPipe{}, Stderr: newScreen(), Env: []string{"JETWAY_URL=" + g.url}}
	if code := m.Run(t.Context(), []string{"work", "jobs.r"}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	<-g.ended
	if !slices.Contains(settled, "nak 1: it could not be printed") {
		t.Errorf("settled %q", settled)
	}
}

// fifo is a pipe with a name, that a command can wait on.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A signal lets the command finish, and its result counts.
func TestWorkFinishes(t *testing.T) {
	begun, goOn := fifo(t), fifo(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said []string
	g := newFakeGateway(t, func(p *fakePeer) {
		p.answer(func(f *native.Frame) []string {
			if f.Verb != native.VerbWip { // from a machine that takes long
				said = append(said, frameText(f))
			}
			switch f.Verb {
			case native.VerbWork:
				return []string{`{"ok":%s,"sid":"w1"}`, jobFrame("1")}
			case native.VerbOff: // now it may end
				if err := os.WriteFile(goOn, []byte("\n"), 0); err != nil {
					t.Error(err)
				}
			}
			return []string{`{"ok":%s}`}
		})
	})
	errs, code := newScreen(), make(chan int)
	m := &Main{Stdout: newScreen(), Stderr: errs, Env: []string{"JETWAY_URL=" + g.url, "PATH=" + os.Getenv("PATH")}}
	go func() {
		code <- m.Run(ctx, []string{"work", "jobs.r", "--exec", "echo x > " + begun + "; read x < " + goOn + "; echo 7"})
	}()
	if _, err := os.ReadFile(begun); err != nil {
		t.Fatal(err)
	}
	stop()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d", c)
	}
	<-g.ended
	errs.find(t, `finishing what has begun \(1\)`)
	if want := []string{"work jobs.r", "off w1", "ack 1 7"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// A lost lease ends the command and all that it has started, in the end by
// force; it has a process group of its own.
func TestWorkKillsTheGroup(t *testing.T) {
	for name, before := range map[string]string{"gently": "", "by force": "trap '' TERM; "} {
		t.Run(name, func(t *testing.T) {
			alive := fifo(t)
			held, cancel := context.WithCancelCause(t.Context())
			done := make(chan result, 1)
			e := execution{
				shell: before + "exec 3> " + alive + "; sleep 1000 & echo $$ >&3; wait; wait; sleep 1000", stderr: newScreen(),
				env: []string{"PATH=" + os.Getenv("PATH")}, grace: 100 * time.Millisecond,
			}
			go func() { done <- e.do(held, &client.Job{}) }()
			f, err := os.Open(alive)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var pid int
			if _, err := fmt.Fscanln(f, &pid); err != nil {
				t.Fatal(err)
			}
			if group, err := syscall.Getpgid(pid); err != nil || group != pid {
				t.Errorf("its group is %d, %v", group, err)
			}
			cancel(&bridge.Error{Code: bridge.CodeLeaseLost})
			<-done
			// Each process has the pipe open: it ends when the last one does.
			if _, err := io.ReadAll(f); err != nil {
				t.Error(err)
			}
		})
	}
}

// The result of a command whose lease was lost is dropped, and people are told.
func TestWorkLostLease(t *testing.T) {
	begun := fifo(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said []string
	g := newFakeGateway(t, func(p *fakePeer) {
		p.send(strings.Replace(`{"ok":%s,"sid":"w1"}`, "%s", p.recv().ID, 1), jobFrame("1"))
		if _, err := os.ReadFile(begun); err != nil {
			t.Error(err)
		}
		p.send(`{"lost":"1","why":"the queue was purged"}`)
		p.answer(func(f *native.Frame) []string {
			if f.Verb != native.VerbWip { // from a machine that takes long
				said = append(said, frameText(f))
			}
			return []string{`{"ok":%s}`}
		})
	})
	errs, code := newScreen(), make(chan int)
	m := &Main{Stdout: newScreen(), Stderr: errs, Env: []string{"JETWAY_URL=" + g.url, "PATH=" + os.Getenv("PATH")}}
	go func() { code <- m.Run(ctx, []string{"work", "jobs.r", "--exec", "echo x > " + begun + "; sleep 1000"}) }()
	errs.find(t, `jobs\.r q-7: what became of it does not count, it may be done again: lease_lost: the lease has ended: the queue was purged`)
	stop()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d", c)
	}
	<-g.ended
	if want := []string{"off w1"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}
