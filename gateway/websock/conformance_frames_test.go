package websock_test

import (
	"fmt"

	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// framing is category 1: payloads around the bounds of the three lengths.
func framing() (all []conformance) {
	for kind, whole := range []func(string) rawws.Frame{rawws.Text, rawws.Binary} {
		for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			f := whole(long(n))
			all = append(all, conformance{id: fmt.Sprintf("1.%d.%d", kind+1, i+1), about: fmt.Sprintf("%d bytes in one frame", n), ins: bytesOf(f), want: frames(f)})
		}
		f := whole(long(65536))
		all = append(all, conformance{id: fmt.Sprintf("1.%d.8", kind+1), about: "a mask of zeros, and two frames in one write", ins: bytesOf(with(f, func(f *rawws.Frame) { f.Key = [4]byte{} }), f), want: frames(f, f)})
		all = append(all, conformance{id: fmt.Sprintf("1.%d.9", kind+1), about: "every byte there is, under a mask of ones", ins: bytesOf(with(whole("\x00\x01\x7e\x7f"), func(f *rawws.Frame) { f.Key = [4]byte{255, 255, 255, 255} })), want: frames(whole("\x00\x01\x7e\x7f"))})
	}
	// Beyond Autobahn: RFC 6455 section 5.2 wants the shortest form, and a mask.
	for i, f := range []rawws.Frame{
		with(rawws.Text(long(125)), form(rawws.Bits16)),
		with(rawws.Text(""), form(rawws.Bits64)),
		with(rawws.Binary(long(65535)), form(rawws.Bits64)),
		with(rawws.Ping("x"), form(rawws.Bits16)),
		with(rawws.Text("hello"), func(f *rawws.Frame) { f.Unmasked = true }),
		with(rawws.Text(""), func(f *rawws.Frame) { f.Unmasked = true }),
		with(rawws.Ping(""), func(f *rawws.Frame) { f.Unmasked = true }),
	} {
		about := "a length in a form that is too long"
		if f.Unmasked {
			about = "a frame without a mask"
		}
		all = append(all, conformance{id: fmt.Sprintf("1.3.%d", i+1), about: about, ins: bytesOf(rawws.Text("first"), f), want: frames(rawws.Text("first")), end: websock.CodeProtocol})
	}
	return all
}

// pings is category 2.
func pings() []conformance {
	var ten, pongs []rawws.Frame
	for i := range 10 {
		ten = append(ten, rawws.Ping(fmt.Sprint("ping ", i)))
		pongs = append(pongs, rawws.Pong(fmt.Sprint("ping ", i)))
	}
	hello := rawws.Text("hello")
	return []conformance{
		{id: "2.1", about: "a ping without payload", ins: bytesOf(rawws.Ping("")), want: frames(rawws.Pong(""))},
		{id: "2.2", about: "a ping with a payload", ins: bytesOf(rawws.Ping("hello")), want: frames(rawws.Pong("hello"))},
		{id: "2.3", about: "a ping with bytes that are not UTF-8", ins: bytesOf(rawws.Ping("\x00\xff\xfe\x80\n")), want: frames(rawws.Pong("\x00\xff\xfe\x80\n"))},
		{id: "2.4", about: "a ping with all the payload that it may have", ins: bytesOf(rawws.Ping(long(125))), want: frames(rawws.Pong(long(125)))},
		{id: "2.5", about: "a ping with a byte more", ins: bytesOf(rawws.Ping(long(126))), end: websock.CodeProtocol},
		{id: "2.6", about: "two pings with all that they may have", ins: bytesOf(rawws.Ping(long(125)), rawws.Ping(long(125))), want: frames(rawws.Pong(long(125)), rawws.Pong(long(125)))},
		{id: "2.7", about: "a pong that nobody asked for", ins: bytesOf(rawws.Pong(""), hello), want: frames(hello)},
		{id: "2.8", about: "a pong that nobody asked for, with a payload", ins: bytesOf(rawws.Pong(long(125)), hello), want: frames(hello)},
		{id: "2.9", about: "a pong, and then a ping", ins: bytesOf(rawws.Pong("p"), rawws.Ping("q")), want: frames(rawws.Pong("q"))},
		{id: "2.10", about: "ten pings", ins: bytesOf(ten...), want: pongs},
		{id: "2.11", about: "ten pings around messages", ins: bytesOf(append(append(frames(hello), ten...), hello)...), want: append(append(frames(hello), pongs...), hello)},
		{id: "2.12", about: "a pong with a byte too much", ins: bytesOf(rawws.Pong(long(126))), end: websock.CodeProtocol},
	}
}

// reserved is category 3: bits without a meaning.
func reserved() []conformance {
	hello := rawws.Text("hello")
	bad := func(id string, bits byte, f rawws.Frame) conformance {
		return conformance{id: id, about: fmt.Sprintf("the reserved bits %03b on opcode %d", bits, f.Op), ins: bytesOf(hello, with(f, rsv(bits)), rawws.Ping("never seen")), want: frames(hello), end: websock.CodeProtocol}
	}
	all := []conformance{
		bad("3.1", 1, hello), bad("3.2", 2, hello), bad("3.3", 3, hello), bad("3.4", 4, hello),
		bad("3.5", 5, rawws.Binary("b")), bad("3.6", 6, rawws.Ping("p")), bad("3.7", 7, rawws.Close(1000, "")),
		bad("3.8", 4, rawws.Pong("")), bad("3.9", 1, rawws.Text("")),
	}
	for i, bits := range []byte{1, 2, 4} {
		all = append(all, conformance{id: fmt.Sprint("3.", 10+i), about: "a reserved bit on the second part of a message",
			ins: bytesOf(rawws.Begin(rawws.OpText, "a"), with(rawws.Finish("b"), rsv(bits))), end: websock.CodeProtocol})
	}
	return all
}

// opcodes is category 4: those without a meaning.
func opcodes() (all []conformance) {
	hello := rawws.Text("hello")
	for kind, from := range []rawws.Op{3, 11} {
		for i := range rawws.Op(5) {
			op := from + i
			payload := long(int(i) * 40) // none, short, and too long for a control frame
			all = append(all, conformance{id: fmt.Sprintf("4.%d.%d", kind+1, i+1), about: fmt.Sprint("opcode ", op), ins: bytesOf(hello, rawws.Whole(op, payload), rawws.Ping("never seen")), want: frames(hello), end: websock.CodeProtocol})
		}
	}
	return append(all, conformance{id: "4.3.1", about: "opcode 3 within a message", ins: bytesOf(rawws.Begin(rawws.OpText, "a"), rawws.Whole(3, "")), end: websock.CodeProtocol})
}

// fragmentation is category 5.
func fragmentation() []conformance {
	hello, ab := rawws.Text("hello"), rawws.Text("ab")
	begin, finish := rawws.Begin(rawws.OpText, "a"), rawws.Finish("b")
	ok := func(id, about string, want []rawws.Frame, in ...rawws.Frame) conformance {
		return conformance{id: id, about: about, ins: bytesOf(in...), want: want}
	}
	bad := func(id, about string, want []rawws.Frame, in ...rawws.Frame) conformance {
		return conformance{id: id, about: about, ins: bytesOf(in...), want: want, end: websock.CodeProtocol}
	}
	five := rawws.Fragments(rawws.OpText, "abcde", 1)
	var pinged, pongs []rawws.Frame
	for i, f := range five {
		p := fmt.Sprint("p", i)
		pinged, pongs = append(pinged, f, rawws.Ping(p)), append(pongs, rawws.Pong(p))
	}
	answered := append(append(pongs[:4:4], rawws.Text("abcde")), pongs[4])
	return []conformance{
		bad("5.1", "a ping in two parts", nil, rawws.Begin(rawws.OpPing, "a"), finish),
		bad("5.2", "a pong in two parts", nil, rawws.Begin(rawws.OpPong, "a"), finish),
		ok("5.3", "text in two parts", frames(ab), begin, finish),
		ok("5.4", "binary in two parts", frames(rawws.Binary("\xffb")), rawws.Begin(rawws.OpBinary, "\xff"), finish),
		ok("5.5", "two messages, each in two parts", frames(ab, ab), begin, finish, begin, finish),
		ok("5.6", "a ping between two parts is answered first", frames(rawws.Pong("p"), ab), begin, rawws.Ping("p"), finish),
		ok("5.7", "two pings between two parts", frames(rawws.Pong("p"), rawws.Pong("q"), ab), begin, rawws.Ping("p"), rawws.Ping("q"), finish),
		ok("5.8", "a pong between two parts", frames(ab), begin, rawws.Pong("p"), finish),
		bad("5.9", "the last part of nothing, before text", nil, finish, hello),
		bad("5.10", "the last part of nothing, after text", frames(hello), hello, finish),
		bad("5.11", "the last part of nothing, empty", nil, rawws.Finish(""), hello),
		bad("5.12", "a part of nothing, before text", nil, rawws.Continue("b"), hello),
		bad("5.13", "a part of nothing, after text", frames(hello), hello, rawws.Continue("b")),
		bad("5.14", "a part of nothing, empty", nil, rawws.Continue(""), hello),
		bad("5.15", "a message in parts, then a part of nothing", frames(ab), begin, finish, rawws.Continue("c"), hello),
		bad("5.16", "parts of nothing, each before a message of its own", nil, rawws.Continue("c"), hello, rawws.Continue("c"), hello),
		bad("5.17", "last parts of nothing, each before a message of its own", nil, rawws.Finish("c"), hello, rawws.Finish("c"), hello),
		bad("5.18", "a second part that calls itself text", nil, begin, rawws.Text("b")),
		ok("5.19", "five parts with a ping after each", answered, pinged...),
		ok("5.20", "the same after a message", append(frames(hello), answered...), append(frames(hello), pinged...)...),
		bad("5.21", "a part that calls itself text", nil, begin, rawws.Begin(rawws.OpText, "b"), finish),
		bad("5.22", "a second part that calls itself binary", nil, begin, rawws.Binary("b")),
		ok("5.23", "empty parts at the start, within and at the end", frames(ab), rawws.Begin(rawws.OpText, ""), rawws.Continue("a"), rawws.Continue(""), rawws.Continue("b"), rawws.Finish("")),
		{id: "5.24", about: "a close between two parts", ins: bytesOf(begin, rawws.Close(1000, ""), finish), end: websock.CodeNormal},
	}
}
