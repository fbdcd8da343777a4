package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// maxReadBytes bounds one read: what is on its way takes memory here and in
// nats-server, which cuts off a client with too much waiting.
const maxReadBytes = 4 << 20

// maxGets is how many single gets are on their way at once.
const maxGets = 128

// getRequest is a request of the direct get API (ADR-31).
type getRequest struct {
	Seq      uint64     `json:"seq,omitempty"`
	NextFor  string     `json:"next_by_subj,omitempty"`
	Batch    int        `json:"batch,omitempty"`
	MaxBytes int        `json:"max_bytes,omitempty"`
	Start    *time.Time `json:"start_time,omitempty"`
}

// found is what a batched direct get brought.
type found struct {
	msgs    []*nats.Msg
	pending uint64 // messages that match and come after the last one
}

// getCall collects the answers to direct gets until all have come.
type getCall struct {
	batch bool // many answers and an end, instead of one answer per request

	mu   sync.Mutex
	left int // answers (or ends) still to come
	msgs []*nats.Msg
	done chan empty
}

func (c *getCall) receive(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return
	}
	c.msgs = append(c.msgs, m)
	// A stored message may carry a header "Status", but not without a
	// sequence, which nats-server adds.
	if c.batch && m.Header != nil && last(m.Header, "Nats-Sequence") != "" {
		return
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// get sends direct gets and waits for their answers.
func (b *Broker) get(ctx context.Context, s *stream, suffix string, reqs []getRequest, batch bool) ([]*nats.Msg, error) {
	if len(reqs) == 0 {
		return nil, nil
	}
	select {
	case b.reads <- empty{}:
		defer func() { <-b.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return b.fetch(ctx, s.cfg.Name+suffix, reqs, batch)
}

// fetch is get without waiting for others, for what holds no lock for long.
func (b *Broker) fetch(ctx context.Context, from string, reqs []getRequest, batch bool) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	c := &getCall{batch: batch, left: len(reqs), done: make(chan empty)}
	id, reply := b.gets.open(c)
	defer b.gets.close(id)
	for _, r := range reqs {
		var data []byte
		if r != (getRequest{}) {
			var err error
			if data, err = json.Marshal(r); err != nil {
				return nil, fmt.Errorf("encode a direct get: %w", err)
			}
		}
		if err := b.hist.PublishRequest("$JS.API.DIRECT.GET."+from, reply, data); err != nil {
			return nil, b.unavailable(ctx, err)
		}
	}
	select {
	case <-c.done:
		return c.msgs, nil
	case <-ctx.Done():
		return nil, b.unavailable(ctx, ctx.Err())
	case <-b.life.Done():
		return nil, b.unavailable(ctx, nats.ErrConnectionClosed)
	}
}

// getBatch sends one batched direct get.
func (b *Broker) getBatch(ctx context.Context, s *stream, r getRequest) (found, error) {
	msgs, err := b.get(ctx, s, "", []getRequest{r}, true)
	if err != nil {
		return found{}, err
	}
	end := msgs[len(msgs)-1]
	f := found{msgs: msgs[:len(msgs)-1]}
	switch status(end) {
	case 204:
		f.pending, err = strconv.ParseUint(end.Header.Get("Nats-Num-Pending"), 10, 64)
		if err != nil {
			return found{}, fmt.Errorf("a direct get of %s ended without a count: %w", s.cfg.Name, err)
		}
		return f, nil
	case 404:
		return f, nil
	}
	return found{}, s.getFault(ctx, end)
}

// getFault makes an error of an answer that is neither message nor end.
func (s *stream) getFault(ctx context.Context, m *nats.Msg) error {
	if status(m) != 503 {
		return fmt.Errorf("direct get of %s: %s %s", s.cfg.Name, m.Header.Get("Status"), m.Header.Get("Description"))
	}
	if _, _, err := s.look(ctx); err != nil {
		return err
	}
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the stream " + s.cfg.Name + " does not answer reads",
		Hint: "try again; if it stays so, it lacks allow_direct", Retry: time.Second}
}

// Read implements [bridge.Broker]. A read is one request, of at most about 4 MiB:
// with a filter a direct get, without one a step of the stream's sweep.
func (b *Broker) Read(ctx context.Context, r bridge.ReadRequest) (bridge.Batch, error) {
	s := b.streams[r.Slot]
	inc := s.current()
	from := max(r.From, 1)
	maxBytes := maxReadBytes
	if r.MaxBytes > 0 {
		maxBytes = min(maxBytes, r.MaxBytes)
	}
	req := getRequest{Seq: from, NextFor: r.Filter, Batch: max(r.MaxMessages, 1), MaxBytes: maxBytes}
	if r.Filter != "" {
		return b.readFiltered(ctx, s, req)
	}
	list := s.sweep.read(ctx, inc, req)
	if len(list) == 0 {
		f, err := b.getBatch(ctx, s, req)
		if err != nil {
			return bridge.Batch{}, err
		}
		if len(f.msgs) == 0 {
			return b.readNothing(ctx, s, req)
		}
		list = events(inc.stream, f.msgs)
		if len(list) != len(f.msgs) {
			return bridge.Batch{}, fmt.Errorf("read %s: an answer without a sequence", s.cfg.Name)
		}
		s.sweep.passed(list[len(list)-1].Seq + 1)
	}
	lost, err := s.lostIn(ctx, inc, from, list)
	return bridge.Batch{Stream: inc.stream, Events: list, Next: list[len(list)-1].Seq + 1, Lost: lost}, err
}

// readNothing finds out what it means that nothing was found: the end of the
// stream, as long as what was stored meanwhile is not behind it.
func (b *Broker) readNothing(ctx context.Context, s *stream, req getRequest) (bridge.Batch, error) {
	info, inc, err := s.look(ctx)
	if err != nil {
		return bridge.Batch{}, err
	}
	f, err := b.getBatch(ctx, s, req)
	if err != nil {
		return bridge.Batch{}, err
	}
	batch := bridge.Batch{Stream: inc.stream, Events: events(inc.stream, f.msgs), Next: max(req.Seq, info.State.Last+1)}
	end := batch.Next
	if n := len(batch.Events); n > 0 {
		batch.Next = batch.Events[n-1].Seq + 1
		batch.Lost, err = s.lostIn(ctx, inc, req.Seq, batch.Events)
		return batch, err
	}
	if end > req.Seq {
		if err := b.confirmNone(ctx, s, inc, "", req.Seq); err != nil {
			return bridge.Batch{}, err
		}
		batch.Lost, err = s.unexplained(ctx, inc, req.Seq-1, end)
	}
	return batch, err
}

// readFiltered takes the stream's end before it reads: what is stored while it
// reads may or may not be found, and must not be passed.
func (b *Broker) readFiltered(ctx context.Context, s *stream, req getRequest) (bridge.Batch, error) {
	info, inc, err := s.look(ctx)
	if err != nil {
		return bridge.Batch{}, err
	}
	f, err := b.getBatch(ctx, s, req)
	if err != nil {
		return bridge.Batch{}, err
	}
	batch := bridge.Batch{Stream: inc.stream, Events: events(inc.stream, f.msgs), Next: req.Seq}
	if n := len(batch.Events); n > 0 {
		batch.Next = batch.Events[n-1].Seq + 1
	}
	if f.pending == 0 {
		if err := b.confirmNone(ctx, s, inc, req.NextFor, batch.Next); err != nil {
			if len(batch.Events) == 0 {
				return bridge.Batch{}, err
			}
			return batch, nil // what was found is good; the rest is asked for again
		}
		batch.Next = max(batch.Next, info.State.Last+1)
	}
	return batch, nil
}

func events(s *bridge.Stream, msgs []*nats.Msg) []*bridge.Event {
	list := make([]*bridge.Event, 0, len(msgs))
	for _, m := range msgs {
		if e := gotten(s, m); e != nil {
			list = append(list, e)
		}
	}
	return list
}

// lostIn returns the holes between from and the last event that nobody made by
// deleting.
func (s *stream) lostIn(ctx context.Context, inc *incarnation, from uint64, list []*bridge.Event) ([]bridge.Range, error) {
	var lost []bridge.Range
	next := from
	for _, e := range list {
		if e.Seq > next {
			r, err := s.unexplained(ctx, inc, next-1, e.Seq)
			if err != nil {
				return nil, err
			}
			lost = append(lost, r...)
		}
		next = e.Seq + 1
	}
	return lost, nil
}

// ReadSeqs implements [bridge.Broker].
func (b *Broker) ReadSeqs(ctx context.Context, slot int, seqs []uint64) ([]*bridge.Event, error) {
	s := b.streams[slot]
	inc := s.current()
	list := make([]*bridge.Event, 0, len(seqs))
	for part := range slices.Chunk(seqs, maxGets) {
		reqs := make([]getRequest, 0, len(part))
		for _, seq := range part {
			if seq > 0 {
				reqs = append(reqs, getRequest{Seq: seq})
			}
		}
		msgs, err := b.get(ctx, s, "", reqs, false)
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			if e := gotten(inc.stream, m); e != nil {
				list = append(list, e)
			} else if status(m) != 404 {
				return nil, s.getFault(ctx, m)
			}
		}
	}
	slices.SortFunc(list, func(x, y *bridge.Event) int {
		if x.Seq < y.Seq {
			return -1
		}
		return 1
	})
	return list, nil
}
