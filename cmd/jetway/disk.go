package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/jetstream"
)

// leastStore is the smallest store that is made without being asked for.
const leastStore = 64 << 20

// fitDisk makes the default sizes smaller where the disk does not have that
// much: a laptop that is nearly full should run Jetway too. Sizes that were
// asked for stay, and are refused if they do not fit. Powers of two, so that
// the same disk gives the same sizes at each start.
func fitDisk(c *config.Config, logger *slog.Logger) error {
	embedded := &c.NATS.Embedded
	if c.NATS.URL != "" || c.Given("nats.embedded.max_store") {
		return nil
	}
	if err := os.MkdirAll(embedded.StoreDir, 0o750); err != nil {
		return fmt.Errorf("nats.embedded.store_dir: %w: name a directory that can be made", err)
	}
	free, used, err := jetstream.Space(embedded.StoreDir)
	if err != nil {
		return err
	}
	size, ok := storeSize(embedded.MaxStore, free+used)
	if !ok {
		return nil
	}
	asked := fitStore(c, size)
	if asked > size {
		return nil // for the broker to refuse, with the sizes
	}
	embedded.MaxStore = size
	logger.Warn("the disk has less room than the defaults take: less is kept",
		"nats.embedded.max_store", config.FormatSize(size), "streams", config.FormatSize(asked))
	return nil
}

// fitStore gives each default its share of a store, and returns what is
// reserved: half for the events, an eighth each for job events and dead
// letters, the rest for jobs and what NATS keeps for itself.
func fitStore(c *config.Config, size int64) (reserved int64) {
	for i := range c.Streams {
		if !c.Given("streams") { // the default is one stream
			c.Streams[i].MaxBytes = size / 2
		}
		reserved += c.Streams[i].MaxBytes
	}
	if !c.Queues.On() {
		return reserved
	}
	for key, bytes := range map[string]*int64{
		"queues.events_max_bytes": &c.Queues.EventsMaxBytes, "queues.dead_max_bytes": &c.Queues.DeadMaxBytes,
	} {
		if !c.Given(key) {
			*bytes = min(*bytes, size/8)
		}
		reserved += *bytes
	}
	return reserved
}

// storeSize is what a store takes instead of a default that is larger than the
// disk has room for; ok is false when the default fits, or nothing would.
func storeSize(def, room int64) (size int64, ok bool) {
	if room >= def {
		return 0, false
	}
	for size = leastStore; size*2 <= room; size *= 2 {
	}
	return size, size <= room
}
