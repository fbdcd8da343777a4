package bridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

func TestParseRevocation(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]bridge.Revocation{
		`{"user":"ann"}`: {User: "ann"},
		`{"sub":"ann","before":"2030-01-02T03:04:05Z"}`: {User: "ann", Before: at},
	} {
		if got, err := bridge.ParseRevocation([]byte(in)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{``, `{}`, `null`, `[]`, `{"user":""}`, `{"user":"a","sub":"a"}`, `{"user":"a","before":1}`, `{"user":"a","before":"soon"}`,
		`{"user":"a","before":"0001-01-01T00:00:00Z"}`, `{"user":"a","x":1}`, `{"user":"a"}{"user":"b"}`, `{"user":"` + strings.Repeat("x", 5000) + `"}`} {
		if got, err := bridge.ParseRevocation([]byte(in)); err == nil {
			t.Errorf("%.40s: %+v", in, got)
		}
	}
}

func TestRevocationCovers(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	before, after := at.Add(-time.Second), at.Add(time.Second)
	for _, tt := range []struct {
		r             bridge.Revocation
		issued, since time.Time
		want          bool
	}{
		{bridge.Revocation{User: "ann"}, after, after, true},
		{bridge.Revocation{User: "bob"}, before, before, false},
		{bridge.Revocation{User: "ann", Before: at}, before, after, true},
		{bridge.Revocation{User: "ann", Before: at}, after, after, false},
		{bridge.Revocation{User: "ann", Before: at}, at, after, false},
		{bridge.Revocation{User: "ann", Before: at}, time.Time{}, before, true},
		{bridge.Revocation{User: "ann", Before: at}, time.Time{}, after, false},
	} {
		if got := tt.r.Covers("ann", tt.issued, tt.since); got != tt.want {
			t.Errorf("%+v, issued %v, since %v: %t", tt.r, tt.issued, tt.since, got)
		}
	}
}

// Whatever is signalled, nobody is revoked whom it does not name.
func FuzzParseRevocation(f *testing.F) {
	f.Add([]byte(`{"user":"ann"}`))
	f.Add([]byte(`{"sub":"ann","before":"2030-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"user":"","sub":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := bridge.ParseRevocation(data)
		if (err == nil) != (r.User != "") {
			t.Errorf("%q: %+v, %v", data, r, err)
		}
	})
}
