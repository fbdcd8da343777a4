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

const examples = `
Examples, in the directory bench:
  go run . -out RESULTS.md -plots plots           all there is, about ten minutes
  go run . -quick -json quick.json                ratios for a test, in less than 90 s
  go run . -scenario fanout -peers jetway,centrifuge,coalesce -runs 1
  go run . -list                                  the names of scenarios and programs
`

// options are what is asked for on the command line.
type options struct {
	scenarios, programs []string // keys; empty: all
	runs                int
	sizes               scenario.Sizes
	quick               bool
	module, dir         string
	out, json, plots    string
}

func main() {
	log.SetFlags(log.Ltime)
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func parse(args []string) (options, error) {
	o := options{sizes: scenario.Full}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "bench measures Jetway side by side with its peers.\n\nFlags:")
		f.PrintDefaults()
		fmt.Fprint(f.Output(), examples)
	}
	scenarios := f.String("scenario", "", "only these scenarios, separated by commas")
	programs := f.String("peers", "", "only these programs")
	f.IntVar(&o.runs, "runs", 3, "repetitions")
	f.BoolVar(&o.quick, "quick", false, "one run of short windows: ratios are rough, figures mean nothing")
	smoke := f.Bool("smoke", false, "as little as it takes to see that everything works")
	window := f.Duration("window", 0, "how long is published")
	crowd := f.Int("crowd", 0, "idle clients")
	ahead := f.Int("ahead", 0, "events that the slowest client may lack at full speed")
	f.StringVar(&o.module, "module", ".", "the directory of this module")
	f.StringVar(&o.dir, "dir", "", "where servers keep their data, on the disk to be measured; empty: the system's directory for temporary files")
	f.StringVar(&o.out, "out", "", "the report, in Markdown; empty: stdout")
	f.StringVar(&o.json, "json", "", "the result, for programs")
	f.StringVar(&o.plots, "plots", "", "a directory beside the report for its plots; empty: none")
	list := f.Bool("list", false, "print the names of scenarios and programs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *list {
		printList()
		return o, flag.ErrHelp
	}
	if o.quick {
		o.sizes = scenario.Quick
	}
	if *smoke {
		o.sizes, o.quick = scenario.Smoke, true
	}
	if o.quick {
		o.runs = 1
	}
	for _, set := range []struct {
		to   *int
		from int
	}{{&o.sizes.Crowd, *crowd}, {&o.sizes.Ahead, *ahead}} {
		if set.from > 0 {
			*set.to = set.from
		}
	}
	if *window > 0 {
		o.sizes.Window = *window
	}
	var err error
	if o.scenarios, err = chosen(*scenarios, scenarioKeys()); err != nil {
		return o, err
	}
	o.programs, err = chosen(*programs, programKeys())
	return o, err
}

// chosen splits a list, of names that there are; none is all.
func chosen(list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	keys := strings.Split(list, ",")
	for _, key := range keys {
		if !slices.Contains(all, key) {
			return nil, fmt.Errorf("there is no %q: use some of %s", key, strings.Join(all, ","))
		}
	}
	return keys, nil
}

func scenarioKeys() (keys []string) {
	for _, s := range scenario.Scenarios() {
		keys = append(keys, s.Key)
	}
	return keys
}

func programKeys() (keys []string) {
	for _, p := range driver.Programs() {
		keys = append(keys, p.Key)
	}
	return keys
}

func printList() {
	fmt.Println("Scenarios:")
	for _, s := range scenario.Scenarios() {
		fmt.Printf("  %-18s %s: %s\n", s.Key, s.About, strings.Join(s.Programs, ","))
	}
	fmt.Println("Programs:")
	for _, p := range driver.Programs() {
		fmt.Printf("  %-18s %s: %s\n", p.Key, p.Name, p.About)
	}
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
