package token_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func privatePEM(k crypto.Signer) []byte {
	return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k)))
}

func ExampleSign() {
	secret := []byte("at least 32 random bytes, in truth")
	raw, err := token.Sign(token.SignOptions{
		Secret:  secret,
		User:    "ann",
		Roles:   []string{"user"},
		Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Count(raw, "."), "dots")
	// Output: 2 dots
}

// TestSign: what is signed is verified, with each kind of key, and says the
// same.
func TestSign(t *testing.T) {
	options := token.SignOptions{
		User: "ann", Roles: []string{"user", "admin"}, Issuer: "https://issuer.example", Audience: "jetway",
		Grants: bridge.Permissions{Pub: []string{"events.{user}.>"}, Req: []string{"svc.*"}},
		Issued: now, NotBefore: now, Expires: now.Add(time.Hour), Claims: map[string]string{"tenant": "acme"},
	}
	for name, k := range map[string]crypto.Signer{"HS256": nil, "RS256": rsaKey, "ES256": p256, "ES384": p384, "ES512": p521, "EdDSA": edKey} {
		t.Run(name, func(t *testing.T) {
			o, v := options, token.Options{Issuer: options.Issuer, Audience: options.Audience}
			if k == nil {
				o.Secret, v.Secret = secret, secret
			} else {
				o.PrivateKey, v.PublicKey = privatePEM(k), publicPEM(k)
			}
			raw, err := token.Sign(o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := newVerifier(t, v).Verify(context.Background(), raw)
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(got.Claims, func(name, _ string) bool { return name != "tenant" })
			want := &token.Identity{User: o.User, Roles: o.Roles, Grants: o.Grants, Expires: o.Expires, Issued: o.Issued, Claims: o.Claims}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v", got)
			}
			if k != nil { // with several keys, the name decides, and Sign writes it
				v.PublicKey = publicPEM(otherRSA, rsaKey, p256, p384, p521, edKey)
				expect(t, newVerifier(t, v), raw, "")
			}
		})
	}
}

func TestSignKeyForms(t *testing.T) {
	for name, file := range map[string][]byte{
		"PKCS #1": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
		"SEC 1":   block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256))),
		"openssl": append(block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256)))...),
		"comment": append([]byte("the key of the tests\n"), privatePEM(edKey)...),
	} {
		raw, err := token.Sign(token.SignOptions{PrivateKey: file, KeyID: "mine", User: "ann", Expires: now.Add(time.Minute), Issued: now})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := &issuer{body: keySet(jwkOf("mine", rsaKey), jwkOf("other", otherRSA))}
		if name == "PKCS #1" {
			expect(t, newVerifier(t, token.Options{JWKSURL: issuerURL, Transport: s}), raw, "")
		}
		expect(t, newVerifier(t, token.Options{PublicKey: publicPEM(rsaKey, p256, edKey)}), raw, "")
	}
}

func TestSignRefuses(t *testing.T) {
	ok := token.SignOptions{Secret: secret, User: "ann", Issued: now, Expires: now.Add(time.Minute)}
	if _, err := token.Sign(ok); err != nil {
		t.Fatal(err)
	}
	later := ok
	later.NotBefore = now.Add(30 * 24 * time.Hour)
	if _, err := token.Sign(later); err != nil {
		t.Errorf("a token for later: %v", err)
	}
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	for name, change := range map[string]func(o *token.SignOptions){
		"no key":        func(o *token.SignOptions) { o.Secret = nil },
		"two keys":      func(o *token.SignOptions) { o.PrivateKey = privatePEM(rsaKey) },
		"short secret":  func(o *token.SignOptions) { o.Secret = secret[:31] },
		"no user":       func(o *token.SignOptions) { o.User = "" },
		"no end":        func(o *token.SignOptions) { o.Expires = time.Time{} },
		"ended":         func(o *token.SignOptions) { o.Expires = now },
		"bad grant":     func(o *token.SignOptions) { o.Grants.Pub = []string{"a..b"} },
		"reserved":      func(o *token.SignOptions) { o.Grants.Pub = []string{"$SYS.>"} },
		"claim twice":   func(o *token.SignOptions) { o.Claims = map[string]string{"sub": "root"} },
		"huge":          func(o *token.SignOptions) { o.Claims = map[string]string{"x": strings.Repeat("x", 16<<10)} },
		"long key name": func(o *token.SignOptions) { o.KeyID = strings.Repeat("k", 257) },
		"public key":    func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, publicPEM(rsaKey) },
		"no PEM":        func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, []byte("key") },
		"cut off":       func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, privatePEM(rsaKey)[:500] },
		"no DER":        func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, block("PRIVATE KEY", []byte("x")) },
		"encrypted":     func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, block("ENCRYPTED PRIVATE KEY", []byte("x")) },
		"not to sign": func(o *token.SignOptions) {
			o.Secret, o.PrivateKey = nil, block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(x25519)))
		},
		"two of a kind": func(o *token.SignOptions) {
			o.Secret, o.PrivateKey = nil, append(privatePEM(rsaKey), privatePEM(p256)...)
		},
		"only parameter": func(o *token.SignOptions) { o.Secret, o.PrivateKey = nil, block("EC PARAMETERS", []byte("x")) },
		"weak": func(o *token.SignOptions) {
			o.Secret, o.PrivateKey = nil, privatePEM(must(rsa.GenerateKey(rand.Reader, 1024)))
		},
		"P-224": func(o *token.SignOptions) {
			o.Secret, o.PrivateKey = nil, privatePEM(must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)))
		},
	} {
		o := ok
		change(&o)
		if raw, err := token.Sign(o); err == nil || raw != "" {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
	}
}
