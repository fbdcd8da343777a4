package token

import (
	"errors"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Reason says why a token was refused. Each one is also a metric label.
type Reason string

// The reasons.
const (
	TooBig          Reason = "too_big"          // over MaxBytes
	Malformed       Reason = "malformed"        // not three parts of base64url, or not strict JSON
	BadHeader       Reason = "bad_header"       // crit, a foreign typ, a kid or alg that is none
	BadAlgorithm    Reason = "bad_algorithm"    // no configured key is for it; "none" always
	UnknownKey      Reason = "unknown_key"      // kid names no key, or is missing and needed
	BadSignature    Reason = "bad_signature"    // made with another key, or for another text
	BadClaims       Reason = "bad_claims"       // one is missing or is not what it must be
	Expired         Reason = "expired"          // exp is reached
	NotYetValid     Reason = "not_yet_valid"    // nbf or iat is not reached
	WrongIssuer     Reason = "wrong_issuer"     // iss is not the configured one
	WrongAudience   Reason = "wrong_audience"   // aud does not have the configured one
	KeysUnavailable Reason = "keys_unavailable" // the key set could not be fetched: the token may be good
)

var reasons = []Reason{TooBig, Malformed, BadHeader, BadAlgorithm, UnknownKey, BadSignature, BadClaims, Expired, NotYetValid,
	WrongIssuer, WrongAudience, KeysUnavailable}

// Reasons returns all of them, for a metric that has each from the start.
func Reasons() []Reason { return slices.Clone(reasons) }

// messages are what the client is told. They name neither what is configured
// nor what the token says.
var messages = map[Reason]string{
	TooBig:          "the token is larger than 16 KiB",
	Malformed:       "this is not a token",
	BadHeader:       "the token's header cannot be accepted",
	BadAlgorithm:    "the token's algorithm is not accepted",
	UnknownKey:      "the token's key is not known",
	BadSignature:    "the token's signature is not good",
	BadClaims:       "the token's claims cannot be accepted",
	Expired:         "the token has expired",
	NotYetValid:     "the token is not valid yet",
	WrongIssuer:     "the token is from another issuer",
	WrongAudience:   "the token is for another audience",
	KeysUnavailable: "tokens cannot be verified now",
}

// Error is why [Verifier.Verify] refused a token. It unwraps to the
// [bridge.Error] for the client: code unauthenticated, or unavailable with
// [KeysUnavailable], when nobody can know whether the token is good.
type Error struct {
	Reason Reason
	wire   bridge.Error
}

// Error returns the reason, the sentence for the client, and the hint.
func (e *Error) Error() string {
	return "token: " + string(e.Reason) + ": " + e.wire.Msg + ": " + e.wire.Hint
}

// Is reports whether target is an [Error] with the same reason, so that
// errors.Is(err, &token.Error{Reason: token.Expired}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// Unwrap returns the [bridge.Error] for the client.
func (e *Error) Unwrap() error { return &e.wire }

// ReasonOf returns the reason of an error of [Verifier.Verify], "" when it has
// none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// refuse makes an [Error]. The hint says what to do.
func refuse(why Reason, hint string) *Error {
	return &Error{Reason: why, wire: bridge.Error{Code: bridge.CodeUnauthenticated, Msg: messages[why], Hint: hint}}
}

// unavailable is the error for when the keys are not to be had; it makes sense
// to try again after a while.
func unavailable(retry time.Duration) *Error {
	e := refuse(KeysUnavailable, "the keys of the issuer cannot be fetched; try again later")
	e.wire.Code, e.wire.Retry = bridge.CodeUnavailable, retry
	return e
}
