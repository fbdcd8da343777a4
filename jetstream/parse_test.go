package jetstream_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/jetstream"
)

func TestParseAck(t *testing.T) {
	for data, want := range map[string]string{
		`{"stream":"EVENTS", "seq":7}`:                                                                             "{7 false} <nil>",
		`{"stream":"EVENTS", "seq":7,"duplicate": true}`:                                                           "{7 true} <nil>",
		`{"stream":"EVENTS", "domain":"d", "seq": 7}`:                                                              "{7 false} <nil>",
		`{"stream":"EVENTS", "seq":70,"batch":"x","count":12}`:                                                     "{70 false} <nil>",
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"EVENTS","seq":0}`: "{0 false} wrong last sequence: 3 (NATS error 10071)",
		`{"stream":"EVENTS"}`:                                                                                      `{0 false} an unreadable acknowledgement: "{\"stream\":\"EVENTS\"}"`,
		`{"stream":"EVENTS", "seq":-1}`:                                                                            `{0 false} an unreadable acknowledgement: "{\"stream\":\"EVENTS\", \"seq\":-1}"`,
	} {
		a, err := jetstream.ParseAck(&nats.Msg{Data: []byte(data)})
		if got := fmt.Sprint(a, err); got[:min(len(got), len(want))] != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
}

func TestTag(t *testing.T) {
	at := time.Unix(1, 2)
	seen := map[string]bool{}
	for _, tag := range []string{jetstream.Tag("A", at, 0), jetstream.Tag("A", at, 1), jetstream.Tag("B", at, 0), jetstream.Tag("A", at.Add(1), 0)} {
		if seen[tag] || !regexp.MustCompile(`^[a-z0-9]{8}$`).MatchString(tag) {
			t.Errorf("tag %q", tag)
		}
		seen[tag] = true
	}
	if !seen[jetstream.Tag("A", at.UTC(), 0)] {
		t.Error("the tag depends on the time zone")
	}
}

func TestRest(t *testing.T) {
	deleted := []uint64{20, 22, 30, 30, 40, 50}
	for _, c := range []struct {
		after, next uint64
		want        string
		covered     bool
	}{
		{19, 23, "[]", true},
		{19, 21, "[]", true},
		{29, 31, "[]", true},
		{41, 47, "[]", true},
		{18, 23, "[{18 20}]", false},
		{19, 25, "[{22 25}]", false},
		{21, 41, "[{22 30} {30 40}]", false},
		{4, 10, "[{4 10}]", false},
		{4, 8, "[{4 8}]", false},
		{4, 23, "[{4 10} {9 20}]", false},
		{60, 70, "[{60 70}]", false},
		{49, 200, "[{50 200}]", false},
	} {
		rest, covered := jetstream.Rest(10, 100, deleted, c.after, c.next)
		if got := fmt.Sprint(rest); got != c.want || covered != c.covered {
			t.Errorf("between %d and %d: %s, %v; want %s, %v", c.after, c.next, got, covered, c.want, c.covered)
		}
	}
}
