package bridge

import "context"

// SessionStore is what a [Broker] is, too, if it keeps what survives a
// client's reconnects, for all gateways: small records by key, each of which
// is forgotten when nobody has saved it for the broker's session TTL. Its
// rules are those of [Broker].
type SessionStore interface {
	// SaveSession stores a record. revision is the one that LoadSession or the
	// save before returned, 0 for a key that must not exist; if somebody else
	// has saved it since, it is [CodeConflict], and the session is theirs now.
	SaveSession(ctx context.Context, key string, record []byte, revision uint64) (uint64, error)

	// LoadSession returns a record and its revision; [CodeNotFound] when there
	// is none.
	LoadSession(ctx context.Context, key string) (record []byte, revision uint64, err error)

	// DropSession forgets a record. One that does not exist is no error.
	DropSession(ctx context.Context, key string) error
}

// Gateways is what a [Broker] is, too, if gateways can reach each other by
// their ids through it.
type Gateways interface {
	// AskGateway sends a request to the gateway with this id (one valid token)
	// and returns its answer: [CodeNoResponders] when there is no such gateway,
	// [CodeUnavailable] when it does not answer before ctx ends.
	AskGateway(ctx context.Context, id string, request []byte) ([]byte, error)

	// ServeGateway answers what others ask the gateway with this id. fn is
	// called on a goroutine of its own for each request, and its context ends
	// with stop, which waits for those that run.
	ServeGateway(id string, fn func(ctx context.Context, request []byte) []byte) (stop func(), err error)
}
