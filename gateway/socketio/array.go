package socketio

import (
	"fmt"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// Split returns the elements of a JSON array as they are written, without
// copying them: the name and the arguments of an event, the arguments of an
// ack. What is no array is [ErrPacket].
func Split(array []byte) ([][]byte, error) {
	s := jsontext.Scanner{B: array}
	s.Space()
	if !s.Expect('[', "") {
		return nil, fmt.Errorf("%w: not an array", ErrPacket)
	}
	s.Space()
	if s.Peek() == ']' {
		s.I++
		return nil, nil
	}
	var elements [][]byte
	for {
		from := s.I
		if !s.Value() {
			return nil, fmt.Errorf("%w: not an array: %s", ErrPacket, s.Bad)
		}
		elements = append(elements, array[from:s.I:s.I])
		switch s.Space(); s.Peek() {
		case ',':
			s.I++
			s.Space()
		case ']':
			return elements, nil
		default:
			return nil, fmt.Errorf("%w: not an array", ErrPacket)
		}
	}
}

// AppendEvent appends the payload of an event: an array of its name and its
// arguments, which are JSON text already.
func AppendEvent(dst []byte, name string, args ...[]byte) []byte {
	dst = jsontext.AppendString(append(dst, '['), name)
	for _, arg := range args {
		dst = append(append(dst, ','), arg...)
	}
	return append(dst, ']')
}

// AppendArray appends the payload of an ack: an array of its arguments, which
// are JSON text already.
func AppendArray(dst []byte, args ...[]byte) []byte {
	dst = append(dst, '[')
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, arg...)
	}
	return append(dst, ']')
}
