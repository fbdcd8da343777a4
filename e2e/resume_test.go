package e2e

import (
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

func TestResumeByPositionOnASecondGateway(t *testing.T) {
	first := startNode(t, nodeOptions{})
	second := startNode(t, nodeOptions{nats: first.nats, bridge: bridge.Options{RingMessages: 100}})
	writer := dial(t, first, client.Options{})
	a := dial(t, first, client.Options{})
	s := subscribe(t, a, "events.>", client.SubOptions{})
	publishN(t, writer, "events.a", 1, 10)
	last := expectNumbers(t, s, 1, 7)
	a.Close()
	publishN(t, writer, "events.a", 11, 1010)
	b := dial(t, second, client.Options{})
	s = subscribe(t, b, "events.>", client.SubOptions{From: last.Pos})
	if s.Gap != nil || s.From != last.Pos {
		t.Errorf("starts at %s with gap %v", s.From, s.Gap)
	}
	expectNumbers(t, s, 8, 1010)
	if second.bridge.Stats().Scanned.Load() == 0 {
		t.Error("nothing came from the stream: the ring was not left")
	}
	publishN(t, writer, "events.a", 1011, 1020)
	expectNumbers(t, s, 1011, 1020)
}

func TestDurableOnASecondGateway(t *testing.T) {
	first := startNode(t, nodeOptions{})
	second := startNode(t, nodeOptions{nats: first.nats})
	writer := dial(t, first, client.Options{})
	durable := client.SubOptions{As: "billing", From: "first"}

	a := dial(t, first, client.Options{})
	s := subscribe(t, a, "events.>", durable)
	publishN(t, writer, "events.a", 1, 100)
	seen := expectNumbers(t, s, 1, 60)
	if err := a.Seen(testContext(t), s, seen.Pos); err != nil {
		t.Fatal(err)
	}
	expectNumbers(t, s, 61, 100)

	// A second attachment, elsewhere, takes over while the first is there.
	b := dial(t, second, client.Options{})
	s2 := subscribe(t, b, "events.>", durable)
	if end := next(t, s, native.KindEnd); end.Why != "taken_over" {
		t.Errorf("the first ended because %q", end.Why)
	}
	seen = expectNumbers(t, s2, 61, 80)
	if err := b.Seen(testContext(t), s2, seen.Pos); err != nil {
		t.Fatal(err)
	}
	b.Close()

	// The nats command sees it, with what is left.
	stream, err := admin(t, first).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	consumers := stream.ListConsumers(t.Context())
	found := 0
	for info := range consumers.Info() {
		if info.Config.Durable != "" {
			found++
			if info.NumPending != 20 || info.Config.AckPolicy != natsjs.AckExplicitPolicy {
				t.Errorf("consumer %s: %d pending, %v", info.Name, info.NumPending, info.Config.AckPolicy)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d durable consumers", found)
	}

	// Back on the first gateway: only what is unseen comes again.
	c := dial(t, first, client.Options{})
	s3 := subscribe(t, c, "events.>", durable)
	publishN(t, writer, "events.a", 101, 110)
	expectNumbers(t, s3, 81, 110)
	if first.bridge.Stats().Takeovers.Load() == 0 {
		t.Error("no takeover was counted")
	}
}

func TestGapWhenTheStreamIsTrimmed(t *testing.T) {
	n := startNode(t, nodeOptions{})
	writer := dial(t, n, client.Options{})
	s := subscribe(t, writer, "events.>", client.SubOptions{})
	publishN(t, writer, "events.a", 1, 100)
	pos := expectNumbers(t, s, 1, 10).Pos
	expectNumbers(t, s, 11, 100)
	stream, err := admin(t, n).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), natsjs.WithPurgeSequence(51)); err != nil {
		t.Fatal(err)
	}
	s2 := subscribe(t, dial(t, n, client.Options{}), "events.>", client.SubOptions{From: pos})
	if s2.Gap == nil || s2.Gap.After != pos || sequence(t, s2.Gap.Next) != 51 {
		t.Fatalf("gap %+v, want one from %s to 51", s2.Gap, pos)
	}
	expectNumbers(t, s2, 51, 100)
}

func TestGapWhenTheStreamIsTrimmedUnderAClientThatSleeps(t *testing.T) {
	n := startNode(t, nodeOptions{interval: true, stream: streamOf(4 << 20), bridge: bridge.Options{RingMessages: 64}, gateway: patient})
	c := dial(t, n, client.Options{Buffer: 1, ReceiveBufferBytes: smallBuffer})
	s := subscribe(t, c, "events.>", client.SubOptions{})
	c.Pause()
	// More than the sockets between them can hold, and than the stream keeps.
	const events = 40_000
	flood(t, n, "events.a", events, 1024)
	c.Resume()
	got, gap, last := 0, 0, 0
	for last < events {
		m := next(t, s, native.KindEvent, native.KindGap)
		if m.Kind == native.KindGap {
			gap++
			if after := sequence(t, m.After); after != last {
				t.Fatalf("gap after %d, but %d was the last", after, last)
			}
			last = sequence(t, m.Next) - 1
			continue
		}
		if at := sequence(t, m.Pos); at != last+1 {
			t.Fatalf("%d follows %d", at, last)
		}
		got++
		last++
	}
	if gap == 0 {
		t.Errorf("%d events and no gap", got)
	}
}

func TestGapWhenTheStreamIsDeletedAndMadeAgain(t *testing.T) {
	n := startNode(t, nodeOptions{})
	writer := dial(t, n, client.Options{})
	s := subscribe(t, writer, "events.>", client.SubOptions{})
	publishN(t, writer, "events.a", 1, 10)
	pos := expectNumbers(t, s, 1, 10).Pos

	js := admin(t, n)
	stream, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), "EVENTS"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	gap := next(t, s, native.KindGap)
	if gap.After != pos || gap.Next == "" {
		t.Errorf("gap from %q to %q, want from %s", gap.After, gap.Next, pos)
	}
	publishN(t, writer, "events.a", 11, 20)
	expectNumbers(t, s, 11, 20)

	s2 := subscribe(t, dial(t, n, client.Options{}), "events.>", client.SubOptions{From: pos})
	if s2.Gap == nil || s2.Gap.After != pos {
		t.Errorf("the answer to an old position has gap %v", s2.Gap)
	}
	expectNumbers(t, s2, 11, 20)
}
