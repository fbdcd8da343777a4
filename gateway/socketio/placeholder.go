package socketio

import (
	"bytes"
	"strconv"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// Placeholder is where an attachment belongs in a payload.
type Placeholder struct {
	Start, End int // of the object, in the payload
	Num        int // which attachment, from 0; less than MaxAttachments
}

// Placeholders finds the placeholders in JSON text, in order, without decoding
// it: the objects that are {"_placeholder":true,"num":N}. One that is not just
// that, in whatever order, is [ErrAttachments]: the reference takes the last of
// two members of the same name, and lets others be, which nothing writes but
// who wants two readers to see two things. What is no JSON text, or deeper than
// 64, is [ErrPacket].
func Placeholders(data []byte) ([]Placeholder, error) {
	if !mayHold(data) {
		return nil, nil
	}
	w := walker{Scanner: jsontext.Scanner{B: data}}
	w.Space()
	ok := w.value(0)
	w.Space()
	switch {
	case w.illegal:
		return nil, ErrAttachments
	case !ok || w.I != len(data):
		return nil, ErrPacket
	}
	return w.found, nil
}

// mayHold is false when there is certainly no placeholder: its name is not
// there, nor an escape by which it could be spelt.
func mayHold(data []byte) bool {
	return bytes.Contains(data, []byte("_placeholder")) || bytes.Contains(data, []byte(`\u`))
}

// walker goes through a value. The depth is bounded, so it may recurse.
type walker struct {
	jsontext.Scanner
	found   []Placeholder
	illegal bool // what is wrong is a placeholder
}

func (w *walker) value(depth int) bool {
	switch c := w.Peek(); {
	case c != '{' && c != '[':
		return w.Value()
	case depth == jsontext.MaxDepth:
		return false
	case c == '{':
		return w.object(depth)
	}
	return w.array(depth)
}

func (w *walker) array(depth int) bool {
	w.I++
	w.Space()
	if w.Peek() == ']' {
		w.I++
		return true
	}
	for {
		if !w.value(depth + 1) {
			return false
		}
		if more, ok := w.next(']'); !more {
			return ok
		}
	}
}

// next passes a comma, or the end of an array or object.
func (w *walker) next(end byte) (more, ok bool) {
	w.Space()
	switch w.Peek() {
	case ',':
		w.I++
		w.Space()
		return true, true
	case end:
		w.I++
		return false, true
	}
	return false, false
}

func (w *walker) object(depth int) bool {
	start := w.I
	w.I++
	w.Space()
	if w.Peek() == '}' {
		w.I++
		return true
	}
	members, marked, num := 0, false, -1
	for {
		name, value, ok := w.member(depth)
		if !ok {
			return false
		}
		members++
		switch {
		case name == "_placeholder" && string(value) == "true":
			marked = true
		case name == "num":
			num = smallNumber(value)
		}
		more, ok := w.next('}')
		if more {
			continue
		}
		if ok && marked {
			w.found = append(w.found, Placeholder{start, w.I, num})
			w.illegal = members != 2 || num < 0
		}
		return ok && !w.illegal
	}
}

// member passes one member of an object.
func (w *walker) member(depth int) (name string, value []byte, ok bool) {
	text, ok := w.Text()
	if !ok {
		return "", nil, false
	}
	w.Space()
	if !w.Expect(':', "") {
		return "", nil, false
	}
	w.Space()
	from := w.I
	if !w.value(depth + 1) {
		return "", nil, false
	}
	name, _ = jsontext.Unquote(text) // half a surrogate is in no name that matters
	return name, w.B[from:w.I], true
}

// smallNumber returns the number of an attachment, or -1 when it is none.
func smallNumber(text []byte) int {
	if len(text) != 1 || text[0] < '0' || text[0] > '9' {
		return -1 // MaxAttachments is 10: one digit
	}
	return int(text[0] - '0')
}

// checkPlaceholders reports whether each of n attachments has its place in the
// payload, exactly one: a client could otherwise have a large one repeated, or
// have the server hold one that nobody sees.
func checkPlaceholders(data []byte, n int) error {
	places, err := Placeholders(data)
	if err != nil {
		return err
	}
	seen := 0
	for _, p := range places {
		if p.Num >= n || seen&(1<<p.Num) != 0 {
			return ErrAttachments
		}
		seen |= 1 << p.Num
	}
	if len(places) != n {
		return ErrAttachments
	}
	return nil
}

// appendPlaceholder appends the placeholder of an attachment.
func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	return append(strconv.AppendInt(dst, int64(num), 10), '}')
}

// AppendRenumbered appends data, whose placeholders are places, with other
// numbers: number gives the new one for each.
func AppendRenumbered(dst, data []byte, places []Placeholder, number func(num int) int) []byte {
	from := 0
	for _, p := range places {
		dst = append(dst, data[from:p.Start]...)
		dst = appendPlaceholder(dst, number(p.Num))
		from = p.End
	}
	return append(dst, data[from:]...)
}
