package websock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// wire is the connection as gorilla sees it. During the handshake it passes
// everything; afterwards it lets gorilla read only, and watches what it reads.
type wire struct {
	net.Conn
	extensions  string // the answer to what the client offered
	established bool   // set once, before the first message is read

	// Owned by the reading goroutine.
	guard guard
	err   error // what ended the reading, before gorilla gave it another form
}

// Read passes bytes as long as the guard finds nothing wrong with them.
func (w *wire) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Conn.Read(p)
	if w.established {
		good, bad := w.guard.watch(p[:n])
		if bad != nil {
			n, err = good, bad
		}
	}
	w.err = err
	return n, err
}

// Write passes the handshake, with the answer of ours to the extensions, and
// forgets the close frames that gorilla writes when it finds an error: they
// would land in the middle of one of ours.
func (w *wire) Write(p []byte) (int, error) {
	if !w.established {
		answer := bytes.Replace(p, []byte(deflateAnswer), []byte(w.extensions), 1)
		if _, err := w.Conn.Write(answer); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// SetWriteDeadline is for the handshake only: with its close frames gorilla
// would move the deadline of our write.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.established {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}

// guard follows the frames that a client sends, header by header, and finds
// what gorilla 1.5.3 lets pass: RSV1 on frames that cannot be compressed
// (RFC 7692 section 6.1), a close frame with half a code (RFC 6455 section
// 5.5.1), and a length in more bytes than it needs (section 5.2).
type guard struct {
	header [10]byte // the header of the frame that is being read, without mask
	have   int      // bytes of it, including those of the masking key
	need   int      // its full length, 0 before its second byte
	skip   uint64   // bytes of the frame's payload still to come
}

const (
	rsv1Bit    = 0x40
	maskBytes  = 4
	lenBits    = 0x7F
	opcodeBits = 0x0F
)

// watch follows b; when a frame in it is wrong, good is how much of b comes
// before the byte that shows it.
func (g *guard) watch(b []byte) (good int, err error) {
	for i := 0; i < len(b); {
		if g.skip > 0 {
			n := min(g.skip, uint64(len(b)-i))
			g.skip -= n
			i += int(n)
			continue
		}
		if g.have < len(g.header) {
			g.header[g.have] = b[i]
		}
		g.have++
		if g.have == 2 {
			if err := g.check(); err != nil {
				return i, err
			}
		}
		if g.have > 2 && g.have == g.need-maskBytes && !g.shortest() {
			return i, fmt.Errorf("%w: a length of %d in too many bytes", ErrProtocol, g.length())
		}
		i++
		if g.have >= 2 && g.have == g.need {
			g.skip = g.length()
			g.have, g.need = 0, 0
		}
	}
	return len(b), nil
}

// check looks at a frame's first two bytes.
func (g *guard) check() error {
	op, length := g.header[0]&opcodeBits, g.header[1]&lenBits
	g.need = 2 + maskBytes
	switch length {
	case 126:
		g.need += 2
	case 127:
		g.need += 8
	}
	switch {
	case g.header[0]&rsv1Bit != 0 && (op == 0 || op >= byte(OpClose)):
		return fmt.Errorf("%w: RSV1 set on opcode %d", ErrProtocol, op)
	case op == byte(OpClose) && length == 1:
		return fmt.Errorf("%w: half a close code", ErrProtocol)
	}
	return nil
}

// shortest reports whether a length of more than one byte needs them.
func (g *guard) shortest() bool {
	if g.header[1]&lenBits == 126 {
		return g.length() > 125
	}
	return g.length() > 0xFFFF
}

func (g *guard) length() uint64 {
	switch n := g.header[1] & lenBits; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(g.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(g.header[2:])
	default:
		return uint64(n)
	}
}
