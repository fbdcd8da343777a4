package websock_test

import (
	"fmt"

	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// closings is category 7.
func closings() []conformance {
	hello, bye := rawws.Text("hello"), rawws.Close(1000, "")
	large := rawws.Text(long(256 << 10))
	all := []conformance{
		{id: "7.1.1", about: "a message and a close", ins: bytesOf(hello, bye), want: frames(hello), end: 1000},
		{id: "7.1.2", about: "two closes", ins: bytesOf(bye, rawws.Close(1001, "")), end: 1000},
		{id: "7.1.3", about: "a ping after the close", ins: bytesOf(bye, rawws.Ping("")), end: 1000},
		{id: "7.1.4", about: "text after the close", ins: bytesOf(bye, hello), end: 1000},
		{id: "7.1.5", about: "the second part of a message after the close", ins: bytesOf(rawws.Begin(rawws.OpText, "a"), bye, rawws.Finish("b")), end: 1000},
		{id: "7.1.6", about: "256 KiB, a close and a ping", ins: bytesOf(large, bye, rawws.Ping("")), want: frames(large), end: 1000},
		{id: "7.1.7", about: "a bad frame after the close", ins: bytesOf(bye, with(hello, rsv(7))), end: 1000},
		{id: "7.3.1", about: "a close that says nothing", ins: bytesOf(rawws.Whole(rawws.OpClose, "")), end: websock.CodeNoStatus},
		{id: "7.3.2", about: "half a code", ins: bytesOf(rawws.Whole(rawws.OpClose, "\x03")), end: websock.CodeProtocol},
		{id: "7.3.3", about: "a code", ins: bytesOf(bye), end: 1000},
		{id: "7.3.4", about: "a code and a reason", ins: bytesOf(rawws.Close(1000, "žluť")), end: 1000},
		{id: "7.3.5", about: "a code and all the reason that there may be", ins: bytesOf(rawws.Close(1000, long(123))), end: 1000},
		{id: "7.3.6", about: "a reason with a byte more", ins: bytesOf(rawws.Close(1000, long(124))), end: websock.CodeProtocol},
		{id: "7.3.7", about: "a close in two parts", ins: bytesOf(rawws.Begin(rawws.OpClose, "\x03"), rawws.Finish("\xe8")), end: websock.CodeProtocol},
		{id: "7.5.1", about: "a reason that is not UTF-8", ins: bytesOf(rawws.Close(1000, kosme+"\xed\xa0\x80")), end: websock.CodeProtocol},
	}
	codes := func(number int, about string, end func(uint16) websock.Code, codes ...uint16) {
		for i, code := range codes {
			all = append(all, conformance{id: fmt.Sprintf("7.%d.%d", number, i+1), about: fmt.Sprint(about, code), ins: bytesOf(rawws.Close(code, "")), end: end(code)})
		}
	}
	back := func(code uint16) websock.Code { return websock.Code(code) }
	wrong := func(uint16) websock.Code { return websock.CodeProtocol }
	codes(7, "a code that comes back: ", back, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
	codes(9, "a code that nobody may send: ", wrong, 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)
	codes(13, "a code beyond all: ", wrong, 5000, 65535)
	return all
}
