package bridge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// slowStore takes its time to store a session.
type slowStore struct {
	*memory.Broker
	pause time.Duration
}

func (s *slowStore) SaveSession(ctx context.Context, key string, record []byte, revision uint64) (uint64, error) {
	time.Sleep(s.pause)
	return s.Broker.SaveSession(ctx, key, record, revision)
}

// Stored waits for the store, and no longer than it is told.
func TestSessionStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, err := memory.New(memory.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer broker.Close()
		b := bridge.New(&slowStore{broker, time.Second}, bridge.Options{})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Stop(t.Context()) }()
		s, err := b.OpenSession(t.Context(), bridge.SessionRecord{User: "u", Scope: "/"}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		begun := time.Now()
		if err := s.Stored(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v, with nothing to store", err, time.Since(begun))
		}
		s.Update(func(r *bridge.SessionRecord) { r.Filters = []string{"a"} })
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.Stored(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a short wait: %v", err)
		}
		if err := s.Stored(t.Context()); err != nil || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
