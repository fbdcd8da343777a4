// Command worker resizes the images of the queue jobs.resize. It is a plain
// NATS client: nothing in it is of Jetway. It binds to the queue's consumer,
// takes one job at a time, tells the job's watchers how far it is, and stops
// after the job at hand on SIGINT and SIGTERM.
//
//	go run ./examples/jobs/worker --nats nats://127.0.0.1:4222
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	o := options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flag.StringVar(&o.URL, "nats", nats.DefaultURL, "`URL` of NATS; the embedded server of Jetway listens on the default one")
	flag.StringVar(&o.Name, "name", defaultName(), "what the jobs' watchers see as the worker")
	flag.IntVar(&o.Tries, "tries", 5, "a job that failed this often becomes a dead letter; as queues.max_tries")
	flag.DurationVar(&o.Pause, "pause", 100*time.Millisecond, "pause between the ten steps of a job, so that there is something to watch")
	flag.Parse()
	if flag.NArg() > 0 || o.Tries < 1 || o.Pause < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := run(ctx, o); err != nil {
		o.Logger.Error("the worker ends", "error", err)
		os.Exit(1)
	}
}

// defaultName tells workers on several machines apart.
func defaultName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("go-%s-%d", strings.ReplaceAll(host, ".", "-"), os.Getpid())
}
