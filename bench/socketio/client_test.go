package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

// serve writes packets as a server does, and hangs up.
func serve(conn net.Conn, packets []string) {
	defer conn.Close()
	for _, p := range packets {
		if _, err := conn.Write(append([]byte{0x81, byte(len(p))}, p...)); err != nil {
			return
		}
	}
}

// A run fails when a client misses an event, or gets one twice: figures of a
// server that loses some would mean nothing.
func TestListen(t *testing.T) {
	event := func(n int64) string {
		p := appendEvent(nil, n, 40)
		return "42" + string(p[bytes.IndexByte(p, '['):len(p)-1]) + `,"abc-1"]` // without the id, and with an offset
	}
	for name, tt := range map[string]struct {
		packets []string
		last    int64
		want    string
	}{
		"in order":    {[]string{event(1), event(2), event(3), `431[{"ok":true,"pos":"abc-1"}]`}, 3, "EOF"},
		"missing":     {[]string{event(1), event(3)}, 1, "event 3 after event 1"},
		"twice":       {[]string{event(1), event(1)}, 1, "event 1 after event 1"},
		"refused":     {[]string{`431[{"ok":false,"code":"unavailable"}]`}, 0, "refused"},
		"out of turn": {[]string{`42["jetway:gap",{}]`}, 0, "unexpected packet"},
	} {
		t.Run(name, func(t *testing.T) {
			there, here := net.Pipe()
			go serve(there, tt.packets)
			c := newClient(here)
			defer c.close()
			err := c.listen(&crowd{clients: []*client{c}, ready: make(chan struct{}, 1)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || c.last != tt.last || int64(len(c.latencies)) != tt.last {
				t.Errorf("got %v with %d events and %d latencies, want %q with %d", err, c.last, len(c.latencies), tt.want, tt.last)
			}
		})
	}
}

func TestAppendEvent(t *testing.T) {
	p := appendEvent(nil, 12, 128)
	argument := p[len(`4212["`+room+`",`) : len(p)-1]
	if !bytes.HasPrefix(p, []byte(`4212["`+room+`",{"n":12,"t":`)) || len(argument) != 128 {
		t.Errorf("got %s, an argument of %d bytes", p, len(argument))
	}
}
