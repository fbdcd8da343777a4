package quota

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Client is what one connection may do. Its methods may be called concurrently;
// those of a nil client allow everything.
type Client struct {
	// Static.
	registry *Registry
	limits   *rates

	mu              sync.Mutex // guards what follows
	messages, bytes Bucket
	requests        Bucket
	refused         Bucket

	tooFast atomic.Bool
}

// Enter is [Registry.Enter].
func (c *Client) Enter(name string, anonymous bool) (*User, error) {
	if c == nil {
		return nil, nil
	}
	return c.registry.Enter(name, anonymous)
}

// Publish asks whether the client may publish one message with a payload of so
// many bytes, in the name of a user. Requests to services count like messages.
func (c *Client) Publish(u *User, bytes int) error {
	if c == nil {
		return nil
	}
	now, n := c.registry.now(), float64(bytes)
	c.mu.Lock()
	defer c.mu.Unlock()
	over := over{}
	over.meet(bridge.LimitPublishRate, &c.messages, c.limits.publish, now, 1)
	over.meet(bridge.LimitPublishBytes, &c.bytes, c.limits.bytes, now, n)
	if u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		over.meet(bridge.LimitUserPublishRate, &u.messages, u.rates.userPublish, now, 1)
		over.meet(bridge.LimitUserPublishBytes, &u.bytes, u.rates.userBytes, now, n)
	}
	if over.wait > 0 {
		return over.refuse(now)
	}
	c.messages.Take(c.limits.publish, 1)
	c.bytes.Take(c.limits.bytes, n)
	if u != nil {
		u.messages.Take(u.rates.userPublish, 1)
		u.bytes.Take(u.rates.userBytes, n)
	}
	return nil
}

// Request asks whether the client may ask for something else: to subscribe, to
// end it, to work, to show a token, to join a namespace, or for a pong.
func (c *Client) Request() error {
	if c == nil {
		return nil
	}
	now := c.registry.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	over := over{}
	over.meet(bridge.LimitRequestRate, &c.requests, c.limits.request, now, 1)
	if over.wait > 0 {
		return over.refuse(now)
	}
	c.requests.Take(c.limits.request, 1)
	return nil
}

// over is the limit, of several, that something has to wait for longest.
type over struct {
	wait   time.Duration // 0: for none
	limit  bridge.Limit
	bucket *Bucket
	rate   Rate
	n      float64
}

func (o *over) meet(l bridge.Limit, b *Bucket, r Rate, now time.Duration, n float64) {
	if wait := b.Wait(r, now, n); wait > o.wait {
		*o = over{wait, l, b, r, n}
	}
}

// units are what the limits count.
var units = map[bridge.Limit]string{
	bridge.LimitPublishRate:      "publishes",
	bridge.LimitPublishBytes:     "published bytes",
	bridge.LimitUserPublishRate:  "publishes of all connections of the user",
	bridge.LimitUserPublishBytes: "published bytes of all connections of the user",
	bridge.LimitRequestRate:      "requests",
}

func (o *over) refuse(now time.Duration) error {
	return bridge.OverLimit(o.limit, fmt.Sprintf("more than %.7g %s per second", o.rate.PerSecond, units[o.limit]),
		"wait for retry", o.bucket.later(o.rate, now, o.wait, o.n))
}

// Refused counts that the client was refused something, for whatever reason. It
// returns false when that was too often: such a client listens to nothing, and
// is to be closed.
func (c *Client) Refused() bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused.Allow(c.limits.refused, c.registry.now(), 1) > 0 && !c.tooFast.Swap(true) {
		c.registry.TooFast.Add(1)
	}
	return !c.tooFast.Load()
}

// TooFast reports whether the client was refused too often.
func (c *Client) TooFast() bool { return c != nil && c.tooFast.Load() }
