package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	farRuns  = 5
	farAlone = 3 * time.Second // of publishing without readers before each run
)

// farMeasured is one run: the publisher alone, then with the crowd, then with
// one client for the rare subject.
type farMeasured struct {
	farFigures
	alone, during       float64 // messages per second
	rareFirst, rareLast time.Duration
	quietFirst          time.Duration // the same before anything is published
	quietLast           time.Duration
}

func (m farMeasured) ratio() float64 { return m.during / m.alone }

// measureFar writes the figures of several runs to a file.
func measureFar(t *testing.T, size farSize, out string) {
	begun := time.Now()
	f := newFar(t, size)
	loaded := time.Since(begun)
	runs := make([]farMeasured, farRuns)
	for i := range runs {
		runs[i].quietFirst, runs[i].quietLast = f.readRare(t)
	}
	for i := range runs {
		m := &runs[i]
		stop := f.publisher.start(t, 1<<40)
		m.alone = f.rate(func() { <-time.After(farAlone) }) // the only wait; not in CI
		from := f.publisher.stored.Load()
		m.farFigures = f.catchUp(t, func() int { stop(); return f.publisher.next - 1 })
		m.during = float64(int64(m.end)-from) / m.took.Seconds()
		stop = f.publisher.start(t, 1<<40)
		m.rareFirst, m.rareLast = f.readRare(t)
		stop()
		t.Logf("run %d: %.0f/s alone, %.0f/s during catch-up: %.2f; %v; rare first %v, last %v", i+1, m.alone, m.during, m.ratio(), m.took, m.rareFirst, m.rareLast)
	}
	if err := os.WriteFile(out, farReport(size, runs, loaded), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rate is how many messages per second are stored while fn runs.
func (f *far) rate(fn func()) float64 {
	from, begun := f.publisher.stored.Load(), time.Now()
	fn()
	return float64(f.publisher.stored.Load()-from) / time.Since(begun).Seconds()
}

// farReport is FAR.md.
func farReport(size farSize, runs []farMeasured, loaded time.Duration) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Far behind\n")
	p("%d messages of about 130 B over %d subjects in a file store (synced every 2 min). %d clients come back at once, each to one subject,",
		size.Messages, size.Subjects, size.Clients)
	p("%d messages behind, on a gateway that holds the newest %d in memory, while a NATS client publishes as fast as it is answered", size.Back, size.Ring)
	p("(asynchronously, at most %d unanswered). Each client is given exactly its messages, up to the last that is published, or the test fails.", farWindow)
	p("Gateway, NATS server, publisher and clients share one process and its cores. Trust the ratios.\n")
	p("Reproduce with `make far`. Written by `e2e/farfigures_test.go`; do not edit.\n")
	p("%s\n", farMachine())
	p("| run | publisher alone, msgs/s | during catch-up | ratio | all caught up | scanned / span | read narrowly | rare: first, last while publishing | rare: first, last, quiet |")
	p("|---|---|---|---|---|---|---|---|---|")
	for i, m := range runs {
		p("| %d | %.0f | %.0f | %.2f | %s | %d / %d = %.2f | %d | %s, %s | %s, %s |", i+1, m.alone, m.during, m.ratio(), ms(m.took),
			m.scanned, m.end-m.start, float64(m.scanned)/float64(m.end-m.start), m.narrow, ms(m.rareFirst), ms(m.rareLast), ms(m.quietFirst), ms(m.quietLast))
	}
	p("")
	p("| | least | median | most |")
	p("|---|---|---|---|")
	spread(p, "publisher alone, msgs/s", "%.0f", runs, func(m farMeasured) float64 { return m.alone })
	spread(p, "publisher during catch-up, msgs/s", "%.0f", runs, func(m farMeasured) float64 { return m.during })
	spread(p, "ratio", "%.2f", runs, farMeasured.ratio)
	spread(p, "all caught up, s", "%.2f", runs, func(m farMeasured) float64 { return m.took.Seconds() })
	spread(p, "first rare message while publishing, s", "%.3f", runs, func(m farMeasured) float64 { return m.rareFirst.Seconds() })
	spread(p, "last rare message while publishing, s", "%.3f", runs, func(m farMeasured) float64 { return m.rareLast.Seconds() })
	spread(p, "first rare message, quiet, s", "%.3f", runs, func(m farMeasured) float64 { return m.quietFirst.Seconds() })
	spread(p, "last rare message, quiet, s", "%.3f", runs, func(m farMeasured) float64 { return m.quietLast.Seconds() })
	p("\nThe stream grows with each run; filling it took %s.", loaded.Round(100*time.Millisecond))
	return b.Bytes()
}

func spread(p func(string, ...any), name, format string, runs []farMeasured, of func(farMeasured) float64) {
	list := make([]float64, len(runs))
	for i, m := range runs {
		list[i] = of(m)
	}
	slices.SortFunc(list, cmp.Compare)
	f := strings.ReplaceAll("| %s | FMT | FMT | FMT |", "FMT", format)
	p(f, name, list[0], list[len(list)/2], list[len(list)-1])
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

// farMachine is one line about where and with what the figures were made.
func farMachine() string {
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	commit := "unknown"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores (shared), %s/%s, %s, nats-server %s, nats.go %s, Jetway %s, %s.", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), server.VERSION, nats.Version, commit, time.Now().UTC().Format("2006-01-02"))
}
