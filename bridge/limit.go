package bridge

import (
	"sync/atomic"
	"time"
)

// Limit names what a client may have or do only so much of: a key of the
// configuration, below "limits". The set is closed, and each is a metric label,
// LimitUser of connections that are not let in.
type Limit string

// The limits that refuse with [CodeRateLimited].
const (
	LimitPublishRate      Limit = "publish_rate"
	LimitPublishBytes     Limit = "publish_bytes"
	LimitUserPublishRate  Limit = "user_publish_rate"
	LimitUserPublishBytes Limit = "user_publish_bytes"
	LimitRequestRate      Limit = "request_rate"
	LimitInflight         Limit = "max_inflight"
	LimitSubscriptions    Limit = "max_subscriptions"
	LimitDurables         Limit = "max_durables"
	LimitUser             Limit = "per_user"
)

var allLimits = [...]Limit{LimitPublishRate, LimitPublishBytes, LimitUserPublishRate, LimitUserPublishBytes, LimitRequestRate,
	LimitInflight, LimitSubscriptions, LimitDurables}

// Key is where the limit is configured.
func (l Limit) Key() string { return "limits." + string(l) }

// OverLimit refuses what is over a limit. do says what the client may do about
// it; retry, if it is not 0, when the same thing would pass.
func OverLimit(l Limit, msg, do string, retry time.Duration) *Error {
	return &Error{Code: CodeRateLimited, Msg: msg, Hint: do + "; " + l.Key() + " bounds it", Retry: retry, Limit: l}
}

// limited counts refusals by limit.
type limited struct{ counts [len(allLimits)]atomic.Uint64 }

func (n *limited) add(l Limit) {
	for i := range allLimits {
		if allLimits[i] == l {
			n.counts[i].Add(1)
			return
		}
	}
}

// Each calls fn with every limit and how often it has refused something.
func (n *limited) Each(fn func(Limit, uint64)) {
	for i := range allLimits {
		fn(allLimits[i], n.counts[i].Load())
	}
}
