package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// The pause before connecting again: doubled from the first to the last, and
// jittered, so that the clients of a gateway that went down do not come back
// all at once.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 15 * time.Second
)

// retry is how [Follow] and [Work] come back after a connection has ended.
type retry struct {
	onRetry func(err error, after time.Duration) // may be nil
	failed  int                                  // connections in a row that came to nothing
}

// pause waits as long as the server asked for, or with a doubling backoff.
func (r *retry) pause(ctx context.Context, err error) error {
	d := min(firstPause<<min(r.failed, 10), lastPause)
	d = d/2 + rand.N(d/2)
	r.failed++
	var e *bridge.Error
	if errors.As(err, &e) && e.Retry > 0 {
		d = e.Retry // jittered by the server
	}
	if r.onRetry != nil {
		r.onRetry(err, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// worthRetrying reports whether the same thing may succeed later.
func worthRetrying(err error) bool {
	var closed *ClosedError
	if errors.As(err, &closed) {
		return closed.MayReconnect()
	}
	var e *bridge.Error
	if !errors.As(err, &e) {
		return true // the dialling took too long
	}
	switch e.Code {
	case bridge.CodeUnavailable, bridge.CodeTimeout, bridge.CodeInternal, bridge.CodeRateLimited:
		return true
	}
	return false
}
