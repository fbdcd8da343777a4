package native

// For the tests outside the package.
var IsJSON = isJSON

const VerbCount = verbCount

// ScanOK reports whether the scanner takes b for one JSON value, and whether
// it gave up because of the depth.
func ScanOK(b []byte) (ok, tooDeep bool) {
	s := scanner{b: b}
	s.space()
	if !s.value() {
		return false, s.bad == badTooDeep
	}
	s.space()
	return s.i == len(b), false
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }
