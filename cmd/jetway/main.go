// Command jetway lets browsers and other clients take part in NATS: it serves
// WebSocket clients from JetStream streams, with an embedded server or beside
// a NATS cluster.
//
// main.go holds the process alone: signals and exit codes. [Main] is the
// program; it touches no global state, so that tests run it as it is. Each
// command is in a file of its own name, made by a constructor that root.go
// lists.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for a clean end; after it the default is back, so
	// that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	hangup := func() <-chan os.Signal {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		return c
	}
	m := &Main{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(), Hangup: hangup}
	os.Exit(m.Run(ctx, os.Args[1:]))
}
