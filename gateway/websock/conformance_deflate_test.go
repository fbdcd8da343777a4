package websock_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// What is agreed on: Jetway inflates what clients send, each message for
// itself, and compresses nothing.
const (
	deflateOffer = "permessage-deflate"
	deflateAgree = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

// squeezed is a compressed message in parts of n bytes; 0 is one part.
func squeezed(f rawws.Frame, n int) []rawws.Frame {
	p := string(deflate(f.Payload))
	if n == 0 {
		n = len(p) + 1
	}
	all := rawws.Fragments(f.Op, p, n)
	all[0].RSV = rawws.RSV1
	return all
}

// compressed is category 12: messages of many sizes and kinds, a few of each,
// as permessage-deflate has them.
func compressed() (all []conformance) {
	noise := rand.New(rand.NewPCG(1, 2))
	kinds := []struct {
		about string
		make  func(n int) rawws.Frame
	}{
		{"JSON", func(n int) rawws.Frame {
			return rawws.Text(strings.Repeat(`{"id":17,"name":"ann","tags":["a","b"]},`, n/40+1)[:n])
		}},
		{"noise", func(n int) rawws.Frame {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(noise.Uint32())
			}
			return rawws.Binary(string(b))
		}},
		{"prose", func(n int) rawws.Frame { return rawws.Text(prose(n)) }},
		{"one byte all along", func(n int) rawws.Frame { return rawws.Text(long(n)) }},
		{"a table", func(n int) rawws.Frame {
			var b strings.Builder
			for i := 0; b.Len() < n; i++ {
				b.WriteByte(byte(i * i))
			}
			return rawws.Binary(b.String())
		}},
	}
	for k, kind := range kinds {
		for i, size := range deflateSizes {
			c := conformance{id: fmt.Sprintf("12.%d.%d", k+1, i+1), about: fmt.Sprintf("%s, %d bytes in parts of %d", kind.about, size.bytes, size.part), offer: deflateOffer, agree: deflateAgree}
			c.ins, c.want = fewOf(kind.make(size.bytes), size.part)
			all = append(all, c)
		}
	}
	return append(all, streams()...)
}

var deflateSizes = []struct{ bytes, part int }{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256}, {128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

// fewOf is a message a few times, compressed, with one that is not in between.
func fewOf(f rawws.Frame, part int) (ins [][]byte, want []rawws.Frame) {
	var in []rawws.Frame
	once := squeezed(f, part)
	for range either(1000, 2) {
		in, want = append(in, once...), append(want, f)
	}
	in, want = append(in, rawws.Text("plain")), append(want, rawws.Text("plain"))
	return bytesOf(in...), want
}

// streams are the shapes that a compressed message may have (RFC 7692 section
// 7.2.3), and those that it must not.
func streams() []conformance {
	one := func(p string) rawws.Frame { return with(rawws.Text(p), rsv(rawws.RSV1)) }
	hello, plain := rawws.Text("Hello"), rawws.Text("plain")
	all := []conformance{
		{id: "12.6.1", about: "one block", ins: bytesOf(one("\xf2\x48\xcd\xc9\xc9\x07\x00"), plain), want: frames(hello, plain)},
		{id: "12.6.2", about: "one block in two parts", ins: bytesOf(with(rawws.Begin(rawws.OpText, "\xf2\x48\xcd"), rsv(rawws.RSV1)), rawws.Finish("\xc9\xc9\x07\x00")), want: frames(hello)},
		{id: "12.6.3", about: "a block that is not compressed", ins: bytesOf(one("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), plain), want: frames(hello, plain)},
		{id: "12.6.4", about: "a block that says it is the last", ins: bytesOf(one("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), plain), want: frames(hello, plain)},
		{id: "12.6.5", about: "two blocks", ins: bytesOf(one("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), plain), want: frames(hello, plain)},
		{id: "12.6.6", about: "an empty message", ins: bytesOf(one("\x00"), plain), want: frames(rawws.Text(""), plain)},
		{id: "12.6.7", about: "a ping within a compressed message", ins: bytesOf(with(rawws.Begin(rawws.OpText, "\xf2\x48\xcd"), rsv(rawws.RSV1)), rawws.Ping("p"), rawws.Finish("\xc9\xc9\x07\x00")), want: frames(rawws.Pong("p"), hello)},
		{id: "12.6.8", about: "a rune cut by the parts of a compressed message", ins: bytesOf(squeezed(rawws.Text(kosme), 1)...), want: frames(rawws.Text(kosme))},
	}
	for i, bad := range []struct {
		about string
		in    rawws.Frame
		end   websock.Code
	}{
		{"a block type that there is not", one("\x07"), websock.CodeInvalidData},
		{"bytes that are no stream", one("\xff\xfe\xfd\xfc"), websock.CodeInvalidData},
		{"a copy from before the start", one("\x02\x03"[:1] + "\x07\x00\x00"), websock.CodeInvalidData},
		{"a block that is not compressed, with a length that is not", one("\x00\x05\x00\x00\x00Hello"), websock.CodeInvalidData},
		{"compressed text that is not UTF-8", one(string(deflate([]byte("a\xff")))), websock.CodeInvalidData},
		{"compressed text with half a rune at its end", one(string(deflate([]byte("\xf0\x9f")))), websock.CodeInvalidData},
		{"a compressed ping", with(rawws.Ping(""), rsv(rawws.RSV1)), websock.CodeProtocol},
		{"a compressed close", with(rawws.Close(1000, ""), rsv(rawws.RSV1)), websock.CodeProtocol},
		{"RSV1 and RSV2", with(hello, rsv(rawws.RSV1|rawws.RSV2)), websock.CodeProtocol},
	} {
		all = append(all, conformance{id: fmt.Sprint("12.7.", i+1), about: bad.about, ins: bytesOf(plain, bad.in), want: frames(plain), end: bad.end})
	}
	all = append(all, conformance{id: "12.7.10", about: "RSV1 on the second part", ins: bytesOf(rawws.Begin(rawws.OpText, ""), with(rawws.Finish(""), rsv(rawws.RSV1))), end: websock.CodeProtocol})
	for i := range all {
		all[i].offer, all[i].agree = deflateOffer, deflateAgree
	}
	return all
}

// parameters is category 13: what a client may ask for, and messages under it.
func parameters() (all []conformance) {
	for k, p := range []struct{ about, offer, agree string }{
		{"nothing", deflateOffer, deflateAgree},
		{"the server forgets", "permessage-deflate; server_no_context_takeover; client_max_window_bits", deflateAgree},
		{"a window of 512 bytes", "permessage-deflate; server_max_window_bits=9; client_max_window_bits", deflateAgree + "; server_max_window_bits=9"},
		{"a window of 32 KiB", "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", deflateAgree + "; server_max_window_bits=15"},
		{"the server forgets, a window of 512 bytes", "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits", deflateAgree + "; server_max_window_bits=9"},
		{"all that can be asked for", "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=9", deflateAgree + "; server_max_window_bits=15"},
		{"the first of three", "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate", deflateAgree + "; server_max_window_bits=9"},
	} {
		for i, size := range deflateSizes {
			size.bytes = min(size.bytes, either(size.bytes, 8<<10)) // the parameters change nothing
			c := conformance{id: fmt.Sprintf("13.%d.%d", k+1, i+1), about: fmt.Sprintf("%s, %d bytes in parts of %d", p.about, size.bytes, size.part), offer: p.offer, agree: p.agree}
			c.ins, c.want = fewOf(rawws.Text(prose(size.bytes)), size.part)
			all = append(all, c)
		}
	}
	return all
}

// offers is what becomes of offers, with one compressed message after each: it
// is a protocol error where nothing was agreed on (13.8), and read where
// something was (13.9).
func offers() (all []conformance) {
	declined := []struct{ about, offer string }{
		{"nothing", ""},
		{"another extension", "permessage-foo; x=1"},
		{"the name in other letters", "Permessage-Deflate"},
		{"what browsers once had", "x-webkit-deflate-frame"},
		{"a parameter that there is not", "permessage-deflate; level=9"},
		{"a parameter twice", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"},
		{"a value where none belongs", "permessage-deflate; server_no_context_takeover=1"},
		{"a value where none belongs, of the client", "permessage-deflate; client_no_context_takeover=true"},
		{"no value where one belongs", "permessage-deflate; server_max_window_bits"},
		{"a window that is too small", "permessage-deflate; server_max_window_bits=7"},
		{"a window that is too large", "permessage-deflate; server_max_window_bits=16"},
		{"a window that is no number", "permessage-deflate; client_max_window_bits=x"},
		{"a window with a zero before it", "permessage-deflate; client_max_window_bits=09"},
		{"a window with a sign", `permessage-deflate; client_max_window_bits="+9"`},
		{"a window of nothing", `permessage-deflate; client_max_window_bits=""`},
	}
	hello := squeezed(rawws.Text("hello"), 0)
	for i, o := range declined {
		all = append(all, conformance{id: fmt.Sprint("13.8.", i+1), about: "an offer of " + o.about, offer: o.offer, ins: bytesOf(hello...), end: websock.CodeProtocol})
	}
	for i, o := range []struct{ about, offer, more string }{
		{"a window in quotes", `permessage-deflate; server_max_window_bits="10"`, "; server_max_window_bits=10"},
		{"no spaces", "permessage-deflate;client_max_window_bits", ""},
		{"many spaces", "permessage-deflate \t;  client_max_window_bits = 12 ", ""},
		{"another one first", "permessage-foo; a; b=\"c, d\", permessage-deflate", ""},
		{"a bad one first", "permessage-deflate; level=9, permessage-deflate; server_max_window_bits=7, permessage-deflate", ""},
		{"the smallest window", "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8", "; server_max_window_bits=8"},
		{"empty ones around it", ", permessage-deflate,, ", ""},
		{"what another one should not have", "x; permessage-deflate, permessage-deflate", ""},
	} {
		all = append(all, conformance{id: fmt.Sprint("13.9.", i+1), about: "an offer of " + o.about, offer: o.offer, agree: deflateAgree + o.more, ins: bytesOf(hello...), want: frames(rawws.Text("hello"))})
	}
	return all
}
