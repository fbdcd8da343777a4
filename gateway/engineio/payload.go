package engineio

import (
	"bytes"
	"iter"
)

// separator stands between the packets of a payload (Engine.IO protocol v4,
// "HTTP long-polling"). Nothing escapes it.
const separator = '\x1e'

// Packets reads the payload of a POST, or of the answer to a poll: at most most
// packets, up to the first error, which ends it.
func Packets(payload []byte, most int) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for n := 0; ; n++ {
			if n == most {
				yield(Packet{}, ErrTooManyPackets)
				return
			}
			one, rest, more := bytes.Cut(payload, []byte{separator})
			p, err := Decode(one)
			if !yield(p, err) || err != nil || !more {
				return
			}
			payload = rest
		}
	}
}

// AppendPayload appends the packets as one payload.
func AppendPayload(dst []byte, packets ...Packet) []byte {
	for i, p := range packets {
		if i > 0 {
			dst = append(dst, separator)
		}
		dst = p.Append(dst)
	}
	return dst
}
