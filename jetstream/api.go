package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Error codes of the JetStream API (nats-server, server/errors.json).
const (
	errAccountResources  = 10002 // the account's limits are exceeded
	errConsumerName      = 10013
	errConsumerNotFound  = 10014
	errResources         = 10023 // max_store is full, or memory
	errBadJSON           = 10025 // also a setting that the server does not know
	errMaxConsumers      = 10026
	errNoSequence        = 10043 // of a message to delete
	errStorage           = 10047
	errInvalidConfig     = 10052
	errTooBig            = 10054
	errDeleteFailed      = 10057
	errStreamNotFound    = 10059
	errWrongLast         = 10071 // the condition of a publish does not hold
	errStoreFailed       = 10077
	errHeaderTooBig      = 10097
	errSeveralUnfiltered = 10099 // consumers of a work queue
	errNotUnique         = 10100 // consumers of a work queue that overlap
	errConsumerExists    = 10148
	errDuplicateInWork   = 10158
	errWrongLastConst    = 10164
	errTTLInvalid        = 10165
	errTTLDisabled       = 10166
	errBatchDisabled     = 10174
	errBatchIncomplete   = 10176
	errRequiredLevel     = 10185 // the server lacks a feature
	errSchedulePattern   = 10189
	errScheduleTarget    = 10190
	errBatchDuplicate    = 10201
	errInvalidReset      = 10204
	errBatchInflight     = 10210
)

// apiError is the error of a JetStream answer.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (NATS error %d)", e.Description, e.ErrCode) }

// errCode returns the JetStream error code in err's chain, 0 if there is none.
func errCode(err error) int {
	var e *apiError
	if errors.As(err, &e) {
		return e.ErrCode
	}
	return 0
}

// api sends a request to the JetStream API and decodes the answer into resp,
// which may be nil. No answer in time is an [bridge.Error] with
// CodeUnavailable; an error in the answer, an *apiError.
func (b *Broker) api(ctx context.Context, subject string, req, resp any) error {
	var data []byte
	switch r := req.(type) {
	case nil:
	case []byte:
		data = r
	default:
		var err error
		if data, err = json.Marshal(req); err != nil {
			return fmt.Errorf("encode %s: %w", subject, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	msg, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: "$JS.API." + subject, Data: data})
	if err != nil {
		return b.unavailable(ctx, err)
	}
	var head struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &head); err != nil {
		return fmt.Errorf("decode the answer to %s: %w", subject, err)
	}
	if head.Error != nil {
		return head.Error
	}
	if resp == nil {
		return nil
	}
	if err := json.Unmarshal(msg.Data, resp); err != nil {
		return fmt.Errorf("decode the answer to %s: %w", subject, err)
	}
	return nil
}

// unavailable turns a failed request into what a client may see. A context
// that the caller ended stays what it is.
func (b *Broker) unavailable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	e := &bridge.Error{Code: bridge.CodeUnavailable, Retry: time.Second}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		e.Msg, e.Hint = "JetStream does not answer", "it is starting, without a leader, or not enabled; try again"
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrDisconnected):
		e.Msg, e.Hint = "not connected to NATS", "try again"
	default:
		e.Msg, e.Hint = "NATS did not answer in time", "try again"
	}
	return e
}

// gone is the error for a stream that does not exist (any more).
func gone(name string) error {
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the stream " + name + " does not exist",
		Hint: "it was deleted; it has to be made again", Retry: 2 * time.Second}
}
