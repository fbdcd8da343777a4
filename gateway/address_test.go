package gateway_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
)

func networks(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestClientAddress(t *testing.T) {
	trusted := networks("10.0.0.0/8", "fd00::/8", "127.0.0.1/32")
	for _, tt := range []struct {
		name, remote string
		lines        []string
		want         string // "": the connection's own
	}{
		{"no proxy", "203.0.113.9:1", []string{"198.51.100.7"}, ""},
		{"a proxy that says nothing", "10.0.0.1:1", nil, ""},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a client that says something itself", "10.0.0.1:1", []string{"192.0.2.1, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", []string{"192.0.2.1, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"two lines", "10.0.0.1:1", []string{"192.0.2.1", "198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a port", "10.0.0.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv4 as IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"a proxy as IPv6", "10.0.0.1:1", []string{"198.51.100.7, ::ffff:10.0.0.2"}, "198.51.100.7"},
		{"white space", "10.0.0.1:1", []string{" \t198.51.100.7 ,\t10.0.0.2 "}, "198.51.100.7"},
		{"nonsense", "10.0.0.1:1", []string{"nonsense"}, ""},
		{"nonsense before a proxy", "10.0.0.1:1", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an empty entry", "10.0.0.1:1", []string{"198.51.100.7,,10.0.0.2"}, "10.0.0.2"},
		{"an empty line", "10.0.0.1:1", []string{"198.51.100.7", ""}, ""},
		{"a name", "10.0.0.1:1", []string{"client.example"}, ""},
		{"a zone", "10.0.0.1:1", []string{"fe80::1%x y"}, ""},
		{"half a bracket", "10.0.0.1:1", []string{"[2001:db8::7"}, ""},
		{"the other half", "10.0.0.1:1", []string{"2001:db8::7]"}, ""},
		{"a leading zero", "10.0.0.1:1", []string{"010.0.0.2"}, ""},
		{"a number", "10.0.0.1:1", []string{"3325256711"}, ""},
		{"a very long one", "10.0.0.1:1", []string{strings.Repeat("1", 1<<14)}, ""},
		{"no connection", "@", []string{"198.51.100.7"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := gateway.ClientAddress(tt.remote, http.Header{"X-Forwarded-For": tt.lines}, trusted)
			if got != tt.want && ok || ok != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, tt.want)
			}
		})
	}
	if got, ok := gateway.ClientAddress("10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}}, nil); ok {
		t.Errorf("nobody is trusted, and %q is believed", got)
	}
}

func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"", "198.51.100.7, 10.0.0.2", "[::1]:80,x", "fe80::1%eth0", ",,", "[]", "[]:", "::ffff:1.2.3.4:5"} {
		f.Add(s, s)
	}
	trusted := networks("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, one, two string) {
		got, ok := gateway.ClientAddress("10.0.0.1:1", http.Header{"X-Forwarded-For": {one, two}}, trusted)
		if !ok {
			return
		}
		a, err := netip.ParseAddr(got)
		if err != nil || a.Is4In6() || a.Zone() != "" || a.String() != got {
			t.Errorf("%q, %q: %q is not an address in its one form", one, two, got)
		}
	})
}

// watching remembers where its clients were said to be.
type watching struct {
	auth.Policy
	addresses chan string
}

func (*watching) Open() bool { return true }
func (w *watching) Authenticate(_ context.Context, c auth.Credentials) (*auth.Identity, error) {
	w.addresses <- c.Address
	return &auth.Identity{User: "ann"}, nil
}

// Whoever decides about clients is told what the proxy says.
func TestAddressOfCredentials(t *testing.T) {
	w := &watching{addresses: make(chan string, 1)}
	o := stockOptions(w)
	o.TrustedProxies = networks("127.0.0.0/8")
	s, _ := serve(t, o)
	said := field("X-Forwarded-For", "198.51.100.7:99")
	dialRaw(t, url(s), said)
	if got := <-w.addresses; got != "198.51.100.7" {
		t.Errorf("jetway.v1: %s", got)
	}
	dialStock(t, s, said).send("40")
	if got := <-w.addresses; got != "198.51.100.7" {
		t.Errorf("Socket.IO: %s", got)
	}
}

func TestNeighbours(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "::ffff:203.0.113.9", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "pipe": "pipe",
	} {
		if got := gateway.Neighbours(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
