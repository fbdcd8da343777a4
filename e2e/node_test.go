// Package e2e has the tests of the whole: Go ones that run gateways in this
// process over a real NATS server, and *.test.mjs ones that run the program
// and a browser.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/internal/leaktest"
	"github.com/jetway-io/jetway/jetstream"
)

// TestMain also is the process of a worker or of attackers, see workerMain and
// hostileMain.
func TestMain(m *testing.M) {
	if file := os.Getenv(hostileEnv); file != "" {
		hostileMain(file)
	}
	if args := os.Getenv(workerEnv); args != "" {
		workerMain(args)
	}
	leaktest.Main(m)
}

// node is a gateway; the first of a test brings the NATS server.
type node struct {
	url    string
	nats   string // where others can join
	broker *jetstream.Broker
	bridge *bridge.Bridge
	server *gateway.Server
}

// nodeOptions change what a test's nodes are like.
type nodeOptions struct {
	nats     string // join this server instead of bringing one
	store    string // directory; "" is a new one
	interval bool   // do not sync each write
	stream   jetstream.StreamConfig
	bridge   bridge.Options
	gateway  gateway.Options // Anonymous nil lets anyone do anything
	strict   bool            // refuse clients without a token
	queues   bool            // jobs.* are queues
	lease    time.Duration   // of jobs; 0 is the default
	maxJobs  int64           // of a queue; 0 is the default
}

var anyone = bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}, Req: []string{">"}}

func startNode(t testing.TB, o nodeOptions) *node {
	t.Helper()
	if o.stream.Name == "" {
		o.stream.Name = "EVENTS"
	}
	o.stream.Subjects = []string{"events.>"}
	if o.store == "" && o.nats == "" {
		o.store = t.TempDir()
	}
	logger := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	streams, queues := []jetstream.StreamConfig{o.stream}, jetstream.QueueOptions{}
	if o.queues {
		streams = append(streams, jetstream.StreamConfig{Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}, MaxBytes: 1 << 30},
			jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.jobs.*"}, MaxBytes: 1 << 30, DiscardNew: true})
		queues = jetstream.QueueOptions{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: o.lease, MaxJobs: o.maxJobs}
	}
	n := &node{}
	options := jetstream.Options{
		Logger: logger, URL: o.nats, Streams: streams, Queues: queues,
		Timeout:  30 * time.Second, // the test's own clients starve the server of its processors
		Sessions: jetstream.SessionOptions{Keep: o.gateway.SocketIO.Path != ""},
		Embedded: jetstream.EmbeddedOptions{StoreDir: o.store, SyncAlways: !o.interval, Listen: "127.0.0.1:0", MaxStore: 4 << 30},
	}
	var err error
	n.broker, err = jetstream.Open(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	n.nats = n.broker.ClientURL()
	o.bridge.Logger = logger
	n.bridge = bridge.New(n.broker, o.bridge)
	g := o.gateway
	g.Bridge, g.Logger, g.Listen, g.MaxPerAddress = n.bridge, logger, "127.0.0.1:0", 1e6
	if g.Anonymous == nil && !o.strict {
		g.Anonymous = &anyone
	}
	for _, rate := range []*float64{&g.PublishRate, &g.PublishBytes, &g.UserPublishRate, &g.UserPublishBytes, &g.HandshakeRate, &g.HandshakeRatePerAddress} {
		if *rate == 0 {
			*rate = 1e12
		}
	}
	if n.server, err = gateway.New(g); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.server.Start(ctx), n.bridge.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	n.url = "ws://" + n.server.Addr().String() + "/ws"
	t.Cleanup(func() { n.stop(t) })
	return n
}

func (n *node) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(n.server.Stop(ctx), n.bridge.Stop(ctx), n.broker.Close(ctx)); err != nil {
		t.Error(err)
	}
}

// testLog is a test's log that may still be written to after the test.
type testLog struct{ t testing.TB }

var _ io.Writer = testLog{}

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// patience is what the tests' own clients wait for a handshake or an answer on
// a machine that is busy.
const patience = 30 * time.Second

func dial(t testing.TB, n *node, o client.Options) *client.Client {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	c, err := client.Dial(testContext(t), n.url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func subscribe(t testing.TB, c *client.Client, filter string, o client.SubOptions) *client.Sub {
	t.Helper()
	s, err := c.Subscribe(testContext(t), filter, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// publishN publishes the numbers from..to and returns when all are stored.
func publishN(t testing.TB, c *client.Client, subject string, from, to int) {
	t.Helper()
	ctx := testContext(t)
	results := make(chan error, 1024)
	go func() {
		for i := from; i <= to; i++ {
			if err := c.PublishAsync(ctx, subject, []byte(fmt.Sprint(i)), client.PubOptions{}, func(_ client.Ack, err error) { results <- err }); err != nil {
				results <- err
			}
		}
	}()
	for range to - from + 1 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}

// next returns the next message of one of these kinds, and fails on an end or
// a gap that is not asked for.
func next(t testing.TB, s *client.Sub, kinds ...native.Kind) client.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		m, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %v: %v", kinds, err)
		}
		for _, k := range kinds {
			if m.Kind == k {
				return m
			}
		}
		if m.Kind == native.KindGap || m.Kind == native.KindEnd {
			t.Fatalf("unexpected %+v", m)
		}
	}
}

// expectNumbers reads the events from..to, each once, in order, and returns
// the last.
func expectNumbers(t testing.TB, s *client.Sub, from, to int) (last client.Message) {
	t.Helper()
	for i := from; i <= to; i++ {
		last = next(t, s, native.KindEvent)
		if string(last.Data) != fmt.Sprint(i) {
			t.Fatalf("got %s at %s, want %d", last.Data, last.Pos, i)
		}
	}
	return last
}

// admin is a plain NATS client on the same server.
func admin(t testing.TB, n *node) natsjs.JetStream {
	t.Helper()
	nc, err := nats.Connect(n.nats, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc, natsjs.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// patient is a gateway that does not take a client that answers no ping for a
// dead one while the test runs.
var patient = gateway.Options{PingInterval: 5 * time.Minute}

// smallBuffer makes a client slow soon. With much less than the loopback's
// segments of 64 KiB, TCP itself crawls.
const smallBuffer = 128 << 10

// flood publishes events of a size past Jetway, straight to NATS, and returns
// when all are stored.
func flood(t testing.TB, n *node, subject string, events, size int) {
	t.Helper()
	js := admin(t, n)
	data := make([]byte, size)
	copy(data, `"`)
	for i := 1; i < size-1; i++ {
		data[i] = 'x'
	}
	data[size-1] = '"'
	const window = 1000
	pending := make(chan natsjs.PubAckFuture, window)
	sent := make(chan error, 1)
	go func() {
		defer close(pending)
		for range events {
			f, err := js.PublishAsync(subject, data)
			if err != nil {
				sent <- err
				return
			}
			pending <- f
		}
		sent <- nil
	}()
	for f := range pending {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			t.Fatal(err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
