package report

import (
	"cmp"
	"fmt"
)

// Figures that goals are about. Scenarios use the same names.
const (
	Deliveries  = "deliveries/s"
	PerDelivery = "server CPU, µs a delivery"
	P50         = "p50, ms"
	P99         = "p99, ms"
	AckP50      = "acknowledged p50, ms"
	Published   = "events/s"
	PerEvent    = "server CPU, µs an event"
	Each        = "RSS, KiB a client"
	Connects    = "connects/s"
	PerConnect  = "server CPU, µs a connect"
	CaughtUp    = "ms"
	PerCatchUp  = "server CPU, ms"
	SlowRatio   = "p99 of the others, with / without"
	SlowGrowth  = "RSS growth, MiB more than without"
	SlowLost    = "slow clients that lost something, %"
	JobsStored  = "submitted, jobs/s"
	JobsDone    = "done, jobs/s"
	PerJob      = "server CPU, µs a job"
)

// Goal is what one figure of Jetway should be, itself and as a ratio to another
// program's. Itself it says something about the machine as well.
type Goal struct {
	What          string
	Table, Figure string
	Of            string
	More          bool    // at least; otherwise at most
	Value         float64 // 0: none
	To, ToFigure  string  // program; figure, if it is another one
	Ratio         float64 // 0: none
	Derived       bool    // the ratio is
}

// Goals are those that Jetway has been given. Derived ratios are the value
// divided by what the peer had on a like machine when it was given.
var Goals = []Goal{
	{What: "fan-out 1 → 1,000, full speed", Table: "fanout-1000-full", Figure: PerDelivery, Of: "jetway", Value: 1.5, To: "centrifuge", Ratio: 0.29, Derived: true},
	{What: "fan-out 1 → 1,000, full speed", Table: "fanout-1000-full", Figure: Deliveries, Of: "jetway", More: true, To: "centrifuge", Ratio: 3},
	{What: "fan-out 1 → 100, full speed", Table: "fanout-100-full", Figure: PerDelivery, Of: "jetway", Value: 1.5, To: "centrifuge", Ratio: 0.6, Derived: true},
	{What: "fan-out 1 → 1,000, 50 a second", Table: "fanout-1000-paced", Figure: PerDelivery, Of: "jetway", Value: 11, To: "centrifuge", Ratio: 0.65, Derived: true},
	{What: "fan-out 1 → 1,000, 50 a second", Table: "fanout-1000-paced", Figure: P99, Of: "jetway", Value: 20, To: "centrifuge", Ratio: 0.59, Derived: true},
	{What: "latency, one in flight", Table: "latency", Figure: P50, Of: "jetway", To: "centrifuge", Ratio: 1},
	{What: "latency, one in flight", Table: "latency", Figure: P99, Of: "jetway", To: "centrifuge", Ratio: 1},
	{What: "latency on disk, to a bare publish on disk", Table: "latency", Figure: P50, Of: "jetway-always", To: "bare-always", ToFigure: AckP50, Ratio: 1.3},
	{What: "publish 50×16", Table: "publish-50x16", Figure: Published, Of: "jetway", More: true, Value: 100_000, To: "centrifuge", Ratio: 0.83, Derived: true},
	{What: "publish 50×16, on disk", Table: "publish-50x16", Figure: Published, Of: "jetway-always", More: true, Value: 40_000, To: "bare-always", Ratio: 10, Derived: true},
	{What: "publish 1×64", Table: "publish-1x64", Figure: Published, Of: "jetway", More: true, Value: 60_000, To: "centrifuge", Ratio: 0.87, Derived: true},
	{What: "publish 1×64, on disk", Table: "publish-1x64", Figure: Published, Of: "jetway-always", More: true, Value: 12_000, To: "bare-always", Ratio: 3, Derived: true},
	{What: "idle client, one subscription", Table: "crowd", Figure: Each, Of: "jetway", Value: 9, To: "centrifuge", Ratio: 0.3, Derived: true},
	{What: "connect rate", Table: "crowd", Figure: Connects, Of: "jetway", More: true, To: "centrifuge", Ratio: 2},
	{What: "resume after 1,000 missed, from disk", Table: "resume-1000", Figure: CaughtUp, Of: "jetway-disk", Value: 3, To: "centrifuge", Ratio: 1.2, Derived: true},
	{What: "resume after 10,000 missed, from disk", Table: "resume-10000", Figure: CaughtUp, Of: "jetway-disk", Value: 25, To: "centrifuge", Ratio: 1, Derived: true},
	{What: "storm, 1,000 × 100", Table: "storm", Figure: CaughtUp, Of: "jetway", Value: 300, To: "centrifuge", Ratio: 0.56, Derived: true},
	{What: "idle clients, as many as there can be", Table: "largest", Figure: Each, Of: "jetway", Value: 9, To: "centrifuge", Ratio: 0.3, Derived: true},
	{What: "10% slow clients", Table: "slow", Figure: SlowRatio, Of: "jetway", Value: 1.2},
	{What: "10% slow clients: heap flat", Table: "slow", Figure: SlowGrowth, Of: "jetway", Value: 16},
	{What: "10% slow clients: nothing lost", Table: "slow", Figure: SlowLost, Of: "jetway", Value: 0},
}

// Verdict is what has become of a goal.
type Verdict struct {
	Goal
	Here      *Spread // the figure
	HereRatio *Spread // nil: there is none
	Met       bool    // the figure has reached the value, or there is none
	MetRatio  bool    // the ratio has reached its own, or there is none
}

// judge leaves out what was not measured.
func (r *Result) judge() []Verdict {
	var list []Verdict
	for _, g := range Goals {
		v := Verdict{Goal: g, Met: true, MetRatio: true}
		own := r.values(g.Table, g.Figure, g.Of)
		s, ok := spreadOf(plain(own))
		if !ok {
			continue
		}
		v.Here = &s
		if g.hasValue() {
			v.Met = g.reached(s.Median, g.Value)
		}
		if s, ok := spreadOf(between(own, r.values(g.Table, cmp.Or(g.ToFigure, g.Figure), g.To))); ok {
			v.HereRatio, v.MetRatio = &s, g.reached(s.Median, g.Ratio)
		}
		list = append(list, v)
	}
	return list
}

// hasValue: without a ratio, 0 is one.
func (g Goal) hasValue() bool { return g.Value > 0 || g.Ratio == 0 }

func (g Goal) reached(here, wanted float64) bool {
	if g.More {
		return here >= wanted
	}
	return here <= wanted
}

// bound writes what is wanted.
func (g Goal) bound(v float64) string {
	if g.More {
		return "≥ " + digits(v)
	}
	return "≤ " + digits(v)
}

// digits writes three of them.
func digits(v float64) string {
	if v < 0 {
		return "−" + digits(-v)
	}
	switch {
	case v >= 10_000:
		return grouped(int64(v + 0.5))
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
