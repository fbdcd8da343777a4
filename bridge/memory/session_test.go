package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func saveSession(t *testing.T, b *memory.Broker, key string, revision uint64) uint64 {
	t.Helper()
	at, err := b.SaveSession(t.Context(), key, []byte("x"), revision)
	if err != nil {
		t.Fatalf("SaveSession of %s: %v", key, err)
	}
	return at
}

func TestSessionExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		old := saveSession(t, b, "a", 0)
		at := saveSession(t, b, "b", 0)
		saveSession(t, b, "c", 0)
		if err := b.DropSession(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(memory.DefaultSessionTTL - time.Nanosecond)
		at = saveSession(t, b, "b", at)
		if _, _, err := b.LoadSession(t.Context(), "a"); err != nil {
			t.Errorf("a moment before its time: %v", err)
		}
		if held := b.HeldSessions(); held != 3 {
			t.Errorf("%d sessions and marks are held, want 3", held)
		}
		time.Sleep(time.Nanosecond)
		_, _, err := b.LoadSession(t.Context(), "a")
		wantCode(t, "LoadSession when its time has come", err, bridge.CodeNotFound)
		if _, got, err := b.LoadSession(t.Context(), "b"); err != nil || got != at {
			t.Errorf("one that was saved again: revision %d, %v, want %d", got, err, at)
		}
		if held := b.HeldSessions(); held != 1 {
			t.Errorf("%d sessions and marks are held, want 1", held)
		}
		saveSession(t, b, "c", 0)
		saveSession(t, b, "a", old)
	})
}

// TestSessionsAreForgotten: saving often must not add up in the memory.
func TestSessionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{SessionTTL: time.Minute})
		var at uint64
		for i := range 1000 {
			at = saveSession(t, b, "same", at)
			saveSession(t, b, fmt.Sprint("k", i), 0)
			time.Sleep(time.Second)
		}
		if held := b.HeldSessions(); held > 62 {
			t.Errorf("%d sessions are held, want those of the last minute", held)
		}
	})
}

func TestSessionsClosed(t *testing.T) {
	b := open(t, memory.Options{})
	b.Close()
	_, err := b.SaveSession(t.Context(), "k", nil, 0)
	wantCode(t, "SaveSession", err, bridge.CodeUnavailable)
	_, _, err = b.LoadSession(t.Context(), "k")
	wantCode(t, "LoadSession", err, bridge.CodeUnavailable)
	wantCode(t, "DropSession", b.DropSession(t.Context(), "k"), bridge.CodeUnavailable)
}
