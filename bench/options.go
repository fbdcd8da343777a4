package main

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/scenario"
)

const examples = `
Examples, in the directory bench:
  go run . -out RESULTS.md -plots plots           all there is, ten to fifteen minutes
  go run . -quick -json quick.json                ratios for a test, in less than 90 s
  go run . -scenario fanout -peers jetway,centrifuge,coalesce -runs 1
  go run . -scenario largest -runs 1              as many idle clients as the machine can hold
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
	hold                *held // be a process that holds clients
}

// held are the clients that this process holds for another one.
type held struct {
	addr, from   string
	first, count int
}

// parse returns flag.ErrHelp when there is nothing more to do.
func parse(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "bench measures Jetway side by side with its peers.\n\nFlags:")
		f.PrintDefaults()
		fmt.Fprint(f.Output(), examples)
	}
	scenarios := f.String("scenario", "", "only these scenarios, separated by commas")
	programs := f.String("peers", "", "only these programs")
	list := f.Bool("list", false, "print the names of scenarios and programs")
	f.IntVar(&o.runs, "runs", 3, "repetitions")
	f.BoolVar(&o.quick, "quick", false, "one run of short windows: ratios are rough, figures mean nothing")
	smoke := f.Bool("smoke", false, "as little as it takes to see that everything works")
	window := f.Duration("window", 0, "how long is published")
	crowd := f.Int("crowd", 0, "idle clients")
	ahead := f.Int("ahead", 0, "events that the slowest client may lack at full speed")
	f.StringVar(&o.module, "module", ".", "the directory of this module")
	f.StringVar(&o.dir, "dir", "", "where servers keep their data, on the disk to be measured; empty: where temporary files are")
	f.StringVar(&o.out, "out", "", "the report, in Markdown; empty: stdout")
	f.StringVar(&o.json, "json", "", "the result, for programs; empty: none")
	f.StringVar(&o.plots, "plots", "", "a directory for plots, as seen from the report; empty: none")
	hold := f.Int("hold", 0, "what -scenario largest starts: connect so many clients to the address that is the argument, and keep them until stdin ends")
	first := f.Int("first", 0, "number of the first one that is held")
	from := f.String("from", "", "local address of those that are held")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *list {
		printList()
		return o, flag.ErrHelp
	}
	if *hold > 0 {
		o.hold = &held{addr: f.Arg(0), from: *from, first: *first, count: *hold}
	}
	o.resize(*smoke, *window, *crowd, *ahead)
	return o, o.choose(*scenarios, *programs)
}

// resize chooses the sizes, and changes those that are not zero.
func (o *options) resize(smoke bool, window time.Duration, crowd, ahead int) {
	o.sizes = scenario.Full
	if o.quick {
		o.sizes = scenario.Quick
	}
	if smoke {
		o.sizes, o.quick = scenario.Smoke, true
	}
	if o.quick {
		o.runs = 1
	}
	o.sizes.Window = cmp.Or(window, o.sizes.Window)
	o.sizes.Crowd = cmp.Or(crowd, o.sizes.Crowd)
	o.sizes.Ahead = cmp.Or(ahead, o.sizes.Ahead)
}

// choose takes the names of scenarios and programs.
func (o *options) choose(scenarios, programs string) (err error) {
	if o.scenarios, err = chosen(scenarios, scenarioKeys(true), scenarioKeys(false)); err != nil {
		return err
	}
	usual := scenario.FullPrograms()
	if o.quick {
		usual = scenario.QuickPrograms
	}
	o.programs, err = chosen(programs, programKeys(), usual)
	return err
}

// chosen splits a list, of names that there are; none are the usual ones.
func chosen(list string, all, usual []string) ([]string, error) {
	if list == "" {
		return usual, nil
	}
	keys := strings.Split(list, ",")
	for _, key := range keys {
		if !slices.Contains(all, key) {
			return nil, fmt.Errorf("there is no %q: use some of %s", key, strings.Join(all, ","))
		}
	}
	return keys, nil
}

// scenarioKeys are those of the usual scenarios, or also of those that have to
// be asked for.
func scenarioKeys(asked bool) (keys []string) {
	for _, s := range scenario.Scenarios() {
		if asked || !s.Asked {
			keys = append(keys, s.Key)
		}
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
