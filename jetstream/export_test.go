package jetstream

import "github.com/nats-io/nats.go"

// Conn is the broker's connection, for tests that act as another NATS client.
func (b *Broker) Conn() *nats.Conn { return b.nc }

// Mark records the high-water marks now.
func (b *Broker) Mark() { b.markAll(b.life) }

// Internals for table tests.
var (
	ParseMeta = parseMeta
	ParseAck  = parseAck
	Tag       = tag
)
