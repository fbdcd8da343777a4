package socketio

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// AppendMsgpack appends the packet in the format that [DecodeMsgpack] reads,
// with the attachments in their places. It returns [ErrPacket] when Data is not
// JSON text, or deeper than 64, and [ErrAttachments] when its placeholders do
// not fit the attachments.
func (p *Packet) AppendMsgpack(dst []byte) ([]byte, error) {
	members := byte(2)
	if p.Data != nil {
		members++
	}
	if p.HasID {
		members++
	}
	dst = append(dst, 0x80|members)
	dst = append(appendMsgpackString(dst, "type"), byte(p.Type))
	dst = appendMsgpackString(dst, "nsp")
	if p.Namespace == "" {
		dst = appendMsgpackString(dst, root)
	} else {
		dst = appendMsgpackString(dst, p.Namespace)
	}
	if p.HasID {
		dst = appendMsgpackUint(appendMsgpackString(dst, "id"), p.ID)
	}
	if p.Data == nil {
		return dst, nil
	}
	return p.appendMsgpackData(appendMsgpackString(dst, "data"))
}

func (p *Packet) appendMsgpackData(dst []byte) ([]byte, error) {
	w := msgpackWriter{Scanner: jsontext.Scanner{B: p.Data}, dst: dst}
	if p.Type == PacketEvent || p.Type == PacketAck {
		if err := checkPlaceholders(p.Data, len(p.Attachments)); err != nil {
			return nil, err
		}
		w.places, _ = Placeholders(p.Data) // checked
		w.attachments = p.Attachments
	}
	w.Space()
	ok := w.value(0)
	if w.Space(); !ok || w.I != len(p.Data) {
		return nil, fmt.Errorf("%w: the payload is not JSON: %s", ErrPacket, w.Bad)
	}
	return w.dst, nil
}

// msgpackWriter reads JSON and writes msgpack.
type msgpackWriter struct {
	jsontext.Scanner
	dst         []byte
	places      []Placeholder // those that are still to come
	attachments [][]byte
}

// value passes one value. Bounded in depth, it may recurse.
func (w *msgpackWriter) value(depth int) bool {
	if len(w.places) > 0 && w.places[0].Start == w.I {
		w.dst = appendMsgpackBinary(w.dst, w.attachments[w.places[0].Num])
		w.I = w.places[0].End
		w.places = w.places[1:]
		return true
	}
	switch c := w.Peek(); c {
	case '{', '[':
		return depth < jsontext.MaxDepth && w.container(c, depth+1)
	case '"':
		return w.text()
	}
	from := w.I
	if !w.Value() {
		return false
	}
	switch text := w.B[from:w.I]; text[0] {
	case 'n':
		w.dst = append(w.dst, 0xc0)
	case 'f':
		w.dst = append(w.dst, 0xc2)
	case 't':
		w.dst = append(w.dst, 0xc3)
	default:
		w.dst = appendMsgpackNumber(w.dst, string(text))
	}
	return true
}

// text passes a string. Half a surrogate pair, which JSON can spell and UTF-8
// can not, becomes U+FFFD.
func (w *msgpackWriter) text() bool {
	inside, ok := w.Text()
	if !ok {
		return false
	}
	w.dst = appendMsgpackString(w.dst, jsontext.UnquoteLossy(inside))
	return true
}

// container passes an object or an array. How many elements it has is known at
// its end: its header is made for the most that there can be, and then cut.
func (w *msgpackWriter) container(open byte, depth int) bool {
	const longest = 5
	at := len(w.dst)
	w.dst = append(w.dst, make([]byte, longest)...)
	n, ok := w.elements(open, depth)
	if !ok {
		return false
	}
	fix, long := byte(0x90), byte(0xdc) // arrays
	if open == '{' {
		fix, long = 0x80, 0xde // maps
	}
	var h [longest]byte
	header := h[:0]
	switch {
	case n < 16:
		header = append(header, fix|byte(n))
	case n <= math.MaxUint16:
		header = binary.BigEndian.AppendUint16(append(header, long), uint16(n))
	default:
		header = binary.BigEndian.AppendUint32(append(header, long+1), uint32(n))
	}
	copy(w.dst[at:], header)
	k := copy(w.dst[at+len(header):], w.dst[at+longest:])
	w.dst = w.dst[:at+len(header)+k]
	return true
}

func (w *msgpackWriter) elements(open byte, depth int) (n int, ok bool) {
	closing := open + 2 // in ASCII, '}' is '{'+2 and ']' is '['+2
	w.I++
	w.Space()
	if w.Peek() == closing {
		w.I++
		return 0, true
	}
	for {
		if open == '{' && !w.name() || !w.value(depth) {
			return 0, false
		}
		n++
		w.Space()
		switch w.Peek() {
		case ',':
			w.I++
			w.Space()
		case closing:
			w.I++
			return n, true
		default:
			return 0, false
		}
	}
}

func (w *msgpackWriter) name() bool {
	if !w.text() {
		return false
	}
	w.Space()
	if !w.Expect(':', "expected ':' after a name") {
		return false
	}
	w.Space()
	return true
}

// appendMsgpackNumber appends a JSON number: as an integer where it is written
// as one that fits, else as a float64.
func appendMsgpackNumber(dst []byte, text string) []byte {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return appendMsgpackUint(dst, n)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return appendMsgpackInt(dst, n)
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is infinite, as in JavaScript
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

func appendMsgpackUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

// appendMsgpackInt appends a number that is not positive.
func appendMsgpackInt(dst []byte, n int64) []byte {
	switch {
	case n == 0: // "-0"
		return append(dst, 0)
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}

func appendMsgpackString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendMsgpackBinary(dst, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}
