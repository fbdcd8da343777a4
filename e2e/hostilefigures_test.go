package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	hostileRuns   = 3
	hostileWindow = 8 * time.Second // of each phase
	hostileWire   = 12 * time.Second
	hostileAttack = 15 * time.Second // of the one in which all timeouts are to be seen
)

// The phases of a run.
const (
	phaseQuiet   = "quiet"
	phaseBurn    = "as much CPU, no attack"
	phaseWire    = "connections alone, from 40 addresses"
	phaseAttack  = "attack from 40 addresses"
	phaseAddress = "attack from one address"
)

var hostilePhases = []string{phaseQuiet, phaseWire, phaseAttack, phaseBurn, phaseAddress}

// phase is what was measured in one phase of one run.
type phase struct {
	from, to              time.Duration // since the crowd's epoch
	deliveries, answers   []time.Duration
	gateway, crowd, horde float64 // cores that each kept busy
	idle                  float64 // cores that had nothing to do
	begun, most, ended    usage
	after                 usage
	back                  time.Duration // until it was as before
	deeds                 map[string]*deed
	logged                int // lines
}

// hostileRun is one assault.
type hostileRun struct {
	phases           map[string]*phase
	before           usage
	acked, delivered int
}

// measureHostile writes the figures of several runs to a file.
func measureHostile(t *testing.T, size hostileSize, out string) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	var runs []*hostileRun
	for i := range hostileRuns {
		t.Run(fmt.Sprint("run=", i+1), func(t *testing.T) { runs = append(runs, measureSiege(t, size)) })
	}
	if t.Failed() {
		return
	}
	if err := os.WriteFile(out, hostileReport(size, runs, strings.Fields(string(load))[0]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func measureSiege(t *testing.T, size hostileSize) *hostileRun {
	s := newAssault(t, size)
	r := &hostileRun{phases: map[string]*phase{}}
	s.rest(t)
	r.phases[phaseQuiet] = s.phase(t, hostileWindow, 0)
	s.before = s.before.most(r.phases[phaseQuiet].most)
	r.before = s.before

	wire := s.horde(addresses(4, 40))
	wire.Wire = true
	attackers := wire.start(t)
	p := s.phase(t, hostileWire, attackers.cmd.Process.Pid)
	attackers.leave()
	p.after, p.back = s.recover(t)
	r.phases[phaseWire] = p

	// All peers vanish at the end of this one.
	attackers = s.attack(t, addresses(2, 40))
	p = s.phase(t, hostileAttack, attackers.cmd.Process.Pid)
	if err := attackers.freeze(); err != nil {
		t.Fatal(err)
	}
	p.after, p.back = s.recover(t)
	p.deeds = attackers.done()
	checkDeeds(t, p.deeds)
	if missing := attackers.missing(); len(missing) > 0 {
		t.Errorf("nothing has become of %q", missing)
	}
	attackers.kill()
	r.phases[phaseAttack] = p

	burner := (&horde{Burn: max(p.horde, 0.01)}).start(t)
	r.phases[phaseBurn] = s.phase(t, hostileWindow, burner.cmd.Process.Pid)
	burner.leave()

	// From these they take their leave.
	attackers = s.attack(t, addresses(3, 1))
	p = s.phase(t, hostileWindow, attackers.cmd.Process.Pid)
	attackers.leave()
	p.after, p.back = s.recover(t)
	p.deeds = attackers.done()
	checkDeeds(t, p.deeds, refusals...)
	refused := 0.0
	for _, why := range []string{"per_address", "handshake_rate_per_address", "sockets"} {
		name := fmt.Sprintf("connections_refused_total{reason=%q}", why)
		refused += p.ended.counters[name] - p.begun.counters[name]
	}
	if refused == 0 {
		t.Error("nobody was over the limits of an address: the test did not bite")
	}
	r.phases[phaseAddress] = p

	s.crowd.disperse(t)
	r.acked, r.delivered = s.crowd.check(t, true)
	for _, line := range s.gateway.faults() {
		t.Errorf("the gateway has logged: %s", line)
	}
	for _, name := range hostilePhases {
		p := r.phases[name]
		p.deliveries, p.answers = s.crowd.took(p.from, p.to)
		t.Logf("%s: %d deliveries, p50 %v, p99 %v; p99 to the answer %v; cores: gateway %.2f, crowd %.2f, attackers %.2f, idle %.2f; %d lines logged; %v; %s", name, len(p.deliveries),
			percentile(p.deliveries, 50), percentile(p.deliveries, 99), percentile(p.answers, 99), p.gateway, p.crowd, p.horde, p.idle, p.logged, p.most, p.ended.grown(p.begun))
		if p.deeds != nil {
			t.Logf("%s: %v after the attack: %v; before: %v", name, p.back, p.after, s.before)
		}
	}
	return r
}

// phase measures for a while; other is the process beside, 0 for none.
func (s *assault) phase(t *testing.T, d time.Duration, other int) *phase {
	t.Helper()
	cpu := func() (all [3]time.Duration) {
		for i, pid := range []int{s.gateway.cmd.Process.Pid, os.Getpid(), other} {
			if pid != 0 {
				all[i] = cpuOf(t, pid)
			}
		}
		return all
	}
	p := &phase{from: s.crowd.now(), begun: s.gateway.usage(t)}
	lines, used, idle := s.gateway.logLines(), cpu(), idleOf(t)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for range d / (500 * time.Millisecond) { // the only wait; not in CI
		<-tick.C
		p.ended = s.gateway.usage(t)
		p.most = p.most.most(p.ended)
	}
	p.to = s.crowd.now()
	cores := func(was, is time.Duration) float64 { return (is - was).Seconds() / (p.to - p.from).Seconds() }
	now := cpu()
	p.gateway, p.crowd, p.horde = cores(used[0], now[0]), cores(used[1], now[1]), cores(used[2], now[2])
	p.idle, p.logged = cores(idle, idleOf(t)), s.gateway.logLines()-lines
	return p
}

// hostileReport is HOSTILE.md.
func hostileReport(size hostileSize, runs []*hostileRun, load string) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	hostileIntro(p, size, runs, load)
	for _, name := range hostilePhases[1:] {
		hostileLatency(p, name, runs)
	}
	hostileReturn(p, runs)
	hostileDeeds(p, phaseAttack, runs)
	hostileDeeds(p, phaseAddress, runs)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func hostileIntro(p func(string, ...any), size hostileSize, runs []*hostileRun, load string) {
	acked, delivered, most, wire := 0, 0, 0, 0
	for _, r := range runs {
		acked, delivered = acked+r.acked, delivered+r.delivered
		most = max(most, r.phases[phaseAttack].most.fds-r.before.fds)
		wire = max(wire, r.phases[phaseWire].most.fds-r.before.fds)
	}
	p("# Hostile clients\n")
	p("%d good clients beside %d attackers, each of which has one connection at a time, and makes the next one a second or a few after that has ended: up to %d connections at", size.crowd.Clients,
		(&horde{Part: size.part}).attackers(), most)
	p("the same time, and sessions without one. All good clients kept theirs, and each event that was acknowledged (%d) came to all of its readers (%d deliveries), once and in order,", acked, delivered)
	p("or the run failed. %d runs, each with a gateway of its own.\n", len(runs))
	p("* **Gateway**: a process of its own, the embedded server, `sync: always`, tokens required. Not as the defaults are: pings every 5 s with 5 s to answer; 5 s for a header, for `auth` and")
	p("  to join a namespace, 7 s for a message; 10 publishes a second, 20 of one user; %d connections per address, 100 new ones a second; 500 events in memory.", hostilePerAddress)
	p("* **Good clients**: in one process, from 10 addresses, in %d rooms; 3 of 10 speak Socket.IO. 2 of 10 publish, one event every %s, half of them with a key, and wait for the", size.crowd.Rooms, size.crowd.Every)
	p("  acknowledgement; 2 of 10 leave after %s or so, and come back to their position or session.", size.crowd.Stay)
	p("* **Latency**: from the moment at which an event was due to be sent to its reader's having it, or its writer's having the answer.")
	p("* **Attackers**: in another process, on the same cores, of which it may use one; with the tokens of %d users, and paced: what they could do with more cores is not shown.", hostileUsers)
	p("  *%s*: %d attackers that drip, flood with pings, throw bombs, go half-open, come and go, up to %d connections at the same time. *%s*: all kinds,", phaseWire,
		(&horde{Part: size.part, Wire: true}).attackers(), wire, phaseAttack)
	p("  with floods of publishes, subscriptions to everything, junk and forged tokens, below every limit per address; what protects is all that there is per connection and per user. *%s*: far beyond the limits per address, which", phaseAddress)
	p("  refuse most of it. *%s*: the same process keeps as much CPU busy as the attackers did, and connects to nobody.", phaseBurn)
	p("* **Afterwards**: the attackers from 40 addresses vanish: their process is stopped (SIGSTOP), its connections stay open and say nothing. Those from one address close theirs.\n")
	p("Reproduce with `make hostile`. Written by `e2e/hostilefigures_test.go`; do not edit.\n")
	p("%s Load average at the start: %s.\n", farMachine(), load)
}

// figuresOf has one value per run.
func figuresOf(runs []*hostileRun, name string, of func(*phase) float64) []float64 {
	list := make([]float64, len(runs))
	for i, r := range runs {
		list[i] = of(r.phases[name])
	}
	return list
}

var hostileFigures = []struct {
	name string
	of   func(*phase) float64
}{
	{"delivery p50, ms", func(p *phase) float64 { return millis(percentile(p.deliveries, 50)) }},
	{"delivery p99, ms", func(p *phase) float64 { return millis(percentile(p.deliveries, 99)) }},
	{"delivery p99.9, ms", func(p *phase) float64 { return millis(permille(p.deliveries, 999)) }},
	{"answer p50, ms", func(p *phase) float64 { return millis(percentile(p.answers, 50)) }},
	{"answer p99, ms", func(p *phase) float64 { return millis(percentile(p.answers, 99)) }},
	{"gateway, cores", func(p *phase) float64 { return p.gateway }},
	{"good clients, cores", func(p *phase) float64 { return p.crowd }},
	{"attackers, cores", func(p *phase) float64 { return p.horde }},
	{"idle, cores", func(p *phase) float64 { return p.idle }},
}

// withRatio is how many of the figures are latencies, of which a ratio is asked for.
const withRatio = 5

func permille(list []time.Duration, p int) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[min(len(list)*p/1000, len(list)-1)]
}

func hostileLatency(p func(string, ...any), name string, runs []*hostileRun) {
	p("## %s%s\n", strings.ToUpper(name[:1]), name[1:])
	p("| least – median – most | quiet | %s | ratio |\n|---|---|---|---|", name)
	for i, f := range hostileFigures {
		quiet, loud := figuresOf(runs, phaseQuiet, f.of), figuresOf(runs, name, f.of)
		ratio := ""
		if i < withRatio {
			ratios := make([]float64, len(runs))
			for k := range ratios {
				ratios[k] = loud[k] / quiet[k]
			}
			ratio = spreadOf(ratios)
		}
		p("| %s | %s | %s | %s |", f.name, spreadOf(quiet), spreadOf(loud), ratio)
	}
	p("")
}

func hostileReturn(p func(string, ...any), runs []*hostileRun) {
	p("## What the gateway uses\n")
	p("The most before any attack, the most during it, and after it. \"Live\" is what a collection leaves, stacks included; the gateway has returned when that is at most %d MiB", slackLive>>20)
	p("more than before, and goroutines and files at most %d, each after at least two collections. RSS is what the operating system has lent; it takes its time to be given back.\n", slackGoroutines)
	p("| run | | goroutines | files | live, MiB | heap in use, MiB | RSS, MiB | returned after | lines logged |\n|---|---|---|---|---|---|---|---|---|")
	row := func(run int, what string, u usage, back, lines string) {
		p("| %d | %s | %d | %d | %.1f | %.1f | %.1f | %s | %s |", run, what, u.goroutines, u.fds, u.live/(1<<20), u.heap/(1<<20), u.rss/(1<<20), back, lines)
	}
	for i, r := range runs {
		row(i+1, "before", r.before, "", "")
		for _, name := range []string{phaseWire, phaseAttack, phaseAddress} {
			ph := r.phases[name]
			row(i+1, name, ph.most, "", fmt.Sprint(ph.logged))
			row(i+1, "after it", ph.after, fmt.Sprintf("%.1f s", ph.back.Seconds()), "")
		}
	}
	p("\nWhat the gateway counted in run 1:\n")
	for _, name := range []string{phaseAttack, phaseAddress} {
		ph := runs[0].phases[name]
		p("* %s: %s", name, ph.ended.grown(ph.begun))
	}
	p("")
}

// hostileDeeds is what became of the attackers, in all runs together.
func hostileDeeds(p func(string, ...any), name string, runs []*hostileRun) {
	p("## What became of the attackers: %s\n", name)
	p("All runs together. \"Held\": there until the end. \"Cut\": closed without a word. \"Left\": the attacker itself went.\n")
	p("| kind | attackers | connections | sent on those that ended | outcomes |\n|---|---|---|---|---|")
	for _, k := range hostileKinds {
		sum := deed{Outcomes: map[string]int{}}
		for _, r := range runs {
			d := r.phases[name].deeds[k.name]
			sum.Attackers, sum.Ended, sum.Sent = d.Attackers, sum.Ended+d.Ended+d.Open, sum.Sent+d.Sent
			for outcome, n := range d.Outcomes {
				sum.Outcomes[outcome] += n
			}
			sum.Outcomes[outcomeHeld] += d.Open
		}
		var outcomes []string
		for _, outcome := range slices.Sorted(maps.Keys(sum.Outcomes)) {
			if n := sum.Outcomes[outcome]; n > 0 {
				outcomes = append(outcomes, fmt.Sprintf("%s %d", outcome, n))
			}
		}
		p("| %s | %d | %d | %d | %s |", k.name, sum.Attackers, sum.Ended, sum.Sent, strings.Join(outcomes, ", "))
	}
	p("")
}
