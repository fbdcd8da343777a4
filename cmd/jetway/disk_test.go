package main

import (
	"testing"

	"github.com/jetway-io/jetway/config"
)

func TestStoreSize(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		room, size int64
		ok         bool
	}{
		{20 * gib, 0, false},
		{10 * gib, 0, false},
		{10*gib - 1, 8 * gib, true},
		{287 * mib, 256 * mib, true},
		{64 * mib, 64 * mib, true},
		{63 * mib, 64 * mib, false},
	} {
		size, ok := storeSize(10*gib, tt.room)
		if ok != tt.ok || ok && size != tt.size {
			t.Errorf("room %d: %d, %v", tt.room, size, ok)
		}
	}
}

// A small disk is shared out among the defaults; what was asked for stays.
func TestFitStore(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		name, file           string
		size                 int64
		stream, events, dead int64
		reserved             int64
	}{
		{"defaults", "", 256 * mib, 128 * mib, 32 * mib, 32 * mib, 192 * mib},
		{"the least", "", 64 * mib, 32 * mib, 8 * mib, 8 * mib, 48 * mib},
		{"nearly enough", "", 8 * gib, 4 * gib, gib, gib, 6 * gib},
		{"no queues", "queues: {subjects: []}", 256 * mib, 128 * mib, gib, gib, 128 * mib},
		{"asked for", "queues: {events_max_bytes: 100MiB}", 256 * mib, 128 * mib, 100 * mib, 32 * mib, 260 * mib},
		{"asked for in streams", "streams: [{name: E, subjects: [e.>], max_bytes: 10MiB}]", 64 * mib, 10 * mib, 8 * mib, 8 * mib, 26 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c, err := config.Load(config.Source{File: "f", Text: []byte(tt.file)})
			if err != nil {
				t.Fatal(err)
			}
			reserved := fitStore(c, tt.size)
			if q := c.Queues; reserved != tt.reserved || c.Streams[0].MaxBytes != tt.stream || q.EventsMaxBytes != tt.events || q.DeadMaxBytes != tt.dead {
				t.Errorf("reserved %d, stream %d, events %d, dead %d", reserved, c.Streams[0].MaxBytes, q.EventsMaxBytes, q.DeadMaxBytes)
			}
		})
	}
}
