package quota

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Registry knows who is connected to a gateway. Its methods may be called
// concurrently.
type Registry struct {
	// TooFast counts clients that were refused more often than [Client.Refused]
	// lets them.
	TooFast atomic.Uint64

	// Full is called when a user has too many connections. Static; nil does
	// nothing.
	Full func()

	began time.Time // static

	mu     sync.Mutex
	limits Limits
	rates  *rates
	users  map[string]*User // with connections

	// Users whose last connection has ended while their rates were not whole:
	// who comes back has them still. Those of older have left before turned.
	left, older map[string]*User
	turned      time.Duration
}

// maxLeft bounds the users that are known after they have left. Beyond it the
// oldest half is forgotten.
const maxLeft = 1 << 16

// NewRegistry returns a registry of nobody.
func NewRegistry(l Limits) *Registry {
	return &Registry{began: time.Now(), limits: l, rates: l.rates(), users: make(map[string]*User), left: make(map[string]*User)}
}

// Limit changes the limits, for those who come. Users have them as soon as one
// more connection of theirs comes.
func (r *Registry) Limit(l Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits, r.rates = l, l.rates()
}

// now is a clock that does not go back.
func (r *Registry) now() time.Duration { return time.Since(r.began) }

// Users returns how many users are connected.
func (r *Registry) Users() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.users)
}

// Client returns the limits of a connection that has come just now. A nil
// registry returns nil, a client without limits.
func (r *Registry) Client() *Client {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Client{registry: r, limits: r.rates}
}

// User is somebody with a token, on all its connections. Nil is anybody without
// one: many strangers are not one user.
type User struct {
	// Static.
	registry *Registry
	name     string

	connections int // guarded by registry.mu

	mu              sync.Mutex // guards what follows; taken after a client's
	rates           *rates
	messages, bytes Bucket
}

// retryFull is when a user with too many connections may try again.
const retryFull = 5 * time.Second

// Enter counts one more connection of a user, which must leave, or refuses it.
// Who is anonymous is not counted.
func (r *Registry) Enter(name string, anonymous bool) (*User, error) {
	if r == nil || anonymous {
		return nil, nil
	}
	r.mu.Lock()
	u := r.users[name]
	if u == nil {
		u = r.returnsLocked(name)
	}
	most, full := r.limits.PerUser, r.limits.PerUser > 0 && u.connections >= r.limits.PerUser
	if !full {
		u.connections++
		r.users[name] = u
		u.use(r.rates)
	}
	r.mu.Unlock()
	if !full {
		return u, nil
	}
	if r.Full != nil {
		r.Full()
	}
	return nil, bridge.OverLimit(bridge.LimitUser, fmt.Sprintf("the user has %d connections", most), "close one", retryFull)
}

func (u *User) use(r *rates) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rates = r
}

// Leave is the end of a connection that has entered.
func (u *User) Leave() {
	if u == nil {
		return
	}
	u.registry.mu.Lock()
	defer u.registry.mu.Unlock()
	if u.connections--; u.connections == 0 {
		delete(u.registry.users, u.name)
		u.registry.keepLocked(u)
	}
}

// keepLocked remembers a user without connections for as long as its rates may
// take to be whole again.
func (r *Registry) keepLocked(u *User) {
	now := r.now()
	u.mu.Lock()
	rates := u.rates
	whole := u.messages.whole(rates.userPublish, now) && u.bytes.whole(rates.userBytes, now)
	u.mu.Unlock()
	if whole {
		return
	}
	if now-r.turned > max(rates.userPublish.full(), rates.userBytes.full()) || len(r.left) >= maxLeft {
		r.left, r.older, r.turned = make(map[string]*User), r.left, now
	}
	r.left[u.name] = u
}

// returnsLocked returns a user who has no connection yet.
func (r *Registry) returnsLocked(name string) *User {
	for _, known := range []map[string]*User{r.left, r.older} {
		if u := known[name]; u != nil {
			delete(known, name)
			return u
		}
	}
	return &User{registry: r, name: name}
}
