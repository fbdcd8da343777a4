package jetstream_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// refused opens a broker that must not open, and checks what the error says.
func refused(t *testing.T, o jetstream.Options, says ...string) {
	t.Helper()
	b, err := jetstream.Open(t.Context(), o)
	if err == nil {
		shut(t, b)
		t.Fatal("opened")
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(o *jetstream.Options)
		says []string
	}{
		{"port taken", func(o *jetstream.Options) { o.Embedded.Listen = l.Addr().String() }, []string{l.Addr().String() + " is in use", "nats.embedded.listen"}},
		{"bad address", func(o *jetstream.Options) { o.Embedded.Listen = "4222" }, []string{"not an address", "127.0.0.1:4222"}},
		{"no store", func(o *jetstream.Options) { o.Embedded.StoreDir = "" }, []string{"store_dir", "nats.url"}},
		{"store below a file", func(o *jetstream.Options) { o.Embedded.StoreDir = file + "/x" }, []string{"cannot be created"}},
		{"no room", func(o *jetstream.Options) { o.Embedded.MaxStore = 1 << 60 }, []string{"max_store", "free"}},
		{"nobody there", func(o *jetstream.Options) { o.URL = "nats://127.0.0.1:1" }, []string{"cannot connect", "nats.url"}},
		{"overlap", func(o *jetstream.Options) {
			o.Streams = append(o.Streams, jetstream.StreamConfig{Name: "B", Subjects: []string{"*.x"}})
		}, []string{"EVENTS", "B", "disjoint"}},
		{"no subjects", func(o *jetstream.Options) { o.Streams[0].Subjects = nil }, []string{"no subjects"}},
		{"bad name", func(o *jetstream.Options) { o.Streams[0].Name = "a.b" }, []string{"not valid"}},
		{"dedupe longer than the age", func(o *jetstream.Options) { o.Streams[0].MaxAge = time.Second }, []string{"cannot make the stream EVENTS"}},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, options(t, c.edit), c.says...) })
	}
}

func TestStoreInUse(t *testing.T) {
	o := options(t)
	open(t, o)
	refused(t, o, "in use by process", "stop it")
}

func TestVanishedStream(t *testing.T) {
	o := options(t)
	shut(t, open(t, o))
	dir := filepath.Join(o.Embedded.StoreDir, "jetstream", "$G", "streams", "EVENTS")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, o, "EVENTS", "restore a backup", "jetway-streams.json")
	if err := os.Remove(filepath.Join(o.Embedded.StoreDir, "jetway-streams.json")); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

func TestStreamUpdate(t *testing.T) {
	o := options(t)
	b := open(t, o)
	fill(t, b, 100, "events.a.1", "events.b.1")
	first := time.Now()
	tag := b.Streams()[0].Tag
	eventually(t, "messages of some age", func() bool { return time.Since(first) > 50*time.Millisecond })
	shut(t, b)
	for _, c := range []struct {
		name string
		edit func(s *jetstream.StreamConfig)
		says string // empty: allowed
	}{
		{"max_bytes below", func(s *jetstream.StreamConfig) { s.MaxBytes = 100 }, "max_bytes"},
		{"max_age below", func(s *jetstream.StreamConfig) { s.MaxAge, s.Dedupe = 20*time.Millisecond, 10*time.Millisecond }, "max_age"},
		{"subjects with messages dropped", func(s *jetstream.StreamConfig) { s.Subjects = []string{"events.a.>"} }, "events.b.1"},
		{"subjects without messages dropped", func(s *jetstream.StreamConfig) { s.Subjects = []string{"events.a.>", "events.b.*", "more.>"} }, ""},
		{"limits", func(s *jetstream.StreamConfig) { s.MaxBytes, s.MaxAge = 1<<20, time.Hour }, ""},
		{"no limits", func(s *jetstream.StreamConfig) {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			o.Streams = []jetstream.StreamConfig{events}
			c.edit(&o.Streams[0])
			if c.says != "" {
				refused(t, o, "stream EVENTS", c.says)
				return
			}
			b := open(t, o)
			st, err := b.State(t.Context(), 0)
			if err != nil || st.Messages != 100 || st.Stream.Tag != tag {
				t.Errorf("state %+v, %v", st, err)
			}
			shut(t, b)
		})
	}
}

// external runs a NATS server on a port of its own. One that comes back may find
// its port taken for a moment, by a connection of somebody else, and tries again.
func external(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if s.ReadyForConnections(10 * time.Second) {
			return s
		}
		s.Shutdown()
		s.WaitForShutdown()
	}
	t.Fatal("the server is not ready")
	panic("unreachable")
}

// A server that goes away and comes back: nothing is delivered twice or left
// out, and publishes wait within their time.
func TestServerRestart(t *testing.T) {
	dir := t.TempDir()
	srv := external(t, dir, server.RANDOM_PORT)
	o := options(t)
	o.URL, o.Timeout = srv.ClientURL(), 5*time.Second // what a server that starts does not answer is asked again
	port := srv.Addr().(*net.TCPAddr).Port
	b := open(t, o)
	f := follow(t, b, 1)
	fill(t, b, 1000, "events.a")
	eventually(t, "the first events", f.is(func() bool { return len(f.seqs) == 1000 }))
	srv.Shutdown()
	srv.WaitForShutdown()
	eventually(t, "not ready", func() bool { return b.Ready() != nil })
	c := make(chan result, 1)
	b.Publish(pub("a", "while away", ""), func(r bridge.Receipt, err error) { c <- result{r, err} })
	srv = external(t, dir, port)
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if r := <-c; r.err != nil && !errors.Is(r.err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		t.Errorf("while away: %+v", r)
	}
	eventually(t, "ready again", func() bool { return b.Ready() == nil })
	// The server may be reached before its JetStream is.
	eventually(t, "stored again", func() bool { return publish(t, b, pub("a", "back", "")).err == nil })
	st, err := b.State(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all events", f.is(func() bool { return uint64(len(f.seqs)) == st.Last }))
	for i, seq := range f.seqs {
		if seq != uint64(i+1) {
			t.Fatalf("event %d has sequence %d", i, seq)
		}
	}
	if len(f.renewed) != 0 || len(f.lost) != 0 {
		t.Errorf("renewed %v, lost %v", f.renewed, f.lost)
	}
}

func TestListenAndSignals(t *testing.T) {
	b := open(t, options(t))
	got := make(chan string, 10)
	stop, err := b.Listen("svc.>", func(e *bridge.Event) { got <- e.Subject + "=" + string(e.Data) })
	if err != nil {
		t.Fatal(err)
	}
	stopSignals, err := b.Signals(func(name string, data []byte) { got <- name + "!" + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		select {
		case s := <-got:
			if s != want {
				t.Errorf("got %q, want %q", s, want)
			}
		case <-time.After(deadline):
			t.Errorf("no %q", want)
		}
	}
	publish(t, b, &bridge.Publication{Slot: -1, Subject: "svc.a", Data: []byte("1")})
	expect("svc.a=1")
	if err := b.Signal("takeover", []byte("x")); err != nil {
		t.Fatal(err)
	}
	expect("takeover!x")
	stop()
	stopSignals()
	publish(t, b, &bridge.Publication{Slot: -1, Subject: "svc.a"})
	publish(t, b, &bridge.Publication{Subject: "events.a"}) // a round trip behind it
	select {
	case s := <-got:
		t.Errorf("%q after stop", s)
	default:
	}
}

func TestFollowEnds(t *testing.T) {
	b := open(t, options(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Follow(ctx, 0, 1, &follower{}); err != context.Canceled {
		t.Error(err)
	}
}
