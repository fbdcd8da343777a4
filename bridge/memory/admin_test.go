package memory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func wantCode(t *testing.T, what string, err error, want bridge.Code) {
	t.Helper()
	if !errors.Is(err, &bridge.Error{Code: want}) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// askAll calls every method that a stream answers.
func askAll(b *memory.Broker, each func(what string, err error)) {
	ctx, d := context.Background(), bridge.Durable{User: "ann", Name: "x", Filter: "events.>"}
	_, err := publish(b, bridge.Publication{Subject: "events.a"})
	each("Publish", err)
	_, err = b.State(ctx, 0)
	each("State", err)
	_, err = b.Read(ctx, bridge.ReadRequest{MaxMessages: 1})
	each("Read", err)
	_, err = b.ReadSeqs(ctx, 0, []uint64{1})
	each("ReadSeqs", err)
	_, err = b.Count(ctx, 0, "events.>")
	each("Count", err)
	_, err = b.LastSeq(ctx, 0, "events.a")
	each("LastSeq", err)
	_, err = b.LastSeqs(ctx, 0, "events.>", 9, 9)
	each("LastSeqs", err)
	_, err = b.SeqOfNth(ctx, 0, "events.>", 1)
	each("SeqOfNth", err)
	_, err = b.SeqAt(ctx, 0, time.Now())
	each("SeqAt", err)
	_, _, err = b.OpenDurable(ctx, 0, d, 0)
	each("OpenDurable", err)
	each("MoveDurable", b.MoveDurable(ctx, 0, d, 0))
}

func TestRemoved(t *testing.T) {
	b := open(t, events(memory.Stream{}))
	store(t, b, 1)
	b.RemoveStream(0)
	askAll(b, func(what string, err error) { wantCode(t, what, err, bridge.CodeNoStream) })
	if all := b.Streams(); len(all) != 1 || all[0].Name != "EVENTS" {
		t.Errorf("streams %v, want the one there was", all)
	}
	b.Delete(0, 1)
	b.Trim(0, 1)
	b.Recreate(0)
	askAll(b, func(what string, err error) {
		if err != nil {
			t.Errorf("%s after the stream was made again: %v", what, err)
		}
	})
}

func TestClose(t *testing.T) {
	b := open(t, events(memory.Stream{}))
	store(t, b, 1)
	b.Close()
	b.Close()
	askAll(b, func(what string, err error) { wantCode(t, what, err, bridge.CodeUnavailable) })
	wantCode(t, "Ready", b.Ready(), bridge.CodeUnavailable)
	wantCode(t, "Signal", b.Signal("x", nil), bridge.CodeUnavailable)
	_, err := b.Signals(func(string, []byte) {})
	wantCode(t, "Signals", err, bridge.CodeUnavailable)
	_, err = b.Listen("live.>", func(*bridge.Event) {})
	wantCode(t, "Listen", err, bridge.CodeUnavailable)
	_, err = publish(b, bridge.Publication{Slot: -1, Subject: "live.a"})
	wantCode(t, "Publish without a stream", err, bridge.CodeUnavailable)
}

func TestReady(t *testing.T) {
	b := open(t, memory.Options{})
	why := errors.New("the moon is full")
	for _, err := range []error{nil, why, nil} {
		b.SetReady(err)
		if got := b.Ready(); got != err {
			t.Errorf("Ready: %v, want %v", got, err)
		}
	}
}

func TestMisuse(t *testing.T) {
	b := open(t, events(memory.Stream{}))
	for _, c := range []struct {
		name string
		p    bridge.Publication
		want bridge.Code
	}{
		{"no slot for a stream's subject", bridge.Publication{Slot: -1, Subject: "events.a"}, bridge.CodeInternal},
		{"a slot for no stream's subject", bridge.Publication{Slot: 0, Subject: "live.a"}, bridge.CodeInternal},
		{"a wildcard", bridge.Publication{Subject: "events.*"}, bridge.CodeBadSubject},
		{"a condition without a stream", bridge.Publication{Slot: -1, Subject: "live.a", Expect: new(uint64)}, bridge.CodeNoStream},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := publish(b, c.p)
			wantCode(t, "Publish", err, c.want)
		})
	}
}
