package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/native/client"
)

const (
	maxResultBytes = 256 << 10       // a command that prints without end must not fill the memory
	maxWhyBytes    = 500             // of the last line of standard error
	exitTempFail   = 75              // EX_TEMPFAIL of sysexits.h: try again later
	killAfter      = 5 * time.Second // the help of "work" says so
)

// What can become of a job, by the verbs of the protocol.
const (
	didAck  = "ack"
	didNak  = "nak"
	didTerm = "term"
)

// execution runs the command of jobs.
type execution struct {
	shell  string        // for sh -c
	env    []string      // the command's, besides what it is told of the job
	stderr io.Writer     // what it says to people
	grace  time.Duration // between SIGTERM and SIGKILL, and for output after the command's end
}

// result is what became of a job.
type result struct {
	did  string
	why  string
	data []byte // nil when the command printed nothing
}

func (r result) outcome() client.Outcome {
	switch r.did {
	case didAck:
		return client.Done(r.data)
	case didTerm:
		return client.GiveUp(r.why)
	}
	return client.TryAgain(0, r.why)
}

// do runs the command for one job. It has a process group of its own: Ctrl-C
// reaches this program alone, which lets the command finish. When held ends,
// the group is killed.
func (e execution) do(held context.Context, j *client.Job) result {
	out, last := &bounded{max: maxResultBytes}, &lastLine{}
	cmd := exec.CommandContext(held, "sh", "-c", e.shell)
	cmd.Env = append(append([]string{}, e.env...), "JETWAY_SUBJECT="+j.Subject, fmt.Sprintf("JETWAY_TRY=%d", j.Try), "JETWAY_POS="+j.Pos)
	cmd.Stdin = bytes.NewReader(j.Payload())
	cmd.Stdout = out
	cmd.Stderr = io.MultiWriter(last, e.stderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = e.grace
	err := cmd.Run()
	if held.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of the group, if anything
	}
	return resultOf(err, out, last)
}

func resultOf(err error, out *bounded, last *lastLine) result {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has left something behind that holds its output open
	case errors.As(err, &exit) && exit.ExitCode() == exitTempFail:
		return result{did: didNak, why: "try again"}
	}
	if err != nil {
		why := last.String()
		if why == "" {
			why = err.Error() // "exit status 3", "signal: killed"
		}
		return result{did: didNak, why: why}
	}
	if out.over {
		return result{did: didTerm, why: fmt.Sprintf("the command has succeeded, but its result is larger than %s", config.FormatSize(maxResultBytes))}
	}
	r := result{did: didAck}
	if len(bytes.TrimSpace(out.buf)) > 0 {
		r.data = asPayload(out.buf)
	}
	return r
}

// bounded keeps the beginning of what is written. The buffer is not embedded:
// io.Copy would find its ReadFrom, which has no bound.
type bounded struct {
	buf  []byte
	max  int
	over bool // there was more
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-len(b.buf))
	b.over = b.over || keep < len(p)
	b.buf = append(b.buf, p[:keep]...)
	return len(p), nil
}

// lastLine keeps the beginning of the last line that is not blank.
type lastLine struct {
	line, current []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			l.end()
		case len(l.current) < maxWhyBytes:
			l.current = append(l.current, c)
		}
	}
	return len(p), nil
}

func (l *lastLine) end() {
	if len(bytes.TrimSpace(l.current)) > 0 {
		l.line, l.current = l.current, l.line
	}
	l.current = l.current[:0]
}

// String is the line as it can stand in a reason.
func (l *lastLine) String() string {
	l.end()
	return printable(strings.TrimSpace(strings.ToValidUTF8(string(l.line), "")))
}
