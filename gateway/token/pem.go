package token

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPublicKeys bounds the keys of one file or set.
const maxPublicKeys = 100

// parsePublicKeys reads the keys in the text of a PEM file.
func parsePublicKeys(text []byte) ([]*key, error) {
	var keys []*key
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		material, err := parsePublicBlock(b)
		if err != nil {
			return nil, err
		}
		k, err := publicKey(material)
		if err != nil {
			return nil, fmt.Errorf("token: public key %d: %w", len(keys)+1, err)
		}
		for _, other := range keys {
			if other.id == k.id {
				return nil, fmt.Errorf("token: public key %d is there twice: remove one", len(keys)+1)
			}
		}
		if keys = append(keys, k); len(keys) > maxPublicKeys {
			return nil, fmt.Errorf("token: more than %d public keys", maxPublicKeys)
		}
	}
	return keys, nil
}

// pemBlocks returns all blocks of a PEM text, at least one. Text around them
// is ignored, but not a block that is cut off.
func pemBlocks(text []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for {
		b, rest := pem.Decode(text)
		if b == nil {
			break
		}
		blocks, text = append(blocks, b), rest
	}
	if len(blocks) == 0 || bytes.Contains(text, []byte("-----BEGIN")) {
		return nil, errors.New("token: the key is not PEM, or not all of it is: it looks like -----BEGIN PUBLIC KEY----- … -----END PUBLIC KEY-----")
	}
	return blocks, nil
}

func parsePublicBlock(b *pem.Block) (material any, err error) {
	switch b.Type {
	case "PUBLIC KEY":
		material, err = x509.ParsePKIXPublicKey(b.Bytes)
	case "RSA PUBLIC KEY":
		material, err = x509.ParsePKCS1PublicKey(b.Bytes)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("token: a private key was given where a public one is needed: write it with openssl pkey -pubout")
	case "CERTIFICATE":
		return nil, errors.New("token: a certificate was given where a public key is needed: write it with openssl x509 -pubkey -noout")
	default:
		return nil, fmt.Errorf("token: %q is no public key", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("token: read public key: %w", err)
	}
	return material, nil
}
