package jetstream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// sweeps are the consumers of sweeps that a stream has.
func sweeps(t *testing.T, nc *nats.Conn) (names []string) {
	t.Helper()
	m, err := nc.Request("$JS.API.CONSUMER.NAMES.EVENTS", nil, deadline)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Consumers []string `json:"consumers"`
	}
	if err := json.Unmarshal(m.Data, &list); err != nil {
		t.Fatal(err)
	}
	for _, name := range list.Consumers {
		if strings.HasPrefix(name, "jw-sweep-") {
			names = append(names, name)
		}
	}
	return names
}

// readOn reads from a sequence on until all to the end have come, in order.
func readOn(t *testing.T, b *jetstream.Broker, from, end uint64, most, maxBytes int) (all []*bridge.Event) {
	t.Helper()
	for from <= end {
		batch, err := b.Read(t.Context(), bridge.ReadRequest{From: from, MaxMessages: most, MaxBytes: maxBytes})
		if err != nil || len(batch.Events) == 0 || len(batch.Events) > most || len(batch.Lost) > 0 {
			t.Fatalf("from %d: %d events, %v lost, %v", from, len(batch.Events), batch.Lost, err)
		}
		for _, e := range batch.Events {
			if e.Seq != from || e.Stream != batch.Stream {
				t.Fatalf("%d of %v follows %d", e.Seq, e.Stream, from-1)
			}
			from++
		}
		if batch.Next != from {
			t.Fatalf("next is %d after %d", batch.Next, from-1)
		}
		all = append(all, batch.Events...)
	}
	return all
}

// A sweep brings what direct gets bring, through one consumer for as long as
// reads follow each other, and none that is left.
func TestSweep(t *testing.T) {
	server := open(t, options(t, func(o *jetstream.Options) { o.Embedded.Listen = "127.0.0.1:0" }))
	fill(t, server, 4000, "events.a", "events.b.c")
	publish(t, server, &bridge.Publication{Subject: "events.a", Data: []byte("hi"), ID: "u:1",
		Head: []bridge.Field{{Name: "Zeta", Value: "1"}, {Name: "alpha", Value: "2"}, {Name: "alpha", Value: "3"}}})
	fill(t, server, 999, "events.a")
	o := options(t)
	o.URL, o.Embedded = server.ClientURL(), jetstream.EmbeddedOptions{}
	b, err := jetstream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	swept := readOn(t, b, 1, 5000, 700, 0)
	first := sweeps(t, server.Conn())
	if len(first) != 1 {
		t.Errorf("consumers %v", first)
	}
	seqs := make([]uint64, 5000)
	for i := range seqs {
		seqs[i] = uint64(i + 1)
	}
	gotten, err := b.ReadSeqs(t.Context(), 0, seqs)
	if err != nil || len(gotten) != len(swept) {
		t.Fatalf("%d events, %v", len(gotten), err)
	}
	for i, e := range swept {
		g := gotten[i]
		if e.Subject != g.Subject || e.Seq != g.Seq || !e.Time.Equal(g.Time) || !bytes.Equal(e.Data, g.Data) || !slices.Equal(e.Head, g.Head) {
			t.Fatalf("a consumer brings %+v, a direct get %+v", e, g)
		}
	}

	// Elsewhere, another consumer takes its place.
	readOn(t, b, 100, 900, 128, 0)
	eventually(t, "the first consumer is gone, and another is there", func() bool {
		now := sweeps(t, server.Conn())
		return len(now) == 1 && now[0] != first[0]
	})
	// Its end is found out and nothing is missing.
	for from := uint64(901); from < 4000; from += 800 {
		for _, name := range sweeps(t, server.Conn()) {
			api(t, server.Conn(), "CONSUMER.DELETE.EVENTS."+name, "")
		}
		readOn(t, b, from, from+799, 200, 0)
	}
	shut(t, b)
	eventually(t, "no consumer is left", func() bool { return len(sweeps(t, server.Conn())) == 0 })
}

// Any number of readers at any place get what they ask for.
func TestSweepTogether(t *testing.T) {
	b := open(t, options(t))
	fill(t, b, 3000, "events.a")
	var wg sync.WaitGroup
	for seed := range uint64(6) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 0))
			for range 5 {
				from := 1 + rnd.Uint64N(2500)
				readOn(t, b, from, from+rnd.Uint64N(500), 1+rnd.IntN(400), rnd.IntN(2)*10_000)
			}
		})
	}
	wg.Wait()
	if n := len(sweeps(t, b.Conn())); n > 1 {
		t.Errorf("%d consumers", n)
	}
}

// A lost connection ends the consumer and nothing else: the next one is made at
// once.
func TestSweepReconnect(t *testing.T) {
	srv := open(t, options(t, func(o *jetstream.Options) { o.Embedded.Listen = "127.0.0.1:0" }))
	fill(t, srv, 2000, "events.a")
	var log lines
	o := options(t)
	o.URL, o.Embedded = srv.ClientURL(), jetstream.EmbeddedOptions{}
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := open(t, o)
	readOn(t, b, 1, 500, 500, 0)
	before := sweeps(t, srv.Conn())
	z, err := srv.Server().Connz(&server.ConnzOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range z.Conns {
		if c.Name == "jetway history" && c.IP != "" { // the embedded server's own has none
			if err := srv.Server().DisconnectClientByID(c.Cid); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "history is read through another consumer", func() bool {
		batch, err := b.Read(t.Context(), bridge.ReadRequest{From: 1001, MaxMessages: 500})
		now := sweeps(t, srv.Conn())
		return err == nil && len(batch.Events) == 500 && len(now) == 1 && now[0] != before[0]
	})
	if strings.Contains(log.String(), "slow way") {
		t.Error(log.String())
	}
}

// A message that alone is larger than what is asked for comes nevertheless.
func TestSweepLarge(t *testing.T) {
	b := open(t, options(t))
	const limit = 100_000
	var want []int
	for _, size := range []int{10, limit, 2 * limit, 10, limit / 2, limit / 2, limit / 2, 3 * limit, 3 * limit, 1} {
		publish(t, b, &bridge.Publication{Subject: "events.a", Data: bytes.Repeat([]byte("x"), size)})
		want = append(want, size)
	}
	var got []int
	for _, e := range readOn(t, b, 1, uint64(len(want)), 1000, limit) {
		got = append(got, len(e.Data))
	}
	if !slices.Equal(got, want) {
		t.Errorf("sizes %v", got)
	}
}

// Where no consumer can be had, or none may be asked, direct gets do; the log
// says so once.
func TestSweepImpossible(t *testing.T) {
	tests := map[string]struct {
		deny []string
		most int
	}{
		"may not make one": {[]string{"$JS.API.CONSUMER.CREATE.EVENTS.>"}, -1},
		"may not ask it":   {[]string{"$JS.API.CONSUMER.MSG.NEXT.EVENTS.*"}, -1},
		"too many":         {nil, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
				Users: []*server.User{{Username: "jetway", Password: "pw", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: tt.deny}}}, {Username: "admin", Password: "pw"}}})
			if err != nil {
				t.Fatal(err)
			}
			srv.Start()
			defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
			if !srv.ReadyForConnections(deadline) {
				t.Fatal("the server is not ready")
			}
			nc, err := nats.Connect(strings.Replace(srv.ClientURL(), "nats://", "nats://admin:pw@", 1))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			api(t, nc, "STREAM.CREATE.EVENTS", fmt.Sprintf(`{"name":"EVENTS","subjects":["events.>"],"storage":"file","allow_direct":true,"max_consumers":%d}`, tt.most))
			if tt.most == 1 {
				api(t, nc, "CONSUMER.CREATE.EVENTS.taken", `{"stream_name":"EVENTS","config":{"name":"taken","durable_name":"taken","ack_policy":"none"}}`)
			}
			var log lines
			o := options(t)
			o.URL, o.Timeout = strings.Replace(srv.ClientURL(), "nats://", "nats://jetway:pw@", 1), 2*time.Second
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			b := open(t, o)
			fill(t, b, 1000, "events.a")
			readOn(t, b, 1, 1000, 100, 0)
			if n := strings.Count(log.String(), "the slow way"); n != 1 {
				t.Errorf("%d lines say it in %s", n, log.String())
			}
			if left := sweeps(t, nc); len(left) > 0 && tt.deny == nil {
				t.Errorf("consumers %v", left)
			}
		})
	}
}
