package gateway

import (
	"sync"
	"time"

	"github.com/jetway-io/jetway/gateway/quota"
)

// handshakes limits how often connections are opened, whether they are let in
// or not: of all, so that a storm of them leaves time for those who are in, and
// of each address, so that one cannot make it.
type handshakes struct {
	began time.Time // static

	mu  sync.Mutex
	all quota.Bucket

	// Of addresses, see neighbours. Those of old have opened nothing since
	// turned; who has not for as long as a burst takes to be whole again need
	// not be known.
	young, old map[string]quota.Bucket
	turned     time.Duration
}

// maxAddresses bounds the addresses that are known. Beyond it the oldest half is
// forgotten, and begins anew: the limit of all holds.
const maxAddresses = 1 << 16

func newHandshakes() *handshakes {
	return &handshakes{began: time.Now(), young: make(map[string]quota.Bucket)}
}

// enter counts a handshake, or says by which limit it is refused, and when it
// would pass. Who is refused for its own address takes nothing from the others.
func (h *handshakes) enter(address string, rules *Rules) (why refusal, wait time.Duration) {
	now := time.Since(h.began)
	key := neighbours(address)
	one := quota.PerSecond(rules.HandshakeRatePerAddress, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turnLocked(now, one)
	b, known := h.young[key]
	if !known {
		b = h.old[key]
	}
	if wait := b.Wait(one, now, 1); wait > 0 {
		return refusedOften, wait
	}
	if wait := h.all.Allow(quota.PerSecond(rules.HandshakeRate, 0), now, 1); wait > 0 {
		return refusedBusy, wait
	}
	b.Take(one, 1)
	h.young[key] = b
	return "", 0
}

// turnLocked forgets addresses that have opened nothing for long.
func (h *handshakes) turnLocked(now time.Duration, one quota.Rate) {
	if whole := time.Duration(one.Burst / one.PerSecond * float64(time.Second)); now-h.turned > whole || len(h.young) >= maxAddresses {
		h.young, h.old, h.turned = make(map[string]quota.Bucket), h.young, now
	}
}
