package token

import (
	"context"
)

// Verifier verifies tokens. It may be used concurrently.
type Verifier struct {
	// Static after New.
	opts   Options
	secret *key   // nil: none
	public []*key // of the PEM file, named by their thumbprints
	jwks   *jwks  // nil: none
	check  func(k *key, algorithm, text string, signature []byte) bool
}

// New makes a verifier. It fetches nothing: the key set is fetched for the
// first token that needs it. An error is about the options, and says what to
// do. The caller closes the verifier.
func New(opts Options) (*Verifier, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{opts: opts, check: (*key).verify}
	if len(opts.Secret) > 0 {
		if v.secret, err = secretKey(opts.Secret); err != nil {
			return nil, err
		}
	}
	if len(opts.PublicKey) > 0 {
		if v.public, err = parsePublicKeys(opts.PublicKey); err != nil {
			return nil, err
		}
	}
	if opts.JWKSURL != "" {
		if v.jwks, err = newJWKS(opts); err != nil {
			return nil, err
		}
	}
	v.opts.Secret, v.opts.PublicKey = nil, nil // the keys have their own copies
	return v, nil
}

// Close ends a fetch of the key set that runs, and waits for it. Afterwards
// only keys that are known verify.
func (v *Verifier) Close() {
	if v.jwks != nil {
		v.jwks.close()
	}
}

// Verify returns who the token is of, or an [Error] that says why it is not
// good. It checks at most one signature, and reads no claim before that.
//
// It waits only for a fetch of the key set that may bring the token's key, 5 s
// at most; ctx ends the waiting, not the fetch, with [KeysUnavailable].
func (v *Verifier) Verify(ctx context.Context, raw string) (*Identity, error) {
	c, err := parseCompact(raw)
	if err != nil {
		return nil, err
	}
	k, err := v.key(ctx, c.header)
	if err != nil {
		return nil, err
	}
	if !v.check(k, c.header.algorithm, c.signed, c.signature) {
		if v.jwks != nil && asymmetric(c.header.algorithm) {
			v.jwks.fetch() // the issuer may have another key under the same name; for the next token
		}
		return nil, refuse(BadSignature, "sign in again: the token was changed on its way, or is signed with another key")
	}
	return v.identity(c.claims)
}

// key finds the one key that the token can be verified with.
func (v *Verifier) key(ctx context.Context, h header) (*key, error) {
	switch {
	case algorithms[h.algorithm] == nil:
		return nil, v.badAlgorithm()
	case !asymmetric(h.algorithm):
		if v.secret == nil || !v.secret.isFor(h.algorithm) {
			return nil, v.badAlgorithm()
		}
		return v.secret, nil
	case v.jwks == nil:
		return v.publicKey(h)
	}
	return v.fetchedKey(ctx, h)
}

func (v *Verifier) badAlgorithm() error {
	return refuse(BadAlgorithm, "sign it with an algorithm of the configured key: RS, PS, ES or EdDSA of a public key, HS256 of a secret (HS384 from 48 bytes on, HS512 from 64)")
}

// publicKey is the key in the PEM file, without a key set: with only one for
// the algorithm, "kid" does not matter.
func (v *Verifier) publicKey(h header) (*key, error) {
	k, ambiguous := pick(v.public, h, false)
	if ambiguous {
		if k, _ = pick(v.public, h, true); k == nil {
			return nil, refuse(UnknownKey, `there are several public keys for this algorithm: "kid" must be the RFC 7638 thumbprint of one`)
		}
	}
	if k == nil {
		return nil, v.badAlgorithm()
	}
	return k, nil
}

// fetchedKey is the key in the key set, or in the PEM file beside it. Names
// decide: else a token would be verified with a key of the wrong one.
func (v *Verifier) fetchedKey(ctx context.Context, h header) (*key, error) {
	local, ambiguous := pick(v.public, h, h.keyID != "")
	if h.keyID != "" && local != nil {
		return local, nil
	}
	if h.keyID == "" && (local != nil || ambiguous) {
		return nil, refuse(UnknownKey, `there are a public key and a key set: the token must name its key with "kid"`)
	}
	return v.jwks.find(ctx, h)
}
