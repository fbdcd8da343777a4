package driver

import (
	"bytes"
	"errors"
	"strconv"
)

// What is published is a JSON object with its number, from 1 on each subject,
// the time when it was sent, and padding. Every server hands it out as it is,
// in whatever it wraps it in; so one search finds it for all of them.
var (
	mark = []byte(`{"n":`)
	sent = []byte(`,"t":`)
)

// AppendEvent appends event n of size bytes, or of as few as it takes. t is
// when it was sent, in nanoseconds.
func AppendEvent(dst []byte, n, t int64, size int) []byte {
	start := len(dst)
	dst = strconv.AppendInt(append(dst, mark...), n, 10)
	dst = strconv.AppendInt(append(dst, sent...), t, 10)
	dst = append(dst, `,"pad":"`...)
	for len(dst)-start < size-2 {
		dst = append(dst, '.')
	}
	return append(dst, `"}`...)
}

var errEvent = errors.New("an event that is not one of ours")

// nextEvent finds the first event in a message, and returns what follows it;
// nil if there is none.
func nextEvent(p []byte) (n, t int64, rest []byte, err error) {
	i := bytes.Index(p, mark)
	if i < 0 {
		return 0, 0, nil, nil
	}
	n, rest = number(p[i+len(mark):])
	if n == 0 || !bytes.HasPrefix(rest, sent) {
		return 0, 0, nil, errEvent
	}
	t, rest = number(rest[len(sent):])
	return n, t, rest, nil
}

// number reads the digits that p begins with.
func number(p []byte) (n int64, rest []byte) {
	i := 0
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		n = 10*n + int64(p[i]-'0')
		i++
	}
	return n, p[i:]
}

// member is the text of the last member of that name in p whose value is a
// string without escapes, or a number; nil if there is none.
func member(p []byte, name string) []byte {
	i := bytes.LastIndex(p, []byte(`"`+name+`":`))
	if i < 0 {
		return nil
	}
	p = p[i+len(name)+3:]
	if len(p) > 0 && p[0] == '"' {
		text, _, _ := bytes.Cut(p[1:], []byte{'"'})
		return text
	}
	_, rest := number(p)
	return p[:len(p)-len(rest)]
}
