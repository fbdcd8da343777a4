package jetstream_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
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

// documented are the subjects that docs/operations.md tells operators to allow,
// for all streams of a gateway with queues, sessions, and a callout.
func documented(t *testing.T) *server.Permissions {
	t.Helper()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`"([^"]+)"`)
	list := func(begin, end string) (subjects []string) {
		_, rest, ok := strings.Cut(string(doc), begin)
		part, _, ends := strings.Cut(rest, end)
		if !ok || !ends {
			t.Fatalf("docs/operations.md has nothing between %q and %q", begin, end)
		}
		for _, m := range quoted.FindAllStringSubmatch(part, -1) {
			subjects = append(subjects, m[1])
		}
		return subjects
	}
	events, queues := list("publish: { allow: [", "] }"), list("publish, for queues: { allow: [", "] }")
	pub := slices.Concat(events, queues, list("publish, for sessions: { allow: [", "] }"), list("publish, for a callout: { allow: [", "] }"))
	for _, s := range events {
		for _, name := range []string{"JOBS", "JOBS_DELAYED", "JOB_EVENTS", "DEAD"} {
			if strings.Contains(s, ".EVENTS") {
				pub = append(pub, strings.Replace(s, ".EVENTS", "."+name, 1))
			}
		}
	}
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: pub}, Subscribe: &server.SubjectPermission{Allow: list("subscribe: { allow: [", "] }")}}
}

// violations are what the server has refused.
type violations struct {
	mu   sync.Mutex
	list []string
}

func (v *violations) Errorf(f string, a ...any) {
	if s := fmt.Sprintf(f, a...); strings.Contains(s, "Violation") {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.list = append(v.list, s)
	}
}

func (v *violations) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.list)
}

func (v *violations) Noticef(string, ...any) {}
func (v *violations) Warnf(string, ...any)   {}
func (v *violations) Fatalf(string, ...any)  {}
func (v *violations) Debugf(string, ...any)  {}
func (v *violations) Tracef(string, ...any)  {}

// What docs/operations.md allows is enough for all that a gateway does.
func TestDocumentedPermissions(t *testing.T) {
	lg := &violations{}
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true,
		Users: []*server.User{{Username: "jetway", Password: "pw", Permissions: documented(t)}, {Username: "decider", Password: "pw", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Allow: []string{"jetway.auth"}}, Publish: &server.SubjectPermission{Allow: []string{"jetway.ctl.revoke"}},
			Response: &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}}}}})
	if err != nil {
		t.Fatal(err)
	}
	srv.SetLoggerV2(lg, false, false, false)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() }) // after the broker
	if !srv.ReadyForConnections(deadline) {
		t.Fatal("the server is not ready")
	}
	o := options(t, queues(lease(time.Second)), sessions(time.Hour))
	o.URL = strings.Replace(srv.ClientURL(), "nats://", "nats://jetway:pw@", 1)
	o.Timeout = 10 * time.Second
	o.Streams = append(o.Streams, jetstream.StreamConfig{Name: "JOB_EVENTS", Subjects: []string{"jobs.events.>"}}, jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.jobs.*"}, DiscardNew: true})
	b := open(t, o)
	openQueue(t, b, "jobs.resize")
	late := job(b, "jobs.resize", "2")
	late.NotBefore, late.Name = time.Now().Add(time.Second), "later"
	dead := &bridge.Publication{Slot: 2, Subject: "dead.jobs.resize", Data: []byte("x")}
	for _, p := range []*bridge.Publication{job(b, "jobs.resize", "1"), late, {Slot: 1, Subject: "jobs.events.resize.1", Data: []byte("x")}, dead} {
		if r := publish(t, b, p); r.err != nil {
			t.Errorf("publish %s: %v", p.Subject, r.err)
		}
	}
	for range 2 {
		j := take(t, b, "jobs.resize")
		for _, how := range []bridge.SettleHow{bridge.SettleWip, bridge.SettleAck} {
			if err := settle(t, b, j, bridge.Settlement{How: how}); err != nil {
				t.Errorf("settlement %d: %v", how, err)
			}
		}
	}
	if err := b.Remove(t.Context(), 2, 1); err != nil {
		t.Errorf("remove: %v", err)
	}
	b.Mark()
	askDecider(t, srv, b)
	keepSession(t, b)
	if got := lg.all(); len(got) > 0 {
		t.Errorf("violations:\n%s", strings.Join(got, "\n"))
	}
}

// askDecider asks the service of auth.callout, which then revokes somebody.
func askDecider(t *testing.T, srv *server.Server, b *jetstream.Broker) {
	t.Helper()
	nc, err := nats.Connect(strings.Replace(srv.ClientURL(), "nats://", "nats://decider:pw@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, err = nc.Subscribe("jetway.auth", func(m *nats.Msg) { _ = m.Respond([]byte("yes to " + string(m.Data))) })
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 2)
	b.Request(&bridge.Request{Subject: "jetway.auth", Data: []byte("ann"), Wait: deadline}, func(e *bridge.Event, err error) {
		if err != nil {
			answers <- err.Error()
			return
		}
		answers <- string(e.Data)
	})
	stop, err := b.Signals(func(name string, data []byte) { answers <- name + " " + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got := within(t, answers); got != "yes to ann" {
		t.Errorf("the service answered %q", got)
	}
	if err := b.Conn().FlushTimeout(deadline); err != nil { // the signals are subscribed to before the other connection sends one
		t.Fatal(err)
	}
	if err := nc.Publish("jetway.ctl.revoke", []byte("ann")); err != nil {
		t.Fatal(err)
	}
	if got := within(t, answers); got != "revoke ann" {
		t.Errorf("signalled %q", got)
	}
}

// keepSession stores a session, finds it, and forgets it.
func keepSession(t *testing.T, b *jetstream.Broker) {
	t.Helper()
	key := strings.Repeat("k", 22)
	revision, err := b.SaveSession(t.Context(), key, []byte("x"), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.SessionCopies(3) // as in a cluster
	record, again, err := b.LoadSession(t.Context(), key)
	if string(record) != "x" || again != revision || err != nil {
		t.Errorf("found %q at %d: %v", record, again, err)
	}
	if err := b.DropSession(t.Context(), key); err != nil {
		t.Error(err)
	}
	b.WatchSessions()
}
