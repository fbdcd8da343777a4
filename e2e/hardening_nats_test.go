package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/token"
)

// The cases N01 to N08 of the list of attacks: what clients say becomes a
// subject, a header or a name on the side of NATS.

// quoted is a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string can be marshalled
	return string(b)
}

// notTokens are values that would be more, or less, than one token of a
// subject, or another one than they look.
var notTokens = []string{"a.b", "*", ">", "", " ", "\t", "\r\n", "x\r\nPUB y 1\r\n\r\n", "\x00", "a\x00b", "a b", "\u00a0", "\u0085", "\u2028",
	strings.Repeat("x", 65), strings.Repeat("x", 1024), ".", "..", "a.", ".a", "{user}", "}"}

var notSubjects = []string{"", ".", "t..a", ".t", "t.", "t.*", "t.>", "*", ">", "t.a*", "t.>.a", "t.\x00", "\x00", "t.a b", "t.\t", " ", "t.a\r\nPUB x 1\r\n1\r\n",
	"\n", "t.\u0085", "t.\u00a0", strings.Repeat("t", 513), strings.Repeat("t.", 32) + "t", strings.Repeat("é", 300)}

var reservedSubjects = []string{"$SYS.REQ.SERVER.PING", "$SYS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.ACK.EVENTS.x.1.1.1.1.0", "$KV.JETWAY_SESSIONS.x", "$",
	"_INBOX.a.b", "_INBOX", "jetway.ctl.revoke", "jetway.ctl.durable", "jetway.due.jobs.a", "jetway"}

// N01: subjects, as they are.
func TestN01Subjects(t *testing.T) {
	s := besiege(t, nodeOptions{queues: true})
	r, e := dialRaw(t, s.node), s.join("")
	native := func(list []string, code bridge.Code) {
		for _, subject := range list {
			for _, frame := range []string{`{"pub":%s,"data":1,"id":1}`, `{"req":%s,"data":1,"id":1}`, `{"work":%s,"id":1}`} {
				r.refused(fmt.Sprintf(frame, quoted(subject)), "1", code, len(subject) < 600)
				r.pings()
			}
		}
	}
	stock := func(list []string, code bridge.Code) {
		for _, subject := range list {
			e.refused(quoted(subject)+`,1`, code)
			for _, frame := range []string{`"jetway:pub",{"pub":%s,"data":1}`, `"jetway:req",{"req":%s,"data":1}`, `"jetway:work",{"work":%s}`} {
				e.refused(fmt.Sprintf(frame, quoted(subject)), code)
			}
		}
	}
	s.counts(bridge.CodeBadSubject, 3*len(notSubjects), func() { native(notSubjects, bridge.CodeBadSubject) })
	s.counts(bridge.CodeForbidden, 3*len(reservedSubjects), func() { native(reservedSubjects, bridge.CodeForbidden) })
	s.counts(bridge.CodeBadSubject, 4*len(notSubjects), func() { stock(notSubjects, bridge.CodeBadSubject) })
	s.counts(bridge.CodeForbidden, 4*len(reservedSubjects), func() { stock(reservedSubjects, bridge.CodeForbidden) })
	// What is not a filter cannot be subscribed to.
	for _, filter := range []string{"", "t..a", ".t", "t.", "t.>.a", "t.a*", "t.\x00", "a b", "\r\n", ">.a", "**", strings.Repeat("t", 513)} {
		r.refused(`{"sub":`+quoted(filter)+`,"id":1}`, "1", bridge.CodeBadSubject, true)
		e.refused(`"jetway:sub",{"sub":`+quoted(filter)+`}`, bridge.CodeBadSubject)
	}
	for _, filter := range append([]string{"$SYS.>", "$>", "$JS.EVENT.>", "_INBOX.>", "_INBOX.*", "jetway.>", "jetway.ctl.*"}, reservedSubjects...) {
		code := bridge.CodeForbidden
		if filter == "$>" {
			code = bridge.CodeBadSubject
		}
		r.refused(`{"sub":`+quoted(filter)+`,"id":1}`, "1", code, true)
		e.refused(`"jetway:sub",{"sub":`+quoted(filter)+`}`, code)
	}
	// A percent sign escapes nothing.
	for _, subject := range []string{"events.%2e", "events.a%2eb", "events.%2A"} {
		if ok := r.call(`{"pub":"` + subject + `","data":1,"id":1}`); ok["ok"] != 1.0 {
			t.Errorf("%s: %v", subject, ok)
		}
	}
	s.holds("events.%2e", "events.a%2eb", "events.%2A")
}

// mapped has names of events whose parts become tokens.
func mapped(t *testing.T) *bridge.Mapping {
	t.Helper()
	m, err := bridge.NewMapping([]bridge.MapRule{
		{Event: "order:{id}", Subject: "events.orders.{id}"},
		{Event: "me:{kind}", Subject: "events.users.{user}.{kind}"},
		{Event: "any:{first}/{rest}", Subject: "{first}.{rest}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// N01: parts of the names of events.
func TestN01Captures(t *testing.T) {
	s := besiege(t, nodeOptions{gateway: gateway.Options{SocketIO: gateway.SocketIO{Path: "/socket.io/", Mapping: mapped(t)}}})
	e := s.join("")
	s.counts(bridge.CodeBadSubject, 2*len(notTokens), func() {
		for _, v := range notTokens {
			e.refused(quoted("order:"+v), bridge.CodeBadSubject)
			e.refused(quoted("me:"+v), bridge.CodeBadSubject)
		}
	})
	for _, name := range []string{"any:$SYS/x", "any:$JS/API", "any:_INBOX/x", "any:jetway/ctl"} {
		e.refused(quoted(name), bridge.CodeForbidden)
	}
	e.refused(quoted("any:$JS/API.STREAM.PURGE.EVENTS"), bridge.CodeBadSubject)
	for _, name := range []string{"order:%2e", "me:ünï", "order:" + strings.Repeat("x", 64)} {
		if got := e.ask(quoted(name)); !strings.HasPrefix(got, `[{"ok":true`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	s.holds("events.orders.%2e", "events.users.anonymous.ünï", "events.orders."+strings.Repeat("x", 64))
}

// tenants is a gateway on which users own what has their name.
func tenants(t *testing.T) nodeOptions {
	t.Helper()
	v, err := token.New(token.Options{Secret: tokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	own := bridge.Permissions{Pub: []string{"events.users.{user}.>", otherSubject}, Sub: []string{"events.users.{user}.>", otherSubject}, Req: []string{"{user}.svc"}}
	return nodeOptions{strict: true, gateway: gateway.Options{
		Auth: &auth.Policy{Verifier: v, Roles: map[string]bridge.Permissions{"all": own}},
		SocketIO: gateway.SocketIO{Path: "/socket.io/", Mapping: mapped(t),
			Subscribe: []sio.Subscription{{Filter: "events.users.{user}.>"}}},
	}}
}

// as is a native client with a token of this user.
func (s *siege) as(user string) raw {
	s.t.Helper()
	r := raw{s.t, dial(s.t, s.node, client.Options{Raw: true, Token: tokenOf(s.t, user, 0)})}
	if hi := r.recv(); hi["user"] != user {
		s.t.Fatalf("hi is %v", hi)
	}
	return r
}

// watched makes ann the somebody else.
func (s *siege) watched() {
	s.other = s.as("ann")
	s.other.call(`{"sub":"` + otherSubject + `","id":1}`)
	s.other.recv() // live
	s.other.call(`{"sub":"events.users.ann.>","id":1}`)
	s.other.recv() // live
}

// N01, N02: a user whose name is a filter, or the beginning of somebody else's
// subjects, reaches nobody's: neither by its roles, nor by a mapping, nor by
// what it is subscribed to when it connects.
func TestN02(t *testing.T) {
	s := besiege(t, tenants(t))
	s.watched()
	for _, user := range []string{"*", ">", "a.b", "ann.x", "ann.>", ".ann", "ann.", "a b", "{user}", "$SYS", "_INBOX", "jetway", "%2a", "Ann", strings.Repeat("x", 65)} {
		t.Run(fmt.Sprintf("%.10q", user), func(t *testing.T) {
			r := s.as(user)
			for _, filter := range []string{">", "*", "events.>", "events.users.>", "events.users.*", "events.users.*.>", "events.users.ann.>", "events.*.ann.x", "*.*.*.x"} {
				r.refused(`{"sub":"`+filter+`","id":1}`, "1", bridge.CodeForbidden, true)
			}
			r.refused(`{"pub":"events.users.ann.x","data":1,"id":1}`, "1", bridge.CodeForbidden, true)
			if strings.ContainsAny(user, "$_") || user == "jetway" {
				r.refused(`{"req":`+quoted(user+".svc")+`,"id":1}`, "1", bridge.CodeForbidden, true)
			}
			e := s.join(`{"token":"` + tokenOf(t, user, 0) + `"}`)
			code := bridge.CodeBadSubject
			if user == "$SYS" || user == "_INBOX" || user == "jetway" || user == "%2a" || user == "Ann" {
				code = "" // one token, not at the beginning: its own
			}
			if code == "" {
				if got := e.ask(`"me:x",1`); !strings.HasPrefix(got, `[{"ok":true`) {
					t.Errorf("its own: %s", got)
				}
			} else {
				e.refused(`"me:x",1`, code)
			}
			for _, filter := range []string{"events.users.>", "events.users.*.>", "events.users.ann.>"} {
				e.refused(`"jetway:sub",{"sub":"`+filter+`"}`, bridge.CodeForbidden)
			}
			s.other.send(`{"pub":"events.users.ann.secret","data":1}`)
			if m := s.other.recv(); m["msg"] != "events.users.ann.secret" {
				t.Errorf("ann got %v", m)
			}
			r.pings() // and nothing of ann's
			// Its own event comes before or after the answer to its publish.
			e.id++
			e.send(fmt.Sprintf(`42%d["jetway:ping",{"ping":1}]`, e.id))
			pong := fmt.Sprintf("3%d[", e.id)
			for got := e.want("4"); !strings.HasPrefix(got, pong); got = e.want("4") {
				if code != "" || !strings.HasPrefix(got, `2["me:x",1,`) {
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

// N03: a filter that no stream covers is live only, and says so; one that
// overlaps streams brings what is in them, and never the jobs of a queue, nor
// what belongs to NATS.
func TestN03(t *testing.T) {
	s := besiege(t, nodeOptions{queues: true})
	r, e := dialRaw(t, s.node), s.join("")
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, filter := range []string{"elsewhere.>", "elsewhere", "events", "jobs.a.b.c", "Events.a"} {
		for _, field := range []string{`"from":"first"`, `"from":"last:1"`, `"from":"abcdefgh-1"`, `"from":"-1h"`, `"as":"me"`, `"until":"now"`, `"max":1`} {
			r.refused(`{"sub":"`+filter+`","id":1,`+field+`}`, "1", bridge.CodeNoStream, true)
			e.refused(`"jetway:sub",{"sub":"`+filter+`",`+field+`}`, bridge.CodeNoStream)
		}
		ok := r.call(`{"sub":"` + filter + `","id":1}`)
		if ok["sid"] == nil || ok["from"] != nil || ok["behind"] != nil {
			t.Errorf("%s: %v", filter, ok)
		}
		r.call(`{"off":"` + fmt.Sprint(ok["sid"]) + `","id":1}`)
	}
	for _, filter := range []string{"jobs.a", "jobs.*"} {
		r.refused(`{"sub":"`+filter+`","id":1}`, "1", bridge.CodeNoStream, true)
		e.refused(`"jetway:sub",{"sub":"`+filter+`"}`, bridge.CodeNoStream)
	}
	// The widest filters there are.
	for _, filter := range []string{">", "jobs.>", "*.*", "*"} {
		ok := r.call(`{"sub":"` + filter + `","id":1}`)
		if ok["sid"] == nil {
			t.Fatalf("%s: %v", filter, ok)
		}
		if ok["from"] != nil {
			r.recv() // live
		}
	}
	r.send(`{"pub":"jobs.a","data":"job","id":1}`)
	// The first event of the job may come before the answer with its watch.
	seen, watched := map[string]int{}, false
	for !watched || seen["fine"] == 0 || seen["jobs.events.a.1"] < 2 {
		m := r.recv()
		if m["watch"] != nil {
			// NATS has what the gateway said before the job: that it subscribes.
			watched = true
			for _, subject := range []string{"jetway", "_INBOX", "$X", "jetway.x", "_INBOX.x", "$X.x", "$SYS.x"} {
				if err := nc.Publish(subject, []byte(`"reserved"`)); err != nil {
					t.Fatal(err)
				}
			}
			if err := nc.Publish("fine", []byte(`"fine"`)); err != nil || nc.Flush() != nil {
				t.Fatal(err)
			}
		}
		if subject, _ := m["msg"].(string); subject != "" {
			seen[subject]++
			if bridge.Reserved(subject) || subject == "jobs.a" {
				t.Errorf("got %v", m)
			}
		}
		if m["ok"] == nil && m["msg"] == nil {
			t.Errorf("got %v", m)
		}
	}
	s.other.send(`{"ping":1}`)
	s.other.recv()
}

// N04: headers that would be others on the side of NATS.
func TestN04(t *testing.T) {
	s := besiege(t, nodeOptions{})
	r, e := dialRaw(t, s.node), s.join("")
	bad := map[string]string{
		"CRLF in a value":     `{"A":"1\r\nNats-Rollup: all"}`,
		"CR in a value":       `{"A":"1\r"}`,
		"LF in a value":       `{"A":"\n1"}`,
		"NUL in a value":      `{"A":"\u0000"}`,
		"escape in a value":   `{"A":"\u001b[2J"}`,
		"C1 in a value":       `{"A":"\u0085"}`,
		"CRLF in a name":      `{"A\r\nNats-Rollup":"all"}`,
		"colon in a name":     `{"Nats-Rollup: all\r\nA":"1"}`,
		"a colon":             `{"A:":"1"}`,
		"space in a name":     `{"A ":"1"}`,
		"space before a name": `{" Nats-Rollup":"all"}`,
		"NUL in a name":       `{"A\u0000":"1"}`,
		"no name":             `{"":"1"}`,
		"a name not in ASCII": `{"Näts":"1"}`,
		"a name that folds":   `{"Nat\u017f-Rollup":"all"}`,
		"of NATS":             `{"Nats-Rollup":"all"}`,
		"of NATS, lower":      `{"nats-rollup":"sub"}`,
		"of NATS, upper":      `{"NATS-MSG-ID":"x"}`,
		"of NATS, escaped":    `{"\u004eats-Msg-Id":"x"}`,
		"expectation":         `{"Nats-Expected-Last-Sequence":"0"}`,
		"schedule":            `{"Nats-Schedule":"@every 1s","Nats-Schedule-Target":"events.x"}`,
		"batch":               `{"Nats-Batch-Id":"x"}`,
		"another's name":      `{"Jetway-User":"ann"}`,
		"another's, lower":    `{"jetway-user":"ann"}`,
		"of Jetway, any":      `{"JETWAY-Nothing":"1"}`,
		"status":              `{"Status":"503"}`,
		"status, lower":       `{"status":"503"}`,
		"description":         `{"Description":"x"}`,
		"twice":               `{"A":"1","A":"2"}`,
		"twice, folded":       `{"A":"1","a":"2"}`,
		"number":              `{"A":1}`,
		"null":                `{"A":null}`,
		"nested":              `{"A":{"B":"1"}}`,
		"list":                `["A"]`,
		"text":                `"A: 1"`,
		"many":                `{` + strings.TrimSuffix(repeat(33, `"H%d":"1",`), ",") + `}`,
		"very many":           `{` + strings.TrimSuffix(repeat(50_000, `"H%d":"1",`), ",") + `}`,
		"long value":          `{"A":"` + strings.Repeat("x", 4<<10) + `"}`,
		"very long value":     `{"A":"` + strings.Repeat("x", 900_000) + `"}`,
		"long name":           `{"` + strings.Repeat("x", 4<<10) + `":"1"}`,
		"half a surrogate":    `{"A":"\ud800"}`,
	}
	s.counts(bridge.CodeBadFrame, 4*len(bad), func() {
		for name, head := range bad {
			t.Run(name, func(t *testing.T) {
				r.t, e.t = t, t
				r.refused(`{"id":1,"pub":"events.a","data":1,"head":`+head+`}`, "1", bridge.CodeBadFrame, true)
				r.refused(`{"id":1,"req":"svc.a","data":1,"head":`+head+`}`, "1", bridge.CodeBadFrame, true)
				r.pings()
				e.refused(`"jetway:pub",{"pub":"events.a","data":1,"head":`+head+`}`, bridge.CodeBadFrame)
				e.refused(`"jetway:req",{"req":"svc.a","data":1,"head":`+head+`}`, bridge.CodeBadFrame)
			})
		}
	})
	r.t = t
	// What is only odd reaches NATS as it is.
	if ok := r.call(`{"id":1,"pub":"events.a","data":1,"head":{"natsy":"é \"x\" ` + "\u2028" + `","Content-Type":"a: b","reply-to":"x"}}`); ok["ok"] != 1.0 {
		t.Fatalf("got %v", ok)
	}
	s.holds("events.a")
	stream, err := admin(t, s.node).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "events.a")
	if err != nil || m.Header.Get("Content-Type") != "a: b" || m.Header["natsy"][0] != "é \"x\" \u2028" || m.Header.Get("reply-to") != "x" {
		t.Errorf("NATS has %v, %v", m.Header, err)
	}
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// N05: a key is its user's own. Nobody can have somebody else's event taken
// for a duplicate, whatever names and keys are made of.
func TestN05(t *testing.T) {
	o := guarded(t)
	s := besiege(t, nodeOptions{strict: true, gateway: o})
	s.other = s.as("other")
	s.other.call(`{"sub":"` + otherSubject + `","id":1}`)
	s.other.recv() // live
	pairs := [][2]string{{"ann", "k"}, {"bob", "k"}, {"ann", "bob/k"}, {"ann/bob", "k"}, {"ann%2Fbob", "k"}, {"ann", "k/k"}, {"ann/k", "k"}, {"ann%", "k"}}
	for _, pair := range pairs {
		user, key := pair[0], quoted(pair[1])
		r := s.as(user)
		ok := r.call(`{"pub":"events.a","data":1,"id":1,"key":` + key + `}`)
		if ok["ok"] != 1.0 || ok["dup"] != nil {
			t.Errorf("%s with %s: %v", user, key, ok)
		}
		if again := r.call(`{"pub":"events.a","data":2,"id":2,"key":` + key + `}`); again["dup"] != true || again["pos"] != ok["pos"] {
			t.Errorf("%s with %s again: %v", user, key, again)
		}
		// Also for the same user over Socket.IO.
		e := s.join(`{"token":"` + tokenOf(t, user, 0) + `"}`)
		if got := e.ask(`"jetway:pub",{"pub":"events.a","data":3,"key":` + key + `}`); !strings.Contains(got, `"dup":true`) {
			t.Errorf("%s with %s by Socket.IO: %s", user, key, got)
		}
	}
	stream, err := admin(t, s.node).Stream(t.Context(), "EVENTS")
	if err != nil || stream.CachedInfo().State.Msgs != uint64(len(pairs)) {
		t.Errorf("the stream has %+v, %v", stream.CachedInfo().State, err)
	}
	for _, key := range []string{"a b", "a\nb", "\x00", "\u0085", " ", strings.Repeat("k", 257)} {
		s.other.refused(`{"pub":"events.a","data":1,"id":1,"key":`+quoted(key)+`}`, "1", bridge.CodeBadFrame, true)
	}
}

// durableName is what a user's durable is called on the side of NATS.
var durableName = regexp.MustCompile(`^jw-[0-9a-f]{12}-`)

// N06: the name of a durable is no name of a consumer, and there are only so
// many.
func TestN06(t *testing.T) {
	s := besiege(t, nodeOptions{})
	r, e := dialRaw(t, s.node), s.join("")
	names := []string{"a.b", "a b", ">", "*", "a/b", `a\b`, "", "\x00", "\r\n", "../x", "ünï", "%2e", "$x", strings.Repeat("x", 65), strings.Repeat("x", 1024)}
	s.counts(bridge.CodeBadFrame, 2*len(names), func() {
		for _, name := range names {
			r.refused(`{"sub":"events.a","id":1,"as":`+quoted(name)+`}`, "1", bridge.CodeBadFrame, true)
			r.pings()
			e.refused(`"jetway:sub",{"sub":"events.a","as":`+quoted(name)+`}`, bridge.CodeBadFrame)
		}
	})
	for _, as := range []string{`1`, `null`, `["a"]`, `{"a":1}`, `true`} {
		r.refused(`{"sub":"events.a","id":1,"as":`+as+`}`, "1", bridge.CodeBadFrame, true)
		r.pings()
	}
	// The names of consumers of NATS are Jetway's; whose they are is a hash.
	for _, name := range []string{"jw-x", "EVENTS", "__proto__", strings.Repeat("x", 64)} {
		ok := r.call(`{"sub":"events.a","id":1,"as":"` + name + `"}`)
		if ok["sid"] == nil {
			t.Fatalf("%s: %v", name, ok)
		}
		r.recv() // live
	}
	stream, err := admin(t, s.node).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if durableName.MatchString(name) {
			made++
		}
	}
	if made != 4 {
		t.Errorf("%d consumers", made)
	}
	refused := 0
	for i := 0; refused == 0 && i < 1000; i++ {
		e.id++
		e.send(fmt.Sprintf(`42%d["jetway:sub",{"sub":"events.a","as":"n%d"}]`, e.id, i))
		answer := e.want(fmt.Sprintf("43%d", e.id))
		switch {
		case strings.HasPrefix(answer, `[{"ok":false,"code":"rate_limited"`):
			refused = i
		case !strings.HasPrefix(answer, `[{"ok":true`):
			t.Fatalf("durable %d: %s", i, answer)
		}
	}
	if refused != 16 { // those of both connections are one user's, which has 20
		t.Errorf("refused after %d more", refused)
	}
	s.holds()
}

// N07: what NATS does not take is refused to who sends it; nothing else happens.
func TestN07(t *testing.T) {
	const most = 1 << 20 // of NATS
	s := besiege(t, nodeOptions{queues: true, gateway: gateway.Options{MaxMessageBytes: 4 * most, SocketIO: gateway.SocketIO{Path: "/socket.io/", MaxHTTPBufferSize: 4 * most}}})
	r := dialRaw(t, s.node)
	text := func(n int) string { return quoted(strings.Repeat("x", n-2)) }
	bytes := func(n int) string { return `"` + base64.StdEncoding.EncodeToString(make([]byte, n)) + `"` }
	head := `,"head":{"A":"` + strings.Repeat("x", 2000) + `"}`
	bad := []string{
		`"pub":"events.a","data":` + text(most+1),
		`"pub":"events.a","b64":` + bytes(most+1),
		`"pub":"events.a","data":` + text(most-1000) + head,
		`"pub":"events.a","data":` + text(most) + `,"key":"k"`,
		`"pub":"elsewhere.a","data":` + text(most+1),
		`"pub":"elsewhere.a","b64":` + bytes(most-1000) + head,
		`"pub":"jobs.a","data":` + text(most),
		`"pub":"jobs.a","data":` + text(most-100) + `,"delay":"1h"`,
		`"req":"svc.a","data":` + text(most+1),
		`"req":"svc.a","b64":` + bytes(most-1000) + head,
	}
	s.counts(bridge.CodeTooBig, len(bad), func() {
		for _, frame := range bad {
			r.refused(`{"id":1,`+frame+`}`, "1", bridge.CodeTooBig, true)
			r.pings()
		}
	})
	e := s.join("") // only now: it answers pings only while it waits for something
	e.refused(`"events.a",`+text(most), bridge.CodeTooBig)
	e.refused(`"jetway:req",{"req":"svc.a","data":`+text(most)+`}`, bridge.CodeTooBig)
	// As large as it may be, in the company of others.
	for size := most - 300; size < most; size += 60 {
		for range 20 {
			s.other.send(`{"pub":"` + otherSubject + `","data":"company"}`)
		}
		r.send(`{"id":1,"pub":"events.b","data":` + text(size) + `}`)
		for range 20 {
			if m := s.other.recv(); m["data"] != "company" {
				t.Fatalf("at %d bytes somebody else got %v", size, m)
			}
		}
		if a := r.recv(); a["ok"] == nil && a["code"] != "too_big" {
			t.Errorf("%d bytes: %v", size, a)
		}
	}
	r.pings()
}

// N07: a job that is taken can become a dead letter, and be put back, however
// large it is; a result that is too large is refused, and another one is not.
func TestN07Jobs(t *testing.T) {
	const most = 1 << 20
	s := besiege(t, nodeOptions{queues: true, gateway: gateway.Options{MaxMessageBytes: 4 * most}})
	r, worker := dialRaw(t, s.node), dialRaw(t, s.node)
	size := most - 4<<10 // of which the headers of its dead letter leave some less
	for {
		a := r.call(`{"id":1,"pub":"jobs.a","data":` + quoted(strings.Repeat("x", size-2)) + `}`)
		if a["ok"] != nil {
			break
		}
		if size -= 32; a["code"] != "too_big" || size < most-8<<10 {
			t.Fatalf("%d bytes: %v", size, a)
		}
	}
	worker.call(`{"work":"jobs.a","id":1}`)
	job := func() string {
		t.Helper()
		j := worker.recv()
		lease, _ := j["lease"].(string)
		if lease == "" {
			t.Fatalf("got %.300v", j)
		}
		return lease
	}
	lease := job()
	for _, verb := range []string{"wip", "ack"} {
		worker.refused(`{"id":2,"`+verb+`":"`+lease+`","data":`+quoted(strings.Repeat("x", most))+`}`, "2", bridge.CodeTooBig, true)
	}
	if a := worker.call(`{"id":3,"term":"` + lease + `","why":"` + strings.Repeat("y", 1024) + `"}`); a["ok"] != 3.0 {
		t.Fatalf("term: %v", a)
	}
	ok := r.call(`{"sub":"dead.jobs.a","from":"first","until":"now","id":4}`)
	if ok["behind"] != 1.0 {
		t.Fatalf("dead letters: %v", ok)
	}
	letter := r.recv()
	if a := r.call(`{"req":"dead.requeue","data":{"pos":"` + fmt.Sprint(letter["pos"]) + `"},"id":5,"wait":"30s"}`); a["ok"] == nil && a["end"] == nil {
		t.Fatalf("requeue: %v", a)
	}
	if a := worker.call(`{"id":6,"ack":"` + job() + `"}`); a["ok"] != 6.0 {
		t.Errorf("ack: %v", a)
	}
}

// N08: where an answer goes is nothing that a client can say.
func TestN08(t *testing.T) {
	s := besiege(t, nodeOptions{})
	r, e := dialRaw(t, s.node), s.join("")
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	requests := make(chan *nats.Msg, 100)
	_, err = nc.Subscribe("svc.>", func(m *nats.Msg) {
		requests <- m
		if m.Reply != "" {
			_ = m.Respond([]byte(`"hello"`)) // the gateway is there
		}
	})
	victim, err2 := nc.SubscribeSync("victim")
	if err != nil || err2 != nil || nc.Flush() != nil {
		t.Fatal(err, err2)
	}
	const strange = `,"reply":"victim","reply_to":"victim","Reply":"victim","inbox":"victim","head":{"Reply-To":"victim","reply":"victim"}`
	if a := r.call(`{"req":"svc.a","data":1,"id":1,"wait":"30s"` + strange + `}`); a["data"] != "hello" {
		t.Errorf("got %v", a)
	}
	if m := <-requests; !strings.HasPrefix(m.Reply, "_INBOX.") || m.Header.Get("Reply-To") != "victim" {
		t.Errorf("the service got %v", m)
	}
	if got := e.ask(`"jetway:req",{"req":"svc.a","data":1,"wait":"30s"` + strange + `}`); got != `[{"ok":true,"data":"hello"}]` {
		t.Errorf("got %s", got)
	}
	if m := <-requests; !strings.HasPrefix(m.Reply, "_INBOX.") {
		t.Errorf("the service got %v", m)
	}
	if a := r.call(`{"pub":"svc.b","data":1,"id":1` + strange + `}`); a["ok"] != 1.0 {
		t.Errorf("got %v", a)
	}
	if m := <-requests; m.Reply != "" {
		t.Errorf("a publish asks for an answer at %s", m.Reply)
	}
	// The answers to others are out of reach, to read and to forge.
	for _, subject := range []string{"_INBOX.>", "_INBOX.*.*", "_INBOX.x.1"} {
		r.refused(`{"sub":"`+subject+`","id":1}`, "1", bridge.CodeForbidden, true)
		e.refused(`"jetway:sub",{"sub":"`+subject+`"}`, bridge.CodeForbidden)
	}
	r.refused(`{"pub":"_INBOX.x.1","data":1,"id":1}`, "1", bridge.CodeForbidden, true)
	e.refused(`"_INBOX.x.1",1`, bridge.CodeForbidden)
	if n, _, err := victim.Pending(); n != 0 || err != nil {
		t.Errorf("the victim got %d answers, %v", n, err)
	}
	s.holds("svc.a", "svc.a", "svc.b")
}
