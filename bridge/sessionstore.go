package bridge

import "context"

// SessionStore is what a [Broker] is, too, if it keeps what survives a
// client's reconnects, for all gateways: small records by key, each of which
// is forgotten when nobody has saved it for the broker's session TTL. Keys are
// those of [ValidSessionKey]. A broker may have been opened without sessions:
// then none is found, and saving one is an error with [CodeNoStream]. Its rules
// are those of [Broker].
type SessionStore interface {
	// SaveSession stores a record. revision is the one that LoadSession or the
	// save before returned, 0 for a key that must not exist; if somebody else
	// has saved or dropped it since, it is [CodeConflict], and the session is
	// theirs now. A record that was forgotten may be saved with the revision
	// that it had. One that is too large for the broker is [CodeTooBig].
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
	// [CodeUnavailable] when it does not answer before ctx ends, or is asked too
	// much at once; [CodeTooBig] when request or answer is too large.
	AskGateway(ctx context.Context, id string, request []byte) ([]byte, error)

	// ServeGateway answers what others ask the gateway with this id. fn is
	// called on a goroutine of its own for each request, and its context ends
	// with stop, which waits for those that run: fn must not call it.
	ServeGateway(id string, fn func(ctx context.Context, request []byte) []byte) (stop func(), err error)
}

// MaxSessionKeyBytes is how long the key of a session's record may be.
const MaxSessionKeyBytes = 128

// ValidSessionKey returns nil when s can be the key of a session's record: 1 to
// 128 of [A-Za-z0-9_=-]. Otherwise it returns an [Error] with [CodeBadFrame],
// which does not show the key: whoever knows it has the session.
func ValidSessionKey(s string) error {
	ok := s != "" && len(s) <= MaxSessionKeyBytes
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '=' || c == '-'
	}
	if ok {
		return nil
	}
	return &Error{Code: CodeBadFrame, Msg: "this cannot be the key of a session", Hint: "a key has 1 to 128 letters, digits, '-', '_' and '='"}
}
