package native

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// appendDuration appends [DurationText] as a JSON string.
func appendDuration(dst []byte, d time.Duration) []byte {
	return jsontext.AppendString(dst, DurationText(d))
}

// DurationText is a duration as one would write it: "1h", not "1h0m0s".
func DurationText(d time.Duration) string {
	s := d.String()
	if n := len(s); n > 3 && s[n-3:] == "m0s" {
		s = s[:n-2]
	}
	if n := len(s); n > 3 && s[n-3:] == "h0m" {
		s = s[:n-2]
	}
	return s
}

// isJSON reports whether a payload can stand in a frame as "data": JSON text
// in UTF-8. Nesting is not limited to [jsontext.MaxDepth] here: the payload may come
// from a microservice, and encoding/json has a limit of its own (10,000).
func isJSON(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	s := jsontext.Scanner{B: b}
	s.Space()
	if !s.Value() {
		return s.TooDeep() && json.Valid(b)
	}
	s.Space()
	return s.I == len(b)
}
