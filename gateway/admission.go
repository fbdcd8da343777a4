package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// refusal is why a connection was not let in. It is a metric label.
type refusal string

const (
	refusedOrigin  refusal = "origin"                     // a page of another site
	refusedClients refusal = "max_clients"                // the gateway is full
	refusedAddress refusal = "per_address"                // its address has too many already
	refusedUser    refusal = "per_user"                   // its user has too many already
	refusedOften   refusal = "handshake_rate_per_address" // its address opens too many in a second
	refusedBusy    refusal = "handshake_rate"             // all together do
	refusedSockets refusal = "sockets"                    // closed unread: too many are open, of its address or in all
	refusedUnready refusal = "not_ready"                  // starting, stopping, or without NATS
	refusedUpgrade refusal = "upgrade"                    // not a WebSocket handshake
	refusedRequest refusal = "engine_io"                  // not a request of Engine.IO, or of no session
	refusedToken   refusal = "token"                      // a token that is no good, or where it may not be
	refusedRoute   refusal = "route"                      // a path or a method that is not served, a body where none belongs, or a header of too many fields
)

var refusals = [...]refusal{refusedOrigin, refusedClients, refusedAddress, refusedUser, refusedOften, refusedBusy, refusedSockets, refusedUnready, refusedUpgrade, refusedRequest, refusedToken, refusedRoute}

// status is the HTTP answer to a refused handshake.
func (r refusal) status() int {
	switch r {
	case refusedOrigin:
		return http.StatusForbidden
	case refusedToken:
		return http.StatusUnauthorized
	case refusedAddress, refusedUser, refusedOften:
		return http.StatusTooManyRequests
	case refusedUpgrade:
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

// tooMany is what a client is told that is refused by a limit.
func (r refusal) tooMany(retry time.Duration) *bridge.Error {
	msg := "too many clients"
	if r == refusedOften || r == refusedBusy {
		msg = "too many handshakes"
	}
	return &bridge.Error{Code: bridge.CodeRateLimited, Msg: msg, Hint: "wait for retry; limits." + string(r) + " bounds it", Retry: max(retry, time.Second)}
}

// retryFull is when a client may try again that found no place.
const retryFull = 5 * time.Second

// admission counts who is connected, and from where: see neighbours.
type admission struct {
	mu            sync.Mutex
	maxClients    int
	maxPerAddress int
	clients       int
	addresses     map[string]int
}

func newAdmission(maxClients, maxPerAddress int) *admission {
	return &admission{maxClients: maxClients, maxPerAddress: maxPerAddress, addresses: make(map[string]int)}
}

// limit changes the limits. Who is in stays.
func (a *admission) limit(maxClients, maxPerAddress int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.maxClients, a.maxPerAddress = maxClients, maxPerAddress
}

// enter lets one more connection in; each that it lets in must leave.
func (a *admission) enter(address string) (refusal, bool) {
	address = neighbours(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	why, ok := a.mayEnterLocked(address)
	if ok {
		a.addLocked(address)
	}
	return why, ok
}

// mayEnter says whether one more would be let in, without letting it in.
func (a *admission) mayEnter(address string) (refusal, bool) {
	address = neighbours(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mayEnterLocked(address)
}

func (a *admission) mayEnterLocked(address string) (refusal, bool) {
	if a.clients >= a.maxClients {
		return refusedClients, false
	}
	if a.addresses[address] >= a.maxPerAddress {
		return refusedAddress, false
	}
	return "", true
}

// add counts a connection that mayEnter has let in; each must leave. Some that
// ask at the same moment may be over the limit.
func (a *admission) add(address string) {
	address = neighbours(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addLocked(address)
}

func (a *admission) addLocked(address string) {
	a.clients++
	a.addresses[address]++
}

func (a *admission) leave(address string) {
	address = neighbours(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clients--
	if a.addresses[address]--; a.addresses[address] == 0 {
		delete(a.addresses, address)
	}
}
