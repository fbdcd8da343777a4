package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/scenario"
	"github.com/jetway-io/jetway/internal/leaktest"
)

// asHolder makes the test's own binary the program that -scenario largest
// starts.
const asHolder = "JETWAY_BENCH_HOLDS"

func TestMain(m *testing.M) {
	if os.Getenv(asHolder) != "" {
		main()
		return
	}
	os.Setenv(asHolder, "1")
	leaktest.Main(m)
}

// TestSmoke measures a little of everything that needs nothing but Go, so that
// no scenario and no server stops working unnoticed. It says nothing about
// speed.
func TestSmoke(t *testing.T) {
	file := filepath.Join(t.TempDir(), "result.json")
	programs := []string{"jetway", "jetway-disk", "jetway-sio", "jetway-always", "centrifuge", "nats", "bare", "bare-always", "coalesce", "write"}
	o, err := parse([]string{"-smoke", "-window", "250ms", "-scenario", strings.Join(scenarioKeys(true), ","), "-peers", strings.Join(programs, ","),
		"-json", file, "-out", filepath.Join(t.TempDir(), "report.md"), "-plots", filepath.Join(t.TempDir(), "plots"), "-dir", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		t.Errorf("%s, %s: %s", f.Table, f.Program, f.What)
	}
	for _, table := range r.Tables {
		for _, f := range table.Figures {
			if len(f.Values["jetway"]) != 1 && len(f.Values["jetway-disk"]) != 1 {
				t.Errorf("%s, %s: %v", table.Key, f.Name, f.Values)
			}
		}
	}
	for _, want := range []struct{ table, figure, to string }{
		{"fanout-3-full", report.Deliveries, "centrifuge"},
		{"fanout-3-full", report.Deliveries, "coalesce"},
		{"latency", report.P50, "bare-always"},
		{"publish-2x4", report.Published, "bare"},
		{"resume-50", report.CaughtUp, "nats"},
		{"jobs", report.JobsDone, "bare"},
	} {
		if s, ok := r.Ratio(want.table, want.figure, "jetway", want.to); !ok || s.Median <= 0 {
			t.Errorf("no ratio of %+v: %v", want, s)
		}
	}
}

// Every goal is about a figure that is measured, under the same names.
func TestGoalsAreMeasured(t *testing.T) {
	tables := []string{"latency", "crowd", "storm", "slow", "largest",
		"fanout-100-full", "fanout-1000-full", "fanout-1000-paced", "publish-1x64", "publish-50x16", "resume-1000", "resume-10000"}
	for _, g := range report.Goals {
		if !slices.Contains(tables, g.Table) || !slices.Contains(programKeys(), g.Of) || g.To != "" && !slices.Contains(programKeys(), g.To) {
			t.Errorf("nobody measures %+v", g)
		}
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want func(options) bool
		fail string
	}{
		"all": {nil, func(o options) bool {
			return o.runs == 3 && o.sizes.Crowd == scenario.Full.Crowd && !slices.Contains(o.scenarios, "largest") && len(o.programs) == len(scenario.FullPrograms())
		}, ""},
		"quick": {[]string{"-quick", "-runs", "5"}, func(o options) bool {
			return o.runs == 1 && o.sizes.Crowd == scenario.Quick.Crowd && len(o.programs) == len(scenario.QuickPrograms)
		}, ""},
		"some": {[]string{"-scenario", "largest,slow", "-peers", "node", "-crowd", "7", "-window", "3s", "-ahead", "9"}, func(o options) bool {
			return slices.Equal(o.scenarios, []string{"largest", "slow"}) && slices.Equal(o.programs, []string{"node"}) && o.sizes.Crowd == 7 && o.sizes.Window.Seconds() == 3 && o.sizes.Ahead == 9
		}, ""},
		"no such scenario": {[]string{"-scenario", "fanin"}, nil, `there is no "fanin"`},
		"no such program":  {[]string{"-peers", "jetway,java"}, nil, `there is no "java"`},
	} {
		o, err := parse(tt.args)
		if tt.fail != "" && (err == nil || !strings.Contains(err.Error(), tt.fail)) || tt.fail == "" && (err != nil || !tt.want(o)) {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
	if _, err := parse([]string{"-list"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-list: %v", err)
	}
}

// Scenarios name programs that there are.
func TestScenarios(t *testing.T) {
	for _, s := range scenario.Scenarios() {
		for _, key := range s.Programs {
			if !slices.Contains(programKeys(), key) {
				t.Errorf("%s: no program %q", s.Key, key)
			}
		}
	}
	for _, key := range scenario.QuickPrograms {
		if !slices.Contains(programKeys(), key) {
			t.Errorf("quick: no program %q", key)
		}
	}
}
