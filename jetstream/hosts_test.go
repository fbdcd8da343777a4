package jetstream_test

import (
	"testing"

	"github.com/jetway-io/jetway/jetstream"
)

// H06: what /readyz and errors say of a URL has no secret in it.
func TestHostsHideSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"nats://a:4222":                         "a:4222",
		"nats://user:secret@a:4222":             "a:4222",
		"nats://token@a:4222, tls://u:p@b:4222": "a:4222, b:4222",
		"a:4222":                                "a:4222",
	} {
		if got := jetstream.Hosts(url); got != want {
			t.Errorf("%q is shown as %q, want %q", url, got, want)
		}
	}
}
