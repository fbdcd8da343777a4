package token

import (
	"crypto"
	"crypto/rsa"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// algorithms are those of RFC 7518 section 3.1, RFC 8037 and RFC 9864 that
// keys can be for. There is no "none" among them, in any spelling: names are
// compared as they are. The methods are used by themselves; the library's own
// table is one that any package of the program can add to.
var algorithms = map[string]jwt.SigningMethod{
	"HS256": jwt.SigningMethodHS256, "HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512,
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": pss("PS256", crypto.SHA256), "PS384": pss("PS384", crypto.SHA384), "PS512": pss("PS512", crypto.SHA512),
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"EdDSA": jwt.SigningMethodEdDSA, "Ed25519": jwt.SigningMethodEdDSA,
}

// pss is RSASSA-PSS with a salt as long as the hash, nothing else (RFC 7518
// section 3.5). The library's own methods verify any length.
func pss(name string, hash crypto.Hash) jwt.SigningMethod {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: &jwt.SigningMethodRSA{Name: name, Hash: hash},
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
	}
}

var (
	rsaAlgorithms     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ed25519Algorithms = []string{"EdDSA", "Ed25519"}
	curveAlgorithms   = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
)

// asymmetric reports whether the algorithm is one that a key of a key set can
// be for.
func asymmetric(algorithm string) bool {
	return algorithms[algorithm] != nil && algorithm[:2] != "HS"
}

// key verifies signatures. It knows itself which algorithms it is for.
type key struct {
	id         string   // "kid"; "": none
	algorithms []string // at least one
	material   any      // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

func (k *key) isFor(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

// verify reports whether the signature is the key's, for the text. The
// algorithm is one that the key is for.
func (k *key) verify(algorithm, text string, signature []byte) bool {
	return algorithms[algorithm].Verify(text, signature, k.material) == nil
}
