package bridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ValidFrom returns nil when a subscription could start from s, see
// [Client.Subscribe], as far as its form tells. Otherwise it returns an [Error]
// with [CodeBadPosition].
func ValidFrom(s string) error {
	switch s {
	case "", "new", "first", "last":
		return nil
	}
	if digits, ok := strings.CutPrefix(s, "last:"); ok {
		if n, err := strconv.ParseUint(digits, 10, 32); err != nil || n == 0 {
			return &Error{Code: CodeBadPosition, Msg: fmt.Sprintf("%.100q does not say how many", s), Hint: `write "last:10"`}
		}
		return nil
	}
	if _, ok := parseTime(s, time.Now()); ok {
		return nil
	}
	if _, err := ParsePosition(s); err != nil {
		return badFrom(s)
	}
	return nil
}

func badFrom(s string) error {
	return &Error{Code: CodeBadPosition, Msg: fmt.Sprintf("from %.100q is nothing to start from", s),
		Hint: `a "pos" that the server sent, "new", "first", "last", "last:10", "-10m", or a time like "2026-01-02T15:04:05Z"`}
}
