package memory

import (
	"bytes"
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.SessionStore = (*Broker)(nil)

// sessions are the records of sessions. One that was dropped stays as a mark
// until its time: who still has its revision must not save it again.
type sessions struct {
	ttl time.Duration // static after construction; negative: none are kept

	mu sync.Mutex
	// Guarded by mu.
	last  uint64                   // the newest revision
	byKey map[string]*list.Element // of *session
	order list.List                // the next one to be forgotten first
}

// session is a record. Immutable.
type session struct {
	key      string
	record   []byte
	revision uint64
	dropped  bool
	until    time.Time
}

// SaveSession implements [bridge.SessionStore].
func (b *Broker) SaveSession(ctx context.Context, key string, record []byte, revision uint64) (uint64, error) {
	if err := b.checkSession(ctx, key); err != nil {
		return 0, err
	}
	if b.sessions.ttl < 0 {
		return 0, &bridge.Error{Code: bridge.CodeNoStream, Msg: "this broker keeps no sessions"}
	}
	return b.sessions.save(key, record, revision)
}

// LoadSession implements [bridge.SessionStore].
func (b *Broker) LoadSession(ctx context.Context, key string) (record []byte, revision uint64, err error) {
	if err := b.checkSession(ctx, key); err != nil {
		return nil, 0, err
	}
	s := b.sessions.load(key)
	if s == nil || s.dropped {
		return nil, 0, &bridge.Error{Code: bridge.CodeNotFound, Msg: "there is no such session"}
	}
	return bytes.Clone(s.record), s.revision, nil
}

// DropSession implements [bridge.SessionStore].
func (b *Broker) DropSession(ctx context.Context, key string) error {
	if err := b.checkSession(ctx, key); err != nil {
		return err
	}
	b.sessions.drop(key)
	return nil
}

func (b *Broker) checkSession(ctx context.Context, key string) error {
	if err := bridge.ValidSessionKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closed.Load() {
		return errClosed()
	}
	return nil
}

func (ss *sessions) save(key string, record []byte, revision uint64) (uint64, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.getLocked(key)
	if s != nil && s.revision != revision && !(s.dropped && revision == 0) {
		return 0, &bridge.Error{Code: bridge.CodeConflict, Msg: "somebody else has saved the session", Hint: "it is theirs now"}
	}
	return ss.putLocked(&session{key: key, record: bytes.Clone(record)}), nil
}

func (ss *sessions) load(key string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.getLocked(key)
}

func (ss *sessions) drop(key string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.getLocked(key); s != nil && !s.dropped {
		ss.putLocked(&session{key: key, dropped: true})
	}
}

// getLocked forgets those whose time has come, and looks for one.
func (ss *sessions) getLocked(key string) *session {
	now := time.Now()
	for e := ss.order.Front(); e != nil && !now.Before(e.Value.(*session).until); e = ss.order.Front() {
		ss.order.Remove(e)
		delete(ss.byKey, e.Value.(*session).key)
	}
	if e := ss.byKey[key]; e != nil {
		return e.Value.(*session)
	}
	return nil
}

// putLocked stores a session in place of the one with its key. All last
// equally long, so the newest is the last to be forgotten.
func (ss *sessions) putLocked(s *session) uint64 {
	ss.last++
	s.revision, s.until = ss.last, time.Now().Add(ss.ttl)
	if old := ss.byKey[s.key]; old != nil {
		ss.order.Remove(old)
	}
	if ss.byKey == nil {
		ss.byKey = map[string]*list.Element{}
	}
	ss.byKey[s.key] = ss.order.PushBack(s)
	return s.revision
}
