// Package token verifies the tokens of clients: JSON Web Tokens (RFC 7519) in
// the compact form of a signature (RFC 7515 section 7.1), signed by an issuer
// that the operator trusts. It says who a client is until when, and does not
// know what a client is.
//
// # Place in the flow
//
// cmd/jetway makes one [Verifier] of the configuration. A gateway hands it
// what a client presents, before anything else is done for that client, and
// gets an [Identity]: [Identity.Permissions] makes of it what package bridge
// checks each request against. [Sign] makes tokens for development.
//
// # What a token must be
//
//   - At most [MaxBytes], three parts, and nothing outside of base64url. A
//     token of five parts is encrypted (RFC 7516) and refused.
//   - Header and claims are each one JSON object of valid UTF-8 in which no
//     name comes twice, at any depth: with two "sub", another reader would see
//     the other one.
//   - "alg" is one that the configured keys can have made, see below. "kid" is
//     at most 256 bytes and only ever compared. "crit" is refused whatever it
//     lists (RFC 7515 section 4.1.11: none of it is understood here). "jku",
//     "jwk", "x5u" and "x5c" are ignored: a token does not choose its key.
//   - "typ" is absent, "JWT" or "at+jwt": a token that its issuer made for
//     another purpose is not a login (RFC 8725 section 3.11).
//   - "sub" is the user: 1 to 256 bytes without control characters.
//   - "exp" is there, a number, and not reached. "nbf" and "iat", if there, are
//     reached, give or take [Options.Leeway]. The leeway is not for "exp",
//     because a connection ends at it, too.
//   - "iss" and "aud", if configured, are exactly that; "aud" may be a list
//     with it (RFC 7519 section 4.1.3).
//   - "roles", if there, is a list of texts; "jetway", if there, an object of
//     the lists "pub", "sub", "work" and "req".
//
// Other claims are not looked at, but scalar ones may be named by the filters
// of roles, see [Identity].
//
// # Keys and algorithms
//
// The key decides which algorithm it is for, not the token (RFC 8725 section
// 3.1), so a public key is never taken as the secret of an HMAC:
//
//	secret        HS256; HS384 from 48 bytes on, HS512 from 64 (RFC 7518 section 3.2)
//	RSA           RS256 RS384 RS512 PS256 PS384 PS512; 2048 to 8192 bits
//	ECDSA         ES256, ES384 or ES512, by its curve: P-256, P-384, P-521
//	Ed25519       EdDSA, also written Ed25519 (RFC 8037, RFC 9864)
//
// A key of a JSON Web Key Set (RFC 7517) that names an "alg" is for that one
// only.
//
// At most one signature is checked for a token, whoever sent it, so the key
// must be known before. With several public keys in [Options.PublicKey] that
// could have made the signature, "kid" must be the key's thumbprint (RFC 7638,
// SHA-256), as [Sign] writes it; with one, "kid" is ignored. With
// [Options.JWKSURL], "kid" names a key of the set; a token without it is taken
// only if a single key of the set is for its algorithm. With both, "kid" is
// needed where the file has a key for the algorithm, too.
//
// # The key set
//
// It is fetched when first needed, again when a token names a key that is not
// in it, or its signature is not good, and at its use once it is older than
// [Options.JWKSRefresh]. Fetches are at least [Options.JWKSCoolDown] apart,
// failed ones too, one at a time, whoever waits for them: tokens with invented
// keys cost the issuer one request each cool-down. A fetch is bounded in time
// and size, and a redirect fails it. A set that cannot be fetched, is not one,
// or has no usable key left leaves the keys as they are, up to
// [Options.JWKSMaxStale]; a key that is missing in a good set is gone.
//
// # Errors
//
// Every refusal is an [Error]: a [Reason] for metrics, and, by errors.As, a
// [bridge.Error] for the client. Neither it nor the log ever has the token, or
// a part of it.
//
// # Concurrency
//
// A [Verifier] may be used concurrently. Its only goroutine is the one that
// fetches; [Verifier.Close] ends it.
package token
