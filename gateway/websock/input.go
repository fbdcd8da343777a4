package websock

import (
	"net"
	"sync"
	"syscall"
)

// How much is read at once. Most messages fit, together with those that came
// with them.
const (
	inputBytes = 4 << 10
	heldBytes  = 1 << 10 // where a buffer is held all the time
)

var inputs = sync.Pool{New: func() any { return new(make([]byte, inputBytes)) }}

// input is what a client has sent and nobody has looked at yet. While there is
// nothing it holds no buffer, and whoever waits for more stands on a shallow
// stack: these two are what a silent client costs.
type input struct {
	conn net.Conn
	raw  syscall.RawConn       // nil where the kernel's socket is not to be had, as with TLS
	take func(fd uintptr) bool // reads from it; made once
	buf  *[]byte               // nil while empty
	r, w int                   // what is there is (*buf)[r:w]
	err  error                 // of the last take
}

func (in *input) init(conn net.Conn) {
	in.conn = conn
	if c, ok := conn.(syscall.Conn); ok && canTake {
		if raw, err := c.SyscallConn(); err == nil {
			in.raw, in.take = raw, in.takeFrom
			return
		}
	}
	in.buf = new(make([]byte, heldBytes))
}

// have returns what is there.
func (in *input) have() []byte {
	if in.buf == nil {
		return nil
	}
	return (*in.buf)[in.r:in.w]
}

// skip forgets the first n bytes of what is there.
func (in *input) skip(n int) {
	if in.r += n; in.r == in.w {
		in.release()
	}
}

func (in *input) release() {
	in.r, in.w = 0, 0
	if in.raw != nil && in.buf != nil {
		inputs.Put(in.buf)
		in.buf = nil
	}
}

// wait returns when there is something.
func (in *input) wait() error {
	for in.w == in.r {
		if err := in.more(); err != nil {
			return err
		}
	}
	return nil
}

// need returns the first n bytes when they are there, without skipping them.
func (in *input) need(n int) ([]byte, error) {
	for in.w-in.r < n {
		if err := in.more(); err != nil {
			return nil, err
		}
	}
	return (*in.buf)[in.r : in.r+n], nil
}

// more waits until something more is there. What is there already has to leave
// room for it.
func (in *input) more() error {
	if in.raw != nil {
		if err := in.raw.Read(in.take); err != nil {
			return err
		}
		return in.err
	}
	n, err := in.conn.Read(in.room())
	if in.w += n; n > 0 {
		return nil
	}
	return err
}

// room is where the next bytes go.
func (in *input) room() []byte {
	if in.buf == nil {
		in.buf = inputs.Get().(*[]byte)
	}
	if in.r > 0 {
		in.w = copy(*in.buf, (*in.buf)[in.r:in.w])
		in.r = 0
	}
	return (*in.buf)[in.w:]
}
