package websock_test

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// unicode is category 6. Each text is sent whole, in parts of a byte, and in
// two parts of which the first ends within it.
func unicode() (all []conformance) {
	good := func(id, about, text string) {
		all = append(all, conformance{id: id, about: about, ins: inParts(text), want: frames(rawws.Text(text))})
	}
	bad := func(id, about, text string) {
		all = append(all, conformance{id: id, about: about, ins: inParts(text), end: websock.CodeInvalidData})
	}
	good("6.1.1", "nothing", "")
	all = append(all,
		conformance{id: "6.1.2", about: "nothing in three parts", ins: bytesOf(rawws.Begin(rawws.OpText, ""), rawws.Continue(""), rawws.Finish("")), want: frames(rawws.Text(""))},
		conformance{id: "6.1.3", about: "nothing, something, nothing", ins: bytesOf(rawws.Begin(rawws.OpText, ""), rawws.Continue("middle"), rawws.Finish("")), want: frames(rawws.Text("middle"))})
	for i, text := range []string{"plain", "hällo wörld", "žluťoučký kůň", "漂流 🚀 ￼"} {
		good(fmt.Sprint("6.2.", i+1), "text of runes of many lengths", text)
	}
	bad("6.3.1", "a surrogate in the middle", kosme+"\xed\xa0\x80edited")
	bad("6.3.2", "a byte that is never there, at the end", kosme+"\xff")
	all = append(all, failFast()...)
	for _, c := range sequences {
		n := 0
		for _, s := range strings.Fields(c.good) {
			n++
			good(fmt.Sprintf("6.%d.%d", c.number, n), c.about, unhex(s))
		}
		for _, s := range strings.Fields(c.bad) {
			n++
			bad(fmt.Sprintf("6.%d.%d", c.number, n), c.about, unhex(s))
		}
	}
	return append(all, planes()...)
}

const kosme = "κόσμε"

// inParts are the ways to send a text.
func inParts(text string) [][]byte {
	half := len(text)/2 + 1
	return [][]byte{
		rawws.Bytes(rawws.Text(text)),
		rawws.Bytes(rawws.Fragments(rawws.OpText, text, 1)...),
		rawws.Bytes(rawws.Fragments(rawws.OpText, text, half)...),
	}
}

// failFast are texts that are known to be wrong before their end, which never
// comes: the client waits for the server to close.
func failFast() (all []conformance) {
	begin := func(s string) rawws.Frame { return rawws.Begin(rawws.OpText, s) }
	said := rawws.Text(kosme + "\xf4\x90\x80\x80and more")
	cut := len(rawws.Bytes(said)) - len("\x80\x80and more")
	for i, in := range [][]byte{
		rawws.Bytes(begin(kosme), rawws.Continue("\xf4\x90\x80\x80")),
		rawws.Bytes(begin(kosme+"\xf4"), rawws.Continue("\x90")),
		rawws.Bytes(said)[:cut], // within one frame
		rawws.Bytes(begin("\xf4"), rawws.Ping(""), rawws.Continue(""), rawws.Continue("\x90")),
		rawws.Bytes(begin("\xff")),
		rawws.Bytes(begin("a"), rawws.Continue("\x80")),
	} {
		c := conformance{id: fmt.Sprint("6.4.", i+1), about: "text that is wrong, of which no more comes", ins: [][]byte{in}, end: websock.CodeInvalidData}
		if i == 3 {
			c.want = frames(rawws.Pong(""))
		}
		all = append(all, c)
	}
	return all
}

// sequences are those that a decoder may get wrong (after Markus Kuhn's UTF-8
// stress test, in hexadecimal).
var sequences = []struct {
	number    int
	about     string
	good, bad string
}{
	{5, "runes of two and three bytes", "ceba ceb1cebb e1bdb9 cebae1bdb9cf83cebcceb5 e282acf09f9a80", ""},
	{6, "one word, cut off at every byte", "ceba cebae1bdb9 cebae1bdb9cf83 cebae1bdb9cf83cebc cebae1bdb9cf83cebcceb5", "ce cebae1 cebae1bd cebae1bdb9cf cebae1bdb9cf83ce cebae1bdb9cf83cebcce"},
	{7, "the first rune of each length", "00 c280 e0a080 f0908080", ""},
	{8, "the first of lengths that there are not", "", "f888808080 fc8480808080"},
	{9, "the last rune of each length", "7f dfbf efbfbf f48fbfbf", ""},
	{10, "the last of lengths that could be", "", "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"},
	{11, "runes beside a bound", "ed9fbf ee8080 efbfbd f48fbfbf", "f4908080"},
	{12, "bytes that only go on", "", "80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf " + continuations},
	{13, "a first byte and a space", "", "c320 e120 f120 f920 fd20"},
	{14, "a sequence without its last byte", "", "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"},
	{15, "such sequences one after the other", "", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"},
	{16, "bytes that are never there", "", "fe ff fefeffff"},
	{17, "a slash that is too long", "", "c0af e080af f08080af f8808080af fc80808080af"},
	{18, "the longest of what is too long", "", "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"},
	{19, "a NUL that is too long", "", "c080 e08080 f0808080 f880808080 fc8080808080"},
	{20, "surrogates", "", "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"},
	{21, "pairs of surrogates", "", "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf"},
}

const continuations = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// planes are runes that no character has, and those around U+FFFD: all of them
// are UTF-8 (6.22 and 6.23).
func planes() (all []conformance) {
	good := func(id string, r rune) {
		all = append(all, conformance{id: id, about: fmt.Sprintf("%U, which is no character", r), ins: inParts(string(r)), want: frames(rawws.Text(string(r)))})
	}
	for plane := range rune(17) {
		good(fmt.Sprint("6.22.", 2*plane+1), plane<<16|0xFFFE)
		good(fmt.Sprint("6.22.", 2*plane+2), plane<<16|0xFFFF)
	}
	for i := range rune(7) {
		good(fmt.Sprint("6.23.", i+1), 0xFFF9+i)
	}
	return all
}
