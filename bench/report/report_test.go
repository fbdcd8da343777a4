package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a result of three runs, in one of which a peer has failed.
func measured() *Result {
	r := &Result{Runs: 3, Programs: []Program{{"jetway", "Jetway", "a"}, {"centrifuge", "centrifuge", "b"}, {"coalesce", "limit", "c"}}}
	t := r.Table("fanout-1000-full", "Fan-out <1,000>", "How.")
	for run, v := range []float64{3, 1, 2} {
		t.Add(Figure{Name: PerDelivery, Plot: true}, "jetway", run, v)
		if run != 1 {
			t.Add(Figure{Name: PerDelivery, Plot: true}, "centrifuge", run, 4)
		}
	}
	r.Failures = []Failure{{"fanout-1000-full", "centrifuge", 1, "went away"}}
	r.Finish()
	return r
}

func TestRatios(t *testing.T) {
	r := measured()
	// 3/4 and 2/4: of the run in which the peer failed there is none.
	got, ok := r.Ratio("fanout-1000-full", PerDelivery, "jetway", "centrifuge")
	if want := (Spread{0.5, 0.625, 0.75}); !ok || got != want {
		t.Errorf("got %v, %v, want %v", got, ok, want)
	}
	if _, ok := r.Ratio("fanout-1000-full", PerDelivery, "jetway", "coalesce"); ok {
		t.Error("a ratio to what was not measured")
	}
	if _, ok := r.Ratio("fanout-1000-full", PerDelivery, "centrifuge", "jetway"); ok {
		t.Error("a ratio of a peer")
	}
}

func TestBetween(t *testing.T) {
	if got := between([]Sample{{0, 1}, {1, 0}}, []Sample{{0, 0}, {1, 0}}); got != nil {
		t.Errorf("divided by zero: %v", got)
	}
}

func TestSpreadOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Spread
	}{{[]float64{5}, Spread{5, 5, 5}}, {[]float64{4, 1}, Spread{1, 2.5, 4}}, {[]float64{9, 1, 2}, Spread{1, 2, 9}}} {
		if got, ok := spreadOf(tt.values); !ok || got != tt.want {
			t.Errorf("%v: got %v", tt.values, got)
		}
	}
	if _, ok := spreadOf(nil); ok {
		t.Error("nothing has a spread")
	}
}

// Goals: what was not measured is left out, and figure and ratio are judged
// each for itself.
func TestJudge(t *testing.T) {
	r := measured()
	if len(r.Goals) != 1 {
		t.Fatalf("%d goals are judged, want one: %+v", len(r.Goals), r.Goals)
	}
	v := r.Goals[0]
	if v.Here.Median != 2 || v.Met || v.HereRatio.Median != 0.625 || v.MetRatio {
		t.Errorf("got %+v", v)
	}
	for _, tt := range []struct {
		goal Goal
		here float64
		want bool
	}{{Goal{}, 1, true}, {Goal{}, 2, false}, {Goal{More: true}, 1, true}, {Goal{More: true}, 0.9, false}} {
		if got := tt.goal.reached(tt.here, 1); got != tt.want {
			t.Errorf("%+v: %v is %v", tt.goal, tt.here, got)
		}
	}
}

// A goal is about figures that scenarios have; smoke runs see to the tables.
func TestGoals(t *testing.T) {
	for _, g := range Goals {
		if !ours(g.Of) || ours(g.To) || (g.Ratio > 0) != (g.To != "") {
			t.Errorf("not a goal: %+v", g)
		}
	}
}

func TestMarkdown(t *testing.T) {
	text := string(measured().Markdown("plots"))
	for _, want := range []string{
		"| Jetway | 2.00 (1.00 – 3.00) | – |\n",
		"| centrifuge | 4.00 | × 0.62 (0.50 – 0.75) |\n",
		"![Fan-out <1,000>](plots/fanout-1000-full.svg)",
		"* fanout-1000-full, centrifuge, run 2: went away\n",
		"| fan-out 1 → 1,000, full speed | server CPU, µs a delivery | ≤ 1.50 | 2.00 (1.00 – 3.00) | **missed** | centrifuge | ≤ 0.29 * | 0.62 (0.50 – 0.75) | **missed** |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "| limit |  ") {
		t.Error("who was not measured has a line")
	}
	if strings.Contains(string(measured().Markdown("")), ".svg") {
		t.Error("plots that are not there")
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", -2.5: "−2.50", 0.0123: "0.012", 0.123: "0.12", 9.87: "9.87", 12.34: "12.3", 123.4: "123", 12345.6: "12,346", 1234567: "1,234,567"} {
		if got := digits(v); got != want {
			t.Errorf("%v is %s, not %s", v, got, want)
		}
	}
}

func TestPlots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plots")
	if err := measured().Plots(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fanout-1000-full.svg"))
	if err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 { // with the background
		t.Errorf("%d rectangles in\n%s", bars, text)
	}
}

func TestReadWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "result.json")
	r := measured()
	if err := r.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Ratios) != len(r.Ratios) || !bytes.Equal(got.Markdown(""), r.Markdown("")) {
		t.Errorf("got %+v\nwant %+v", got, r)
	}
}
