package native

import (
	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// For the tests outside the package.
var IsJSON = isJSON

const VerbCount = verbCount

// ScanOK reports whether the scanner takes b for one JSON value, and whether
// it gave up because of the depth.
func ScanOK(b []byte) (ok, tooDeep bool) {
	s := jsontext.Scanner{B: b}
	s.Space()
	if !s.Value() {
		return false, s.TooDeep()
	}
	s.Space()
	return s.I == len(b), false
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte { return jsontext.AppendString(dst, s) }

// Refuse is what the session of a client does when a sub fails with err.
func Refuse(o Options, c *bridge.Client, err error) {
	s := &Session{opts: &o, client: c}
	s.refuse(&Frame{Verb: VerbSub}, err)
}
