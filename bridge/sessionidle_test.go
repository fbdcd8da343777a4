package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// A session that is held is kept, however short the time is that others are
// kept for; once nobody holds it, it expires.
func TestSessionIdle(t *testing.T) {
	for _, ttl := range []time.Duration{time.Second, 30 * time.Second, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			broker, err := memory.New(memory.Options{SessionTTL: ttl})
			if err != nil {
				t.Fatal(err)
			}
			defer broker.Close()
			b := bridge.New(broker, bridge.Options{SessionTTL: ttl})
			if err := b.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Stop(t.Context()) }()
			s, err := b.OpenSession(t.Context(), bridge.SessionRecord{User: "u", Scope: "/"}, func() { t.Error("taken over") })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * ttl)
			s.Close()
			time.Sleep(ttl / 2)
			s, err = b.ResumeSession(t.Context(), s.ID, "u", "/", func() { t.Error("taken over") })
			if err != nil {
				t.Fatalf("after ten times %v: %v", ttl, err)
			}
			s.Close()
			time.Sleep(2 * ttl)
			if _, err := b.ResumeSession(t.Context(), s.ID, "u", "/", func() {}); bridge.ErrorOf(err).Code != bridge.CodeNotFound {
				t.Errorf("after twice %v: %v", ttl, err)
			}
		})
	}
}
