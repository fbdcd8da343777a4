package quota

// Limits are what one client and one user may do. Rates are per second, with
// bursts of one second; zero is no limit.
type Limits struct {
	PublishRate  float64 // messages of one client
	PublishBytes float64 // their payloads

	// Of all connections of one user.
	UserPublishRate, UserPublishBytes float64
	PerUser                           int // connections

	RequestRate float64 // what a client asks for beside: subscriptions, tokens, pings

	// A message that is not too big, and the subscriptions that a client may
	// have, fit into a burst.
	MaxMessageBytes, MaxSubscriptions int
}

// How often a client may be refused: as often as it may ask, and ten seconds'
// worth of that at once. An application that sends a burst, and repeats what was
// refused when it was told to, stays far below; a loop that listens to nothing
// is over it within a second.
const (
	leastRefused      = 1000 // a second
	leastRefusedBurst = 10_000
	refusedSeconds    = 10
)

// The messages that are read of a client, of any kind: more than twice what it
// may ask for, since acks, nacks and the like are answers to what it was sent.
const leastRead = 10_000 // a second

// rates are limits in the form that buckets need. Static.
type rates struct {
	publish, bytes         Rate
	userPublish, userBytes Rate
	request, refused       Rate
}

func (l Limits) rates() *rates {
	asked := l.PublishRate + l.RequestRate
	return &rates{
		publish:     PerSecond(l.PublishRate, 0),
		bytes:       PerSecond(l.PublishBytes, float64(l.MaxMessageBytes)),
		userPublish: PerSecond(l.UserPublishRate, 0),
		userBytes:   PerSecond(l.UserPublishBytes, float64(l.MaxMessageBytes)),
		request:     PerSecond(l.RequestRate, float64(l.MaxSubscriptions)),
		refused:     Rate{max(asked, leastRefused), max(asked*refusedSeconds, leastRefusedBurst)},
	}
}

// ReadRate is how many messages a second are read of one client.
func (l Limits) ReadRate() float64 { return max(2*(l.PublishRate+l.RequestRate), leastRead) }
