package websock

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// The permessage-deflate that every client gets who offers it (RFC 7692). It is
// what gorilla writes.
const (
	deflateToken  = "permessage-deflate"
	deflateAnswer = deflateToken + "; server_no_context_takeover; client_no_context_takeover"
)

const extensionsField = "Sec-Websocket-Extensions"

// errBadExtensions is for a field that nobody can read, at which the handshake
// fails (RFC 6455 section 9.1).
var errBadExtensions = errors.New("websock: bad Sec-WebSocket-Extensions")

// agree returns the answer to the extensions that a client offers, "" to none
// of them. Gorilla takes any offer by that name, but one with a parameter that
// is unknown, is there twice or has a wrong value must be declined (RFC 7692
// section 7.1), and a client that bounds the server's window wants to hear that
// it is kept. That is easy here: nothing that is sent is compressed.
func agree(h http.Header) (answer string, err error) {
	for rest := strings.Join(h[extensionsField], ","); rest != ""; {
		var o offer
		if o, rest, err = nextOffer(rest); err != nil {
			return "", err
		}
		if answer == "" && o.name == deflateToken && !o.declined {
			if answer = deflateAnswer; o.window != "" {
				answer += "; server_max_window_bits=" + o.window
			}
		}
	}
	return answer, nil
}

// offer is one extension of the list, as far as it is understood.
type offer struct {
	name     string
	seen     [4]bool // by the index in deflateParameters
	window   string  // of the server, in bits
	declined bool
}

// nextOffer reads one element of the list: a name and parameters, or nothing at
// all, which HTTP lists may have between two commas.
func nextOffer(s string) (o offer, rest string, err error) {
	o.name, s = token(s)
	for o.name != "" && strings.HasPrefix(s, ";") {
		var name, value string
		var has bool
		if name, s = token(s[1:]); name == "" {
			return o, "", errBadExtensions
		}
		if has = strings.HasPrefix(s, "="); has {
			var ok bool
			if value, s, ok = tokenOrQuoted(s[1:]); !ok {
				return o, "", errBadExtensions
			}
		}
		o.parameter(name, value, has)
	}
	if s != "" && s[0] != ',' {
		return o, "", errBadExtensions
	}
	return o, strings.TrimPrefix(s, ","), nil
}

// deflateParameters are those of an offer, RFC 7692 section 7.1.
var deflateParameters = [...]struct {
	name        string
	bits        bool // has a value: 8 to 15
	mayLeaveOut bool // but need not
}{
	{name: "server_no_context_takeover"},
	{name: "client_no_context_takeover"},
	{name: "server_max_window_bits", bits: true},
	{name: "client_max_window_bits", bits: true, mayLeaveOut: true},
}

// parameter takes one parameter, or declines the offer for it.
func (o *offer) parameter(name, value string, has bool) {
	for i, p := range deflateParameters {
		if p.name != name {
			continue
		}
		good := has == p.bits || !has && p.mayLeaveOut
		if has && p.bits {
			n, err := strconv.Atoi(value)
			good = err == nil && n >= 8 && n <= 15 && strconv.Itoa(n) == value
		}
		if !good || o.seen[i] {
			break
		}
		o.seen[i] = true
		if name == "server_max_window_bits" {
			o.window = value
		}
		return
	}
	o.declined = true
}

// token cuts the token off that s begins with, and the spaces around it.
func token(s string) (token, rest string) {
	s = strings.TrimLeft(s, " \t")
	n := 0
	for n < len(s) && tokenByte(s[n]) {
		n++
	}
	return s[:n], strings.TrimLeft(s[n:], " \t")
}

// tokenOrQuoted is the same for a value, which may stand in quotes.
func tokenOrQuoted(s string) (value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest = token(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), strings.TrimLeft(s[i+1:], " \t"), true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// tokenByte reports whether a byte may be in a token, RFC 9110 section 5.6.2.
func tokenByte(b byte) bool {
	return b > ' ' && b < 0x7F && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(b))
}
