package token

import (
	"encoding/base64"
	"strings"
)

// MaxBytes is the largest token that is looked at. A real one has 1 or 2 KiB;
// the bound stops unauthenticated clients from having megabytes parsed.
const MaxBytes = 16 << 10

// maxKeyID bounds a "kid", in bytes.
const maxKeyID = 256

// compact is a token taken apart (RFC 7515 section 7.1), its claims not yet
// read: nothing of an unsigned text is looked at but what finds the key.
type compact struct {
	signed    string // header and claims as they were signed
	header    header
	claims    string // base64url
	signature []byte
}

// header is what matters of a token's header.
type header struct {
	algorithm string
	keyID     string // "": none
}

// parseCompact takes a token apart.
func parseCompact(raw string) (c compact, err error) {
	if len(raw) > MaxBytes {
		return c, refuse(TooBig, "put less into it")
	}
	head, rest, _ := strings.Cut(raw, ".")
	claims, signature, three := strings.Cut(rest, ".")
	if !three || strings.Contains(signature, ".") {
		return c, refuse(Malformed, "a token has three parts with a dot between them; encrypted ones, with five, are not taken")
	}
	text, ok := decodePart(head)
	if c.signature, three = decodePart(signature); !ok || !three {
		return c, refuse(Malformed, "the parts of a token are base64url without padding, and not empty")
	}
	c.signed, c.claims = raw[:len(head)+1+len(claims)], claims
	c.header, err = parseHeader(text)
	return c, err
}

// decodePart decodes base64url. encoding/base64 would skip line breaks, and
// take several spellings of the same last byte.
func decodePart(s string) ([]byte, bool) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

func encodePart(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func parseHeader(text []byte) (h header, err error) {
	object, err := decodeObject(text)
	if err != nil {
		return h, refuse(Malformed, "its header must be one JSON object without repeated names")
	}
	if _, ok := object["crit"]; ok {
		return h, refuse(BadHeader, `"crit" asks for extensions, and this server has none`)
	}
	if typ, ok := object["typ"]; ok && !acceptedType(typ) {
		return h, refuse(BadHeader, `"typ" must be "JWT" or "at+jwt": this token was made for something else`)
	}
	var ok bool
	if h.algorithm, ok = object["alg"].(string); !ok {
		return h, refuse(BadHeader, `"alg" must be a text`)
	}
	if id, there := object["kid"]; there {
		if h.keyID, ok = id.(string); !ok || h.keyID == "" || len(h.keyID) > maxKeyID {
			return h, refuse(BadHeader, `"kid" must be a text of 1 to 256 bytes`)
		}
	}
	return h, nil
}

// acceptedType reports whether a "typ" is of a token for access. It is a media
// type whose "application/" may be left out (RFC 7515 section 4.1.9).
func acceptedType(typ any) bool {
	s, _ := typ.(string)
	s = strings.TrimPrefix(strings.ToLower(s), "application/")
	return s == "jwt" || s == "at+jwt"
}
