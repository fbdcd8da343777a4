package jetstream

import (
	"context"

	"github.com/jetway-io/jetway/bridge"
)

// Any copy of a replicated stream answers a direct get, also one that lags.
// What a lagging copy does not have yet must not pass for what does not exist:
// a reader would skip it. So, where there are copies, "nothing" counts only
// when the leader says so (STREAM.MSG.GET, which only it answers).

// errNoMessage is the leader's "there is none".
const errNoMessage = 10037

// leaderGet is a request of the stream's leader for one message.
type leaderGet struct {
	Seq     uint64 `json:"seq,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
}

// leaderSeq returns the sequence of the message that the leader finds, 0 for
// none.
func (b *Broker) leaderSeq(ctx context.Context, s *stream, r leaderGet) (uint64, error) {
	var answer struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	err := b.api(ctx, "STREAM.MSG.GET."+s.cfg.Name, r, &answer)
	if errCode(err) == errNoMessage {
		return 0, nil
	}
	return answer.Message.Seq, err
}

// confirmNone returns nil when there is nothing at or after seq, and an error
// to try again on when a copy only has not got it yet.
func (b *Broker) confirmNone(ctx context.Context, s *stream, inc *incarnation, filter string, seq uint64) error {
	if inc.copies <= 1 {
		return nil
	}
	if filter == "" {
		filter = ">"
	}
	found, err := b.leaderSeq(ctx, s, leaderGet{Seq: seq, NextFor: filter})
	if err != nil || found == 0 {
		return err
	}
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "a copy of the stream lags behind its leader", Hint: "try again"}
}
