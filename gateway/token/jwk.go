package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// keySet is what a fetch brought. Static once it is published.
type keySet struct {
	keys    []*key
	fetched time.Time
	sum     [sha256.Size]byte // of the text
}

// find returns the key that a token names, or, if it names none, the only one
// for its algorithm. ambiguous: there are several.
func (s *keySet) find(h header) (found *key, ambiguous bool) {
	if s == nil {
		return nil, false
	}
	return pick(s.keys, h, h.keyID != "")
}

// pick is the one rule for which key a token is verified with: by name, if
// that is asked for, else the only one for its algorithm.
func pick(keys []*key, h header, named bool) (found *key, ambiguous bool) {
	for _, k := range keys {
		if !k.isFor(h.algorithm) || named && k.id != h.keyID {
			continue
		}
		if found != nil {
			return nil, true
		}
		found = k
	}
	return found, false
}

// parseKeySet reads a JSON Web Key Set (RFC 7517 section 5). ignored is told
// of each key that cannot be used, unless it is for something else anyway.
func parseKeySet(text []byte, ignored func(index int, id string, err error)) ([]*key, error) {
	object, err := decodeObject(text)
	if err != nil {
		return nil, err
	}
	list, ok := object["keys"].([]any)
	if !ok {
		return nil, errors.New(`the text has no list of "keys"`)
	}
	var keys []*key
	for i, v := range list {
		if i == maxPublicKeys {
			ignored(i, "", fmt.Errorf("and all after it: more than %d keys", maxPublicKeys))
			break
		}
		members, _ := v.(map[string]any)
		k, err := parseKey(jwk(members))
		if err == nil && k != nil && k.id != "" && slices.ContainsFunc(keys, func(other *key) bool { return other.id == k.id }) {
			err = errors.New(`an earlier key has the same "kid"`)
		}
		if err != nil {
			id, _ := members["kid"].(string)
			ignored(i, id[:min(len(id), maxKeyID)], err)
		} else if k != nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no key that can be used")
	}
	return keys, nil
}

// jwk is one JSON Web Key (RFC 7517 section 4).
type jwk map[string]any

// parseKey returns nil and no error for a key that is not for signatures.
func parseKey(j jwk) (*key, error) {
	if use, ok := j["use"]; ok && use != "sig" {
		return nil, nil
	}
	if ops, ok := j["key_ops"].([]any); ok && !slices.Contains(ops, any("verify")) {
		return nil, nil
	}
	if j["d"] != nil {
		return nil, errors.New("a private key, which everybody can fetch: replace it at once")
	}
	material, err := j.material()
	if err != nil {
		return nil, err
	}
	k, err := publicKey(material)
	if err != nil {
		return nil, err
	}
	id, ok := j["kid"].(string)
	if j["kid"] != nil && !ok || len(id) > maxKeyID {
		return nil, errors.New(`"kid" is not a text of at most 256 bytes`)
	}
	k.id = id
	return k, k.restrict(j["alg"])
}

// restrict leaves the key the one algorithm that its "alg" names, if it does.
func (k *key) restrict(alg any) error {
	if alg == nil {
		return nil
	}
	name, _ := alg.(string)
	if !k.isFor(name) {
		return errors.New(`"alg" is none that such a key is for`)
	}
	if !slices.Contains(ed25519Algorithms, name) { // these two are names of one
		k.algorithms = []string{name}
	}
	return nil
}

// material returns the public key as package crypto has it (RFC 7518 section
// 6, RFC 8037 section 2).
func (j jwk) material() (any, error) {
	switch kty, crv := j["kty"], j["crv"]; {
	case kty == "RSA":
		return j.rsa()
	case kty == "EC" && crv == "P-256":
		return j.ecdsa(elliptic.P256(), 32)
	case kty == "EC" && crv == "P-384":
		return j.ecdsa(elliptic.P384(), 48)
	case kty == "EC" && crv == "P-521":
		return j.ecdsa(elliptic.P521(), 66)
	case kty == "OKP" && crv == "Ed25519":
		return ed25519.PublicKey(j.bytes("x")), nil
	case kty == "oct":
		return nil, errors.New("a symmetric key: everybody who can fetch it could sign")
	}
	return nil, errors.New(`"kty" or "crv" is not supported`)
}

// bytes decodes a member; nil when it is not base64url.
func (j jwk) bytes(name string) []byte {
	s, _ := j[name].(string)
	b, _ := decodePart(s)
	return b
}

func (j jwk) rsa() (*rsa.PublicKey, error) {
	n, e := j.bytes("n"), j.bytes("e")
	if len(n) == 0 || len(e) == 0 || len(e) > 4 {
		return nil, errors.New(`"n" or "e" is missing or is not that of an RSA key`)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func (j jwk) ecdsa(curve elliptic.Curve, size int) (*ecdsa.PublicKey, error) {
	x, y := j.bytes("x"), j.bytes("y")
	if len(x) != size || len(y) != size {
		return nil, errors.New(`"x" or "y" is missing or has not the size of the curve`)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)) // SEC 1 section 2.3.3
	if err != nil {
		return nil, errors.New(`"x" and "y" are not a point of the curve`)
	}
	return k, nil
}
