package socketio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// DecodeMsgpack reads a packet in the format of socket.io-msgpack-parser: one
// binary message, a map {type, nsp, data?, id?, options?}. Its payload becomes
// JSON text, and what is binary in it an attachment, so that nobody need know
// how the client wrote it. What only msgpack can say becomes what
// JSON.stringify makes of it: NaN and infinities are null, a Date is its text,
// undefined is left out of objects and null elsewhere. The attachments are
// parts of b.
//
// It returns the errors of [Decode].
func DecodeMsgpack(b []byte) (Packet, error) {
	r := msgpackReader{b: b}
	p, err := r.packet()
	if err != nil {
		return Packet{}, err
	}
	if len(r.b) > 0 {
		return Packet{}, fmt.Errorf("%w: something follows the map", ErrPacket)
	}
	p.Attachments = r.attachments
	return p, p.check(len(p.Attachments))
}

// errMsgpack is returned for what is not msgpack, or what JavaScript's library
// does not write: map keys that are no strings, extensions.
var errMsgpack = fmt.Errorf("%w: not msgpack", ErrPacket)

// msgpackReader reads msgpack (github.com/msgpack/msgpack, spec.md) and writes
// JSON.
type msgpackReader struct {
	b           []byte // what is left
	attachments [][]byte
}

// The members of a packet, as bits.
const (
	memberType = 1 << iota
	memberNamespace
	memberData
	memberID
)

func (r *msgpackReader) packet() (p Packet, err error) {
	t, err := r.token()
	if err != nil || t.kind != msgpackMap {
		return p, errMsgpack
	}
	seen := 0
	for range t.n {
		name, err := r.text()
		if err != nil {
			return p, err
		}
		member, err := r.member(string(name), &p)
		if err != nil {
			return p, err
		}
		if seen&member != 0 { // two readers could see two packets
			return p, fmt.Errorf("%w: %q twice", ErrPacket, name)
		}
		seen |= member
	}
	if seen&(memberType|memberNamespace) != memberType|memberNamespace {
		return p, fmt.Errorf("%w: no type or no namespace", ErrPacket)
	}
	return p, nil
}

// member reads the value of one member of the packet. The bit is 0 for those
// that mean nothing here.
func (r *msgpackReader) member(name string, p *Packet) (bit int, err error) {
	switch name {
	case "type":
		n, ok := r.integer()
		if !ok || n >= uint64(packetTypes) {
			return 0, fmt.Errorf("%w: unknown type", ErrPacket)
		}
		p.Type = PacketType(n)
		return memberType, nil
	case "nsp":
		namespace, err := r.text()
		if p.Namespace = string(namespace); err != nil || namespace[0] != '/' {
			return 0, fmt.Errorf("%w: not a namespace", ErrPacket)
		}
		return memberNamespace, nil
	case "id":
		if r.undefined() {
			return 0, nil
		}
		ok := false
		if p.ID, ok = r.integer(); !ok {
			return 0, fmt.Errorf("%w: not an id", ErrPacket)
		}
		p.HasID = true
		return memberID, nil
	case "data":
		if r.undefined() {
			return 0, nil
		}
		p.Data, err = r.value(nil, 0)
		return memberData, err
	default:
		skipped := msgpackReader{b: r.b}
		_, err := skipped.value(nil, 1)
		r.b = skipped.b
		return 0, err
	}
}

// undefined passes JavaScript's undefined, if that is what comes.
func (r *msgpackReader) undefined() bool {
	if len(r.b) < 3 || string(r.b[:3]) != undefined {
		return false
	}
	r.b = r.b[3:]
	return true
}

// undefined is how notepack.io, the library of the stock client, writes it: an
// extension of one byte, of type 0.
const undefined = "\xd4\x00\x00"

// integer reads a number that is whole. Where it is negative, or does not fit,
// it is noID.
func (r *msgpackReader) integer() (n uint64, ok bool) {
	t, err := r.token()
	switch {
	case err != nil:
		return 0, false
	case t.kind == msgpackUint:
		return t.n, true
	case t.kind == msgpackInt:
		return noID, true
	case t.kind == msgpackFloat && t.float == math.Trunc(t.float): // also infinities
		if t.float >= 0 && t.float <= maxEventID {
			return uint64(t.float), true
		}
		return noID, true
	}
	return 0, false
}

// text reads a string that is not empty.
func (r *msgpackReader) text() ([]byte, error) {
	t, err := r.token()
	if err != nil || t.kind != msgpackString || len(t.bytes) == 0 {
		return nil, errMsgpack
	}
	return t.bytes, nil
}

// value appends the next value as JSON. Bounded in depth, it may recurse; what
// it appends is at most some ten times what it reads.
func (r *msgpackReader) value(dst []byte, depth int) ([]byte, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	switch t.kind {
	case msgpackArray, msgpackMap:
		if depth == jsontext.MaxDepth {
			return nil, fmt.Errorf("%w: nested too deep", ErrPacket)
		}
		if t.kind == msgpackMap {
			return r.object(dst, t.n, depth+1)
		}
		return r.array(dst, t.n, depth+1)
	case msgpackString:
		return appendText(dst, t.bytes), nil
	case msgpackBinary:
		if len(r.attachments) == MaxAttachments {
			return nil, ErrTooManyAttachments
		}
		r.attachments = append(r.attachments, t.bytes)
		return appendPlaceholder(dst, len(r.attachments)-1), nil
	case msgpackUint:
		return strconv.AppendUint(dst, t.n, 10), nil
	case msgpackInt:
		return strconv.AppendInt(dst, int64(t.n), 10), nil
	case msgpackFloat:
		return appendFloat(dst, t.float), nil
	case msgpackDate:
		return appendDate(dst, int64(t.n)), nil
	default:
		return append(dst, t.literal()...), nil
	}
}

func (r *msgpackReader) array(dst []byte, n uint64, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.value(dst, depth); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (r *msgpackReader) object(dst []byte, n uint64, depth int) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	for range n {
		t, err := r.token()
		if err != nil || t.kind != msgpackString {
			return nil, errMsgpack
		}
		if r.undefined() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendText(dst, t.bytes), ':')
		if dst, err = r.value(dst, depth); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendText appends a string. What is not UTF-8 in it becomes U+FFFD, as in
// the reference.
func appendText(dst, text []byte) []byte {
	return jsontext.AppendString(dst, bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// appendFloat appends a number as JSON.stringify does, but for the digits of
// the exponent.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0: // also -0
		return append(dst, '0')
	case abs < 1e-6 || abs >= 1e21:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendDate appends a Date as JSON.stringify does; one beyond the year 9999
// or before 0 is null.
func appendDate(dst []byte, milliseconds int64) []byte {
	t := time.UnixMilli(milliseconds).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return append(dst, "null"...)
	}
	return t.AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// msgpackKind is what a token is.
type msgpackKind byte

const (
	msgpackNil msgpackKind = iota // also undefined
	msgpackFalse
	msgpackTrue
	msgpackUint  // n
	msgpackInt   // n: a negative int64
	msgpackFloat // float
	msgpackString
	msgpackBinary
	msgpackArray // n elements follow
	msgpackMap   // n members follow
	msgpackDate  // n: milliseconds since 1970
)

// msgpackToken is a value, or the beginning of an array or a map.
type msgpackToken struct {
	kind  msgpackKind
	n     uint64
	float float64
	bytes []byte
}

func (t msgpackToken) literal() string {
	return [...]string{msgpackNil: "null", msgpackFalse: "false", msgpackTrue: "true"}[t.kind]
}

// take returns the next n bytes.
func (r *msgpackReader) take(n uint64) ([]byte, error) {
	if uint64(len(r.b)) < n {
		return nil, errMsgpack
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b, nil
}

// uint reads a big-endian number of 1, 2, 4 or 8 bytes.
func (r *msgpackReader) uint(width uint64) (uint64, error) {
	b, err := r.take(width)
	if err != nil {
		return 0, err
	}
	var a [8]byte
	copy(a[8-width:], b)
	return binary.BigEndian.Uint64(a[:]), nil
}

// token reads one token.
func (r *msgpackReader) token() (msgpackToken, error) {
	b, err := r.take(1)
	if err != nil {
		return msgpackToken{}, err
	}
	switch c := b[0]; {
	case c < 0x80: // positive fixint
		return msgpackToken{kind: msgpackUint, n: uint64(c)}, nil
	case c < 0x90:
		return msgpackToken{kind: msgpackMap, n: uint64(c & 0x0f)}, nil
	case c < 0xa0:
		return msgpackToken{kind: msgpackArray, n: uint64(c & 0x0f)}, nil
	case c < 0xc0:
		return r.bytes(msgpackString, uint64(c&0x1f))
	case c >= 0xe0: // negative fixint
		return msgpackToken{kind: msgpackInt, n: uint64(int64(int8(c)))}, nil
	default:
		return r.long(c)
	}
}

// bytes reads a string or binary of n bytes.
func (r *msgpackReader) bytes(kind msgpackKind, n uint64) (msgpackToken, error) {
	b, err := r.take(n)
	return msgpackToken{kind: kind, bytes: b}, err
}

// long reads what stands after a first byte from 0xc0 to 0xdf.
func (r *msgpackReader) long(c byte) (msgpackToken, error) {
	switch {
	case c == 0xc0:
		return msgpackToken{kind: msgpackNil}, nil
	case c == 0xc2, c == 0xc3:
		return msgpackToken{kind: msgpackFalse + msgpackKind(c-0xc2)}, nil
	case 0xc4 <= c && c <= 0xc6: // bin 8, 16, 32
		return r.sized(msgpackBinary, 1<<(c-0xc4))
	case 0xc7 <= c && c <= 0xc9: // ext 8, 16, 32
		return r.extension(1 << (c - 0xc7))
	case c == 0xca || c == 0xcb: // float 32, 64
		return r.float(c == 0xcb)
	case 0xcc <= c && c <= 0xcf: // uint 8, 16, 32, 64
		n, err := r.uint(1 << (c - 0xcc))
		return msgpackToken{kind: msgpackUint, n: n}, err
	case 0xd0 <= c && c <= 0xd3: // int 8, 16, 32, 64
		return r.int(1 << (c - 0xd0))
	case 0xd4 <= c && c <= 0xd8: // fixext 1, 2, 4, 8, 16
		return r.fixedExtension(1 << (c - 0xd4))
	case 0xd9 <= c && c <= 0xdb: // str 8, 16, 32
		return r.sized(msgpackString, 1<<(c-0xd9))
	case c == 0xdc || c == 0xdd: // array 16, 32
		n, err := r.uint(2 << (c - 0xdc))
		return msgpackToken{kind: msgpackArray, n: n}, err
	case c == 0xde || c == 0xdf: // map 16, 32
		n, err := r.uint(2 << (c - 0xde))
		return msgpackToken{kind: msgpackMap, n: n}, err
	}
	return msgpackToken{}, errMsgpack
}

// sized reads a string or binary whose length comes first, in so many bytes.
func (r *msgpackReader) sized(kind msgpackKind, width uint64) (msgpackToken, error) {
	n, err := r.uint(width)
	if err != nil {
		return msgpackToken{}, err
	}
	return r.bytes(kind, n)
}

func (r *msgpackReader) int(width uint64) (msgpackToken, error) {
	n, err := r.uint(width)
	unused := 64 - 8*width
	signed := int64(n<<unused) >> unused
	if signed >= 0 {
		return msgpackToken{kind: msgpackUint, n: n}, err
	}
	return msgpackToken{kind: msgpackInt, n: uint64(signed)}, err
}

func (r *msgpackReader) float(double bool) (msgpackToken, error) {
	if double {
		n, err := r.uint(8)
		return msgpackToken{kind: msgpackFloat, float: math.Float64frombits(n)}, err
	}
	n, err := r.uint(4)
	return msgpackToken{kind: msgpackFloat, float: float64(math.Float32frombits(uint32(n)))}, err
}

// The extensions are those of notepack.io, all of type 0: one byte is
// undefined, eight are a Date, and those with a length an ArrayBuffer.

func (r *msgpackReader) extension(width uint64) (msgpackToken, error) {
	n, err := r.uint(width)
	if err != nil {
		return msgpackToken{}, err
	}
	if kind, err := r.take(1); err != nil || kind[0] != 0 {
		return msgpackToken{}, errMsgpack
	}
	return r.bytes(msgpackBinary, n)
}

func (r *msgpackReader) fixedExtension(width uint64) (msgpackToken, error) {
	if kind, err := r.take(1); err != nil || kind[0] != 0 || width != 1 && width != 8 {
		return msgpackToken{}, errMsgpack
	}
	n, err := r.uint(width)
	if width == 1 {
		return msgpackToken{kind: msgpackNil}, err
	}
	return msgpackToken{kind: msgpackDate, n: n}, err
}
