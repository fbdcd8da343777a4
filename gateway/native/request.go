package native

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// SetPayload gives the frame a payload such that the server's side of NATS
// gets exactly these bytes: as "data" where that keeps them, else as "b64".
func (f *Frame) SetPayload(p []byte) {
	f.Data, f.Binary = nil, nil
	s := jsontext.Scanner{B: p}
	if utf8.Valid(p) && s.Value() && s.I == len(p) { // no space around it, not too deep
		f.Data = p
		return
	}
	if f.Binary = p; p == nil {
		f.Binary = []byte{}
	}
}

// AppendFrame appends a client's message, the one that [Parse] reads back as
// f. What Parse would refuse is not refused here.
func AppendFrame(dst []byte, f *Frame) []byte {
	dst = append(dst, '{', '"')
	dst = append(dst, f.Verb.String()...)
	dst = append(dst, '"', ':')
	switch {
	case f.Verb < verbCount && verbs[f.Verb].value != "":
		dst = jsontext.AppendString(dst, f.Text)
	case f.Value != nil:
		dst = append(dst, f.Value...)
	default:
		dst = append(dst, "null"...)
	}
	if f.ID != "" {
		dst = append(append(dst, `,"id":`...), f.ID...)
	}
	for _, m := range [...]struct {
		d field
		s string
	}{
		{fieldKey, f.Key}, {fieldIf, f.If}, {fieldFrom, f.From}, {fieldAs, f.As},
		{fieldUntil, f.Until}, {fieldSID, f.SID}, {fieldWhy, f.Why},
	} {
		if m.s != "" {
			dst = jsontext.AppendString(appendName(dst, m.d), m.s)
		}
	}
	if f.Max > 0 {
		dst = strconv.AppendInt(appendName(dst, fieldMax), int64(f.Max), 10)
	}
	for _, m := range [...]struct {
		d field
		t time.Duration
	}{{fieldTTL, f.TTL}, {fieldWait, f.Wait}, {fieldDelay, f.Delay}} {
		if m.t > 0 {
			dst = appendDuration(appendName(dst, m.d), m.t)
		}
	}
	if !f.At.IsZero() {
		dst = appendTime(appendName(dst, fieldAt), f.At)
	}
	dst = appendHead(dst, f.Head)
	switch {
	case f.Data != nil:
		dst = append(appendName(dst, fieldData), f.Data...)
	case f.Binary != nil:
		dst = append(appendName(dst, fieldB64), '"')
		dst = append(base64.StdEncoding.AppendEncode(dst, f.Binary), '"')
	}
	return append(dst, '}')
}

func appendName(dst []byte, d field) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, d.String()...)
	return append(dst, '"', ':')
}
