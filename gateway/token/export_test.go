package token

import "sync/atomic"

// CountChecks counts the signatures that the verifier checks from now on.
func CountChecks(v *Verifier) *atomic.Int64 {
	n := new(atomic.Int64)
	check := v.check
	v.check = func(k *key, algorithm, text string, signature []byte) bool {
		n.Add(1)
		return check(k, algorithm, text, signature)
	}
	return n
}

// Thumbprints returns the names of the keys of the PEM file.
func Thumbprints(v *Verifier) []string {
	var ids []string
	for _, k := range v.public {
		ids = append(ids, k.id)
	}
	return ids
}

// SmallOrders are the keys that are refused for Ed25519.
var SmallOrders = smallOrders
