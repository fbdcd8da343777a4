package websock

import "encoding/binary"

// maskingKey is what a client's payload is masked with (RFC 6455 section 5.3).
type maskingKey [maskBytes]byte

// unmask takes the key off b, of which the first byte is the pos-th of its
// frame's payload.
func (k maskingKey) unmask(b []byte, pos int) {
	if k == (maskingKey{}) {
		return
	}
	var turned maskingKey
	for i := range turned {
		turned[i] = k[(pos+i)%maskBytes]
	}
	four := uint64(binary.LittleEndian.Uint32(turned[:]))
	eight := four<<32 | four
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^eight)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= turned[i%maskBytes]
	}
}
