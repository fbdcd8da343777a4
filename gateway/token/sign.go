package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/jetway-io/jetway/bridge"
)

// SignOptions says what a token of [Sign] says. User, Expires, and one of
// Secret and PrivateKey are required.
type SignOptions struct {
	Secret     []byte // of an HMAC, at least 32 bytes
	PrivateKey []byte // the text of a PEM file with one private key: RSA, ECDSA, Ed25519
	KeyID      string // "kid"; "" means the thumbprint of the private key (RFC 7638), none with a secret

	User      string             // "sub"
	Roles     []string           // "roles"
	Grants    bridge.Permissions // "jetway"
	Issuer    string             // "iss"; "": none
	Audience  string             // "aud"; "": none
	Issued    time.Time          // "iat", in seconds; zero: none
	NotBefore time.Time          // "nbf", in seconds; zero: none
	Expires   time.Time          // "exp", in seconds, a fraction is dropped
	Claims    map[string]string  // others, as texts; none of those above
}

// Sign makes a token: HS256 with a secret; RS256, ES256, ES384, ES512 or EdDSA
// with a private key. It is for development and tests: an issuer of its own
// has no users to ask for passwords, and no way to take a token back.
//
// It refuses what [Verifier.Verify] would refuse at Issued, or now if that is
// zero.
func Sign(o SignOptions) (string, error) {
	id, k, private, err := o.signer()
	if err != nil {
		return "", err
	}
	claims, err := o.claims()
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(algorithms[k.algorithms[0]], claims)
	if id != "" {
		t.Header["kid"] = id
	}
	signed, err := t.SignedString(private)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	if err := o.verify(signed); err != nil {
		return "", err
	}
	return signed, nil
}

// signer returns the key, as one that verifies and as one that signs.
func (o SignOptions) signer() (id string, k *key, private any, err error) {
	switch {
	case (len(o.Secret) == 0) == (len(o.PrivateKey) == 0):
		return "", nil, nil, errors.New("token: sign with a secret or with a private key")
	case len(o.Secret) > 0:
		k, err = secretKey(o.Secret)
		return o.KeyID, k, o.Secret, err
	}
	signer, err := parsePrivateKey(o.PrivateKey)
	if err != nil {
		return "", nil, nil, err
	}
	if k, err = publicKey(publicOf(signer)); err != nil {
		return "", nil, nil, fmt.Errorf("token: private key: %w", err)
	}
	if id = o.KeyID; id == "" {
		id = k.id
	}
	return id, k, signer, nil
}

// publicOf is the public key of one that signs, in the form of x509.
func publicOf(signer crypto.Signer) any {
	switch s := signer.(type) {
	case *rsa.PrivateKey:
		return &s.PublicKey
	case *ecdsa.PrivateKey:
		return &s.PublicKey
	case ed25519.PrivateKey:
		return s.Public()
	}
	return signer
}

func (o SignOptions) claims() (jwt.MapClaims, error) {
	claims := jwt.MapClaims{"sub": o.User, "exp": o.Expires.Unix()}
	for name, t := range map[string]time.Time{"iat": o.Issued, "nbf": o.NotBefore} {
		if !t.IsZero() {
			claims[name] = t.Unix()
		}
	}
	for name, s := range map[string]string{"iss": o.Issuer, "aud": o.Audience} {
		if s != "" {
			claims[name] = s
		}
	}
	if len(o.Roles) > 0 {
		claims["roles"] = o.Roles
	}
	lists := map[string][]string{"pub": o.Grants.Pub, "sub": o.Grants.Sub, "work": o.Grants.Work, "req": o.Grants.Req}
	maps.DeleteFunc(lists, func(_ string, list []string) bool { return len(list) == 0 })
	if len(lists) > 0 {
		claims["jetway"] = lists
	}
	for name, s := range o.Claims {
		switch name {
		case "sub", "exp", "iat", "nbf", "iss", "aud", "roles", "jetway":
			return nil, fmt.Errorf("token: the claim %q has an option of its own", name)
		}
		claims[name] = s
	}
	return claims, nil
}

// verify looks at the token's text as a verifier will when it is valid.
func (o SignOptions) verify(signed string) error {
	at := o.Issued
	if at.IsZero() {
		at = time.Now()
	}
	c, err := parseCompact(signed)
	if err != nil {
		return err
	}
	const ages = 1 << 62 // a hundred years and more: NotBefore may be later than now
	v := &Verifier{opts: Options{Clock: func() time.Time { return at }, Leeway: ages}}
	_, err = v.identity(c.claims)
	return err
}
