package memory

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Count implements [bridge.Broker].
func (b *Broker) Count(ctx context.Context, slot int, filter string) (uint64, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	n := 0
	s.log.eachSubject(filter, func(sub *subject) bool {
		n += len(sub.messages)
		return true
	})
	return uint64(n), nil
}

// LastSeq implements [bridge.Broker].
func (b *Broker) LastSeq(ctx context.Context, slot int, subject string) (uint64, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	return s.lastSeqLocked(subject), nil
}

func (s *stream) lastSeqLocked(subject string) uint64 {
	sub := s.log.subjects[subject]
	if sub == nil {
		return 0
	}
	return sub.newest(math.MaxUint64).seq
}

// LastSeqs implements [bridge.Broker]. A subject that has newer messages than
// upTo counts with its newest one up to there, as in NATS: the answer is how
// the stream looked when upTo was its last sequence.
func (b *Broker) LastSeqs(ctx context.Context, slot int, filter string, upTo uint64, max int) ([]uint64, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var seqs []uint64
	s.log.eachSubject(filter, func(sub *subject) bool {
		if m := sub.newest(upTo); m != nil {
			seqs = append(seqs, m.seq)
		}
		return len(seqs) <= max
	})
	if len(seqs) > max {
		return nil, &bridge.Error{
			Code: bridge.CodeTooBig,
			Msg:  fmt.Sprintf("more than %d subjects match", max),
			Hint: "use a narrower filter",
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

// SeqOfNth implements [bridge.Broker].
func (b *Broker) SeqOfNth(ctx context.Context, slot int, filter string, n uint64) (uint64, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	r := bridge.ReadRequest{Filter: filter, From: 1}
	for _, m := range slices.Backward(s.log.candidates(r)) {
		if m.dead || !matches(filter, m.subject.name) {
			continue
		}
		if n--; n == 0 {
			return m.seq, nil
		}
	}
	return s.log.first(), nil
}

// SeqAt implements [bridge.Broker].
func (b *Broker) SeqAt(ctx context.Context, slot int, t time.Time) (uint64, error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	all := s.log.messages
	i := sort.Search(len(all), func(i int) bool { return !all[i].time.Before(t) })
	for i < len(all) && all[i].dead {
		i++
	}
	if i == len(all) {
		return s.log.last + 1, nil
	}
	return all[i].seq, nil
}
