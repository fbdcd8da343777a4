package memory_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails when goroutines remain after the tests, and shows where.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settled(before) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Fprintf(os.Stderr, "%d goroutines before the tests, %d after:\n%s\n", before, runtime.NumGoroutine(), stacks)
		code = 1
	}
	os.Exit(code)
}

// settled reports whether the number of goroutines comes back to what it was.
// Those that have been waited for may need a moment to be gone.
func settled(before int) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 300 {
		if runtime.NumGoroutine() <= before {
			return true
		}
		<-tick.C
	}
	return false
}
