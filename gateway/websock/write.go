package websock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// chunkBytes is what is written at once to a connection that takes only one
// slice at a time. It is one TLS record, the unit that TLS encrypts and sends.
const chunkBytes = 16 << 10

var _ bridge.Transport = (*Conn)(nil)

// Write sends what has been collected, whole frames only. Over TCP that is one
// system call, however many frames there are, unless the kernel takes only a
// part; over TLS one per 16 KiB. It fails, and the connection is of no use any
// more, when for WriteTimeout nothing could be written. Write does not keep
// out, and does not reset it.
func (c *Conn) Write(out *bridge.Output) error {
	if out.Size() == 0 {
		return nil
	}
	v := vectors.Get().(*vector)
	v.all = out.Buffers(v.all[:0])
	err := c.writeAll(v)
	clear(v.all)
	vectors.Put(v)
	if err != nil {
		return fmt.Errorf("websock: write: %w", err)
	}
	c.stats.Frames.Add(uint64(out.Frames()))
	return nil
}

// vector holds the slices of one write: all of them, and those not yet written.
type vector struct{ all, rest net.Buffers }

var (
	vectors = sync.Pool{New: func() any { return new(vector) }}
	chunks  = sync.Pool{New: func() any { return new([chunkBytes]byte) }}
)

func (c *Conn) writeAll(v *vector) error {
	if _, ok := c.nc.(syscall.Conn); ok { // a *net.TCPConn, or what embeds one
		return c.writeVector(v)
	}
	return c.writeChunks(v.all)
}

// writeVector writes with writev(2). A deadline that passes after a part was
// written is no failure but a slow client, and starts anew. None is left behind:
// WriteSome would fail once it has passed.
func (c *Conn) writeVector(v *vector) error {
	v.rest = v.all
	for {
		c.setWriteDeadline()
		n, err := v.rest.WriteTo(c.nc)
		c.stats.Writes.Add(1)
		c.stats.Bytes.Add(uint64(n))
		switch {
		case err == nil:
			return c.nc.SetWriteDeadline(time.Time{})
		case n == 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}

// writeChunks copies the slices together first: TLS would make a record and a
// system call of each. A deadline is for a chunk, since a TLS connection is
// broken once one has passed.
func (c *Conn) writeChunks(bufs net.Buffers) error {
	chunk := chunks.Get().(*[chunkBytes]byte)
	defer chunks.Put(chunk)
	n := 0
	for _, b := range bufs {
		for len(b) > 0 {
			k := copy(chunk[n:], b)
			b = b[k:]
			if n += k; n == chunkBytes {
				if err := c.writeChunk(chunk[:n]); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	if n == 0 {
		return nil
	}
	return c.writeChunk(chunk[:n])
}

func (c *Conn) writeChunk(b []byte) error {
	c.setWriteDeadline()
	n, err := c.nc.Write(b)
	c.stats.Writes.Add(1)
	c.stats.Bytes.Add(uint64(n))
	return err
}

// setWriteDeadline cannot fail in a way that the write would not show.
func (c *Conn) setWriteDeadline() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout))
}
