package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Times of sessions.
const (
	sessionTimeout = 5 * time.Second // for one save or load
	sessionPause   = time.Second     // before a save is tried again
)

// signalSession is the name of the signal that a session was resumed: the
// gateway's id, then the session's key.
const signalSession = "session"

// SessionRecord is what of a session is stored.
type SessionRecord struct {
	User    string   `json:"user"`              // nobody else may resume it
	Scope   string   `json:"scope"`             // what it is a session of; it is resumed for the same
	SID     string   `json:"sid"`               // its public name
	Filters []string `json:"filters,omitempty"` // what it is subscribed to
	Base    string   `json:"base"`              // the position where it began, in each of its streams
	Resumed uint64   `json:"resumed"`           // how often
	Gateway string   `json:"gateway"`           // who has it
}

// Session is what survives a client's reconnects, on any gateway and after any
// restart, as long as it is used within the broker's TTL. It is held by one
// client at a time: who resumes it takes it over. All methods may be called
// concurrently.
type Session struct {
	// Static after construction.
	ID     string // secret: who knows it, and is the same user, may resume it
	bridge *Bridge
	store  SessionStore
	key    string // not secret: what is stored does not tell the ID
	lost   func()

	mu       sync.Mutex
	record   SessionRecord
	revision uint64
	saved    time.Time
	dirty    bool // the record is newer than what is stored
	saving   bool
	stored   chan struct{} // closed when what is being saved is stored; nil unless somebody waits
	over     bool          // closed, dropped, or somebody else's
}

// sessionKey is where a session is stored.
func sessionKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// KeepsSessions reports whether sessions can be resumed here.
func (b *Bridge) KeepsSessions() bool {
	_, ok := b.broker.(SessionStore)
	return ok
}

// OpenSession makes a new session and returns when it is stored. lost is called
// once, from any goroutine, if another client resumes it. It must be closed or
// dropped.
func (b *Bridge) OpenSession(ctx context.Context, r SessionRecord, lost func()) (*Session, error) {
	s := &Session{ID: randomLease(), bridge: b, lost: lost, record: r}
	s.key = sessionKey(s.ID)
	return s, s.claim(ctx)
}

// ResumeSession takes over a session from whoever has it. One that does not
// exist (any more), or is of another user or scope, is [CodeNotFound].
func (b *Bridge) ResumeSession(ctx context.Context, id, user, scope string, lost func()) (*Session, error) {
	store, ok := b.broker.(SessionStore)
	gone := &Error{Code: CodeNotFound, Msg: "the session does not exist any more", Hint: "begin a new one"}
	if !ok || id == "" || len(id) > MaxNameBytes {
		return nil, gone
	}
	for range 3 { // somebody else may take it over, too
		s := &Session{ID: id, bridge: b, lost: lost, key: sessionKey(id)}
		loading, cancel := context.WithTimeout(ctx, sessionTimeout)
		data, revision, err := store.LoadSession(loading, s.key)
		cancel()
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &s.record); err != nil || s.record.User != user || s.record.Scope != scope {
			return nil, gone
		}
		s.revision = revision
		s.record.Resumed++
		err = s.claim(ctx)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, &Error{Code: CodeConflict}) {
			return nil, err
		}
	}
	return nil, gone
}

// claim stores the record with this gateway as its holder, and ends whoever
// held it.
func (s *Session) claim(ctx context.Context) error {
	b := s.bridge
	store, ok := b.broker.(SessionStore)
	if !ok {
		return &Error{Code: CodeNoStream, Msg: "no sessions are kept here"}
	}
	s.store = store
	s.record.Gateway = b.id
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	revision, err := store.SaveSession(ctx, s.key, s.encode(), s.revision)
	if err != nil {
		return err
	}
	s.revision, s.saved = revision, time.Now()
	b.mu.Lock()
	before := b.sessions[s.key]
	b.sessions[s.key] = s
	b.mu.Unlock()
	if before != nil {
		before.takenOver()
	}
	if s.record.Resumed > 0 {
		if err := b.broker.Signal(signalSession, []byte(b.id+s.key)); err != nil {
			b.logger.Warn("telling of a resumed session", "error", err) // the store's revision fences it all the same
		}
	}
	return nil
}

func (s *Session) encode() []byte {
	data, err := json.Marshal(s.record)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return data
}

// heardSession handles the signal that a session was resumed.
func (b *Bridge) heardSession(data []byte) {
	if len(data) < len(b.id) || string(data[:len(b.id)]) == b.id {
		return
	}
	b.mu.Lock()
	s := b.sessions[string(data[len(b.id):])]
	b.mu.Unlock()
	if s != nil {
		s.takenOver()
	}
}

// takenOver is the end of a session that another client has resumed.
func (s *Session) takenOver() {
	s.mu.Lock()
	was := s.over
	s.over = true
	s.mu.Unlock()
	s.release()
	if !was {
		s.bridge.stats.SessionsTaken.Add(1)
		s.lost()
	}
}

func (s *Session) release() {
	b := s.bridge
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[s.key] == s {
		delete(b.sessions, s.key)
	}
}

// Record returns what is or will be stored.
func (s *Session) Record() SessionRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// Update changes the record, and has it stored soon.
func (s *Session) Update(change func(*SessionRecord)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.record)
	s.touchLocked()
}

// Stored returns when the record is stored as it is, or the session is over, or
// ctx ends, with the error of that.
func (s *Session) Stored(ctx context.Context) error {
	s.mu.Lock()
	if !s.saving {
		s.mu.Unlock()
		return nil
	}
	if s.stored == nil {
		s.stored = make(chan struct{})
	}
	stored := s.stored
	s.mu.Unlock()
	select {
	case <-stored:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close lets the session go: it may be resumed for as long as the broker's TTL
// from now on.
func (s *Session) Close() {
	s.mu.Lock()
	s.touchLocked()
	s.over = true
	s.mu.Unlock()
	s.release()
}

// Drop ends the session for good: its client has left on purpose.
func (s *Session) Drop() {
	s.mu.Lock()
	was := s.over
	s.over, s.dirty = true, false
	s.mu.Unlock()
	s.release()
	if was {
		return
	}
	s.bridge.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.bridge.ctx), sessionTimeout)
		defer cancel()
		if err := s.store.DropSession(ctx, s.key); err != nil {
			s.bridge.logger.Debug("dropping a session", "error", err) // it expires by itself
		}
	})
}

// touchLocked has the record stored, unless the session is somebody else's.
func (s *Session) touchLocked() {
	if s.over {
		return
	}
	s.dirty = true
	if !s.saving {
		s.saving = true
		s.bridge.work.Go(s.save)
	}
}

// save stores the record until it is stored as it is.
func (s *Session) save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		s.saving = false
		if s.stored != nil {
			close(s.stored)
			s.stored = nil
		}
	}()
	for s.dirty {
		s.dirty = false
		data, revision := s.encode(), s.revision
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.bridge.ctx), sessionTimeout)
		revision, err := s.store.SaveSession(ctx, s.key, data, revision)
		cancel()
		if errors.Is(err, &Error{Code: CodeConflict}) {
			s.takenOver()
		}
		stopping := err != nil && !pause(s.bridge.ctx, sessionPause)
		s.mu.Lock()
		switch {
		case err == nil:
			s.revision, s.saved = revision, time.Now()
		case s.over || stopping:
			return
		default:
			s.bridge.logger.Warn("storing a session, trying again", "error", err)
			s.dirty = true
		}
	}
}

// pause waits; false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sessionTouch is how often it is looked whether sessions need to be saved: so
// often that none in use gets older than half the time that it is kept.
func sessionTouch(ttl time.Duration) time.Duration {
	return min(max(ttl/6, 100*time.Millisecond), time.Minute)
}

// touchSessions keeps the sessions that are in use from being forgotten.
func (b *Bridge) touchSessions() {
	b.mu.Lock()
	all := make([]*Session, 0, len(b.sessions))
	for _, s := range b.sessions {
		all = append(all, s)
	}
	b.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		if time.Since(s.saved) > b.opts.SessionTTL/3 {
			s.touchLocked()
		}
		s.mu.Unlock()
	}
}

// Resume returns the position from which a session goes on: what its client
// says that it has, stream by stream, and where it began for what the client
// does not name, or names from before. What a client says may be anything.
func (r SessionRecord) Resume(offset string) string {
	base, err := ParsePosition(r.Base)
	if err != nil {
		return ""
	}
	said, err := ParsePosition(offset)
	if err != nil {
		return r.Base
	}
	for i, m := range base {
		if seq, ok := said.Seq(m.Tag); ok && seq > m.Seq {
			base[i].Seq = seq
		}
	}
	return base.String()
}

// Extend adds to the base what a position names and it does not.
func (r *SessionRecord) Extend(pos Position) {
	base, err := ParsePosition(r.Base)
	if err != nil {
		base = nil
	}
	for _, m := range pos {
		if !base.Has(m.Tag) {
			base = append(base, m)
		}
	}
	r.Base = base.String()
}
