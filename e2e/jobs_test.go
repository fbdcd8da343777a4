package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
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

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/jetstream"
)

// The history of a queue: workers are processes that are killed, stall beyond
// their lease, give back, and disconnect; gateways are processes, too, and one
// of them is killed. In the end every job was acked once, by a lease that was
// valid, or is a dead letter.

const (
	historyJobs    = 2000
	historyPoison  = 20 // of these, jobs that nobody can do
	historyWorkers = 10
	historyLease   = 3 * time.Second
	historyTries   = 8
	workerEnv      = "JETWAY_E2E_WORKER" // seed, then the gateways' URLs, separated by spaces
)

// gatewayConfig has leases that outlast a machine that stalls for a moment.
const gatewayConfig = `
streams: [{name: EVENTS, subjects: [events.>], max_bytes: 64MiB}]
queues: {lease: 3s, max_tries: 8, backoff: [20ms, 50ms, 100ms], events_max_bytes: 256MiB, dead_max_bytes: 64MiB}
limits: {publish_rate: 100000/s}
`

// gatewayProcess is a jetway that can be killed.
type gatewayProcess struct {
	binary, config, address, nats string
	cmd                           *exec.Cmd
}

func buildJetway(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "jetway")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/jetway").CombinedOutput(); err != nil {
		t.Fatalf("building jetway: %v\n%s", err, out)
	}
	return binary
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (g *gatewayProcess) url() string { return "ws://" + g.address + "/ws" }

// start runs it and returns when it serves.
func (g *gatewayProcess) start(t *testing.T) error {
	cmd := exec.Command(g.binary, "serve", "--config", g.config, "--listen", g.address, "--admin.listen", "", "--nats.url", g.nats)
	cmd.Stderr = testLog{t}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.cmd = cmd
	serves := comes(pollTime, func() bool {
		r, err := http.Get("http://" + g.address + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if !serves {
		return fmt.Errorf("the gateway at %s does not serve in time", g.address)
	}
	return nil
}

// kill is SIGKILL: nothing is flushed, nothing is said.
func (g *gatewayProcess) kill() {
	_ = g.cmd.Process.Kill() // it may have ended
	_ = g.cmd.Wait()         // says that it was killed
}

// pollTime is how long a poll takes at most.
const pollTime = 2 * time.Minute

// poll asks until it is true.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	pollFor(t, pollTime, what, ok)
}

// pollFor is poll for what may take longer, or less.
func pollFor(t testing.TB, most time.Duration, what string, ok func() bool) {
	t.Helper()
	if !comes(most, ok) {
		t.Fatalf("not in time: %s", what)
	}
}

// comes asks until it is true, and reports whether that was in time. Unlike
// poll, any goroutine may call it.
func comes(most time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(most); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// record is a line of a worker: what it did with which job, and how it ended.
type record struct {
	What string // job, ack, nak, stale, leave
	Job  string
	Try  int
	Code string // "" is ok; "?" is no answer
}

// workerMain is a worker's process: it works until it is killed.
func workerMain(args string) {
	parts := strings.Fields(args)
	seed, _ := strconv.ParseUint(parts[0], 10, 64)
	w := &historyWorker{rnd: rand.New(rand.NewPCG(seed, 7)), out: json.NewEncoder(os.Stdout)}
	for {
		w.visit(parts[1+w.rnd.IntN(len(parts)-1)])
	}
}

type historyWorker struct {
	rnd *rand.Rand
	out *json.Encoder
}

func (w *historyWorker) note(what string, m client.Message, err error) {
	r := record{What: what, Job: strings.Trim(string(m.Data), `"`), Try: m.Try}
	var e *bridge.Error
	switch {
	case errors.As(err, new(*client.ClosedError)):
		r.Code = "?"
	case errors.As(err, &e):
		r.Code = string(e.Code)
		if e.Code == bridge.CodeUnavailable {
			r.Code = "?"
		}
	case err != nil:
		r.Code = "?"
	}
	_ = w.out.Encode(r) // nobody reads: it is being killed
}

// visit works over one connection, for a while.
func (w *historyWorker) visit(url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		return
	}
	defer c.Close()
	s, err := c.Work(ctx, "jobs.history", 1+w.rnd.IntN(3))
	if err != nil {
		return
	}
	for range 1 + w.rnd.IntN(200) {
		m, err := s.Next(ctx)
		if err != nil {
			return
		}
		if m.Kind != native.KindJob {
			continue
		}
		w.note("job", m, nil)
		if !w.job(ctx, c, m) {
			w.note("leave", m, nil)
			return // with the job
		}
	}
}

// job does one job, more or less; false is to leave with it.
func (w *historyWorker) job(ctx context.Context, c *client.Client, m client.Message) bool {
	poison := strings.HasPrefix(string(m.Data), `"poison`)
	switch chance := w.rnd.IntN(1000); {
	case chance < 20:
		w.outlast(ctx, c, m)
	case chance < 32:
		return false
	case chance < 57 || poison:
		w.note("nak", m, c.Nak(ctx, m.Lease, time.Duration(w.rnd.IntN(50)+1)*time.Millisecond, "by chance"))
	default:
		if chance < 112 {
			w.note("wip", m, c.Wip(ctx, m.Lease, []byte(`{"percent":50}`)))
		}
		w.note("trying", m, nil) // what follows may have an effect without an answer
		w.note("ack", m, c.Ack(ctx, m.Lease, []byte(`"`+strings.Trim(string(m.Data), `"`)+`"`)))
	}
	return true
}

// outlast acks a job beyond its lease, whatever the server says meanwhile.
func (w *historyWorker) outlast(ctx context.Context, c *client.Client, m client.Message) {
	timer := time.NewTimer(historyLease + historyLease/4)
	<-timer.C
	w.note("stale", m, c.Ack(ctx, m.Lease, nil))
}

// workerFleet runs worker processes and kills them now and then.
type workerFleet struct {
	t    *testing.T
	urls []string
	stop chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	kills   int
	records []record
}

func (f *workerFleet) run(i int, rnd *rand.Rand) {
	for n := 0; ; n++ {
		// Some are killed soon; the others live long enough to outlast a lease.
		life := time.NewTimer(time.Duration(200+rnd.IntN(1000)+i%2*8000) * time.Millisecond)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", workerEnv, rnd.Uint64(), strings.Join(f.urls, " ")))
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			f.t.Errorf("worker %d: %v", i, err)
			return
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			f.read(bufio.NewScanner(out))
		}()
		over := false
		select {
		case <-f.stop:
			over = true
		case <-life.C:
		}
		_ = cmd.Process.Signal(syscall.SIGKILL) // it may have ended
		<-read
		_ = cmd.Wait() // killed
		life.Stop()
		if over {
			return
		}
		f.mu.Lock()
		f.kills++
		f.mu.Unlock()
	}
}

// outlast is one worker more, which is not killed and outlasts one lease: that
// any of the others lives long enough for that is chance.
func (f *workerFleet) outlast(ctx context.Context, url string) error {
	c, err := client.Dial(ctx, url, client.Options{Timeout: patience})
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Work(ctx, "jobs.history", 1)
	if err != nil {
		return err
	}
	m, err := s.Next(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w := &historyWorker{out: json.NewEncoder(&out)}
	w.outlast(ctx, c, m)
	f.read(bufio.NewScanner(&out))
	return nil
}

func (f *workerFleet) read(lines *bufio.Scanner) {
	for lines.Scan() {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // a line that the kill cut off
		}
		f.mu.Lock()
		f.records = append(f.records, r)
		f.mu.Unlock()
	}
}

func TestJobHistory(t *testing.T) {
	seed := seedOf(t)
	store, err := jetstream.Open(testContext(t), jetstream.Options{
		Streams:  []jetstream.StreamConfig{{Name: "OTHER", Subjects: []string{"other.>"}}}, // only its server is wanted
		Embedded: jetstream.EmbeddedOptions{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", MaxStore: 1 << 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	config := filepath.Join(t.TempDir(), "jetway.yaml")
	if err := os.WriteFile(config, []byte(gatewayConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := buildJetway(t)
	gateways := make([]*gatewayProcess, 2)
	for i := range gateways {
		gateways[i] = &gatewayProcess{binary: binary, config: config, address: freeAddress(t), nats: store.ClientURL()}
		if err := gateways[i].start(t); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gateways[i].kill)
	}
	urls := []string{gateways[0].url(), gateways[1].url()}

	fleet := &workerFleet{t: t, urls: urls, stop: make(chan struct{})}
	for i := range historyWorkers {
		fleet.wg.Go(func() { fleet.run(i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	stopFleet := sync.OnceFunc(func() { close(fleet.stop); fleet.wg.Wait() })
	t.Cleanup(stopFleet)

	killed, outlasted := make(chan error, 1), make(chan error, 1)
	half := make(chan struct{})
	go func() {
		<-half
		gateways[1].kill()
		killed <- gateways[1].start(t)
	}()
	ctx := testContext(t)
	go func() { outlasted <- fleet.outlast(ctx, gateways[0].url()) }() // at the gateway that stays
	watch := submitJobs(t, gateways[0].url(), half)
	if err := errors.Join(<-killed, <-outlasted); err != nil {
		t.Fatal(err)
	}
	js := admin(t, &node{nats: store.ClientURL()})
	poll(t, "the queue is empty", func() bool {
		s, err := js.Stream(testContext(t), "JOBS")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	stopFleet()
	checkJobs(t, js, fleet, watch)
}

// submitJobs puts the jobs into the queue, again and again until each has its
// answer, and returns the subject to watch for each. half is closed in the
// middle.
func submitJobs(t *testing.T, url string, half chan struct{}) map[string]string {
	t.Helper()
	watch := map[string]string{}
	c, err := client.Dial(testContext(t), url, client.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range historyJobs {
		if i == historyJobs/2 {
			close(half)
		}
		name := fmt.Sprint("job-", i)
		if i%(historyJobs/historyPoison) == 0 {
			name = fmt.Sprint("poison-", i)
		}
		poll(t, name+" is stored", func() bool {
			ack, err := c.Publish(testContext(t), "jobs.history", []byte(`"`+name+`"`), client.PubOptions{Key: name})
			if err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
				t.Fatalf("submitting %s: %v", name, err)
			}
			watch[name] = ack.Watch
			return err == nil
		})
	}
	return watch
}

// checkJobs compares what the workers saw with what is stored.
func checkJobs(t *testing.T, js natsjs.JetStream, fleet *workerFleet, watch map[string]string) {
	t.Helper()
	done := map[string]int{} // by watch subject
	for _, m := range readStream(t, js, "JOB_EVENTS") {
		var e struct{ State string }
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			t.Errorf("a job event is %s", m.Data())
		}
		if e.State == "done" {
			done[m.Subject()]++
		}
	}
	dead := map[string]int{}
	for _, m := range readStream(t, js, "DEAD") {
		dead[strings.Trim(string(m.Data()), `"`)]++
	}
	acked, trying, counts := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range fleet.records {
		counts[r.What]++
		switch {
		case r.What == "ack" && r.Code == "":
			acked[r.Job]++
		case r.What == "trying":
			trying[r.Job]++
		case r.What == "stale":
			counts["stale "+r.Code]++
		}
		if r.Try > 1 {
			counts["redelivered"]++
		}
	}
	var lost, twice, unexplained []string
	recovered := 0
	for job, subject := range watch {
		switch {
		case acked[job] > 1 || done[subject] > 1 || dead[job] > 1 || acked[job]+dead[job] > 1:
			twice = append(twice, fmt.Sprintf("%s: acked %d, done %d, dead %d", job, acked[job], done[subject], dead[job]))
		case done[subject]+dead[job] == 0:
			lost = append(lost, job)
		case acked[job] == 0 && dead[job] == 0:
			if recovered++; trying[job] == 0 {
				unexplained = append(unexplained, job)
			}
		}
	}
	t.Logf("jobs %d, acked %d, dead %d, acked without the answer seen %d, lost %d, twice %d, unexplained %d; workers killed %d times; %v",
		len(watch), len(acked), len(dead), recovered, len(lost), len(twice), len(unexplained), fleet.kills, counts)
	if len(lost)+len(twice)+len(unexplained) > 0 {
		t.Errorf("the history does not hold; lost %.20q, twice %.100q, unexplained %.20q", lost, twice, unexplained)
	}
	if stale := counts["stale"] - counts["stale lease_lost"] - counts["stale ?"]; stale > 0 {
		t.Errorf("%d settles beyond the lease were not refused with lease_lost: %v", stale, counts)
	}
	for _, needed := range []string{"ack", "nak", "wip", "leave", "stale lease_lost", "redelivered"} {
		if counts[needed] == 0 {
			t.Errorf("no %q: the test did not bite", needed)
		}
	}
	if fleet.kills == 0 || len(dead) < historyPoison {
		t.Errorf("%d kills, %d dead letters: the test did not bite", fleet.kills, len(dead))
	}
	for _, job := range slices.Sorted(maps.Keys(dead)) {
		if !strings.HasPrefix(job, "poison") {
			t.Logf("dead without being poison: %s", job)
		}
	}
}

// readStream returns all messages of a stream.
func readStream(t *testing.T, js natsjs.JetStream, name string) []natsjs.Msg {
	t.Helper()
	ctx := testContext(t)
	s, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.OrderedConsumer(ctx, natsjs.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var all []natsjs.Msg
	for left := s.CachedInfo().State.Msgs; left > 0; {
		batch, err := c.Fetch(int(min(left, 500)))
		if err != nil {
			t.Fatal(err)
		}
		got := uint64(0)
		for m := range batch.Messages() {
			all = append(all, m)
			got++
		}
		if batch.Error() != nil || got == 0 {
			t.Fatalf("reading %s: %v", name, batch.Error())
		}
		left -= got
	}
	return all
}
