package sio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// storedWithin is how long a client waits for its session to be stored.
const storedWithin = 5 * time.Second

// Socket is one client in one namespace.
type Socket struct {
	// Static after begin.
	h         *Handler
	conn      *socketio.Conn
	namespace string
	client    *bridge.Client
	encoder   *encoder
	quota     *quota.Client   // of the connection
	member    *quota.User     // who user is there
	session   *bridge.Session // nil without recovery
	bundle    string          // its sid; "" before begin
	user      string
	most      int // subscriptions

	// Owned by the connection's calls.
	filters []string          // of the bundle
	named   map[string]string // the sids that the client knows of them
	lastSID int

	permitting sync.Mutex // held while what the client may do changes; before mu
	expiry     auth.Expiry

	mu      sync.Mutex
	acks    acks
	closed  bool
	revoked bool
	parked  int // events that wait to be tried again
	id      *auth.Identity
}

// handshake is what the client's CONNECT says, of what Jetway understands.
type handshake struct {
	PID          string          `json:"pid"`
	Offset       json.RawMessage `json:"offset"`
	ServerOffset json.RawMessage `json:"serverOffset"` // the official tutorial's name
	Token        json.RawMessage `json:"token"`
}

// UnmarshalJSON takes each member by itself: an object is the application's,
// too, and a pid that is no text must not hide an offset that is one.
func (k *handshake) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	_ = json.Unmarshal(members["pid"], &k.PID)
	k.Offset, k.ServerOffset, k.Token = members["offset"], members["serverOffset"], members["token"]
	return nil
}

// offset is what the client says that it has: a position, or "first".
func (k handshake) offset() string {
	for _, raw := range []json.RawMessage{k.Offset, k.ServerOffset} {
		var text string
		var number float64
		switch {
		case len(raw) == 0:
		case json.Unmarshal(raw, &text) == nil && text != "" && text != "0":
			return text
		case json.Unmarshal(raw, &text) == nil && text == "0", json.Unmarshal(raw, &number) == nil && number == 0 && string(raw) != "null":
			return "first"
		}
	}
	return ""
}

// newSocket makes the bridge's client. Nothing is written to it before begin.
func (h *Handler) newSocket(c *socketio.Conn, namespace string, id *auth.Identity, member *quota.User) *Socket {
	most, inflight := h.limits()
	s := &Socket{h: h, most: most, conn: c, namespace: namespace, user: id.User, id: id, named: make(map[string]string),
		quota: h.socketsOf(c).quota, member: member}
	s.encoder = newEncoder(s)
	s.client = h.opts.Bridge.Connect(bridge.ClientOptions{
		User:             id.User,
		Permissions:      id.Permissions,
		Encoder:          s.encoder,
		Transport:        s,
		MaxSubscriptions: most,
		MaxInflight:      inflight,
		Failed:           func(error) { c.Close() },
	})
	h.mu.Lock()
	h.live[s] = struct{}{}
	h.mu.Unlock()
	s.expiry.Set(auth.Plan{At: id.Expires, End: s.expire})
	s.renewCurrent()
	return s
}

// WriteSome implements [bridge.Transport].
func (s *Socket) WriteSome(out *bridge.Output) error {
	s.encoder.finish(out)
	return s.conn.Session().WriteSome(out)
}

// Write implements [bridge.Transport].
func (s *Socket) Write(out *bridge.Output) error {
	s.encoder.finish(out)
	return s.conn.Session().Write(out)
}

// begin lets the client in and starts what it is subscribed to. Each step has a
// deadline of its own.
func (s *Socket) begin(ask handshake) error {
	ctx := context.Background()
	if s.h.opts.Recovery == RecoveryOff || ask.PID == "" {
		return s.fresh(ctx, ask, false)
	}
	session, err := s.h.opts.Bridge.ResumeSession(ctx, ask.PID, s.user, s.namespace, s.takenOver)
	if err != nil && bridge.ErrorOf(err).Code != bridge.CodeNotFound {
		return err
	}
	if err == nil {
		s.session = session
		recovered, err := s.recover(ctx, session.Record(), ask.offset())
		if recovered || err != nil {
			return err
		}
	}
	// The offset, if there is one, is of a session that is over: its client will
	// load its state anew. What the page itself says that it has still holds.
	return s.fresh(ctx, handshake{ServerOffset: ask.ServerOffset}, true)
}

// recover goes on where the session was. It returns false when it cannot,
// because messages no longer exist, or its streams or rights have changed: then
// a new session is needed.
func (s *Socket) recover(ctx context.Context, r bridge.SessionRecord, offset string) (bool, error) {
	at, err := s.client.Locate(ctx, r.Filters, r.Resume(offset))
	if err != nil && bridge.ErrorOf(err).Code == bridge.CodeUnavailable {
		return false, err
	}
	if err != nil || at.After != nil {
		s.session.Drop()
		s.session = nil
		return false, nil
	}
	s.acks.last = r.Resumed * idsOfAResume
	return true, s.enter(ctx, r.SID, r.Filters, at)
}

// fresh begins a new session. expired says that the client had one that is over.
func (s *Socket) fresh(ctx context.Context, ask handshake, expired bool) error {
	filters, from, beside := s.connectSubscriptions()
	if o := ask.offset(); o != "" {
		from = o
	}
	at, err := s.client.Locate(ctx, filters, from)
	if err != nil && ask.offset() != "" && bridge.ErrorOf(err).Code == bridge.CodeBadPosition {
		return s.fresh(ctx, handshake{}, expired) // what the page has saved is no position any more
	}
	if err != nil {
		return err
	}
	sid := randomID()
	s.open(ctx, bridge.SessionRecord{User: s.user, Scope: s.namespace, SID: sid, Filters: filters, Base: at.From.String()})
	if err := s.enter(ctx, sid, filters, at); err != nil {
		return err
	}
	if expired {
		s.control("expired", []byte("{}"))
	}
	for _, sub := range beside {
		r := bridge.SubscribeRequest{Filter: sub.Filter, From: sub.From}
		if err := s.client.Subscribe(ctx, r, func(*bridge.Output, bridge.SubscribeAnswer) {}); err != nil {
			s.h.opts.Logger.Warn("a subscription of bridge.connect fails", "filter", sub.Filter, "error", err)
		}
	}
	return nil
}

// open stores a new session before its client is told of it. Without a store
// that answers, the client has none this time.
func (s *Socket) open(ctx context.Context, r bridge.SessionRecord) {
	if s.h.opts.Recovery == RecoveryOff {
		return
	}
	session, err := s.h.opts.Bridge.OpenSession(ctx, r, s.takenOver)
	if err != nil {
		s.h.opts.Logger.Warn("a session is not stored; its client cannot recover", "error", err)
		return
	}
	s.session = session
}

// enter answers the CONNECT, and then begins to deliver.
func (s *Socket) enter(ctx context.Context, sid string, filters []string, at bridge.SubscribeAnswer) error {
	pid := ""
	if s.session != nil {
		pid = s.session.ID
	}
	s.setFilters(filters)
	s.encoder.start(at.From, pid != "")
	if err := s.conn.Accept(s.namespace, sid, pid); err != nil {
		return err
	}
	s.client.Reply(s.encoder.finish) // where it is, before anything has happened
	if at.After != nil {
		s.client.Reply(func(out *bridge.Output) { s.encoder.Gap(out, "", at.After, at.Next) })
	}
	return s.client.SubscribeBundle(ctx, filters, at.From.String(), func(out *bridge.Output, a bridge.SubscribeAnswer) {
		s.bundle = a.SID
		s.encoder.follow(a.SID)
		if a.After != nil { // trimmed just now
			s.encoder.Gap(out, a.SID, a.After, a.Next)
		}
	})
}

// connectSubscriptions are the filters that each client is subscribed to, from
// where if that is the same for all, and those that stand by themselves.
func (s *Socket) connectSubscriptions() (filters []string, from string, beside []Subscription) {
	who := s.identity()
	wanted := slices.Clone(s.h.opts.Subscribe)
	for _, filter := range who.Subscribe {
		wanted = append(wanted, Subscription{Filter: filter})
	}
	for _, sub := range wanted {
		filter, err := bridge.ExpandFilter(sub.Filter, who.Claim)
		if err == nil && len(who.Permissions.Allowed([]string{filter})) == 0 {
			err = errNotAllowed
		}
		switch {
		case err != nil:
			s.h.opts.Logger.Debug("a subscription does not apply", "filter", sub.Filter, "user", s.user, "error", err)
		case slices.Contains(filters, filter): // twice
		case !s.h.opts.Bridge.Stored(filter), len(filters) > 0 && sub.From != from:
			beside = append(beside, Subscription{filter, sub.From})
		default:
			filters, from = append(filters, filter), sub.From
		}
	}
	return filters, from, beside
}

// takenOver is told when another socket has resumed the session. This one
// leaves, and tells its client, so that two that claim to be one do not take
// it from each other for ever.
func (s *Socket) takenOver() {
	if s.h.socketsOf(s.conn).take(s.namespace) != nil {
		_ = s.conn.Leave(s.namespace) // it is gone
		s.h.end(s, false)
	}
}

// end takes the socket apart. deliberate says that the client does not want to
// come back.
func (s *Socket) end(deliberate bool) {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return
	}
	s.expiry.Stop()
	s.client.Close()
	s.member.Leave()
	switch {
	case s.session == nil:
	case deliberate:
		s.session.Drop()
	default:
		s.session.Close()
	}
}

// refilter changes what the bundle wants, and has the session remember it.
func (s *Socket) refilter(filters []string) error {
	at := s.h.opts.Bridge.Newest(filters) // before: what comes from now on is wanted
	if err := s.client.Refilter(s.bundle, filters); err != nil {
		return err
	}
	s.setFilters(filters)
	s.closeUnless(filters)
	if s.session != nil {
		s.session.Update(func(r *bridge.SessionRecord) {
			r.Filters = slices.Clone(filters)
			r.Extend(at)
		})
		s.awaitStored()
	}
	return nil
}

// awaitStored waits until a crash would not make the session forget what its
// client has been told. Without a store that answers, the client goes on.
func (s *Socket) awaitStored() {
	ctx, cancel := context.WithTimeout(context.Background(), storedWithin)
	defer cancel()
	if err := s.session.Stored(ctx); err != nil {
		s.h.opts.Logger.Warn("a session is not stored in time", "error", err)
	}
}

// setFilters notes what the bundle wants. Only the connection's messages
// change it.
func (s *Socket) setFilters(filters []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filters = filters
}

// randomID is the name of a socket, or of a connection, which is a secret: 128
// bits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}
