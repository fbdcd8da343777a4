package websock_test

import (
	"fmt"

	"github.com/jetway-io/jetway/internal/rawws"
)

// limits is category 9: large messages, whole, in parts, in pieces, and many
// small ones.
func limits() (all []conformance) {
	add := func(id, about string, want []rawws.Frame, in ...rawws.Frame) {
		all = append(all, conformance{id: id, about: about, ins: bytesOf(in...), want: want})
	}
	for kind, whole := range []func(string) rawws.Frame{rawws.Text, rawws.Binary} {
		kind++
		for i, n := range []int{64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10} {
			if n = min(n, either(n, 1<<10)) << 10; i < either(6, 3) {
				f := whole(prose(n))
				add(fmt.Sprintf("9.%d.%d", kind, i+1), fmt.Sprintf("%d KiB at once", n>>10), frames(f), f)
			}
		}
		large := whole(prose(either(4<<20, 128<<10)))
		for i, n := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
			add(fmt.Sprintf("9.%d.%d", kind+2, i+1), fmt.Sprintf("a message in parts of %d bytes", n), frames(large), rawws.Fragments(large.Op, string(large.Payload), n)...)
		}
		for i, n := range []int{0, 16, 64, 256, 1 << 10, 4 << 10} {
			many := make([]rawws.Frame, either(1000, 50))
			for i := range many {
				many[i] = whole(prose(n))
			}
			add(fmt.Sprintf("9.%d.%d", kind+6, i+1), fmt.Sprintf("%d messages of %d bytes", len(many), n), many, many...)
		}
	}
	// 9.5 and 9.6, one frame in small pieces, are what the pipe does with 9.1 and
	// 9.2. Beyond Autobahn, W05: parts of a byte, and of none.
	const parts = 20_000
	one := rawws.Fragments(rawws.OpBinary, long(either(50*parts, parts)), 1)
	add("9.9.1", "a message in as many parts as it has bytes", frames(rawws.Binary(long(len(one)))), one...)
	none := make([]rawws.Frame, either(50*parts, parts))
	for i := range none {
		none[i] = rawws.Continue("")
	}
	none[0], none[len(none)-1] = rawws.Begin(rawws.OpText, "a"), rawws.Finish("b")
	add("9.9.2", "two bytes with many empty parts between them", frames(rawws.Text("ab")), none...)
	return all
}

// autoFragments is category 10.
func autoFragments() []conformance {
	f := rawws.Text(prose(65536))
	return []conformance{{id: "10.1.1", about: "64 KiB in parts of 1,300 bytes", ins: bytesOf(rawws.Fragments(f.Op, string(f.Payload), 1300)...), want: frames(f)}}
}
