package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/gateway/native/client"
)

// workFlags are what work is told.
type workFlags struct {
	url    string
	exec   string
	max    int
	asJSON bool
}

func newWorkCmd(m *Main) *cobra.Command {
	var f workFlags
	cmd := &cobra.Command{
		Use:   "work QUEUE",
		Short: "Take jobs from a queue, and run a command for each",
		Long: `Take jobs from a queue, and run a command for each. QUEUE is the subject that
the jobs are published on. When the connection is lost, it comes back as soon as
it can.

The command gets the job's payload on standard input, and JETWAY_SUBJECT,
JETWAY_TRY (from 1) and JETWAY_POS (the same for each try) in its environment.
What becomes of the job is said by its exit code:

  0      done; what it printed on standard output, at most 256KiB, is the result
  75     to be tried again (EX_TEMPFAIL), after the pause of the queue
  other  failed: to be tried again, with the last line of standard error as the
         reason; after too many tries the job is a dead letter ("jetway dead")

The lease is extended while it runs. If the lease is lost all the same, the
command and what it has started get SIGTERM, and SIGKILL 5s later: somebody else
may have the job already. SIGINT and SIGTERM let what runs finish, and no new
jobs are taken; a second one ends jetway at once, but not its commands. A job
may be done twice, so a command should not mind.

For each job a line is printed that says what became of it. Without --exec each
job is printed, and is done by that: it is gone from the queue. What happens to
jobs can be seen without taking any: "jetway sub 'jobs.events.>'".`,
		Example: `  jetway work jobs.resize --exec ./resize.sh --max 4
  jetway work jobs.mail --exec 'jq -r .to | xargs -n1 ./send-mail'
  jetway work jobs.report --json >> reports.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.url = cmd.Flag("url").Value.String()
			if f.max < 1 {
				return usagef(cmd, "--max %d: write how many jobs to do at a time, 1 or more", f.max)
			}
			if f.exec == "" && cmd.Flags().Changed("exec") {
				return usagef(cmd, "--exec is empty: write a command, or leave it out to print the jobs")
			}
			return m.work(cmd.Context(), f, args[0])
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().StringVar(&f.exec, "exec", "", "command for each job, run by sh -c")
	cmd.Flags().IntVar(&f.max, "max", 1, "how many jobs at a time")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object for each job")
	return cmd
}

func (m *Main) work(ctx context.Context, f workFlags, queue string) error {
	w := &jobWorker{main: m, flags: f}
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.fail = cancel
	defer context.AfterFunc(ctx, w.finishing)()
	err := client.Work(working, f.url, client.Options{Token: m.accessToken(), OnRetry: m.saysRetry, OnExpiring: m.saysExpiring}, queue, client.WorkOptions{Max: f.max, OnLost: w.lost}, w.do)
	if ctx.Err() != nil {
		return nil // asked to stop, and all is finished
	}
	return err
}

// jobWorker does jobs, several at a time.
type jobWorker struct {
	main  *Main
	flags workFlags
	fail  context.CancelCauseFunc // ends the work with an error

	running atomic.Int32
	mu      sync.Mutex // one line at a time
}

// do does one job.
func (w *jobWorker) do(held context.Context, j *client.Job) client.Outcome {
	w.running.Add(1)
	defer w.running.Add(-1)
	if w.flags.exec == "" {
		return w.take(j)
	}
	started := time.Now()
	run := execution{shell: w.flags.exec, env: w.main.Env, stderr: w.main.Stderr, grace: killAfter}
	r := run.do(held, j)
	if held.Err() != nil {
		return client.Outcome{} // it does not count, and lost says so
	}
	if err := w.print(jobLine{Subject: j.Subject, Pos: j.Pos, Try: j.Try, Did: r.did, Why: r.why, Took: time.Since(started)}); err != nil {
		w.fail(err) // the job itself has an outcome
	}
	return r.outcome()
}

// take is for jobs without a command: those that are printed are done.
func (w *jobWorker) take(j *client.Job) client.Outcome {
	if err := w.print(jobLine{Subject: j.Subject, Pos: j.Pos, Try: j.Try, Head: headMap(j.Head), Data: j.Data, B64: j.Binary}); err != nil {
		w.fail(err)
		return client.TryAgain(time.Millisecond, "it could not be printed")
	}
	return client.Done(nil)
}

// lost says that a job's outcome does not count.
func (w *jobWorker) lost(j *client.Job, err error) {
	fmt.Fprintf(w.main.Stderr, "%s %s: what became of it does not count, it may be done again: %v\n", j.Subject, j.Pos, err)
}

func (w *jobWorker) finishing() {
	if n := w.running.Load(); n > 0 {
		fmt.Fprintf(w.main.Stderr, "finishing what has begun (%d); a second signal ends at once\n", n)
	}
}

// jobLine is what is printed of a job: itself, or what became of it.
type jobLine struct {
	Subject string            `json:"job"`
	Pos     string            `json:"pos"`
	Try     int               `json:"try"`
	Head    map[string]string `json:"head,omitempty"`
	Data    json.RawMessage   `json:"data,omitempty"`
	B64     []byte            `json:"b64,omitempty"`

	Did  string        `json:"did,omitempty"` // the verb: ack, nak or term
	Why  string        `json:"why,omitempty"`
	Took time.Duration `json:"-"`
}

func (w *jobWorker) print(l jobLine) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.main.Stdout
	switch {
	case w.flags.asJSON:
		return json.NewEncoder(out).Encode(l)
	case l.Did == "" && l.Data != nil:
		_, err = fmt.Fprintf(out, "%s %s\n", l.Subject, l.Data)
	case l.Did == "":
		b64, _ := json.Marshal(l.B64) // bytes always marshal, as base64 in quotes
		_, err = fmt.Fprintf(out, "%s %s\n", l.Subject, b64[1:len(b64)-1])
	default:
		_, err = fmt.Fprintf(out, "%s %s %s, try %d, after %s%s\n", l.Subject, l.Pos, didText[l.Did], l.Try,
			l.Took.Round(time.Millisecond), prefixed(": ", printable(l.Why)))
	}
	return err
}

var didText = map[string]string{didAck: "done", didNak: "failed", didTerm: "given up"}

// prefixed is a text with something before it, or nothing.
func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
