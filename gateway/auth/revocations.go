package auth

import (
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// keptRevocations bounds what [Revocations] keeps: one million bytes, with the
// longest names that users can have.
const keptRevocations = 4096

// Revocations are the last ones that were heard. A revocation ends the
// connections that there are; a client that is being judged meanwhile, which may
// take some seconds, has none yet, and is asked about here when it has. The
// zero value has heard none. Its methods may be called concurrently.
type Revocations struct {
	mu    sync.Mutex
	heard uint64              // in all
	last  []bridge.Revocation // the n-th is at n modulo keptRevocations
}

// Moment is when a client showed its token. The zero value is no moment: the
// client is not asked about.
type Moment struct {
	Time  time.Time
	heard uint64
}

// Now is the moment for a client that is about to be judged.
func (r *Revocations) Now() Moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Moment{time.Now(), r.heard}
}

// Add notes one. It is to be called before the connections are looked at that
// it ends.
func (r *Revocations) Add(one bridge.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := int(r.heard % keptRevocations); at < len(r.last) {
		r.last[at] = one
	} else {
		r.last = append(r.last, one)
	}
	r.heard++
}

// Cover reports whether one that was heard since the client showed its token is
// about it. It is to be called when those that are added from now on find the
// client's connection. A client that was judged for so long that not all are
// kept is taken for revoked: whoever cannot say is not let in.
func (r *Revocations) Cover(id *Identity) bool {
	if id.Shown.Time.IsZero() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard-id.Shown.heard > keptRevocations {
		return true
	}
	for n := id.Shown.heard; n < r.heard; n++ {
		if id.RevokedBy(r.last[n%keptRevocations]) {
			return true
		}
	}
	return false
}
