//go:build linux || darwin

package websock

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jetway-io/jetway/bridge"
)

// mostBuffers is how many slices one writev(2) takes on every system.
const mostBuffers = 1024

// attempt is one system call that does not wait.
type attempt struct {
	try  func(fd uintptr) bool // writes; made once
	bufs net.Buffers
	n    int // bytes written
	err  error
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.try = a.write
	return a
}}

// WriteSome implements [bridge.Transport]: it sends what the kernel has room
// for, in one system call. Over TLS it leaves all to Write, as the record that
// the kernel takes a part of must be waited for.
func (c *Conn) WriteSome(out *bridge.Output) error {
	if c.in.raw == nil || out.Size() == 0 {
		return nil
	}
	a := attempts.Get().(*attempt)
	defer a.recycle()
	a.bufs = out.Buffers(a.bufs)
	err := c.in.raw.Write(a.try)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return fmt.Errorf("websock: write: %w", err)
	}
	c.stats.Writes.Add(1)
	c.stats.Bytes.Add(uint64(a.n))
	if out.Skip(a.n); out.Size() == 0 {
		c.stats.Frames.Add(uint64(out.Frames()))
	}
	return nil
}

// write returns true: there is to be no waiting for room.
func (a *attempt) write(fd uintptr) bool {
	for {
		a.n, a.err = unix.Writev(int(fd), a.bufs[:min(len(a.bufs), mostBuffers)])
		switch {
		case a.err == syscall.EINTR:
			continue
		case a.err == syscall.EAGAIN:
			a.n, a.err = 0, nil
		case a.err != nil:
			a.n, a.err = 0, os.NewSyscallError("writev", a.err)
		}
		return true
	}
}

func (a *attempt) recycle() {
	clear(a.bufs)
	a.bufs, a.n, a.err = a.bufs[:0], 0, nil
	attempts.Put(a)
}
