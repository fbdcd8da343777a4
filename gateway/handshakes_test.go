package gateway_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway"
)

// W12: a handshake costs its address and all of them; what is refused for its
// address costs the others nothing.
func TestHandshakeRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, rules := gateway.NewHandshakes(), &gateway.Rules{HandshakeRate: 20, HandshakeRatePerAddress: 5}
		passes := func(address string, n int) {
			t.Helper()
			passed := 0
			for range 30 {
				if why, wait := gateway.Enter(h, address, rules); why == "" {
					passed++
				} else if wait <= 0 || wait > time.Second {
					t.Fatalf("%s has to wait %s", address, wait)
				}
			}
			if passed != n {
				t.Errorf("%d of %s pass, want %d", passed, address, n)
			}
		}
		passes("203.0.113.1", 5)
		passes("2001:db8::1", 5)
		passes("2001:db8::2", 0) // the same network
		passes("2001:db8:0:1::1", 5)
		passes("203.0.113.2", 5)
		if why, _ := gateway.Enter(h, "203.0.113.3", rules); why != "handshake_rate" {
			t.Errorf("over the limit of all: %q", why)
		}
		if why, _ := gateway.Enter(h, "203.0.113.2", rules); why != "handshake_rate_per_address" {
			t.Errorf("over its own limit: %q", why)
		}
		time.Sleep(time.Second)
		passes("203.0.113.1", 5)
		time.Sleep(2 * time.Second)
		passes("203.0.113.1", 5)
	})
}

// However many addresses come, and however slowly limits let them in, few are
// known.
func TestHandshakesAreBounded(t *testing.T) {
	for name, rules := range map[string]*gateway.Rules{
		"defaults": {HandshakeRate: 5000, HandshakeRatePerAddress: 1000},
		"slow":     {HandshakeRate: 1e9, HandshakeRatePerAddress: 1. / 3600},
	} {
		t.Run(name, func(t *testing.T) {
			h, most := gateway.NewHandshakes(), 0
			for i := range 200_000 {
				gateway.Enter(h, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), rules)
				most = max(most, gateway.Dump(h))
			}
			if most > 2*gateway.MaxAddresses {
				t.Errorf("%d addresses are known", most)
			}
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	h, rules := gateway.NewHandshakes(), &gateway.Rules{HandshakeRate: 1e9, HandshakeRatePerAddress: 1000}
	addresses := make([]string, 10_000)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("10.0.%d.%d", i>>8, i&255)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		gateway.Enter(h, addresses[i%len(addresses)], rules)
	}
}
