package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// queueNode is a gateway with queues of three jobs, which are leased for this
// long and tried three times.
func queueNode(t *testing.T, lease time.Duration) *node {
	return startNode(t, nodeOptions{interval: true, queues: true, lease: lease, maxJobs: 3, bridge: bridge.Options{
		Queues: bridge.QueueOptions{Lease: lease, MaxTries: 3, Backoff: []time.Duration{10 * time.Millisecond}}}})
}

func workOn(t *testing.T, c *client.Client, queue string, max int) *client.Sub {
	t.Helper()
	s, err := c.Work(testContext(t), queue, max)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func submit(t *testing.T, c *client.Client, data string) client.Ack {
	t.Helper()
	ack, err := c.Publish(testContext(t), "jobs.resize", []byte(data), client.PubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

func wantCode(t *testing.T, what string, err error, code bridge.Code) {
	t.Helper()
	if !errors.Is(err, &bridge.Error{Code: code}) {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

// With wip a worker keeps a job for three times its lease; without, it is told
// lost after one, and another worker gets the job.
func TestWipKeepsAJob(t *testing.T) {
	n := queueNode(t, 5*time.Second)
	p, holder, other := dial(t, n, client.Options{}), dial(t, n, client.Options{}), dial(t, n, client.Options{})
	hold := workOn(t, holder, "jobs.resize", 1)
	submit(t, p, `"one"`)
	job := next(t, hold, native.KindJob)
	idle := workOn(t, other, "jobs.resize", 1)
	tick := time.NewTicker(job.For / 3)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < 3*job.For; <-tick.C {
		if err := holder.Wip(testContext(t), job.Lease, []byte(`{"percent":10}`)); err != nil {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
	}
	if idle.Buffered() > 0 {
		t.Error("another worker was given the job")
	}
	// And now without.
	if lost := next(t, hold, native.KindLost); lost.Lease != job.Lease || lost.Why == "" {
		t.Errorf("got %+v", lost)
	}
	wantCode(t, "an ack beyond the lease", holder.Ack(testContext(t), job.Lease, nil), bridge.CodeLeaseLost)
	if err := holder.Off(testContext(t), hold); err != nil {
		t.Fatal(err)
	}
	holder.Close() // it may have been given the job once more
	again := next(t, idle, native.KindJob)
	if err := other.Ack(testContext(t), again.Lease, nil); err != nil { // first of all: its lease runs
		t.Fatal(err)
	}
	if again.Try < 2 || string(again.Data) != `"one"` {
		t.Errorf("got %+v", again)
	}
}

// A lease is its connection's: nobody else can settle it, and it ends with it.
func TestForeignLease(t *testing.T) {
	n := queueNode(t, 30*time.Second)
	p, w, thief := dial(t, n, client.Options{}), dial(t, n, client.Options{}), dial(t, n, client.Options{})
	s := workOn(t, w, "jobs.resize", 1)
	submit(t, p, `1`)
	job := next(t, s, native.KindJob)
	for what, err := range map[string]error{
		"ack":  thief.Ack(testContext(t), job.Lease, nil),
		"nak":  thief.Nak(testContext(t), job.Lease, 0, ""),
		"wip":  thief.Wip(testContext(t), job.Lease, nil),
		"term": thief.Term(testContext(t), job.Lease, ""),
	} {
		wantCode(t, "a thief's "+what, err, bridge.CodeLeaseLost)
	}
	if err := w.Ack(testContext(t), job.Lease, nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a second ack", w.Ack(testContext(t), job.Lease, nil), bridge.CodeLeaseLost)
}

func TestQueueIsFull(t *testing.T) {
	n := queueNode(t, 30*time.Second) // with room for three
	c := dial(t, n, client.Options{})
	for range 3 {
		submit(t, c, `1`)
	}
	_, err := c.Publish(testContext(t), "jobs.resize", []byte(`1`), client.PubOptions{})
	wantCode(t, "the fourth", err, bridge.CodeQueueFull)
	var e *bridge.Error
	if errors.As(err, &e) && e.Retry <= 0 {
		t.Error("it does not say when to try again")
	}
	if _, err := c.Publish(testContext(t), "jobs.other", []byte(`1`), client.PubOptions{}); err != nil {
		t.Errorf("another queue: %v", err)
	}
	s := workOn(t, c, "jobs.resize", 1)
	if err := c.Ack(testContext(t), next(t, s, native.KindJob).Lease, nil); err != nil {
		t.Fatal(err)
	}
	submit(t, c, `1`)
}

// The life of a job can be read again and again, from the beginning.
func TestLifeOfAJob(t *testing.T) {
	n := queueNode(t, 30*time.Second)
	c := dial(t, n, client.Options{})
	ack := submit(t, c, `{"n":1}`)
	if want := fmt.Sprintf("jobs.events.resize.%d", sequence(t, ack.Pos)); ack.Watch != want {
		t.Fatalf("watch is %q, want %q", ack.Watch, want)
	}
	s := workOn(t, c, "jobs.resize", 1)
	job := next(t, s, native.KindJob)
	ctx := testContext(t)
	if err := errors.Join(c.Wip(ctx, job.Lease, []byte(`{ "percent" : 50 }`)), c.Nak(ctx, job.Lease, time.Millisecond, "busy")); err != nil {
		t.Fatal(err)
	}
	job = next(t, s, native.KindJob)
	if err := c.Ack(ctx, job.Lease, []byte(`"<done>"`)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"state":"queued"}`, `{"state":"active","try":1,"worker":"anonymous"}`, `{"state":"progress","try":1,"data":{ "percent" : 50 }}`,
		`{"state":"retry","try":1,"in":"1ms","why":"busy"}`, `{"state":"active","try":2,"worker":"anonymous"}`,
		`{"state":"done","try":2,"worker":"anonymous","data":"<done>"}`,
	}
	for range 2 {
		again := subscribe(t, dial(t, n, client.Options{}), ack.Watch, client.SubOptions{From: "first"})
		for _, w := range want {
			if m := next(t, again, native.KindEvent); string(m.Data) != w {
				t.Errorf("got %s, want %s", m.Data, w)
			}
		}
	}
}

// A delayed job is given out when it is time, and watched under one name.
func TestDelayedJob(t *testing.T) {
	n := queueNode(t, 30*time.Second)
	c := dial(t, n, client.Options{})
	s := workOn(t, c, "jobs.resize", 1)
	begun := time.Now()
	ack, err := c.Publish(testContext(t), "jobs.resize", []byte(`"later"`), client.PubOptions{Delay: time.Second, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	job := next(t, s, native.KindJob)
	if took := time.Since(begun); took < time.Second || string(job.Data) != `"later"` {
		t.Errorf("%s came after %v", job.Data, took)
	}
	if err := c.Ack(testContext(t), job.Lease, nil); err != nil {
		t.Fatal(err)
	}
	life := subscribe(t, c, ack.Watch, client.SubOptions{From: "first"})
	for _, state := range []string{`{"state":"queued","at":"`, `{"state":"active"`, `{"state":"done"`} {
		if m := next(t, life, native.KindEvent); !strings.HasPrefix(string(m.Data), state) {
			t.Errorf("got %s, want %s…", m.Data, state)
		}
	}
}

// Clients ask services as services ask each other.
func TestRequests(t *testing.T) {
	n := queueNode(t, 30*time.Second)
	nc, err := nats.Connect(n.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	svc, err := micro.AddService(nc, micro.Config{Name: "users", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() }) // the connection ends it too
	err = svc.AddEndpoint("get", micro.HandlerFunc(func(r micro.Request) {
		if string(r.Data()) == `{"id":1}` {
			_ = r.Respond([]byte(`{ "name" : "ann" }`), micro.WithHeaders(micro.Headers{"Asked-By": {r.Headers().Get("Jetway-User")}, "Trace": {r.Headers().Get("Trace")}}))
			return
		}
		_ = r.Error("404", "no such user", nil)
	}), micro.WithEndpointSubject("svc.users"))
	if err != nil {
		t.Fatal(err)
	}
	silent, err := nc.Subscribe("svc.silent", func(*nats.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Unsubscribe() }()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r := dialRaw(t, n)
	r.send(`{"req":"svc.users","data":{"id":1},"head":{"Trace":"abc"},"id":1}`)
	if got, want := r.text(), `{"ok":1,"head":{"Asked-By":"anonymous","Trace":"abc"},"data":{ "name" : "ann" }}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.send(`{"req":"svc.users","data":{"id":1}}`)
	if got := r.text(); !strings.HasPrefix(got, `{"ok":"req",`) {
		t.Errorf("without an id: %s", got)
	}
	r.refused(`{"req":"svc.users","data":{"id":2},"id":2}`, `2`, bridge.CodeService, false)
	r.send(`{"req":"svc.users","id":3}`)
	if got := r.text(); got != `{"err":3,"code":"service","msg":"404: no such user"}` {
		t.Error(got)
	}
	r.refused(`{"req":"svc.silent","id":4,"wait":"50ms"}`, `4`, bridge.CodeTimeout, false)
	r.pings()
}
