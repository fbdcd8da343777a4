// Command bench measures Jetway side by side with servers that do the same
// without a disk, or with another one, and with programs that do only what
// cannot be left out. See README.md; "make bench" writes RESULTS.md.
//
// It is one load generator for all of them. Packages: wire is its WebSocket,
// driver what each server is told, server how processes are run and measured,
// scenario what is measured, report how it is compared and written; peers and
// limits are the servers that had to be written for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/scenario"
)

func main() {
	log.SetFlags(log.Ltime)
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	switch {
	case err != nil:
	case o.hold != nil:
		err = o.hold.keep(o.programs)
	default:
		err = run(o)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func (h *held) keep(programs []string) error {
	for _, p := range driver.Programs() {
		if len(programs) == 1 && p.Key == programs[0] {
			return scenario.Hold(p, h.addr, h.from, h.first, h.count, os.Stdin, os.Stdout)
		}
	}
	return errors.New("-hold is for one of -peers")
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bin, err := os.MkdirTemp("", "bench-bin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	binaries, err := driver.Build(o.module, bin)
	if err != nil {
		return err
	}
	r := &report.Result{Began: time.Now().UTC(), Command: "go run . " + strings.Join(os.Args[1:], " "), Machine: report.ThisMachine(o.module), Quick: o.quick, Runs: o.runs}
	measure(ctx, o, binaries, r)
	stop() // a second signal ends what follows
	r.Finish()
	return errors.Join(write(o, r), failed(r))
}

// measure lets the programs of each scenario take turns.
func measure(ctx context.Context, o options, b driver.Binaries, r *report.Result) {
	var here []*driver.Program
	for _, p := range driver.Programs() {
		if !slices.Contains(o.programs, p.Key) {
			continue
		}
		if p.Missing != nil {
			if err := p.Missing(); err != nil {
				r.Skipped = append(r.Skipped, report.Skip{Key: p.Key, Name: p.Name, Why: err.Error()})
				continue
			}
		}
		here = append(here, p)
		r.Programs = append(r.Programs, report.Program{Key: p.Key, Name: p.Name, About: p.About})
	}
	for run := range o.runs {
		for _, s := range scenario.Scenarios() {
			if !slices.Contains(o.scenarios, s.Key) || s.Fewer && run >= 2 {
				continue
			}
			programs := slices.DeleteFunc(slices.Clone(here), func(p *driver.Program) bool { return !slices.Contains(s.Programs, p.Key) })
			for i := range programs {
				if ctx.Err() != nil {
					return
				}
				e := &scenario.Env{Program: programs[(i+run)%len(programs)], Run: run, Sizes: o.sizes, Result: r, Binaries: b, Dir: o.dir}
				measureOne(s, e)
			}
		}
	}
}

func measureOne(s scenario.Scenario, e *scenario.Env) {
	start, failures := time.Now(), len(e.Result.Failures)
	if err := s.Measure(e); err != nil {
		e.Result.Failures = append(e.Result.Failures, report.Failure{Table: s.Key, Program: e.Program.Key, Run: e.Run, What: err.Error()})
	}
	log.Printf("run %d, %s, %s: %.1f s", e.Run+1, s.Key, e.Program.Key, time.Since(start).Seconds())
	for _, f := range e.Result.Failures[failures:] {
		log.Printf("  failed: %s: %s", f.Table, f.What)
	}
}

func write(o options, r *report.Result) error {
	var errs []error
	if o.json != "" {
		errs = append(errs, r.Write(o.json))
	}
	if o.plots != "" {
		errs = append(errs, r.Plots(o.plots))
	}
	text := r.Markdown(o.plots)
	if o.out == "" {
		_, err := os.Stdout.Write(text)
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, os.WriteFile(o.out, text, 0o644))...)
}

// failed is an error if Jetway has failed: of peers, the report says so.
func failed(r *report.Result) error {
	for _, f := range r.Failures {
		if strings.HasPrefix(f.Program, "jetway") {
			return fmt.Errorf("%s: %s: %s", f.Program, f.Table, f.What)
		}
	}
	return nil
}
