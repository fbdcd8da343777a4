package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hostileEnv makes this binary a process of attackers: the file of its horde.
const hostileEnv = "JETWAY_E2E_HOSTILE"

// horde is a process full of attackers: what it is told, as JSON in a file.
type horde struct {
	Target    string   // address of the gateway
	Addresses []string // that it has for itself
	Part      int      // one in so many of the attackers there are at full size
	Wire      bool     // only those of onTheWire, and half as many again of each
	Tokens    []string // that are good
	Forged    string   // a token that is not
	Burn      float64  // so many cores are kept busy instead, and nobody attacks
}

// deed is what one kind of attackers has done, and what was done to it.
type deed struct {
	Attackers int
	Open      int // connections that it is at now
	Ended     int // connections before these
	Sent      int // by those that have ended
	Outcomes  map[string]int
}

// reportEvery is how often the process tells what it has done.
const reportEvery = 200 * time.Millisecond

// hostileMain is the process of the attackers. The end of its input is the end
// of the attack; after the last report it stays, so that nothing but itself
// closes its connections.
func hostileMain(file string) {
	text, err := os.ReadFile(file)
	h := &horde{}
	if err == nil {
		err = json.Unmarshal(text, h)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is what matters
		cancel()
	}()
	if h.Burn > 0 {
		burn(ctx, h.Burn)
	} else {
		h.attack(ctx)
	}
	os.Exit(0)
}

// count is how many attackers of a kind there are, at least one.
func (h *horde) count(k *hostileKind) int {
	switch {
	case !h.Wire:
		return max(1, k.many/h.Part)
	case slices.Contains(onTheWire, k.name):
		return max(1, k.many*3/2/h.Part)
	}
	return 0
}

// attackers is how many there are of all kinds.
func (h *horde) attackers() (n int) {
	for i := range hostileKinds {
		n += h.count(&hostileKinds[i])
	}
	return n
}

func (h *horde) attack(ctx context.Context) {
	deflated() // now: with a connection that waits for it, it may take too long
	var mu sync.Mutex
	deeds := map[string]*deed{}
	var attackers sync.WaitGroup
	who := 0
	for i := range hostileKinds {
		k := &hostileKinds[i]
		d := &deed{Attackers: h.count(k), Outcomes: map[string]int{}}
		deeds[k.name] = d
		for range d.Attackers {
			number := who
			who++
			attackers.Go(func() { h.attacker(ctx, k, number, &mu, d) })
		}
	}
	out := json.NewEncoder(os.Stdout)
	report := func() {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(deeds) // nobody reads: it is being killed
	}
	ended := make(chan struct{})
	go func() { attackers.Wait(); close(ended) }()
	tick := time.NewTicker(reportEvery)
	for {
		select {
		case <-tick.C:
			report()
		case <-ended:
			report()
			return
		}
	}
}

// attacker attacks until the end, again and again. The first ones spread over
// the time between two.
func (h *horde) attacker(ctx context.Context, k *hostileKind, who int, mu *sync.Mutex, d *deed) {
	wait := time.NewTimer(rand.N(max(k.pause, time.Second)))
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		mu.Lock()
		d.Open++
		mu.Unlock()
		a := &attempt{ctx: ctx, horde: h, who: who}
		outcome := k.run(a)
		if a.conn != nil {
			_ = a.conn.Close() // ended already, or of no use any more
		}
		mu.Lock()
		d.Open--
		d.Ended++
		d.Sent += a.sent
		d.Outcomes[outcome]++
		mu.Unlock()
		wait.Reset(k.pause)
	}
}

// burn keeps so many cores busy, without a connection to anybody.
func burn(ctx context.Context, cores float64) {
	const slice = 10 * time.Millisecond
	var burners sync.WaitGroup
	n := int(cores) + 1
	busy := time.Duration(cores / float64(n) * float64(slice))
	for range n {
		burners.Go(func() {
			tick := time.NewTicker(slice)
			defer tick.Stop()
			for ctx.Err() == nil {
				for begun := time.Now(); time.Since(begun) < busy; {
				}
				<-tick.C
			}
		})
	}
	burners.Wait()
}

// hordeProcess is a horde that runs.
type hordeProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	read  chan struct{} // closed when it has said everything

	mu    sync.Mutex
	deeds map[string]*deed
}

// start lets them loose.
func (h *horde) start(t *testing.T) *hordeProcess {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/horde.json"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &hordeProcess{cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	// One processor is what it may have of the machine, which has two.
	p.cmd.Env = append(os.Environ(), hostileEnv+"="+file, "GOMAXPROCS=1")
	p.cmd.Stderr = testLog{t}
	p.stdin, err = p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	go func() {
		defer close(p.read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var deeds map[string]*deed
			if json.Unmarshal(lines.Bytes(), &deeds) != nil {
				continue // a line that the kill cut off
			}
			p.mu.Lock()
			p.deeds = deeds
			p.mu.Unlock()
		}
	}()
	return p
}

// done is what it has reported last.
func (p *hordeProcess) done() map[string]*deed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deeds
}

// leave ends the attack; the attackers close their connections.
func (p *hordeProcess) leave() {
	_ = p.stdin.Close() // or it has ended
	<-p.read
	_ = p.cmd.Wait()
}

// freeze makes all peers vanish at once: the process neither reads nor writes
// any more, but its connections are not closed.
func (p *hordeProcess) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

func (p *hordeProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.read
	_ = p.cmd.Wait()
}

// missing are the kinds to which what must happen has not happened yet.
func (p *hordeProcess) missing() (kinds []string) {
	deeds := p.done()
	for _, k := range hostileKinds {
		d := deeds[k.name]
		if d == nil || len(k.must) > 0 && !slices.ContainsFunc(k.must, func(outcome string) bool { return d.Outcomes[outcome] > 0 }) {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

// checkDeeds fails when something became of attackers that should not. Others are
// outcomes that are in order for all kinds.
func checkDeeds(t *testing.T, deeds map[string]*deed, others ...string) {
	t.Helper()
	for _, k := range hostileKinds {
		d := deeds[k.name]
		if d == nil {
			t.Errorf("%s: nothing is known of it", k.name)
			continue
		}
		t.Logf("%s: %d attackers, %d connections open, %d ended, %d sent: %v", k.name, d.Attackers, d.Open, d.Ended, d.Sent, d.Outcomes)
		for _, outcome := range slices.Sorted(maps.Keys(d.Outcomes)) {
			if outcome != outcomeHeld && !slices.Contains(slices.Concat(k.must, k.may, others), outcome) {
				t.Errorf("%s: %d times %q", k.name, d.Outcomes[outcome], outcome)
			}
		}
	}
}
