package bridge_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

// values looks names up in pairs of name and value.
func values(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func ExampleExpandFilter() {
	user := func(name string) (string, bool) { return "ann", name == "user" }
	fmt.Println(bridge.ExpandFilter("events.users.{user}.>", user))

	everyone := func(name string) (string, bool) { return "*", name == "user" }
	_, err := bridge.ExpandFilter("events.users.{user}.>", everyone)
	fmt.Println(err)
	// Output:
	// events.users.ann.> <nil>
	// bad_subject: the value of {user} is not one token of a subject
}

func TestExpandFilter(t *testing.T) {
	get := values("user", "ann", "tenant", "acme", "n", "-17", "user-2", "$x", "empty", "")
	for _, tt := range []struct{ template, want string }{ // want "": refused
		{"events.>", "events.>"},
		{"events.{user}", "events.ann"},
		{"{tenant}.{user}.>", "acme.ann.>"},
		{"{user}", "ann"},
		{"*.{user}", "*.ann"},
		{"events.{n}", "events.-17"},
		{"events.{user-2}", "events.$x"}, // only the first token is NATS's own
		{"{user-2}.events", ""},
		{"events.{empty}", ""},
		{"events.{nobody}", ""},
		{"events.{}", ""},
		{"events.{user", ""},
		{"events.user}", ""},
		{"events.x{user}", ""},
		{"events.{user}x", ""},
		{"events.{user}{tenant}", ""},
		{"events.{{user}}", ""},
		{"events.{us er}", ""},
		{"events..{user}", ""},
		{"events.>.{user}", ""},
		{"", ""},
		{strings.Repeat("{user}.", 32) + "a", ""},
		{strings.Repeat("x", 600), ""},
	} {
		got, err := bridge.ExpandFilter(tt.template, get)
		if err != nil {
			if !errors.Is(err, &bridge.Error{Code: bridge.CodeBadSubject}) {
				t.Errorf("%q: %v", tt.template, err)
			}
			got = ""
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q (%v)", tt.template, got, tt.want, err)
		}
	}
}

func TestValidTemplate(t *testing.T) {
	for s, want := range map[string]bool{
		"events.{user}.>": true, "{user}": true, "a.b": true, "*.{a_b-c=}": true,
		"": false, "{a.b}": false, "{}": false, "a{b}": false, "a..{b}": false, "{a}.>.b": false, "{a b}": false,
	} {
		if got := bridge.ValidTemplate(s) == nil; got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestExpandPermissions(t *testing.T) {
	p := bridge.Permissions{Pub: []string{"a.{user}", "b.{none}", "c"}, Sub: []string{"{user}.>"}, Req: []string{"svc.{none}"}}
	var skipped []string
	got := p.Expand(values("user", "ann"), func(template string, err error) {
		if err == nil {
			t.Error("skipped without a reason")
		}
		skipped = append(skipped, template)
	})
	if want := (bridge.Permissions{Pub: []string{"a.ann", "c"}, Sub: []string{"ann.>"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if want := []string{"b.{none}", "svc.{none}"}; !reflect.DeepEqual(skipped, want) {
		t.Errorf("skipped %q", skipped)
	}
	if got := p.Expand(values(), nil); !reflect.DeepEqual(got, bridge.Permissions{Pub: []string{"c"}}) {
		t.Errorf("%+v", got)
	}
}

func TestUnionPermissions(t *testing.T) {
	p, q := bridge.Permissions{Pub: []string{"a", "b"}[:1:2], Sub: []string{"x"}}, bridge.Permissions{Pub: []string{"c", "a"}, Work: []string{"w"}}
	want := bridge.Permissions{Pub: []string{"a", "c"}, Sub: []string{"x"}, Work: []string{"w"}}
	if got := p.Union(q); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if p.Pub[:2][1] != "b" {
		t.Error("a list of p was written to")
	}
}

// FuzzTemplate: whatever the template and the value are, the filter matches no
// more than the template with "*" in place of the braces, and has as many
// tokens.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"events.{user}.>", "{user}", "{user}.{user}", "*.{user}", "a.{b", "events.>"} {
		for _, v := range []string{"ann", "a.b", "*", ">", "", "$SYS", "jetway", "{user}", "\r\n", "\xff"} {
			f.Add(s, v)
		}
	}
	f.Fuzz(func(t *testing.T, template, v string) {
		get := func(string) (string, bool) { return v, true }
		got, err := bridge.ExpandFilter(template, get)
		if err != nil {
			return
		}
		if err := bridge.ValidFilter(got); err != nil {
			t.Fatalf("%q with %q: %q: %v", template, v, got, err)
		}
		if bridge.ValidTemplate(template) != nil {
			t.Fatalf("%q is not a template, and became %q", template, got)
		}
		tokens := strings.Split(template, ".")
		for i, token := range tokens {
			if strings.HasPrefix(token, "{") {
				tokens[i] = "*"
			}
		}
		if widest := strings.Join(tokens, "."); !bridge.Within(got, widest) {
			t.Fatalf("%q with %q: %q is not within %q", template, v, got, widest)
		}
		if len(strings.Split(got, ".")) != len(tokens) {
			t.Fatalf("%q with %q: %q has other tokens", template, v, got)
		}
		if bridge.Reserved(got) && !bridge.Reserved(template) {
			t.Fatalf("%q with %q: %q is reserved", template, v, got)
		}
	})
}
