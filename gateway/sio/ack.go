package sio

import (
	"encoding/json"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// maxPending bounds the acknowledgements that a client may owe: of jobs, and
// of events of durable subscriptions. Beyond it nothing more that wants one is
// written.
const maxPending = 10_000

// idsOfAResume is how many ids a session has before it is resumed: an answer
// to an event of the socket before must not be taken for one of this.
const idsOfAResume = 1_000_000_000

// acks are the acknowledgements that a socket waits for.
type acks struct {
	last     uint64
	pending  map[uint64]pending
	durables map[string]bool // sids of durable subscriptions
}

// pending is what an acknowledgement is about: a job, or an event of a durable
// subscription.
type pending struct {
	lease    string
	sid, pos string
}

// nextAck returns the id of an event whose acknowledgement nobody waits for.
func (s *Socket) nextAck() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks.last++
	return s.acks.last
}

// await returns the id of an event whose acknowledgement is waited for. ok is
// false when there are too many.
func (s *Socket) await(p pending) (id uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acks.pending) >= maxPending {
		return 0, false
	}
	if s.acks.pending == nil {
		s.acks.pending = make(map[uint64]pending)
	}
	s.acks.last++
	s.acks.pending[s.acks.last] = p
	return s.acks.last, true
}

// forgetLease is for a lease that has ended: its acknowledgement means nothing.
func (s *Socket) forgetLease(lease string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.acks.pending {
		if p.lease == lease {
			delete(s.acks.pending, id)
		}
	}
}

func (s *Socket) noteDurable(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks.durables == nil {
		s.acks.durables = make(map[string]bool)
	}
	s.acks.durables[sid] = true
}

func (s *Socket) isDurable(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks.durables[sid]
}

// verdict is the argument of a job's acknowledgement; none is done, without a
// result.
type verdict struct {
	Data  json.RawMessage `json:"data"`
	Nak   bool            `json:"nak"`
	Term  bool            `json:"term"`
	Delay string          `json:"delay"`
	Why   string          `json:"why"`
}

// acked takes an acknowledgement. One that nobody waits for is ignored.
func (s *Socket) acked(p *socketio.Packet) {
	s.mu.Lock()
	what, ok := s.acks.pending[p.ID]
	delete(s.acks.pending, p.ID)
	s.mu.Unlock()
	switch {
	case !ok:
	case what.lease != "":
		s.settled(what.lease, p)
	default:
		pos, err := bridge.ParsePosition(what.pos)
		if err == nil {
			err = s.client.Seen(what.sid, pos, nil)
		}
		s.complain(err)
	}
}

// settled settles a job by its acknowledgement.
func (s *Socket) settled(lease string, p *socketio.Packet) {
	r := bridge.SettleRequest{How: bridge.SettleAck, Lease: lease}
	args, err := socketio.Split(p.Data)
	if err == nil && len(args) > 0 {
		err = readVerdict(&r, args[0], p.Attachments)
	}
	if err != nil {
		s.complain(err)
		return
	}
	s.client.SettleJob(r, func(err error) {
		if e := bridge.ErrorOf(err); err != nil && e.Code == bridge.CodeUnavailable {
			// The client cannot acknowledge again; while the lease lasts, it is
			// tried once more, and then somebody else does the job.
			time.AfterFunc(max(e.Retry, time.Second), func() { s.client.SettleJob(r, s.complain) })
			return
		}
		s.complain(err)
	})
}

// readVerdict makes a settlement of what a worker has acknowledged with.
func readVerdict(r *bridge.SettleRequest, arg []byte, attachments [][]byte) error {
	if len(arg) == 0 || arg[0] != '{' {
		return nil // ack(), ack(null), ack("thanks")
	}
	var v verdict
	if err := json.Unmarshal(arg, &v); err != nil {
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "not the acknowledgement of a job", Hint: `ack(), ack({data}), ack({nak: true, delay: "5s", why}) or ack({term: true, why})`}
	}
	r.Why = v.Why
	switch {
	case v.Term:
		r.How = bridge.SettleTerm
	case v.Nak:
		r.How = bridge.SettleNak
		if v.Delay != "" {
			d, err := time.ParseDuration(v.Delay)
			if err != nil || d <= 0 {
				return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "delay is not a duration over zero", Hint: `as in ack({nak: true, delay: "5s"})`}
			}
			r.Delay = d
		}
	case v.Data != nil:
		data, _, err := payload([][]byte{v.Data}, attachments)
		r.Data = data
		return err
	}
	return nil
}

// complain tells the client what was wrong with an acknowledgement: there is no
// other way to answer one.
func (s *Socket) complain(err error) {
	if err == nil {
		return
	}
	e := bridge.ErrorOf(err)
	s.h.opts.Bridge.Stats().Refuse(e)
	s.listens()
	object := member([]byte(`{"ok":false`), "code", string(e.Code))
	s.control("error", append(member(member(object, "msg", e.Msg), "hint", e.Hint), '}'))
}
