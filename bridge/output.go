package bridge

import "net"

// sharedBytes is the size from which a shared slice is handed to the
// connection as it is instead of being copied: below it, copying costs less
// than one more element in the system call's vector.
const sharedBytes = 8 << 10

// Output collects frames that will leave in one system call. It is reused;
// nothing may keep a slice of it. The zero value is ready. Not safe for
// concurrent use.
type Output struct {
	buf    []byte
	shared []sharedPart
	gone   int // bytes that have left, of the first ones
	size   int
	frames int
}

type sharedPart struct {
	at   int    // where in buf it belongs
	data []byte // not copied
}

// Append adds bytes by copying them.
func (o *Output) Append(b ...byte) {
	o.buf = append(o.buf, b...)
	o.size += len(b)
}

// AppendString adds a string by copying it.
func (o *Output) AppendString(s string) {
	o.buf = append(o.buf, s...)
	o.size += len(s)
}

// AppendShared adds bytes that nobody changes any more, such as an event's
// payload: large ones are not copied.
func (o *Output) AppendShared(b []byte) {
	if len(b) < sharedBytes {
		o.Append(b...)
		return
	}
	o.shared = append(o.shared, sharedPart{at: len(o.buf), data: b})
	o.size += len(b)
}

// AppendOutput adds all that another output has collected, of which nothing has
// left.
func (o *Output) AppendOutput(from *Output) {
	for _, p := range from.shared {
		o.shared = append(o.shared, sharedPart{at: len(o.buf) + p.at, data: p.data})
	}
	o.buf = append(o.buf, from.buf...)
	o.size += from.size
	o.frames += from.frames
}

// EndFrame counts one complete frame.
func (o *Output) EndFrame() { o.frames++ }

// Skip takes the first n bytes out: they have left.
func (o *Output) Skip(n int) {
	o.gone += n
	o.size -= n
}

// Size returns the number of bytes collected that have not left.
func (o *Output) Size() int { return o.size }

// Frames returns the number of frames collected.
func (o *Output) Frames() int { return o.frames }

// Buffers appends the collected bytes that have not left to dst, in order, and
// returns it. The slices are good until the next call of another method.
func (o *Output) Buffers(dst net.Buffers) net.Buffers {
	from, gone := 0, o.gone
	add := func(b []byte) {
		n := min(gone, len(b))
		gone -= n
		if n < len(b) {
			dst = append(dst, b[n:])
		}
	}
	for _, p := range o.shared {
		add(o.buf[from:p.at])
		add(p.data)
		from = p.at
	}
	add(o.buf[from:])
	return dst
}

// Reset empties the output and keeps its memory for reuse.
func (o *Output) Reset() {
	clear(o.shared)
	*o = Output{buf: o.buf[:0], shared: o.shared[:0]}
}
