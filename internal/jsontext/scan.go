package jsontext

import "fmt"

// MaxDepth is how deep arrays and objects may nest in what a client sends.
// The scanner keeps one bit per level and does not recurse, so the limit is
// not for its own sake: it protects the parsers of whoever receives the event,
// and lets code that walks what was scanned recurse.
const MaxDepth = 64

// Scanner passes over JSON text (RFC 8259) without building anything. Its
// methods return false at the first byte that is not JSON; I is then where,
// and Bad says what is wrong there. It does not check that strings are UTF-8:
// the WebSocket layer has done that (RFC 6455 section 8.1). Not safe for
// concurrent use.
type Scanner struct {
	B   []byte // the text
	I   int    // how far it is passed
	Bad string // the first thing that is wrong with it
}

const (
	badEnd     = "the text ends too early"
	badTooDeep = "nested deeper than 64 levels"
)

// Fail notes what is wrong, unless something was before, and returns false.
func (s *Scanner) Fail(why string) bool {
	if s.Bad == "" {
		s.Bad = why
	}
	return false
}

// TooDeep reports whether what is wrong is the depth alone.
func (s *Scanner) TooDeep() bool { return s.Bad == badTooDeep }

// Peek returns the byte at I, 0 at the end; 0 is nowhere valid outside strings.
func (s *Scanner) Peek() byte {
	if s.I < len(s.B) {
		return s.B[s.I]
	}
	return 0
}

// Space passes white space.
func (s *Scanner) Space() {
	for s.I < len(s.B) {
		switch s.B[s.I] {
		case ' ', '\t', '\n', '\r':
			s.I++
		default:
			return
		}
	}
}

// Expect passes one byte of punctuation.
func (s *Scanner) Expect(c byte, why string) bool {
	if s.Peek() != c {
		return s.Unexpected(why)
	}
	s.I++
	return true
}

// Unexpected is Fail, but at the end of the text says that instead.
func (s *Scanner) Unexpected(why string) bool {
	if s.I >= len(s.B) {
		return s.Fail(badEnd)
	}
	return s.Fail(why)
}

// Value passes one value of any kind. Its kind at each depth is a bit of a
// word (1 is an object), so nothing can make it recurse or grow.
func (s *Scanner) Value() bool {
	var objects uint64
	depth := 0
	for {
		c := s.Peek()
		if c != '{' && c != '[' {
			if !s.scalar(c) {
				return false
			}
		} else {
			if depth == MaxDepth {
				return s.Fail(badTooDeep)
			}
			s.I++
			s.Space()
			if s.Peek() != c+2 { // in ASCII, '}' is '{'+2 and ']' is '['+2
				depth++
				objects <<= 1
				if c == '{' {
					objects |= 1
					if !s.Name() {
						return false
					}
				}
				continue
			}
			s.I++
		}
		more, ok := s.closing(&objects, &depth)
		if !more || !ok {
			return ok
		}
	}
}

// closing passes what may follow a value: the ends of the arrays and objects
// that it completes, then a comma if one of them goes on.
func (s *Scanner) closing(objects *uint64, depth *int) (more, ok bool) {
	for *depth > 0 {
		s.Space()
		object := *objects&1 == 1
		switch c := s.Peek(); {
		case c == ',':
			s.I++
			s.Space()
			return true, !object || s.Name()
		case object && c == '}', !object && c == ']':
			s.I++
			*depth--
			*objects >>= 1
		case object:
			return false, s.Unexpected("expected ',' or '}' here")
		default:
			return false, s.Unexpected("expected ',' or ']' here")
		}
	}
	return false, true
}

// Name passes a member's name and the colon after it.
func (s *Scanner) Name() bool {
	if _, ok := s.Text(); !ok {
		return false
	}
	s.Space()
	if !s.Expect(':', "expected ':' after a name") {
		return false
	}
	s.Space()
	return true
}

func (s *Scanner) scalar(c byte) bool {
	switch {
	case c == '"':
		_, ok := s.Text()
		return ok
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.Unexpected("expected a value here")
}

func (s *Scanner) literal(word string) bool {
	if len(s.B)-s.I < len(word) || string(s.B[s.I:s.I+len(word)]) != word {
		return s.Fail("expected a value here")
	}
	s.I += len(word)
	return true
}

// number passes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *Scanner) number() bool {
	if s.Peek() == '-' {
		s.I++
	}
	if s.Peek() == '0' {
		s.I++
	} else if !s.digits() {
		return false
	}
	if s.Peek() == '.' {
		s.I++
		if !s.digits() {
			return false
		}
	}
	if c := s.Peek(); c == 'e' || c == 'E' {
		s.I++
		if c := s.Peek(); c == '+' || c == '-' {
			s.I++
		}
		return s.digits()
	}
	return true
}

func (s *Scanner) digits() bool {
	from := s.I
	for s.I < len(s.B) && '0' <= s.B[s.I] && s.B[s.I] <= '9' {
		s.I++
	}
	return s.I > from || s.Unexpected("expected a digit here")
}

// Text passes a string and returns what is between its quotes, escapes as
// they are.
func (s *Scanner) Text() (inside []byte, ok bool) {
	if s.Peek() != '"' {
		return nil, s.Unexpected("expected a string here")
	}
	from := s.I + 1
	for i := from; i < len(s.B); i++ {
		switch c := s.B[i]; {
		case c == '"':
			s.I = i + 1
			return s.B[from:i], true
		case c == '\\':
			s.I = i
			n := s.escape()
			if n == 0 {
				return nil, false
			}
			i += n - 1
		case c < ' ':
			s.I = i
			return nil, s.Fail("a control character in a string must be escaped")
		}
	}
	s.I = len(s.B)
	return nil, s.Fail(badEnd)
}

// escape returns the length of the escape at I, 0 when it is none.
func (s *Scanner) escape() int {
	rest := s.B[s.I:]
	if len(rest) < 2 {
		s.Fail(badEnd)
		return 0
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(rest[2:]); ok {
			return 6
		}
	}
	s.Fail("not an escape")
	return 0
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// EachMember calls fn for the members of the object that b is, names decoded,
// until it returns an error.
func EachMember(b []byte, fn func(name string, value []byte) error) error {
	s := Scanner{B: b}
	s.Space()
	from := s.I + 1
	if s.Peek() != '{' || !s.Value() {
		return fmt.Errorf("not a JSON object: at byte %d: %s", s.I, s.Bad)
	}
	if s.Space(); s.I != len(b) {
		return fmt.Errorf("not a JSON object: at byte %d: something follows", s.I)
	}
	s.I = from // from here on it is known to be valid
	for s.Space(); s.Peek() != '}'; s.Space() {
		if s.Peek() == ',' {
			s.I++
			s.Space()
		}
		name, _ := s.Text()
		s.Space()
		s.I++ // the colon
		s.Space()
		start := s.I
		s.Value()
		text, _ := Unquote(name)
		if err := fn(text, b[start:s.I]); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	return nil
}
