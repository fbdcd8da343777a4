package token

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Options configures a [Verifier]. At least one of Secret, PublicKey and
// JWKSURL is required; the zero value of every other field is usable.
type Options struct {
	Secret    []byte // of an HMAC, at least 32 bytes; nil: none
	PublicKey []byte // the text of a PEM file with one or more public keys: RSA, ECDSA, Ed25519; nil: none
	JWKSURL   string // http or https, of the issuer's key set; "": none

	Issuer   string // what "iss" must be; "": whatever it is
	Audience string // what "aud" must be or have in it; "": whatever it is

	// Leeway is how far the issuer's clock may be ahead: "nbf" and "iat" may
	// be that far in the future. 0 means 30 s, negative none. "exp" has no
	// leeway.
	Leeway time.Duration

	// Of the key set; 0 and negative mean the default.
	JWKSCoolDown time.Duration // least time between two fetches, failed or not; 1 minute. Stops tokens with invented keys from flooding the issuer
	JWKSRefresh  time.Duration // age at which a use has it fetched again, so that a key that the issuer withdrew ends; 15 minutes
	JWKSMaxStale time.Duration // age at which one that could not be fetched again is given up; 24 hours

	Clock     func() time.Time  // nil means time.Now
	Transport http.RoundTripper // for the key set; nil means one that uses the proxies of the environment and keeps no connection
	Logger    *slog.Logger      // nil discards
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Secret) == 0 && len(o.PublicKey) == 0 && o.JWKSURL == "" {
		return o, errors.New("token: nothing to verify tokens with: give a secret, a public key or the URL of a key set")
	}
	if bytes.Contains(o.Secret, []byte("-----BEGIN")) {
		return o, errors.New("token: the secret is a PEM file: a public key that was an HMAC's secret would let anybody sign; give it as the public key")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Leeway == 0 {
		o.Leeway = 30 * time.Second
	}
	setDefault(&o.JWKSCoolDown, time.Minute)
	setDefault(&o.JWKSRefresh, 15*time.Minute)
	setDefault(&o.JWKSMaxStale, 24*time.Hour)
	o.Leeway = max(0, o.Leeway)
	return o, nil
}

func setDefault(v *time.Duration, def time.Duration) {
	if *v <= 0 {
		*v = def
	}
}
