package token

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// parsePrivateKey reads the one private key in the text of a PEM file.
func parsePrivateKey(text []byte) (crypto.Signer, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var private any
	for _, b := range blocks {
		if b.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes them before the key
			continue
		}
		if private != nil {
			return nil, errors.New("token: more than one key: sign with one")
		}
		if private, err = parsePrivateBlock(b); err != nil {
			return nil, err
		}
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("token: this key cannot sign: use RSA, ECDSA or Ed25519")
	}
	return signer, nil
}

func parsePrivateBlock(b *pem.Block) (private any, err error) {
	switch b.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("token: the private key is encrypted: decrypt it with openssl pkey")
	default:
		return nil, fmt.Errorf("token: %q is no private key", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("token: read private key: %w", err)
	}
	return private, nil
}
