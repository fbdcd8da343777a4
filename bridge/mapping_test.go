package bridge_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

func argument(n int) *int { return &n }

func newMapping(t testing.TB, rules ...bridge.MapRule) *bridge.Mapping {
	t.Helper()
	m, err := bridge.NewMapping(rules)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// chat has the rules that the documentation shows, and some with more text.
func chat(t testing.TB) *bridge.Mapping {
	return newMapping(t,
		bridge.MapRule{Event: "chat message", Subject: "events.chat.general", Key: argument(1)},
		bridge.MapRule{Event: "order:{id}", Subject: "events.orders.{id}"},
		bridge.MapRule{Event: "me:{kind}", Subject: "events.users.{user}.{kind}", Key: argument(0)},
		bridge.MapRule{Event: "{a} to {b}", Subject: "events.{b}.from.{a}"},
		bridge.MapRule{Event: "<{x}::{y}>", Subject: "events.pairs.{x}.{y}"},
		bridge.MapRule{Event: "whoami", Subject: "svc.{user}.whoami.{user}"},
		bridge.MapRule{Event: "raw/{first}/{rest}", Subject: "{first}.{rest}"},
	)
}

func ExampleMapping() {
	m, err := bridge.NewMapping([]bridge.MapRule{
		{Event: "order:{id}", Subject: "events.orders.{id}"},
		{Event: "me:{kind}", Subject: "events.users.{user}.{kind}"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	subject, _, err := m.Subject("me:mail", "ann")
	fmt.Println(subject, err)
	fmt.Println(m.Event("events.users.ann.mail", "ann"))
	fmt.Println(m.Event("events.users.bob.mail", "ann"))
	_, _, err = m.Subject("order:*", "ann")
	fmt.Println(err)
	// Output:
	// events.users.ann.mail <nil>
	// me:mail
	// events.users.bob.mail
	// bad_subject: the value of {id} is not one token of a subject
}

// Both ways: the subject of each event, and its event again.
func TestMappingBothWays(t *testing.T) {
	m := chat(t)
	for _, tt := range []struct {
		event, subject string
		key            int
	}{
		{"chat message", "events.chat.general", 1},
		{"order:7", "events.orders.7", bridge.NoKey},
		{"order:größe-✓", "events.orders.größe-✓", bridge.NoKey},
		{"order:order:7", "events.orders.order:7", bridge.NoKey},
		{"order:$SYS", "events.orders.$SYS", bridge.NoKey}, // NATS's own only as the first token
		{"order:_INBOX", "events.orders._INBOX", bridge.NoKey},
		{"order:%2e", "events.orders.%2e", bridge.NoKey}, // nobody decodes it
		{"order:" + strings.Repeat("x", 64), "events.orders." + strings.Repeat("x", 64), bridge.NoKey},
		{"me:mail", "events.users.ann.mail", 0},
		{"me:ann", "events.users.ann.ann", 0},
		{"me:bob", "events.users.ann.bob", 0},
		{"ann to bob", "events.bob.from.ann", bridge.NoKey},
		{"<1::2>", "events.pairs.1.2", bridge.NoKey},
		{"<1:::2>", "events.pairs.1.:2", bridge.NoKey}, // the shortest run
		{"<1::2::3>", "events.pairs.1.2::3", bridge.NoKey},
		{"whoami", "svc.ann.whoami.ann", bridge.NoKey},
		{"raw/a/b", "a.b", bridge.NoKey},
		{"raw/events/b", "events.b", bridge.NoKey},
		{"events.chat.1", "events.chat.1", bridge.NoKey}, // no rule has it
		{"orders:7", "orders:7", bridge.NoKey},
		{"Order:7", "Order:7", bridge.NoKey},
		{"events.users.bob.mail", "events.users.bob.mail", bridge.NoKey}, // permissions decide about it
		{"jetways", "jetways", bridge.NoKey},
		{"connected", "connected", bridge.NoKey},
	} {
		subject, key, err := m.Subject(tt.event, "ann")
		if subject != tt.subject || key != tt.key || err != nil {
			t.Errorf("Subject(%q): got %q, %d, %v, want %q, %d", tt.event, subject, key, err, tt.subject, tt.key)
		}
		if got := m.Event(tt.subject, "ann"); got != tt.event {
			t.Errorf("Event(%q): got %q, want %q", tt.subject, got, tt.event)
		}
	}
}

// hardening.md N01: what a client says never becomes more than one token, and
// is never escaped into one.
func TestMappingRefusesEvents(t *testing.T) {
	m := chat(t)
	for _, event := range []string{
		"order:", "order:a.b", "order:*", "order:>", "order: ", "order:a b", "order:\t", "order:\r\nPUB x 0\r\n", "order:\x00", "order:\x7f",
		"order:\u00a0", "order:\u2028", "order:\u0085", "order:\xff", "order:a\xffb", "order:\ufffd", "order:{user}", "order:{id}",
		"order:" + strings.Repeat("x", 65), "order:" + strings.Repeat("x", 1<<20), "me:a.b", "me:", "me:>",
		" to bob", "ann to ", "a to b to c", "<::>", "<1::>", "<::2>", "raw//b", "raw/a/",
		"raw/a/b/c.d", "", ".", "a b", "a..b", "a.*", ">", "*", "a\x00b", "\xff", strings.Repeat("a", 513), strings.Repeat("a.", 32) + "a",
		"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "jetway:", "jetway:pub", "jetway:cursor",
	} {
		subject, key, err := m.Subject(event, "ann")
		if subject != "" || key != bridge.NoKey || !errors.Is(err, &bridge.Error{Code: bridge.CodeBadSubject}) {
			t.Errorf("Subject(%.80q): got %q, %d, %v", event, subject, key, err)
		} else if e := bridge.ErrorOf(err); e.Hint == "" || len(e.Msg) > 200 {
			t.Errorf("Subject(%.80q): got %+v", event, e)
		}
	}
	for _, event := range []string{"$SYS.x", "_INBOX.x", "jetway.ctl.x", "$JS.API.INFO", "raw/$SYS/x", "raw/_INBOX/x", "raw/jetway/ctl", "raw/$JS/x"} {
		if subject, _, err := m.Subject(event, "ann"); subject != "" || !errors.Is(err, &bridge.Error{Code: bridge.CodeForbidden}) {
			t.Errorf("Subject(%q): got %q, %v", event, subject, err)
		}
	}
}

// Users whose names are not one safe token have no place in subjects.
func TestMappingRefusesUsers(t *testing.T) {
	m := chat(t)
	for _, user := range []string{"", "a.b", "*", ">", " ", "a b", "\t", "\r\n", "\x00", strings.Repeat("x", 65), "\xff", "{user}", "a.>"} {
		for _, event := range []string{"me:mail", "whoami"} {
			if subject, _, err := m.Subject(event, user); subject != "" || !errors.Is(err, &bridge.Error{Code: bridge.CodeBadSubject}) {
				t.Errorf("Subject(%q) of %.80q: got %q, %v", event, user, subject, err)
			}
		}
		for _, subject := range []string{"events.users.ann.mail", "events.users." + user + ".mail", "events.users.*.mail"} {
			if got := m.Event(subject, user); got != subject {
				t.Errorf("Event(%q) of %.80q: got %q", subject, user, got)
			}
		}
		if got, _, err := m.Subject("order:7", user); got != "events.orders.7" || err != nil {
			t.Errorf("Subject of %.80q without {user}: got %q, %v", user, got, err)
		}
		if got, err := bridge.UserFilter("events.users.{user}.>", user); got != "" || !errors.Is(err, &bridge.Error{Code: bridge.CodeBadSubject}) {
			t.Errorf("UserFilter of %.80q: got %q, %v", user, got, err)
		}
	}
}

// What microservices publish need not be what a client could have emitted.
func TestMappingEvents(t *testing.T) {
	m := chat(t)
	long := strings.Repeat("x", 65)
	for _, tt := range []struct{ subject, want string }{
		{"events.users.bob.mail", "events.users.bob.mail"}, // another's
		{"svc.ann.whoami.bob", "svc.ann.whoami.bob"},
		{"svc.bob.whoami.bob", "svc.bob.whoami.bob"},
		{"events.orders.7.x", "events.orders.7.x"},
		{"events.orders", "raw/events/orders"},
		{"events.orders." + long, "events.orders." + long},
		{"events.orders.{id}", "events.orders.{id}"},
		{"events.pairs.1:.2", "events.pairs.1:.2"}, // "<1:::2>" would be 1 and :2
		{"events.pairs.1::2.3", "events.pairs.1::2.3"},
		{"events.pairs.1.2>", "events.pairs.1.2>"},
		{"x", "x"},
		{"a.b.c", "a.b.c"},
		{"raw.connect", "raw/raw/connect"},
		{"connect", ""}, // would end the connection of a stock client
		{"disconnect", ""},
		{"jetway:cursor", ""}, // would be taken for the server's
		{"", ""},
	} {
		if got := m.Event(tt.subject, "ann"); got != tt.want {
			t.Errorf("Event(%q): got %q, want %q", tt.subject, got, tt.want)
		}
	}
	m = newMapping(t, bridge.MapRule{Event: "{x}", Subject: "events.{x}"}, bridge.MapRule{Event: "/{x}", Subject: "other.{x}"})
	if got := m.Event("events.connect", "ann"); got != "events.connect" {
		t.Errorf("a capture made a reserved event: %q", got)
	}
	if got := m.Event("events.jetway:x", "ann"); got != "events.jetway:x" {
		t.Errorf("a capture made a reserved event: %q", got)
	}
}

// Captures are small, subjects are not: what is too long together is refused.
func TestMappingTooLong(t *testing.T) {
	var event, subject []string
	for i := range 10 {
		event, subject = append(event, fmt.Sprintf("{c%d}", i)), append(subject, fmt.Sprintf("{c%d}", i))
	}
	m := newMapping(t, bridge.MapRule{Event: strings.Join(event, ","), Subject: strings.Join(subject, ".")})
	if _, _, err := m.Subject(strings.Repeat(strings.Repeat("x", 64)+",", 9)+"x", "ann"); !errors.Is(err, &bridge.Error{Code: bridge.CodeBadSubject}) {
		t.Errorf("got %v", err)
	}
	if got, _, err := m.Subject("1,2,3,4,5,6,7,8,9,10", "ann"); got != "1.2.3.4.5.6.7.8.9.10" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMappingPerUser(t *testing.T) {
	m := newMapping(t,
		bridge.MapRule{Event: "mine", Subject: "a.{user}.x"},
		bridge.MapRule{Event: "any:{id}", Subject: "a.{id}.x"},
		bridge.MapRule{Event: "b", Subject: "b.x"})
	for subject, want := range map[string]bool{"a.ann.x": true, "a.bob.x": true, "a.b*.x": false, "b.x": false, "c": false, "a.ann": false} {
		if got := m.PerUser(subject); got != want {
			t.Errorf("PerUser(%q): got %t", subject, got)
		}
	}
	if got := m.Event("a.ann.x", "bob"); got != "any:ann" {
		t.Errorf("got %q", got)
	}
}

func TestMappingRules(t *testing.T) {
	many := strings.Repeat("{a}.", 32) + "x"
	for _, tt := range []struct {
		event, subject string
		key            *int
		want           string // beginnings of the problems, joined with "; "
	}{
		{"a", "b", argument(0), ""},
		{"a", "b", argument(bridge.MaxKeyArgument), ""},
		{"{a}", "x.{a}", nil, ""},
		{"a{b}c{d}e", "{d}.x.{b}", nil, ""},
		{"a\n", "b", nil, ""},
		{"", "b", nil, "event: is missing"},
		{"a", "", nil, "subject: is missing"},
		{"", "", nil, "event: is missing; subject: is missing"},
		{"a", "b", argument(-1), "key: -1 is not an argument"},
		{"a", "b", argument(32), "key: 32 is not an argument"},
		{"\xff", "b", nil, "event: is not UTF-8"},
		{strings.Repeat("a", 513), "b", nil, "event: is longer"},
		{"a", strings.Repeat("a", 513), nil, "subject: is longer"},
		{"{a}{b}", "{a}.{b}", nil, "event: has two captures that touch"},
		{"{a}:{a}", "{a}", nil, "event: has {a} twice"},
		{"{a", "{a}", nil, "event: has braces that are not around a name"},
		{"a}", "x", nil, "event: has a } without a {"},
		{"{}", "x", nil, "event: has braces that are not around a name"},
		{"{a b}", "x", nil, "event: has braces that are not around a name"},
		{"{{a}}", "x", nil, "event: has braces that are not around a name"},
		{"{user}", "x.{user}", nil, "event: has {user}"},
		{"{id}", "x", nil, "subject: {id} of the event is missing"},
		{"a", "x.{id}", nil, "subject: {id} is not in the event"},
		{"{id}", "{id}.{id}", nil, "subject: has {id} twice"},
		{"{id}", "x{id}", nil, "subject: has braces that are not one whole token"},
		{"{id}", "x.{id", nil, "subject: has braces that are not one whole token"},
		{"{id}", "x.*.{id}", nil, "subject: wildcards cannot be published to"},
		{"{id}", "{id}.>", nil, "subject: wildcards cannot be published to"},
		{"{id}", "{id}..x", nil, "subject: the subject has an empty token"},
		{"{id}", "{id}.a b", nil, "subject: the subject has white space"},
		{"a", many, nil, "subject: {a} is not in the event"},
		{"a", "jetway.x", nil, "subject: belongs to NATS or Jetway"},
		{"a", "$SYS.x", nil, "subject: belongs to NATS or Jetway"},
		{"{id}", "_INBOX.{id}", nil, "subject: belongs to NATS or Jetway"},
		{"connect", "x", nil, `event: "connect" is reserved`},
		{"disconnecting", "x", nil, `event: "disconnecting" is reserved`},
		{"jetway:{id}", "x.{id}", nil, `event: "jetway:{id}" is reserved`},
		{"{user}", "*", argument(99), "event: has {user}; subject: wildcards cannot; key: 99"},
	} {
		m, err := bridge.NewMapping([]bridge.MapRule{{Event: tt.event, Subject: tt.subject, Key: tt.key}})
		var got []*bridge.MapError
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				var me *bridge.MapError
				if !errors.As(e, &me) || me.Hint == "" || !strings.Contains(me.Error(), me.Msg) {
					t.Errorf("%q: not typed, or without a hint: %v", tt.event, e)
					continue
				}
				got = append(got, me)
			}
		}
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, "; ")
		}
		if len(got) != len(want) || (m == nil) != (len(want) > 0) {
			t.Errorf("%.40q, %.40q: got %v, want %q", tt.event, tt.subject, err, want)
			continue
		}
		for i, e := range got {
			if !strings.HasPrefix(e.Field+": "+e.Msg, want[i]) {
				t.Errorf("%.40q, %.40q: got %v, want %q", tt.event, tt.subject, e, want[i])
			}
		}
	}
	if _, err := bridge.NewMapping(make([]bridge.MapRule, bridge.MaxMapRules+1)); err == nil {
		t.Error("too many rules are good")
	}
}

func TestMappingShadows(t *testing.T) {
	rule := func(event, subject string) bridge.MapRule { return bridge.MapRule{Event: event, Subject: subject} }
	for _, tt := range []struct {
		name    string
		rules   []bridge.MapRule
		refused int    // the rule, 0 for none
		warning string // the beginning of the only one, with its field; "": there is none
	}{
		{name: "special, then general", rules: []bridge.MapRule{rule("order:new", "neworders"), rule("order:{id}", "orders.{id}")}},
		{name: "general, then special", rules: []bridge.MapRule{rule("order:{id}", "orders.{id}"), rule("order:new", "orders.new")}, refused: 1},
		{name: "twice", rules: []bridge.MapRule{rule("a", "b"), rule("a", "b")}, refused: 1},
		{name: "twice with other names", rules: []bridge.MapRule{rule("{a}:{b}", "x.{a}.{b}"), rule("{c}:{d}", "x.{c}.{d}")}, refused: 1},
		{name: "swapped", rules: []bridge.MapRule{rule("{a}:{b}", "x.{a}.{b}"), rule("{a}:{b}", "x.{b}.{a}")}, warning: `event: "{a}:{b}" is published by rule 0`},
		{name: "by two others", rules: []bridge.MapRule{rule("a", "b"), rule("c", "d"), rule("a", "d")}, refused: 2},
		{name: "for what arrives", rules: []bridge.MapRule{rule("notice", "users.{user}.notice"), rule("notice", "system.notice")},
			warning: `event: "notice" is published by rule 0, to "users.{user}.notice"`},
		{name: "for what is emitted", rules: []bridge.MapRule{rule("chat", "c"), rule("old chat", "c")},
			warning: `subject: "c" arrives by rule 0, as "chat"`},
		{name: "some subjects", rules: []bridge.MapRule{rule("message", "chat.general"), rule("chat:{room}", "chat.{room}")},
			warning: `subject: has subjects in common with rule 0`},
		{name: "a user's subjects", rules: []bridge.MapRule{rule("mine:{x}", "u.{user}.{x}"), rule("u:{n}:{x}", "u.{n}.{x}")},
			warning: `subject: has subjects in common with rule 0`},
		{name: "everyone's subjects", rules: []bridge.MapRule{rule("{x}", "u.{x}"), rule("mine", "u.{user}")}, refused: 1},
		{name: "one user's subject", rules: []bridge.MapRule{rule("mine", "u.{user}"), rule("bob's", "u.bob")},
			warning: `subject: has subjects in common with rule 0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := bridge.NewMapping(tt.rules)
			var me *bridge.MapError
			if errors.As(err, &me) != (tt.refused > 0) || me != nil && me.Rule != tt.refused {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			got := m.Warnings()
			if tt.warning == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tt.warning == "" || !strings.HasPrefix(got[0].Field+": "+got[0].Msg, tt.warning) {
				t.Errorf("got %v, want %q", got, tt.warning)
			}
		})
	}
}

func TestUserFilter(t *testing.T) {
	for _, tt := range []struct {
		filter, want string
		code         bridge.Code
	}{
		{"events.>", "events.>", ""},
		{"events.users.{user}.>", "events.users.ann.>", ""},
		{"*.{user}", "*.ann", ""},
		{"{user}.x.{user}", "ann.x.ann", ""},
		{"events.{other}", "", bridge.CodeBadSubject},
		{"events.x{user}", "", bridge.CodeBadSubject},
		{"events.{user}.", "", bridge.CodeBadSubject},
		{"", "", bridge.CodeBadSubject},
		{"jetway.{user}", "", bridge.CodeForbidden},
		{"$SYS.>", "", bridge.CodeForbidden},
	} {
		got, err := bridge.UserFilter(tt.filter, "ann")
		if got != tt.want || (err == nil) != (tt.code == "") || err != nil && !errors.Is(err, &bridge.Error{Code: tt.code}) {
			t.Errorf("UserFilter(%q): got %q, %v", tt.filter, got, err)
		}
	}
}

func TestValidFrom(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "new": true, "first": true, "last": true, "last:1": true, "-10m": true, "2026-01-02T15:04:05Z": true, "abc1-7": true,
		"last:0": false, "last:": false, "last:x": false, "10m": false, "--1m": false, "yesterday": false, "2026-01-02": false, "A-7": false,
	} {
		if err := bridge.ValidFrom(s); (err == nil) != want || err != nil && !errors.Is(err, &bridge.Error{Code: bridge.CodeBadPosition}) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

// Who has no mapping, or no rule for an event, pays nothing for mappings.
func TestMappingAllocations(t *testing.T) {
	m := chat(t)
	for _, tt := range []struct {
		name string
		most float64
		f    func()
	}{
		{"event that no rule has", 0, func() { _, _, _ = m.Subject("events.chat.1", "ann") }},
		{"event near a rule", 0, func() { _, _, _ = m.Subject("orders:7", "ann") }},
		{"literal event", 0, func() { _, _, _ = m.Subject("chat message", "ann") }},
		{"subject that no rule has", 0, func() { m.Event("events.chat.1", "ann") }},
		{"subject of another user", 0, func() { m.Event("events.users.bob.mail", "ann") }},
		{"literal subject", 0, func() { m.Event("events.chat.general", "ann") }},
		{"per user", 0, func() { m.PerUser("events.users.bob.mail") }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.most {
			t.Errorf("%s: %g allocations", tt.name, got)
		}
	}
}

func BenchmarkMapping7Rules(b *testing.B) {
	m := chat(b)
	for _, event := range []string{"chat message", "me:mail", "events.chat.1"} {
		subject, _, err := m.Subject(event, "ann")
		if err != nil {
			b.Fatal(err)
		}
		b.Run("subject/"+event, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = m.Subject(event, "ann") // checked above
			}
		})
		b.Run("event/"+event, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Event(subject, "ann")
			}
		})
	}
}

// FuzzMapping: no rules make an event reach a subject that is not one, is
// reserved, has more tokens than the pattern, or has another user's token in
// the place of {user}; and what goes there comes back, unless a warning says
// that it may not.
func FuzzMapping(f *testing.F) {
	f.Add("order:{id}", "events.orders.{id}", "me:{kind}", "events.users.{user}.{kind}", "me:mail", "ann", "events.users.bob.mail")
	f.Add("{a} to {b}", "x.{b}.{a}", "<{a}::{b}>", "{a}.{b}.{user}", "<a:::b>", "ann", "a:.b.ann")
	f.Add("{a}", "{a}.x", "a", "b", "$SYS", "*", "jetway.x")
	f.Add("a{x}aa", "q.{x}", "m", "u.{user}", "aaaa", "a.b", "q.a")
	f.Fuzz(func(t *testing.T, event1, subject1, event2, subject2, event, user, subject string) {
		rules := []bridge.MapRule{{Event: event1, Subject: subject1}, {Event: event2, Subject: subject2}}
		m, err := bridge.NewMapping(rules)
		if err != nil {
			return
		}
		// Which rule a subject is by is not told: the pattern must be one of these.
		shaped := func(s string) bool {
			for _, r := range rules {
				if hasShape(r.Subject, s, user) {
					return true
				}
			}
			return false
		}
		if s, _, err := m.Subject(event, user); err == nil {
			if bridge.ValidSubject(s) != nil || bridge.Reserved(s) || bridge.ReservedEvent(event) {
				t.Fatalf("%q became %q", event, s)
			}
			if s != event && !shaped(s) {
				t.Fatalf("%q of %q became %q, which is no rule's", event, user, s)
			}
			if back := m.Event(s, user); s != event && back != event && len(m.Warnings()) == 0 {
				t.Fatalf("%q became %q, and %q", event, s, back)
			}
		} else if s != "" {
			t.Fatalf("an error, and %q", s)
		}
		e := m.Event(subject, user)
		if bridge.ReservedEvent(e) {
			t.Fatalf("%q arrives as %q", subject, e)
		}
		if e != "" && e != subject {
			if !shaped(subject) {
				t.Fatalf("%q arrives at %q as %q", subject, user, e)
			}
			if !m.PerUser(subject) && m.Event(subject, "somebody") != e {
				t.Fatalf("%q arrives at others under another name", subject)
			}
			// Earlier rules may take the event; alone, a rule takes it back.
			for _, r := range rules {
				if one, err := bridge.NewMapping([]bridge.MapRule{r}); err == nil && one.Event(subject, user) == e {
					if s, _, err := one.Subject(e, user); s != subject && bridge.ValidSubject(subject) == nil && !bridge.Reserved(subject) {
						t.Fatalf("%q arrives as %q, which becomes %q, %v", subject, e, s, err)
					}
				}
			}
		}
	})
}

// hasShape reports whether the subject has the pattern's tokens, one by one,
// with the user's for {user}.
func hasShape(pattern, subject, user string) bool {
	want, got := strings.Split(pattern, "."), strings.Split(subject, ".")
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		switch {
		case w == "{user}" && got[i] != user, !strings.HasPrefix(w, "{") && w != got[i], got[i] == "":
			return false
		}
	}
	return true
}
