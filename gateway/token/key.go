package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// Bounds of keys. A weak one lets anybody sign; a huge one makes each token
// that names it cost milliseconds.
const (
	minSecretBytes = 32 // RFC 7518 section 3.2
	minRSABits     = 2048
	maxRSABits     = 8192
)

// secretKey is the key of an HMAC. Which ones it is for goes by its length:
// RFC 7518 section 3.2 wants as many bytes as the hash has.
func secretKey(secret []byte) (*key, error) {
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("token: the secret has %d bytes: use at least %d random ones", len(secret), minSecretBytes)
	}
	k := &key{algorithms: []string{"HS256"}, material: slices.Clone(secret)}
	if len(secret) >= 48 {
		k.algorithms = append(k.algorithms, "HS384")
	}
	if len(secret) >= 64 {
		k.algorithms = append(k.algorithms, "HS512")
	}
	return k, nil
}

// publicKey makes a key of a public one of package crypto, named by its
// thumbprint. It refuses those that are weak or not supported.
func publicKey(material any) (*key, error) {
	k := &key{material: material}
	switch m := material.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(m); err != nil {
			return nil, err
		}
		k.algorithms = rsaAlgorithms
		k.id = thumbprint(`{"e":"%s","kty":"RSA","n":"%s"}`, big.NewInt(int64(m.E)).Bytes(), m.N.Bytes())
	case *ecdsa.PublicKey:
		algorithm := curveAlgorithms[m.Params().Name]
		point, err := m.Bytes() // fails when the point is not on the curve
		if algorithm == "" || err != nil {
			return nil, errors.New("not a point of P-256, P-384 or P-521")
		}
		k.algorithms = []string{algorithm}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		k.id = thumbprint(`{"crv":"`+m.Params().Name+`","kty":"EC","x":"%s","y":"%s"}`, x, y)
	case ed25519.PublicKey:
		if len(m) != ed25519.PublicKeySize || smallOrder(m) {
			return nil, errors.New("not a point that Ed25519 keys can be")
		}
		k.algorithms = ed25519Algorithms
		k.id = thumbprint(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, m)
	default:
		return nil, fmt.Errorf("keys of type %T are not supported: use RSA, ECDSA or Ed25519", material)
	}
	return k, nil
}

// checkRSA refuses keys whose signatures can be forged, or are too dear to
// verify: with e = 1 every text is its own signature.
func checkRSA(k *rsa.PublicKey) error {
	if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("an RSA key of %d bits: %d to %d are accepted", bits, minRSABits, maxRSABits)
	}
	if k.E < 3 || k.E%2 == 0 || k.E > math.MaxInt32 || k.N.Bit(0) == 0 {
		return errors.New("the modulus or the exponent is not of an RSA key")
	}
	return nil
}

// smallOrders are the points of Ed25519 whose order divides 8, without the
// sign: signatures of such a key can be made by anybody. The last three are
// other spellings of the first ones.
var smallOrders = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func smallOrder(k ed25519.PublicKey) bool {
	point := slices.Clone(k)
	point[len(point)-1] &= 0x7f
	return slices.Contains(smallOrders, hex.EncodeToString(point))
}

// thumbprint is RFC 7638 section 3: the SHA-256 of the key's required members,
// in this very form.
func thumbprint(form string, members ...[]byte) string {
	encoded := make([]any, len(members))
	for i, m := range members {
		encoded[i] = encodePart(m)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, form, encoded...))
	return encodePart(sum[:])
}
