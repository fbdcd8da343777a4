package jsontext

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Unquote returns the text of a JSON string from what stands between its
// quotes. Without escapes it is a [View] of b. It refuses half a
// surrogate pair: encoding/json would make U+FFFD of it, and then two
// different keys or subjects would be one.
func Unquote(b []byte) (string, bool) {
	s, whole := unquote(b)
	if !whole {
		return "", false
	}
	return s, true
}

// UnquoteLossy is Unquote, but half a surrogate pair becomes U+FFFD.
func UnquoteLossy(b []byte) string {
	s, _ := unquote(b)
	return s
}

// unquote does both. It reports whether there were no halves.
func unquote(b []byte) (s string, whole bool) {
	if bytes.IndexByte(b, '\\') < 0 {
		return View(b), true
	}
	out, whole := make([]byte, 0, len(b)), true
	for len(b) > 0 {
		if b[0] != '\\' {
			out = append(out, b[0])
			b = b[1:]
			continue
		}
		if b[1] != 'u' {
			out = append(out, unescaped(b[1]))
			b = b[2:]
			continue
		}
		r, n := unescapeRune(b)
		if n == 0 {
			r, n, whole = utf8.RuneError, 6, false
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out), whole
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // '"', '\\' or '/'
}

// unescapeRune reads the rune that b starts with as one \u escape or two; n is
// 0 when it is half a surrogate pair.
func unescapeRune(b []byte) (r rune, n int) {
	r, _ = hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
		return 0, 0
	}
	low, _ := hex4(b[8:])
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// View returns b as a string without copying it. It is sound as long as b is
// not changed while the string is used.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD:
// NATS subjects and headers may hold any byte, and one that is not UTF-8 in a
// text frame would make every client fail its connection (RFC 6455, 8.1).
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := decodeRune(s[i:])
			if r != utf8.RuneError || n != 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	var a [utf8.UTFMax]byte
	return utf8.DecodeRune(a[:copy(a[:], s)])
}

func appendEscape(dst []byte, c byte) []byte {
	switch {
	case c == '"', c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	case c < ' ':
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, `\ufffd`...)
}
