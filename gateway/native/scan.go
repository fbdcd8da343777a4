package native

import "fmt"

// maxDepth is how deep arrays and objects may nest in what a client sends.
// The scanner keeps one bit per level and does not recurse, so the limit is
// not for its own sake: it protects the parsers of whoever receives the event.
const maxDepth = 64

// scanner passes over JSON text (RFC 8259) without building anything. Its
// methods return false at the first byte that is not JSON; i is then where,
// and bad says what is wrong there. It does not check that strings are UTF-8:
// the WebSocket layer has done that (RFC 6455 section 8.1).
type scanner struct {
	b   []byte
	i   int
	bad string
}

const (
	badEnd     = "the text ends too early"
	badTooDeep = "nested deeper than 64 levels"
)

func (s *scanner) fail(why string) bool {
	if s.bad == "" {
		s.bad = why
	}
	return false
}

// peek returns the byte at i, 0 at the end; 0 is nowhere valid outside strings.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// expect passes one byte of punctuation.
func (s *scanner) expect(c byte, why string) bool {
	if s.peek() != c {
		return s.unexpected(why)
	}
	s.i++
	return true
}

func (s *scanner) unexpected(why string) bool {
	if s.i >= len(s.b) {
		return s.fail(badEnd)
	}
	return s.fail(why)
}

// value passes one value of any kind. Its kind at each depth is a bit of a
// word (1 is an object), so nothing can make it recurse or grow.
func (s *scanner) value() bool {
	var objects uint64
	depth := 0
	for {
		c := s.peek()
		if c != '{' && c != '[' {
			if !s.scalar(c) {
				return false
			}
		} else {
			if depth == maxDepth {
				return s.fail(badTooDeep)
			}
			s.i++
			s.space()
			if s.peek() != c+2 { // in ASCII, '}' is '{'+2 and ']' is '['+2
				depth++
				objects <<= 1
				if c == '{' {
					objects |= 1
					if !s.name() {
						return false
					}
				}
				continue
			}
			s.i++
		}
		more, ok := s.closing(&objects, &depth)
		if !more || !ok {
			return ok
		}
	}
}

// closing passes what may follow a value: the ends of the arrays and objects
// that it completes, then a comma if one of them goes on.
func (s *scanner) closing(objects *uint64, depth *int) (more, ok bool) {
	for *depth > 0 {
		s.space()
		object := *objects&1 == 1
		switch c := s.peek(); {
		case c == ',':
			s.i++
			s.space()
			return true, !object || s.name()
		case object && c == '}', !object && c == ']':
			s.i++
			*depth--
			*objects >>= 1
		case object:
			return false, s.unexpected("expected ',' or '}' here")
		default:
			return false, s.unexpected("expected ',' or ']' here")
		}
	}
	return false, true
}

// name passes a member's name and the colon after it.
func (s *scanner) name() bool {
	if _, ok := s.text(); !ok {
		return false
	}
	s.space()
	if !s.expect(':', "expected ':' after a name") {
		return false
	}
	s.space()
	return true
}

func (s *scanner) scalar(c byte) bool {
	switch {
	case c == '"':
		_, ok := s.text()
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
	return s.unexpected("expected a value here")
}

func (s *scanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("expected a value here")
	}
	s.i += len(word)
	return true
}

// number passes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from || s.unexpected("expected a digit here")
}

// text passes a string and returns what is between its quotes, escapes as
// they are.
func (s *scanner) text() (inside []byte, ok bool) {
	if s.peek() != '"' {
		return nil, s.unexpected("expected a string here")
	}
	from := s.i + 1
	for i := from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[from:i], true
		case c == '\\':
			s.i = i
			n := s.escape()
			if n == 0 {
				return nil, false
			}
			i += n - 1
		case c < ' ':
			s.i = i
			return nil, s.fail("a control character in a string must be escaped")
		}
	}
	s.i = len(s.b)
	return nil, s.fail(badEnd)
}

// escape returns the length of the escape at i, 0 when it is none.
func (s *scanner) escape() int {
	rest := s.b[s.i:]
	if len(rest) < 2 {
		s.fail(badEnd)
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
	s.fail("not an escape")
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

// eachMember calls fn for the members of the object that b is, names decoded,
// until it returns an error.
func eachMember(b []byte, fn func(name string, value []byte) error) error {
	s := scanner{b: b}
	s.space()
	from := s.i + 1
	if s.peek() != '{' || !s.value() {
		return fmt.Errorf("not a JSON object: at byte %d: %s", s.i, s.bad)
	}
	if s.space(); s.i != len(b) {
		return fmt.Errorf("not a JSON object: at byte %d: something follows", s.i)
	}
	s.i = from // from here on it is known to be valid
	for s.space(); s.peek() != '}'; s.space() {
		if s.peek() == ',' {
			s.i++
			s.space()
		}
		name, _ := s.text()
		s.space()
		s.i++ // the colon
		s.space()
		start := s.i
		s.value()
		text, _ := unquote(name)
		if err := fn(text, b[start:s.i]); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	return nil
}
