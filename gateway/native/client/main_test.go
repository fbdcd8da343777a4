package client_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails when goroutines outlive the tests: every connection must end
// all of its own.
func TestMain(m *testing.M) {
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if code == 0 && !fuzzing && leaked() {
		code = 1
	}
	os.Exit(code)
}

// leaked gives goroutines that are about to end some time to do so.
func leaked() bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if runtime.NumGoroutine() == 1 {
			return false
		}
	}
	stacks := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "goroutines remain:\n%s\n", stacks[:runtime.Stack(stacks, true)])
	return true
}
