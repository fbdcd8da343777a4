package e2e

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// hostileSize is an assault: a crowd of good clients, and attackers.
type hostileSize struct {
	crowd crowdSize
	part  int // see horde
	gogc  int // of the gateway: small, it collects its garbage often
}

var (
	hostileSmall = hostileSize{crowdSize{Clients: 50, Rooms: 5, Every: 200 * time.Millisecond, Stay: time.Second}, 20, 20}
	hostileFull  = hostileSize{crowdSize{Clients: 500, Rooms: 10, Every: time.Second, Stay: 8 * time.Second}, 1, 100}
)

// addresses are some of this machine's own.
func addresses(network, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.%d.%d", network, i+1))
	}
	return all
}

// hostileUsers is how many accounts the attackers have.
const hostileUsers = 10

// assault is a gateway, with its crowd.
type assault struct {
	size    hostileSize
	gateway *besieged
	crowd   *crowd
	tokens  []string // of the attackers
	before  usage    // the most that it used in peace
}

func newAssault(t *testing.T, size hostileSize) *assault {
	if runtime.GOOS != "linux" {
		t.Skip("needs addresses of 127.0.0.0/8, and /proc")
	}
	mayOpen(t, uint64(3*size.crowd.Clients+10_000/size.part))
	s := &assault{size: size, gateway: startBesieged(t, size.gogc)}
	s.gateway.fill(t)
	s.crowd = gather(t, size.crowd, s.gateway.address, addresses(1, 10), seedOf(t))
	for i := range hostileUsers {
		s.tokens = append(s.tokens, hostileToken(t, fmt.Sprint("foe", i), "foe"))
	}
	return s
}

// attack lets attackers loose who have these addresses.
func (s *assault) attack(t *testing.T, from []string) *hordeProcess {
	t.Helper()
	return s.horde(from).start(t)
}

func (s *assault) horde(from []string) *horde {
	return &horde{Target: s.gateway.address, Addresses: from, Part: s.size.part, Tokens: s.tokens, Forged: s.tokens[0] + "x"}
}

// collections waits until the gateway has collected its garbage so often, and
// returns the most that it used meanwhile.
func (s *assault) collections(t *testing.T, n float64) (most usage) {
	t.Helper()
	first := s.gateway.usage(t)
	poll(t, "the gateway collects its garbage", func() bool {
		now := s.gateway.usage(t)
		most = most.most(now)
		return now.collections >= first.collections+n
	})
	return most
}

// rest notes what the gateway uses in peace, when that of its start is gone.
func (s *assault) rest(t *testing.T) {
	t.Helper()
	s.collections(t, 2)
	s.before = s.collections(t, 1)
}

// recover waits until the gateway uses no more than before.
func (s *assault) recover(t *testing.T) (after usage, took time.Duration) {
	t.Helper()
	begun := time.Now()
	first := s.gateway.usage(t)
	deadline := begun.Add(2 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		after = s.gateway.usage(t)
		if after.collections >= first.collections+2 && after.returned(s.before) {
			return after, time.Since(begun)
		}
		if time.Now().After(deadline) {
			t.Errorf("the gateway does not come back to what it was: before %v, after %v", s.before, after)
			return after, time.Since(begun)
		}
	}
}

// unready are what attackers may be told besides if the gateway could not do its
// work for a while since it was at rest, as when the store takes 5 s to answer.
func (s *assault) unready(t *testing.T) []string {
	t.Helper()
	const counter = `connections_refused_total{reason="not_ready"}`
	if s.gateway.usage(t).counters[counter] == s.before.counters[counter] {
		return nil
	}
	return list("HTTP 503", "HTTP 403") // of Engine.IO the latter
}

// refusals are what an address that has too many connections is told besides.
var refusals = []string{"HTTP 429", "HTTP 403", "HTTP 400", outcomeCut}

// TestHostile: attackers of all kinds beside good clients. These lose nothing,
// and when the attackers have left, or have vanished without a word, the
// gateway is as it was before.
func TestHostile(t *testing.T) {
	s := newAssault(t, hostileSmall)
	s.rest(t)
	t.Logf("before: %v", s.before)

	horde := s.attack(t, addresses(2, 5))
	defer func() { checkDeeds(t, horde.done(), s.unready(t)...) }()
	var during usage
	// They have one processor at most, and some need many seconds of it.
	pollFor(t, 3*time.Minute, "everything has happened to the attackers", func() bool {
		during = during.most(s.gateway.usage(t))
		return len(horde.missing()) == 0
	})
	t.Logf("during: %v; %s", during, during.grown(s.before))
	if during.fds < s.before.fds+50 {
		t.Errorf("the gateway has %d files open, %d before: the test did not bite", during.fds, s.before.fds)
	}
	if err := horde.freeze(); err != nil {
		t.Fatal(err)
	}
	after, took := s.recover(t)
	t.Logf("%v after they had vanished: %v", took, after)
	horde.kill()

	s.crowd.disperse(t)
	s.crowd.check(t, false)
	if n, faults := s.gateway.logLines(), s.gateway.faults(); n > logKept || len(faults) > 0 {
		t.Errorf("the gateway has logged %d lines, and these errors: %q", n, faults)
	}
}

// TestHostileFull measures the same at full size; see "make hostile".
func TestHostileFull(t *testing.T) {
	out := os.Getenv("JETWAY_HOSTILE")
	if out == "" {
		t.Skip("JETWAY_HOSTILE is not set to the file for the figures: make hostile")
	}
	measureHostile(t, hostileFull, out)
}
