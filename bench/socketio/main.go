// Command socketio measures what Socket.IO clients cost: Jetway next to the
// reference server of Node, with the same clients in the same run. It writes
// bench/SOCKETIO.md; see "make bench-socketio".
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"
)

// options are the sizes of a measurement.
type options struct {
	jetway  string        // the binary
	node    string        // the directory of server.js and its packages
	out     string        // the report; "" is stdout
	runs    int           // repetitions of everything
	window  time.Duration // how long is published
	rate    int           // events a second when paced
	ahead   int           // events on the way at full speed
	payload int           // bytes of an event's argument
	settle  time.Duration // before memory is read
	fan     []int         // clients that an event goes to
	idle    []int         // clients that are only there
	commit  string        // when it began: files may change meanwhile
}

func main() {
	log.SetFlags(log.Ltime)
	o := options{fan: []int{100, 1000}, idle: []int{2000, 5000}}
	flag.StringVar(&o.jetway, "jetway", "bin/jetway", "the binary of Jetway")
	flag.StringVar(&o.node, "node", "bench/socketio", "the directory of server.js")
	flag.StringVar(&o.out, "o", "", "the report (default stdout)")
	flag.IntVar(&o.runs, "runs", 3, "repetitions of everything")
	flag.DurationVar(&o.window, "window", 5*time.Second, "how long is published")
	flag.IntVar(&o.rate, "rate", 50, "events a second when paced")
	flag.IntVar(&o.ahead, "ahead", 64, "events on the way at full speed")
	flag.IntVar(&o.payload, "payload", 128, "bytes of an event's argument")
	flag.DurationVar(&o.settle, "settle", 6*time.Second, "before memory is read")
	one := flag.Int("fan", 0, "only the fan-out to so many clients")
	program := flag.String("program", "", "only this program")
	flag.Parse()
	if *one > 0 {
		o.fan, o.idle = []int{*one}, nil
	}
	if err := run(o, *program); err != nil {
		log.Fatal(err)
	}
}

func run(o options, only string) error {
	bin, err := filepath.Abs(o.jetway)
	if err != nil {
		return err
	}
	script, err := filepath.Abs(filepath.Join(o.node, "server.js"))
	if err != nil {
		return err
	}
	programs := programsOf(bin, script, only)
	if len(programs) == 0 {
		return fmt.Errorf("there is no program %q", only)
	}
	o.commit = output("git", "describe", "--always", "--dirty")
	tables, err := o.measure(programs)
	if err != nil {
		return err
	}
	text := o.report(programs, tables)
	if o.out == "" {
		_, err = os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(o.out, text, 0o644)
}
