// Package scenario is what is measured: one file for each.
//
// A scenario gets one program and one run at a time, starts a server of its
// own, and adds figures to the result. Whoever calls it lets the programs take
// turns.
package scenario

import (
	"slices"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/server"
)

// Sizes are how much is measured.
type Sizes struct {
	Window  time.Duration // how long is published; twice as long when paced
	Warm    time.Duration // and before that, without measuring
	Ahead   int           // events that the slowest client may lack at full speed
	Rate    int           // events a second when paced
	Payload int           // bytes of an event

	Fan    []int         // clients of a fan-out
	Crowd  int           // idle clients, and subjects
	Settle time.Duration // before memory is read

	Publishers []Publishers
	Missed     []int         // events that a client resumes after,
	Times      int           // how often,
	Away       time.Duration // and for how long: some keep a session only when they have noticed
	Storm      int           // clients that come back at the same time,
	Missing    int           // and what each has missed

	Slow        int // clients, of which a tenth is slow
	SlowRate    int // events a second
	SlowPayload int // bytes of an event: enough to fill what the kernel holds

	Jobs, Workers int

	Largest int // idle clients, if the machine can hold them
}

// Publishers are connections, and the events that each has in flight.
type Publishers struct{ Connections, InFlight int }

// FullPrograms are all but one, whose figures lie between those of others.
func FullPrograms() []string {
	var keys []string
	for _, p := range driver.Programs() {
		if p.Key != "jetway-sio-always" {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// Full is what "make bench" measures, in ten to fifteen minutes.
var Full = Sizes{
	Window: 800 * time.Millisecond, Warm: 200 * time.Millisecond, Ahead: 256, Rate: 50, Payload: 128,
	Fan: []int{100, 1000}, Crowd: 10_000, Settle: 2 * time.Second,
	Publishers: []Publishers{{1, 1}, {1, 64}, {50, 1}, {50, 16}},
	Missed:     []int{1000, 10_000, 100_000}, Times: 3, Away: 200 * time.Millisecond, Storm: 1000, Missing: 100,
	Slow: 50, SlowRate: 500, SlowPayload: 8192,
	Jobs: 5000, Workers: 10, Largest: 200_000,
}

// QuickPrograms are those that ratios are made from; the others take longer.
var QuickPrograms = []string{"jetway", "jetway-always", "jetway-disk", "jetway-sio", "centrifuge", "node", "bare", "bare-always", "write", "coalesce"}

// Quick is for tests and first looks: some of it, in less than 90 seconds.
var Quick = Sizes{
	Window: 300 * time.Millisecond, Warm: 100 * time.Millisecond, Ahead: 256, Rate: 50, Payload: 128,
	Fan: []int{100, 1000}, Crowd: 1000, Settle: 500 * time.Millisecond,
	Publishers: []Publishers{{1, 64}, {50, 16}},
	Missed:     []int{1000, 10_000}, Times: 2, Away: 100 * time.Millisecond, Storm: 200, Missing: 100,
	Slow: 20, SlowRate: 500, SlowPayload: 16 << 10,
	Jobs: 500, Workers: 10, Largest: 5000,
}

// Smoke is as little as it takes to see that everything works.
var Smoke = Sizes{
	Window: 50 * time.Millisecond, Warm: 20 * time.Millisecond, Ahead: 32, Rate: 100, Payload: 128,
	Fan: []int{3}, Crowd: 20, Settle: 10 * time.Millisecond,
	Publishers: []Publishers{{2, 4}},
	Missed:     []int{50}, Times: 1, Away: 100 * time.Millisecond, Storm: 5, Missing: 10,
	Slow: 10, SlowRate: 500, SlowPayload: 4096,
	Jobs: 20, Workers: 2, Largest: 20,
}

// Scenario is one of them.
type Scenario struct {
	Key      string
	About    string   // for the command line
	Programs []string // keys of those that take part
	Fewer    bool     // it takes long and varies little: two runs are enough
	Asked    bool     // only when asked for by name
	run      func(*Env) error
}

// Scenarios are all of them, in the order of reports.
func Scenarios() []Scenario {
	gateways := []string{"jetway", "jetway-always", "jetway-sio", "jetway-sio-always", "centrifuge", "centrifuge-redis", "node", "node-redis", "nats"}
	few := []string{"jetway", "jetway-sio", "centrifuge", "node", "nats"}
	resumes := []string{"jetway", "jetway-disk", "jetway-sio", "centrifuge", "centrifuge-redis", "node", "nats", "bare"}
	with := func(list []string, more ...string) []string { return slices.Concat(list, more) }
	return []Scenario{
		{Key: "fanout", About: "one event to many clients, at full speed and paced", Programs: with(gateways, "centrifuge-delay", "write", "coalesce"), run: fanOut},
		{Key: "latency", About: "one event to one client, one at a time", Programs: with(gateways, "write", "bare", "bare-always"), run: latency},
		{Key: "publish", About: "events that are stored, by several publishers", Programs: with(gateways, "bare", "bare-always"), run: publish},
		{Key: "crowd", About: "connect rate, memory of idle clients, and as many subjects", Programs: with(few, "write"), Fewer: true, run: crowdOf},
		{Key: "largest", About: "as many idle clients as the machine can hold", Programs: with(few, "write"), Asked: true, run: largest},
		{Key: "resume", About: "one client comes back", Programs: resumes, run: resume},
		{Key: "storm", About: "many clients come back at the same time", Programs: resumes, run: storm},
		{Key: "slow", About: "some clients do not read", Programs: few, run: slow},
		{Key: "jobs", About: "jobs through a queue", Programs: []string{"jetway", "jetway-always", "bare", "bare-always"}, run: jobs},
	}
}

// Env is one program in one run of a scenario.
type Env struct {
	Program  *driver.Program
	Run      int
	Sizes    Sizes
	Result   *report.Result
	Binaries driver.Binaries
	Dir      string // where servers keep their data; "" is the system's
}

// Measure runs the scenario.
func (s Scenario) Measure(e *Env) error { return s.run(e) }

func (e *Env) start(u driver.Use) (*server.Server, error) {
	return e.Program.Start(e.Binaries, e.Dir, u)
}

func (e *Env) add(t *report.Table, f report.Figure, value float64) {
	t.Add(f, e.Program.Key, e.Run, value)
}

// fail notes that a part could not be measured, so that the others can.
func (e *Env) fail(t *report.Table, err error) {
	if err != nil {
		e.Result.Failures = append(e.Result.Failures, report.Failure{Table: t.Key, Program: e.Program.Key, Run: e.Run, What: err.Error()})
	}
}

// cost is what a server has cost since it was read.
type cost struct {
	server *server.Server
	cpu    time.Duration
	at     time.Time
}

func costOf(s *server.Server) (cost, error) {
	cpu, err := s.CPU()
	return cost{s, cpu, time.Now()}, err
}

// since returns the wall time, and the server's.
func (c cost) since() (took, cpu time.Duration, err error) {
	now, err := c.server.CPU()
	return time.Since(c.at), now - c.cpu, err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
func millis(d time.Duration) float64 { return micros(d) / 1000 }

// subject is what everybody is subscribed to.
const subject = "events.bench.all"
