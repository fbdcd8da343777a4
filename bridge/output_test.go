package bridge_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

// What is collected leaves in order, in parts of any size, with more collected
// meanwhile.
func TestOutputSkip(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var out, other bridge.Output
		var want, left []byte
		for range 30 {
			part := bytes.Repeat([]byte{byte(rnd.IntN(256))}, rnd.IntN(20_000))
			want = append(want, part...)
			switch rnd.IntN(3) {
			case 0:
				out.Append(part...)
			case 1:
				out.AppendShared(part)
			default:
				other.Reset()
				other.Append(part[:len(part)/3]...)
				other.AppendShared(part[len(part)/3:])
				out.AppendOutput(&other)
			}
			all := bytes.Join(out.Buffers(nil), nil)
			if len(all) != out.Size() {
				t.Fatalf("seed %d: %d bytes of %d", seed, len(all), out.Size())
			}
			n := rnd.IntN(len(all) + 1)
			left = append(left, all[:n]...)
			out.Skip(n)
		}
		left = append(left, bytes.Join(out.Buffers(nil), nil)...)
		if !bytes.Equal(left, want) {
			t.Fatalf("seed %d: other bytes", seed)
		}
		if out.Reset(); out.Size() != 0 || len(out.Buffers(nil)) != 0 {
			t.Fatalf("seed %d: %d bytes after Reset", seed, out.Size())
		}
	}
}
