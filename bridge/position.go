package bridge

import (
	"strconv"
	"strings"
)

// Mark is a place in one stream: everything up to Seq has been passed.
type Mark struct {
	Tag string // which incarnation of which stream, see [Stream]
	Seq uint64
}

// Position is a place in one or more streams: a mark for each. On the wire it
// is "TAG-SEQ" per stream, joined with ".", and opaque to clients.
type Position []Mark

// maxMarks bounds what a client can make the server parse.
const maxMarks = 64

// ParsePosition reads what [Position.String] wrote. Anything else is an
// [Error] with [CodeBadPosition].
func ParsePosition(s string) (Position, error) {
	bad := func() (Position, error) {
		return nil, &Error{Code: CodeBadPosition, Msg: "not a position", Hint: `use a "pos" that the server sent, as it was`}
	}
	if s == "" || strings.Count(s, ".") >= maxMarks {
		return bad()
	}
	p := make(Position, 0, 1)
	for rest, more := s, true; more; {
		var one string
		one, rest, more = strings.Cut(rest, ".")
		tag, digits, ok := strings.Cut(one, "-")
		if !ok || !validTag(tag) || p.Has(tag) {
			return bad()
		}
		seq, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || digits != strconv.FormatUint(seq, 10) {
			return bad()
		}
		p = append(p, Mark{Tag: tag, Seq: seq})
	}
	return p, nil
}

func validTag(tag string) bool {
	if tag == "" || len(tag) > 16 {
		return false
	}
	for i := 0; i < len(tag); i++ {
		if c := tag[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Seq returns the sequence marked for the incarnation with this tag.
func (p Position) Seq(tag string) (seq uint64, ok bool) {
	for _, m := range p {
		if m.Tag == tag {
			return m.Seq, true
		}
	}
	return 0, false
}

// Has reports whether the position has a mark for this tag.
func (p Position) Has(tag string) bool {
	_, ok := p.Seq(tag)
	return ok
}

// Append appends the position's wire form to dst.
func (p Position) Append(dst []byte) []byte {
	for i, m := range p {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, m.Tag...)
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, m.Seq, 10)
	}
	return dst
}

// String returns the position's wire form.
func (p Position) String() string { return string(p.Append(nil)) }
