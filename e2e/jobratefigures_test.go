package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// jobRates is what TestJobRatesFull measures.
type jobRates struct {
	runs    int
	workers []int // of the backlog
	jobs    []int // for each of workers
	idle    []int // workers that wait for single jobs
	single  int   // jobs one at a time
}

var jobsFull = jobRates{runs: 9, workers: []int{1, 10, 100}, jobs: []int{400, 1500, 3000}, idle: []int{1, 100}, single: 200}

var jobPrograms = []struct {
	name string
	make func(t testing.TB, n *node, js natsjs.JetStream, name string) jobProgram
}{
	{"Jetway", newJetwayJobs},
	{"plain, bare", newPlainJobs(false)},
	{"plain, equal work", newPlainJobs(true)},
}

// jobFigures are the figures of one program, each with one value per run.
type jobFigures map[string][]float64

func (f jobFigures) add(name string, v float64) { f[name] = append(f[name], v) }

// jobTable is a table of the report: for each program its figures.
type jobTable struct {
	title   string
	figures []jobFigures // by program
}

// The figures, in the order of the report.
const (
	figSubmit = "submitted, jobs/s"
	figWork   = "worked off, jobs/s"
	figBoth   = "both, jobs/s"
	figGiven  = "to the worker, p50, ms"
	figTail   = "to the worker, p99, ms"
	figDone   = "to the confirmed ack, p50, ms"
)

var jobFigureNames = []string{figSubmit, figWork, figBoth, figGiven, figTail, figDone}

// TestJobRatesFull measures jobs at full size; see "make bench-jobs".
func TestJobRatesFull(t *testing.T) {
	out := os.Getenv("JETWAY_JOBS")
	if out == "" {
		t.Skip("JETWAY_JOBS is not set to the file for the figures: make bench-jobs")
	}
	r := jobsFull
	var tables []*jobTable
	for _, interval := range []bool{false, true} {
		sync := "sync always"
		if interval {
			sync = "sync every 2 min"
		}
		first := len(tables)
		for _, k := range r.workers {
			tables = append(tables, newJobTable(fmt.Sprintf("Backlog, %s, %d workers", sync, k)))
		}
		for _, k := range r.idle {
			tables = append(tables, newJobTable(fmt.Sprintf("One at a time, %s, %d idle workers", sync, k)))
		}
		for run := range r.runs {
			r.measure(t, run, interval, tables[first:])
		}
	}
	if t.Failed() {
		return
	}
	if err := os.WriteFile(out, r.report(tables), 0o644); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkJobs counts what a job costs the whole process, server, gateway and
// clients together, from the lease to the confirmed ack.
func BenchmarkJobs(b *testing.B) {
	for _, workers := range []int{1, 100} {
		for _, program := range jobPrograms {
			b.Run(fmt.Sprintf("program=%s/workers=%d", strings.ReplaceAll(program.name, ", ", "-"), workers), func(b *testing.B) {
				n := startNode(b, nodeOptions{interval: true, queues: true, gateway: patient})
				p := program.make(b, n, admin(b, n), "bench")
				submitAll(b, p, b.N)
				b.ReportAllocs()
				b.ResetTimer()
				worked := workOff(b, p, b.N, workers)
				b.ReportMetric(float64(b.N)/worked.Seconds(), "jobs/s")
			})
		}
	}
}

func newJobTable(title string) *jobTable {
	tb := &jobTable{title: title}
	for range jobPrograms {
		tb.figures = append(tb.figures, jobFigures{})
	}
	return tb
}

// measure is one run of everything on a server of its own. The programs take
// turns, and another one comes first in each run.
func (r jobRates) measure(t *testing.T, run int, interval bool, tables []*jobTable) {
	t.Run(fmt.Sprintf("run=%d/interval=%v", run, interval), func(t *testing.T) {
		n := startNode(t, nodeOptions{interval: interval, queues: true, gateway: patient})
		js := admin(t, n)
		each := func(tb *jobTable, f func(t *testing.T, p jobProgram, into jobFigures)) {
			for i := range jobPrograms {
				i = (i + run) % len(jobPrograms)
				name := fmt.Sprint("q", slices.Index(tables, tb), "-", i)
				t.Run(jobPrograms[i].name, func(t *testing.T) { f(t, jobPrograms[i].make(t, n, js, name), tb.figures[i]) })
			}
		}
		for k, workers := range r.workers {
			each(tables[k], func(t *testing.T, p jobProgram, into jobFigures) {
				jobs := r.jobs[k]
				submitted := submitAll(t, p, jobs)
				worked := workOff(t, p, jobs, workers)
				into.add(figSubmit, float64(jobs)/submitted.Seconds())
				into.add(figWork, float64(jobs)/worked.Seconds())
				into.add(figBoth, float64(jobs)/(submitted+worked).Seconds())
				t.Logf("%d workers: %.0f/s submitted, %.0f/s worked off", workers, into[figSubmit][len(into[figSubmit])-1], into[figWork][len(into[figWork])-1])
			})
		}
		for k, idle := range r.idle {
			each(tables[len(r.workers)+k], func(t *testing.T, p jobProgram, into jobFigures) {
				given, done := pingPong(t, p, r.single, idle)
				into.add(figGiven, millis(percentile(given, 50)))
				into.add(figTail, millis(percentile(given, 99)))
				into.add(figDone, millis(percentile(done, 50)))
				t.Logf("%d idle: p50 %v", idle, percentile(given, 50))
			})
		}
	})
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func percentile(list []time.Duration, p int) time.Duration {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[min(len(list)*p/100, len(list)-1)]
}

// report is JOBS.md.
func (r jobRates) report(tables []*jobTable) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Jobs\n")
	p("What a job costs from its submission over its lease to its confirmed ack: by Jetway, and by a program with nats.go alone, on the same server (a file store) in the same run.\n")
	p("* **Jetway**: one client submits, each worker is a client with a WebSocket of its own and holds one job at a time. Per job a queued, an active and a done event are stored,")
	p("  the last one before the job is removed; a settle is confirmed by the server.")
	p("* **plain, bare**: a work-queue stream, one durable pull consumer; publish with an ack, asynchronously; each worker has a NATS connection of its own and an iterator that")
	p("  pulls one message at a time (`PullMaxMessages(1)`); `DoubleAck`. No events.")
	p("* **plain, equal work**: the same, and the three events into a second stream, the done event awaited before the ack, with the same message IDs.\n")
	p("Backlog: all jobs (about 120 B) are submitted, at most 1000 of them unanswered; then the workers begin, and the time runs from the first job that one gets to the last confirmation.")
	p("One at a time: each job is submitted when the one before is confirmed. %d runs on a server of their own each; within a run the programs take turns. Ratios are of one run, then least, median and most of the runs.", r.runs)
	p("Each job is done exactly once, or the run fails. Server, gateway, submitter and workers share one process and its cores.\n")
	p("Reproduce with `make bench-jobs`. Written by `e2e/jobratefigures_test.go`; do not edit.\n")
	p("%s\n", farMachine())
	for _, tb := range tables {
		tb.write(p)
	}
	return b.Bytes()
}

func (tb *jobTable) write(p func(string, ...any)) {
	p("## %s\n", tb.title)
	head, line := "| least – median – most |", "|---|"
	for _, program := range jobPrograms {
		head, line = head+" "+program.name+" |", line+"---|"
	}
	for _, program := range jobPrograms[1:] {
		head, line = head+" Jetway / "+program.name+" |", line+"---|"
	}
	p("%s\n%s", head, line)
	for _, name := range jobFigureNames {
		if tb.figures[0][name] == nil {
			continue
		}
		row := "| " + name + " |"
		for _, f := range tb.figures {
			row += " " + spreadOf(f[name]) + " |"
		}
		for _, f := range tb.figures[1:] {
			ratios := make([]float64, len(f[name]))
			for i := range ratios {
				ratios[i] = tb.figures[0][name][i] / f[name][i]
			}
			row += " " + spreadOf(ratios) + " |"
		}
		p("%s", row)
	}
	p("")
}

// spreadOf writes the least, the median and the most, with three digits.
func spreadOf(list []float64) string {
	list = slices.SortedFunc(slices.Values(list), cmp.Compare)
	text := func(v float64) string {
		switch {
		case v >= 100:
			return fmt.Sprintf("%.0f", v)
		case v >= 10:
			return fmt.Sprintf("%.1f", v)
		}
		return fmt.Sprintf("%.2f", v)
	}
	return strings.Join([]string{text(list[0]), text(list[len(list)/2]), text(list[len(list)-1])}, " – ")
}
