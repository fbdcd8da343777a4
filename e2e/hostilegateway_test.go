package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/token"
)

// hostileConfig is that of a gateway in public: nobody without a token, roles
// that allow what they must. The times are shorter than the defaults, so that
// a run of seconds sees their ends; publish rates are those of people who chat;
// the ring and the window of keys are small, so that they are full before
// anything is measured.
const hostileConfig = `
listen: %s
admin: {listen: %s}
nats: {embedded: {store_dir: %s, listen: ""}}
streams: [{name: EVENTS, subjects: [events.>], max_bytes: 512MiB, dedupe: 10s}]
queues: {subjects: []}
auth: {jwt: {secret: %s}}
roles:
  good: {pub: [events.good.>], sub: [events.good.>]}
  foe: {pub: [events.flood.>], sub: [events.>]}
socketio: {ping_interval: 5s, ping_timeout: 5s, connect_timeout: 5s}
ping: {interval: 5s, timeout: 5s}
limits:
  publish_rate: 10/s
  user_publish_rate: 20/s
  per_address: %d
  handshake_rate_per_address: 100/s
  handshake_timeout: 5s
  message_timeout: 7s
  auth_timeout: 5s
log: {max_messages: 500, max_bytes: 8MiB}
`

// hostilePerAddress is limits.per_address.
const hostilePerAddress = 200

func hostileToken(t *testing.T, user, role string) string {
	t.Helper()
	raw, err := token.Sign(token.SignOptions{Secret: tokenSecret, User: user, Roles: []string{role}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// besieged is a gateway in a process of its own, seen from outside.
type besieged struct {
	address, admin string
	cmd            *exec.Cmd
	gogc           int           // its GOGC
	logged         chan struct{} // closed at the end of its log

	mu    sync.Mutex
	lines int
	first []string // of the log
}

// logKept is how much of the log is kept: a gateway that logs what attackers
// do is a fault by itself.
const logKept = 100

func startBesieged(t *testing.T, gogc int) *besieged {
	t.Helper()
	binary, dir := buildJetway(t), t.TempDir()
	// Only now: while it is built, others might take them.
	g := &besieged{address: freeAddress(t), admin: freeAddress(t), gogc: gogc, logged: make(chan struct{})}
	config := filepath.Join(dir, "jetway.yaml")
	text := fmt.Sprintf(hostileConfig, g.address, g.admin, filepath.Join(dir, "data"), tokenSecret, hostilePerAddress)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command(binary, "serve", "--config", config)
	g.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "JETWAY_") }), fmt.Sprint("GOGC=", gogc))
	log, err := g.cmd.StderrPipe()
	if err == nil {
		err = g.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go g.readLog(log)
	t.Cleanup(func() { g.stop(t) })
	poll(t, "the gateway serves", func() bool {
		r, err := http.Get("http://" + g.address + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return g
}

func (g *besieged) readLog(r io.Reader) {
	defer close(g.logged)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		g.mu.Lock()
		if g.lines++; len(g.first) < logKept {
			g.first = append(g.first, lines.Text())
		}
		g.mu.Unlock()
	}
}

// logLines is how many lines it has logged.
func (g *besieged) logLines() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lines
}

// faults are the errors among them.
func (g *besieged) faults() (lines []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, line := range g.first {
		if strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return lines
}

// stop ends it as an operator does, which has to succeed.
func (g *besieged) stop(t *testing.T) {
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	kill := time.AfterFunc(time.Minute, func() { _ = g.cmd.Process.Kill() })
	defer kill.Stop()
	<-g.logged
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("the gateway: %v", err)
	}
	if t.Failed() {
		t.Logf("the gateway has logged %d lines:\n%s", g.lines, strings.Join(g.first, "\n"))
	}
}

// fill publishes until the ring is full: it is no leak.
func (g *besieged) fill(t *testing.T) {
	t.Helper()
	const publishers, each, size = 50, 10, 12_000
	data := []byte(`"` + strings.Repeat("x", size) + `"`)
	answers := make(chan error, publishers*each)
	for i := range publishers {
		raw, err := token.Sign(token.SignOptions{Secret: tokenSecret, User: fmt.Sprint("filler", i), Expires: time.Now().Add(time.Hour),
			Grants: bridge.Permissions{Pub: []string{"events.fill"}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := testContext(t)
		c, err := dialPatiently(ctx, g.address, raw)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for k := range each { // a whole burst
			go func() { answers <- publishPatiently(ctx, c, "events.fill", fmt.Sprint("fill-", k), data) }()
		}
	}
	for range publishers * each {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
}

func dialPatiently(ctx context.Context, address, token string) (c *client.Client, err error) {
	err = patiently(ctx, func() error {
		c, err = client.Dial(ctx, "ws://"+address+"/ws", client.Options{Token: token})
		return err
	})
	return c, err
}

func publishPatiently(ctx context.Context, c *client.Client, subject, key string, data []byte) error {
	return patiently(ctx, func() error {
		_, err := c.Publish(ctx, subject, data, client.PubOptions{Key: key})
		return err
	})
}

// patiently does something again and again while the gateway cannot: its store
// may take longer than it waits. After the pause a whole burst may be published.
func patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

// usage is what a process uses at one moment.
type usage struct {
	goroutines, fds int
	live            float64 // bytes that the last collection found in use, stacks included
	heap            float64 // bytes of heap in use, garbage included
	rss             float64
	collections     float64
	counters        map[string]float64 // what Jetway refused, by metric and label
}

// usage asks the gateway. The next collection is due when there is GOGC percent
// more than what the last one has left.
func (g *besieged) usage(t *testing.T) usage {
	t.Helper()
	all := g.metrics(t)
	u := usage{goroutines: int(all["go_goroutines"]), fds: int(all["process_open_fds"]), live: all["go_memstats_next_gc_bytes"] / (1 + float64(g.gogc)/100),
		heap: all["go_memstats_heap_inuse_bytes"], rss: all["process_resident_memory_bytes"], collections: all["go_gc_duration_seconds_count"], counters: map[string]float64{}}
	for name, v := range all {
		if strings.Contains(name, "refused_total{") || name == "jetway_events_published_total" || name == "jetway_fell_behind_total" {
			u.counters[strings.TrimPrefix(name, "jetway_")] = v
		}
	}
	return u
}

func (g *besieged) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	r, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && name != "#" {
			all[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return all
}

// most is the most of each of two.
func (u usage) most(v usage) usage {
	return usage{goroutines: max(u.goroutines, v.goroutines), fds: max(u.fds, v.fds), live: max(u.live, v.live), heap: max(u.heap, v.heap),
		rss: max(u.rss, v.rss), collections: max(u.collections, v.collections), counters: v.counters}
}

// grown is what was counted between two times.
func (u usage) grown(since usage) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(u.counters)) {
		if n := u.counters[name] - since.counters[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f", name, n))
		}
	}
	return strings.Join(parts, ", ")
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %.1f MiB live, %.1f MiB of heap, %.1f MiB RSS", u.goroutines, u.fds, u.live/(1<<20), u.heap/(1<<20), u.rss/(1<<20))
}

// What may be more after an attack than ever before it: members of the crowd
// come and go, and caches of the NATS server are not empty.
const (
	slackGoroutines = 10
	slackFiles      = 10
	slackLive       = 8 << 20
)

// returned reports whether it uses no more than before.
func (u usage) returned(before usage) bool {
	return u.goroutines <= before.goroutines+slackGoroutines && u.fds <= before.fds+slackFiles && u.live <= before.live+slackLive
}

// cpuOf is how long a process has run, to 10 ms: utime and stime are fields 14
// and 15 of proc_pid_stat(5), in units of 1/100 s.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// idleOf is how long the machine's processors have had nothing to do, all of
// them together: see proc_stat(5).
func idleOf(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	idle, _ := strconv.Atoi(fields[4])
	return time.Duration(idle) * 10 * time.Millisecond
}
