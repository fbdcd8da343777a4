package jetstream

import (
	"context"
	"fmt"

	"github.com/jetway-io/jetway/bridge"
)

// Remove implements [bridge.QueueBroker]. The bytes stay on disk until their
// block is compacted: overwriting them would cost a rewrite of the block.
func (b *Broker) Remove(ctx context.Context, slot int, seq uint64) error {
	s := b.streams[slot]
	err := b.api(ctx, "STREAM.MSG.DELETE."+s.cfg.Name, map[string]any{"seq": seq, "no_erase": true}, nil)
	switch errCode(err) {
	case errNoSequence, errNoMessage:
		return removed(s, seq)
	case errStreamNotFound:
		return gone(s.cfg.Name)
	case errDeleteFailed:
		// Also a message beyond the stream's ends. Ask the one who knows.
		if found, lerr := b.leaderSeq(ctx, s, leaderGet{Seq: seq}); lerr == nil && found == 0 {
			return removed(s, seq)
		}
		return fmt.Errorf("delete message %d of the stream %s: %w", seq, s.cfg.Name, err)
	}
	return err
}

func removed(s *stream, seq uint64) error {
	return &bridge.Error{Code: bridge.CodeNotFound, Msg: fmt.Sprintf("the stream %s has no message %d", s.cfg.Name, seq)}
}
