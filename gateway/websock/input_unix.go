//go:build unix

package websock

import (
	"io"
	"os"
	"syscall"
)

const canTake = true

// takeFrom reads from the socket; false if there is nothing to read yet. The
// buffer is borrowed for the system call only.
func (in *input) takeFrom(fd uintptr) bool {
	room := in.room()
	for {
		n, err := syscall.Read(int(fd), room)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			if in.w == 0 {
				in.release()
			}
			return false
		case err != nil:
			in.err = os.NewSyscallError("read", err)
		case n == 0:
			in.err = io.EOF
		default:
			in.w += n
		}
		return true
	}
}
