package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// A durable is a JetStream consumer used as a cursor: nobody pulls from it. Its
// acknowledgement floor is what the user has seen. It is moved with
// CONSUMER.RESET, which nats-server has from 2.14 on, and otherwise by making
// it again at another sequence.

// resetWait is how long a reset may take until it is asked whether there is
// anything to reset: a request for a consumer that does not exist is not
// answered at all, not even with "no responders".
const resetWait = 250 * time.Millisecond

// consumerInfo is the part of CONSUMER.INFO that is used.
type consumerInfo struct {
	Config struct {
		Filter     string          `json:"filter_subject"`
		Start      uint64          `json:"opt_start_seq"`
		AckWait    time.Duration   `json:"ack_wait"`
		BackOff    []time.Duration `json:"backoff"`
		MaxDeliver int             `json:"max_deliver"`
		MaxPending int             `json:"max_ack_pending"`
	} `json:"config"`
	AckFloor struct {
		Stream uint64 `json:"stream_seq"`
	} `json:"ack_floor"`
}

// durablePrefix begins the names of a user's durables. The user's name may have
// characters that a consumer's may not, and any length.
func durablePrefix(user string) string {
	sum := sha256.Sum256([]byte(user))
	return "jw-" + hex.EncodeToString(sum[:6]) + "-"
}

func durableName(d bridge.Durable) string { return durablePrefix(d.User) + d.Name }

// OpenDurable implements [bridge.Broker].
func (b *Broker) OpenDurable(ctx context.Context, slot int, d bridge.Durable, start uint64) (uint64, bool, error) {
	s := b.streams[slot]
	name := durableName(d)
	for range 2 { // made by another gateway meanwhile, or deleted meanwhile
		info, err := b.consumer(ctx, s, name)
		switch errCode(err) {
		case 0:
			if err != nil {
				return 0, false, err
			}
			if info.Config.Filter != d.Filter {
				return 0, false, &bridge.Error{Code: bridge.CodeConflict,
					Msg:  fmt.Sprintf("the durable subscription %q exists with the filter %q", d.Name, info.Config.Filter),
					Hint: "use another name, or the same filter"}
			}
			b.touch(s, name)
			return info.AckFloor.Stream, true, nil
		case errStreamNotFound:
			return 0, false, gone(s.cfg.Name)
		case errConsumerNotFound:
		default:
			return 0, false, err
		}
		if err := b.allow(ctx, s, d); err != nil {
			return 0, false, err
		}
		err = b.makeDurable(ctx, s, d, start)
		switch code := errCode(err); {
		case err == nil:
			return start, false, nil
		case code == errConsumerExists, code == errConsumerName:
		case code == errMaxConsumers:
			return 0, false, &bridge.Error{Code: bridge.CodeRateLimited, Msg: "the stream has as many consumers as it may have",
				Hint: "use a position instead of a durable subscription, or ask the operator to raise the limit"}
		default:
			return 0, false, err
		}
	}
	return 0, false, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the durable subscription changes at the moment", Hint: "try again", Retry: time.Second}
}

// consumer asks for a consumer's state.
func (b *Broker) consumer(ctx context.Context, s *stream, name string) (*consumerInfo, error) {
	var info consumerInfo
	if err := b.api(ctx, "CONSUMER.INFO."+s.cfg.Name+"."+name, nil, &info); err != nil {
		return nil, err
	}
	return &info, nil
}

// allow checks the user's own limit. Two that are made at the same moment may
// exceed it by one; it bounds memory, it is not a price list.
func (b *Broker) allow(ctx context.Context, s *stream, d bridge.Durable) error {
	if b.o.UserDurables < 0 {
		return nil
	}
	prefix, have := durablePrefix(d.User), 0
	for offset := 0; ; {
		var page struct {
			Total     int      `json:"total"`
			Consumers []string `json:"consumers"`
		}
		if err := b.api(ctx, "CONSUMER.NAMES."+s.cfg.Name, map[string]int{"offset": offset}, &page); err != nil {
			return err
		}
		for _, name := range page.Consumers {
			if strings.HasPrefix(name, prefix) {
				have++
			}
		}
		offset += len(page.Consumers)
		if len(page.Consumers) == 0 || offset >= page.Total {
			break
		}
	}
	if have < b.o.UserDurables {
		return nil
	}
	return bridge.OverLimit(bridge.LimitDurables, fmt.Sprintf("a user may have %d durable subscriptions on a stream", b.o.UserDurables),
		"use one of them, or a position", 0)
}

// makeDurable makes the consumer with everything up to seen acknowledged.
func (b *Broker) makeDurable(ctx context.Context, s *stream, d bridge.Durable, seen uint64) error {
	name := durableName(d)
	config := map[string]any{
		"name": name, "durable_name": name,
		"description":    fmt.Sprintf("Jetway durable %q of user %q", d.Name, d.User),
		"metadata":       map[string]string{"jetway-user": d.User, "jetway-name": d.Name, "jetway-filter": d.Filter},
		"deliver_policy": "by_start_sequence", "opt_start_seq": seen + 1,
		"ack_policy": "explicit", "replay_policy": "instant", "filter_subject": d.Filter,
	}
	if b.o.DurableInactive > 0 {
		config["inactive_threshold"] = b.o.DurableInactive
	}
	err := b.api(ctx, "CONSUMER.CREATE."+s.cfg.Name+"."+name+"."+d.Filter,
		map[string]any{"stream_name": s.cfg.Name, "action": "create", "config": config}, nil)
	if err != nil || b.srv == nil || b.srv.sync {
		return err
	}
	// A young consumer's file is not on disk yet; a power cut would take it.
	if err := b.srv.syncStore(); err != nil {
		b.o.Logger.Warn("cannot sync the store after making a durable subscription", "err", err)
	}
	return nil
}

// MoveDurable implements [bridge.Broker].
func (b *Broker) MoveDurable(ctx context.Context, slot int, d bridge.Durable, seen uint64) error {
	s := b.streams[slot]
	name := durableName(d)
	err := b.resetDurable(ctx, s, name, seen, min(resetWait, b.o.Timeout))
	switch {
	case err == nil:
		return nil
	case errCode(err) == errInvalidReset:
		return b.remake(ctx, s, d, seen) // further back than where it began
	case ctx.Err() != nil || !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}):
		return err
	}
	// Nobody answers for a consumer that does not exist, nor on a server
	// without RESET; a busy one may yet answer.
	info, ierr := b.consumer(ctx, s, name)
	switch {
	case errCode(ierr) == errConsumerNotFound, errCode(ierr) == errStreamNotFound:
		return &bridge.Error{Code: bridge.CodeNotFound, Msg: fmt.Sprintf("the durable subscription %q does not exist any more", d.Name),
			Hint: "subscribe again"}
	case ierr != nil:
		return ierr
	case b.canReset():
		return b.resetDurable(ctx, s, name, seen, b.o.Timeout)
	}
	if info.AckFloor.Stream == seen {
		b.touch(s, name)
		return nil
	}
	return b.remake(ctx, s, d, seen)
}

// resetDurable moves a durable where the server can.
func (b *Broker) resetDurable(ctx context.Context, s *stream, name string, seen uint64, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := b.api(ctx, "CONSUMER.RESET."+s.cfg.Name+"."+name, map[string]uint64{"seq": seen + 1}, nil)
	if err == nil {
		b.touch(s, name)
	}
	return err
}

// canReset reports whether the connected server has CONSUMER.RESET.
func (b *Broker) canReset() bool {
	var major, minor int
	if _, err := fmt.Sscanf(b.nc.ConnectedServerVersion(), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 2 || major == 2 && minor >= 14
}

// remake moves a durable by making it again.
func (b *Broker) remake(ctx context.Context, s *stream, d bridge.Durable, seen uint64) error {
	err := b.api(ctx, "CONSUMER.DELETE."+s.cfg.Name+"."+durableName(d), nil, nil)
	if err != nil && errCode(err) != errConsumerNotFound {
		return err
	}
	return b.makeDurable(ctx, s, d, seen)
}

// touch counts as use of a durable. nats-server deletes a pull consumer after
// its inactive threshold without pulls or acknowledgements; a reset is neither
// (consumer.go deleteNotActive, suppressDeletion). So progress is reported on a
// message that does not exist, which costs no answer and no file write. Losing
// one is harmless: the threshold is days, and every move sends another.
func (b *Broker) touch(s *stream, name string) {
	_ = b.nc.Publish("$JS.ACK."+s.cfg.Name+"."+name+".1.0.0.0.0", []byte("+WPI"))
}
