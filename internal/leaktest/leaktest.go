// Package leaktest fails a package's tests when goroutines outlive them.
package leaktest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines may take to end after the last test: they
// were asked to, and a loaded machine is slow.
const patience = 10 * time.Second

// ours are the goroutines that matter: those that run, or were started by,
// Jetway's code or that of NATS. The runtime and net/http keep some of theirs.
var ours = []string{"jetway-io/jetway/", "nats.go@", "nats-server/v2@"}

// Main is for TestMain: it runs the tests, and exits with 1 when they pass but
// leave goroutines, whose stacks it prints.
func Main(m *testing.M) {
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if code == 0 && !fuzzing {
		if left := wait(); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutines are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// wait returns the goroutines that do not end.
func wait() []string {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left := remaining()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-tick.C
	}
}

func remaining() []string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for _, g := range strings.Split(string(stacks), "\n\n")[1:] { // the first is this one
		for _, name := range ours {
			if strings.Contains(g, name) {
				left = append(left, g)
				break
			}
		}
	}
	return left
}
