package client

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// corkBytes is how much may wait to be written before writers wait.
const corkBytes = 64 << 10

// cork is a connection whose writes are collected, and written by a goroutine
// of its own: many small frames then share a system call, and a single one
// leaves at once. Until pulled it writes directly, for the handshakes.
type cork struct {
	net.Conn
	timeout time.Duration
	corked  atomic.Bool
	done    chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex // guards what follows
	some  *sync.Cond // there is something to write, or an end
	room  *sync.Cond // there is room again, or an end
	buf   []byte     // waiting
	spare []byte     // the other buffer, nil while it is being written
	err   error
}

func newCork(nc net.Conn, timeout time.Duration) *cork {
	c := &cork{Conn: nc, timeout: timeout, done: make(chan struct{})}
	c.some, c.room = sync.NewCond(&c.mu), sync.NewCond(&c.mu)
	return c
}

// start begins to collect. stop must be called.
func (c *cork) start() {
	c.corked.Store(true)
	go c.run()
}

// Write collects p, and waits only for room.
func (c *cork) Write(p []byte) (int, error) {
	if !c.corked.Load() {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) > corkBytes && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	c.buf = append(c.buf, p...)
	c.some.Signal()
	return len(p), nil
}

// SetWriteDeadline is the handshake's; later each write has a deadline of its
// own.
func (c *cork) SetWriteDeadline(t time.Time) error {
	if c.corked.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *cork) run() {
	defer close(c.done)
	for {
		b := c.take()
		if b == nil {
			return
		}
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)) // the write would show it
		_, err := c.Conn.Write(b)
		c.give(b, err)
	}
}

// take waits for bytes to write; nil means that it is over.
func (c *cork) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) == 0 && c.err == nil {
		c.some.Wait()
	}
	if c.err != nil {
		return nil
	}
	b := c.buf
	c.buf, c.spare = c.spare[:0], nil
	c.room.Broadcast()
	return b
}

func (c *cork) give(b []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = b[:0]
	if c.err == nil {
		c.err = err
	}
	c.room.Broadcast()
}

// stop ends the collecting and drops the connection.
func (c *cork) stop() {
	c.mu.Lock()
	if c.err == nil {
		c.err = net.ErrClosed
	}
	c.some.Broadcast()
	c.room.Broadcast()
	c.mu.Unlock()
	_ = c.Conn.Close() // nothing can be done about it
	<-c.done
}
