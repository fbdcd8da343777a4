// Package auth says who a client is and what it may do. It is the seam between
// the gateway, which finds what clients present and keeps to the answer for as
// long as they are connected, and whoever decides: [Policy], of tokens and
// roles, or anything else that is an [Authenticator].
//
// # Place in the flow
//
// The gateway takes a token from the handshake ([Sources.Find]) or from a frame
// of the client, makes [Credentials] of it, and asks its Authenticator once. The
// answer, an [Identity], is good until it expires; a client that presents
// another token is asked about again. Nothing here is called for an event.
//
// # Invariants
//
//   - A token that is refused is a refusal: it never falls back to what clients
//     without one may do.
//   - Whatever fails is refused: no answer is not a yes.
//   - No error, log line or metric has the token or a part of it.
//
// # Concurrency
//
// An Authenticator is asked concurrently.
package auth
