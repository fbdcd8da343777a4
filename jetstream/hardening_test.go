package jetstream_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// N07: a message that is as large as NATS takes, and too large with what a
// batch adds to it, costs nobody else anything: neither an error nor time.
func TestN07LargeNeighbour(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		o.Embedded.MaxPayload = 4096
		b := open(t, o)
		for size := 4096; size > 4096-200; size -= 8 {
			var list []*bridge.Publication
			for i := range 100 {
				p := pub("a", fmt.Sprint(i), "")
				if i == 50 {
					p.Data, p.Owner = make([]byte, size), "large"
				}
				list = append(list, p)
			}
			for i, r := range flood(t, b, list) {
				if r.err != nil && !(i == 50 && errors.Is(r.err, &bridge.Error{Code: bridge.CodeTooBig})) {
					t.Fatalf("beside %d bytes, publication %d: %v", size, i, r.err)
				}
			}
		}
	})
}

// N09: the embedded server listens where it was told to, with the plain
// protocol of NATS and with nothing else: no WebSocket (CVE-2026-27571 and
// -27889), no leaf nodes (CVE-2026-29785), no MQTT, no cluster, no monitoring.
// Without an address it listens nowhere.
func TestN09(t *testing.T) {
	for listen, reached := range map[string]bool{"": false, "127.0.0.1:0": true} {
		o := options(t)
		o.Embedded.Listen = listen
		b := open(t, o)
		addr, ok := b.Server().Addr().(*net.TCPAddr)
		if ok != reached || ok && !addr.IP.Equal(net.IPv4(127, 0, 0, 1)) || (b.ClientURL() != "") != reached {
			t.Errorf("%q: clients at %v, %q", listen, addr, b.ClientURL())
		}
		v, err := b.Server().Varz(&server.VarzOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for what, port := range map[string]int{"websocket": v.Websocket.Port, "leaf nodes": v.LeafNode.Port, "MQTT": v.MQTT.Port,
			"cluster": v.Cluster.Port, "gateway": v.Gateway.Port, "monitoring": v.HTTPPort, "monitoring by TLS": v.HTTPSPort} {
			if port != 0 {
				t.Errorf("%q: %s on port %d", listen, what, port)
			}
		}
		for what, a := range map[string]net.Addr{"cluster": b.Server().ClusterAddr(), "monitoring": b.Server().MonitorAddr(), "profiling": b.Server().ProfilerAddr()} {
			if tcp, _ := a.(*net.TCPAddr); tcp != nil {
				t.Errorf("%q: %s at %v", listen, what, a)
			}
		}
	}
}
