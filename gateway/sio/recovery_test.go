package sio_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

func numbers(t *testing.T, p *peer, from, to int) (offset string) {
	t.Helper()
	for i := from; i <= to; i++ {
		n, at := p.number("events.n")
		if n != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", n, i)
		}
		offset = at
	}
	return offset
}

func publish(t *testing.T, g *rig, from, to int) {
	t.Helper()
	p := g.dial(t)
	p.connect("")
	for i := from; i <= to; i++ {
		p.emit(fmt.Sprintf(`["events.n",%d]`, i))
	}
}

// A client that was away gets what it missed: on the same gateway, on another
// one, after its own has gone, with or without having seen an event.
func TestRecovery(t *testing.T) {
	broker := newBroker(t)
	one, two := startRig(t, broker), startRig(t, broker)
	p := one.dial(t)
	me := p.connect("")
	p.subscribe("events.n")
	publish(t, one, 1, 3)
	offset := numbers(t, p, 1, 3)
	p.ws.Close()
	publish(t, two, 4, 6)

	for _, g := range []*rig{two, one} {
		back := g.dial(t)
		again := back.connect(`{"pid":"` + me.PID + `","offset":` + offset + `}`)
		if again != me {
			t.Fatalf("recovered as %+v, want %+v", again, me)
		}
		numbers(t, back, 4, 6)
		back.ws.Close()
	}
	// Idle: no event was ever seen, so there is no offset. It goes on from
	// where the session began.
	back := two.dial(t)
	if again := back.connect(`{"pid":"` + me.PID + `"}`); again != me {
		t.Fatalf("recovered as %+v, want %+v", again, me)
	}
	numbers(t, back, 1, 6)
}

// Whatever the client says that it has seen, it misses nothing.
func TestOffsets(t *testing.T) {
	g := startRig(t, newBroker(t))
	publish(t, g, 1, 5)
	stale := func() string { // a session that ended before
		p := g.dial(t)
		p.connect("")
		p.subscribe("events.n")
		publish(t, g, 6, 6)
		return numbers(t, p, 6, 6)
	}()
	p := g.dial(t)
	me := p.connect("")
	p.subscribe("events.n")
	publish(t, g, 7, 9)
	numbers(t, p, 7, 9)
	p.ws.Close()
	for _, offset := range []string{stale, `"garbage"`, `17`, `null`, `{}`, `""`, `"0"`, `0`, `"onlyname"`} {
		back := g.dial(t)
		if again := back.connect(`{"pid":"` + me.PID + `","offset":` + offset + `}`); again != me {
			t.Fatalf("offset %s: recovered as %+v, want %+v", offset, again, me)
		}
		numbers(t, back, 7, 9)
		back.ws.Close()
	}
}

// Who resumes a session that is still held takes it over; the older one is told
// to go, and stays away.
func TestTakeover(t *testing.T) {
	broker := newBroker(t)
	one, two := startRig(t, broker), startRig(t, broker)
	old := one.dial(t)
	me := old.connect("")
	old.subscribe("events.n")
	for i, g := range []*rig{one, two} {
		next := g.dial(t)
		if again := next.connect(`{"pid":"` + me.PID + `"}`); again != me {
			t.Fatalf("recovered as %+v, want %+v", again, me)
		}
		if got := old.text(); got != "41" {
			t.Fatalf("the older one got %s", got)
		}
		publish(t, g, 10*i+1, 10*i+2)
		if i == 0 {
			numbers(t, next, 1, 2)
		} else { // it has said nothing of what it has seen
			numbers(t, next, 1, 2)
			numbers(t, next, 11, 12)
		}
		old = next
	}
	if n := one.bridge.Stats().SessionsTaken.Load(); n != 2 {
		t.Errorf("%d sessions were taken", n)
	}
}

// Another user's session, one that does not exist, and one that its client has
// ended are no sessions.
func TestNotRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newBroker(t)
		g, eve := pipedRig(t, broker), pipedRig(t, broker, func(o *sio.Options) { o.Identify = everybodyIs("eve") })
		p := g.dial(t)
		me := p.connect("")
		p.subscribe("events.n")
		for name, how := range map[string]struct {
			g   *rig
			pid string
		}{"another user": {eve, me.PID}, "unknown": {g, strings.Repeat("x", 22)}, "long": {g, strings.Repeat("x", 5000)}} {
			back := how.g.dial(t)
			if again := back.connect(`{"pid":"` + how.pid + `"}`); again.PID == how.pid || again.SID == me.SID {
				t.Errorf("%s: recovered as %+v", name, again)
			}
			back.event("jetway:expired")
		}
		publish(t, g, 1, 1)
		numbers(t, p, 1, 1) // nobody has taken it
		p.send("41")
		p.send("40")
		p.expect("40")
		synctest.Wait() // the session is dropped
		back := g.dial(t)
		if again := back.connect(`{"pid":"` + me.PID + `"}`); again.PID == me.PID {
			t.Error("a session was recovered that its client had ended")
		}
	})
}

// Where messages no longer exist, the client gets a new session and so knows.
func TestGapIsNoRecovery(t *testing.T) {
	g := startRig(t, newBroker(t))
	p := g.dial(t)
	me := p.connect("")
	p.subscribe("events.n")
	publish(t, g, 1, 1)
	offset := numbers(t, p, 1, 1)
	p.ws.Close()
	publish(t, g, 2, 9)
	g.broker.Trim(0, 5)
	back := g.dial(t)
	if again := back.connect(`{"pid":"` + me.PID + `","offset":` + offset + `}`); again.PID == me.PID || again.PID == "" {
		t.Fatalf("recovered as %+v", again)
	}
	back.event("jetway:expired")
}

// A page that is loaded anew goes on at the position that it has saved.
func TestPageReload(t *testing.T) {
	g := startRig(t, newBroker(t), func(o *sio.Options) {
		o.Subscribe = []sio.Subscription{{Filter: "events.n"}, {Filter: "events.users.{user}.>"}}
	})
	p := g.dial(t)
	p.connect("")
	publish(t, g, 1, 4)
	offset := numbers(t, p, 1, 2)
	for auth, from := range map[string]int{`{"offset":` + offset + `}`: 3, `{"serverOffset":` + offset + `}`: 3, `{"offset":0}`: 1, `{"serverOffset":0,"token":"x"}`: 1} {
		page := g.dial(t)
		page.connect(auth)
		numbers(t, page, from, 4)
		page.ws.Close()
	}
	page := g.dial(t)
	page.connect(`{"offset":"yesterday"}`) // nothing to go on from
	publish(t, g, 5, 5)
	numbers(t, page, 5, 5)
}

// With cursors of their own, events keep their arguments.
func TestCursorEvents(t *testing.T) {
	g := startRig(t, newBroker(t), func(o *sio.Options) { o.Recovery = sio.RecoveryEvent })
	p := g.dial(t)
	me := p.connect("")
	p.event(sio.CursorEvent)
	p.subscribe("events.n")
	publish(t, g, 1, 1)
	if args := p.event("events.n"); len(args) != 1 {
		t.Errorf("arguments %s", args)
	}
	cursor := p.event(sio.CursorEvent)
	p.ws.Close()
	publish(t, g, 2, 2)
	back := g.dial(t)
	if again := back.connect(`{"pid":"` + me.PID + `","offset":` + string(cursor[0]) + `}`); again != me {
		t.Fatalf("recovered as %+v, want %+v", again, me)
	}
	for {
		_, b, err := back.ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if string(b) == `42["events.n",2]` {
			break
		}
		if !strings.Contains(string(b), sio.CursorEvent) {
			t.Fatalf("got %s", b)
		}
	}
}

// An event that several filters match comes once; a live-only one repeats the
// offset, so that clients do not take its text for one.
func TestOnceAndLiveOnly(t *testing.T) {
	g := startRig(t, newBroker(t))
	p := g.dial(t)
	p.connect("")
	p.subscribe("events.n")
	p.subscribe("events.>")
	p.subscribe("elsewhere.>")
	publish(t, g, 1, 1)
	offset := numbers(t, p, 1, 1)
	q := g.dial(t)
	q.connect("")
	q.emit(`["elsewhere.a","text"]`)
	if args := p.event("elsewhere.a"); len(args) != 2 || string(args[1]) != offset {
		t.Errorf("arguments %s, want the offset %s", args, offset)
	}
	p.send(`421["jetway:off","events.>"]`)
	p.expect(`431[{"ok":true}]`)
	q.emit(`["events.other",1]`)
	publish(t, g, 2, 2)
	numbers(t, p, 2, 2)
}

// Jobs and durable subscriptions are settled by their acknowledgements.
func TestAcknowledgements(t *testing.T) {
	g := startRig(t, newBroker(t))
	p, w := g.dial(t), g.dial(t)
	p.connect("")
	w.connect("")
	w.send(`421["jetway:work",{"work":"jobs.resize","max":1}]`)
	w.expect(`431[{"ok":true,"sid":"`)
	p.emit(`["jobs.resize",{"n":1}]`)
	for try, verdict := range []string{`[{"nak":true,"why":"busy"}]`, `[{"nak":true,"delay":"1ms"}]`, `[{"data":{"done":true}}]`} {
		id, rest, _ := strings.Cut(w.expect("42"), "[")
		if !strings.HasPrefix(rest, `"jobs.resize",{"n":1},{"lease":"`) || !strings.Contains(rest, fmt.Sprintf(`"try":%d,"for":"10s"}]`, try+1)) {
			t.Fatalf("try %d is %s", try, rest)
		}
		w.send("43" + id + verdict)
		w.send("43" + id + verdict) // twice is once
	}
	p.send(`420["jetway:sub",{"sub":"jobs.events.resize.1","from":"first"}]`)
	p.expect(`430[{"ok":true`)
	var states []string
	for len(states) < 7 {
		got := p.text()
		if strings.Contains(got, `"state":"`) {
			_, s, _ := strings.Cut(got, `"state":"`)
			s, _, _ = strings.Cut(s, `"`)
			states = append(states, s)
		}
	}
	if got := strings.Join(states, " "); got != "queued active retry active retry active done" {
		t.Error(got)
	}

	d := g.dial(t)
	d.connect("")
	d.send(`421["jetway:sub",{"sub":"events.n","as":"inbox"}]`)
	d.expect(`431[{"ok":true`)
	publish(t, g, 1, 2)
	seen := func(p *peer, n int) {
		t.Helper()
		for {
			got := p.expect("42")
			if id, rest, _ := strings.Cut(got, "["); strings.HasPrefix(rest, `"events.n",`) {
				if rest != fmt.Sprintf(`"events.n",%d]`, n) {
					t.Fatalf("got %s, want %d", rest, n)
				}
				p.send("43" + id + "[]")
				return
			}
		}
	}
	seen(d, 1)
	d.send(`429["jetway:ping",1]`) // what was acknowledged before is taken by then
	for !strings.HasPrefix(d.text(), "439") {
	}
	d.ws.Close()
	again := g.dial(t)
	again.connect("")
	again.send(`421["jetway:sub",{"sub":"events.n","as":"inbox"}]`)
	again.expect(`431[{"ok":true`)
	seen(again, 2)
}

// What is refused is answered where the client asked for an answer, and told
// where it did not.
func TestRefusals(t *testing.T) {
	g := startRig(t, newBroker(t))
	p := g.dial(t)
	p.connect("")
	for event, code := range map[string]string{
		`["bad name",1]`:                                         "bad_subject",
		`["$SYS.x",1]`:                                           "forbidden",
		`["jetway:frob",{}]`:                                     "unknown_verb",
		`["jetway:sub"]`:                                         "unknown_verb",
		`["jetway:sub",{"pub":"a","data":1}]`:                    "bad_frame",
		`["jetway:sub",{"sub":"events..a"}]`:                     "bad_subject",
		`["jetway:sub",{"sub":"elsewhere.a","from":"first"}]`:    "no_stream",
		`["jetway:off","s77"]`:                                   "not_found",
		`["jetway:ack","lease"]`:                                 "lease_lost",
		`["jetway:work",{"work":"events.a"}]`:                    "no_stream",
		`["jetway:req",{"req":"svc.nobody","data":1}]`:           "no_responders",
		`["jetway:pub",{"pub":"events.a"}]`:                      "bad_frame",
		`["jetway:pub",{"pub":"events.a","data":1,"ttl":"5m3"}]`: "bad_frame",
	} {
		p.send("425" + event)
		if got := p.expect(`435[{"ok":false,"code":"`); !strings.HasPrefix(got, code+`"`) {
			t.Errorf("%s was answered %s, want %s", event, got, code)
		}
	}
	p.send(`42["bad name",1]`)
	if args := p.event("jetway:error"); !strings.Contains(string(args[0]), `"code":"bad_subject"`) || !strings.Contains(string(args[0]), `"event":"bad name"`) {
		t.Errorf("told %s", args)
	}
	shut := startRig(t, newBroker(t), func(o *sio.Options) {
		o.Identify = func(context.Context, *socketio.Conn, string, string) (*auth.Identity, error) {
			return nil, auth.Refuse(auth.NoToken, "a token is needed", "connect with one")
		}
	}).dial(t)
	shut.send("40")
	if got := shut.expect("44"); !strings.Contains(got, `"data":{"code":"unauthenticated"`) {
		t.Errorf("refused with %s", got)
	}
}
