package jetstream_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// api sends a request to JetStream, as the nats command would.
func api(tb testing.TB, nc *nats.Conn, subject, body string) {
	tb.Helper()
	m, err := nc.Request("$JS.API."+subject, []byte(body), deadline)
	if err != nil {
		tb.Fatal(err)
	}
	if s := string(m.Data); len(s) == 0 || containsError(s) {
		tb.Fatalf("%s: %s", subject, s)
	}
}

func containsError(s string) bool {
	for i := 0; i+8 <= len(s); i++ {
		if s[i:i+8] == `"error":` {
			return true
		}
	}
	return false
}

func TestHoles(t *testing.T) {
	b := open(t, options(t))
	fill(t, b, 100, "events.a")
	for _, seq := range []int{10, 11, 12, 50, 100} {
		api(t, b.Conn(), "STREAM.MSG.DELETE.EVENTS", fmt.Sprintf(`{"seq":%d}`, seq))
	}
	t.Run("deleted messages are no loss", func(t *testing.T) {
		f := follow(t, b, 1)
		eventually(t, "the end", f.is(func() bool { return len(f.reached) > 0 }))
		if len(f.seqs) != 95 || len(f.lost) != 0 {
			t.Errorf("%d events, lost %v", len(f.seqs), f.lost)
		}
		got, err := b.Read(t.Context(), bridge.ReadRequest{From: 1, MaxMessages: 1000})
		if err != nil || len(got.Events) != 95 || len(got.Lost) != 0 {
			t.Errorf("read %d events, lost %v, %v", len(got.Events), got.Lost, err)
		}
		got, err = b.Read(t.Context(), bridge.ReadRequest{From: 100, MaxMessages: 1000})
		if err != nil || len(got.Events) != 0 || got.Next != 101 || len(got.Lost) != 0 {
			t.Errorf("read %d events, next %d, lost %v, %v", len(got.Events), got.Next, got.Lost, err)
		}
	})
	t.Run("trimmed ones are", func(t *testing.T) {
		api(t, b.Conn(), "STREAM.PURGE.EVENTS", `{"seq":31}`)
		f := follow(t, b, 5)
		eventually(t, "the end", f.is(func() bool { return len(f.reached) > 0 }))
		want := bridge.Range{After: 4, Next: 31}
		if len(f.seqs) != 68 || len(f.lost) != 1 || f.lost[0] != want {
			t.Errorf("%d events, lost %v", len(f.seqs), f.lost)
		}
		got, err := b.Read(t.Context(), bridge.ReadRequest{From: 5, MaxMessages: 1000})
		if err != nil || len(got.Events) != 68 || len(got.Lost) != 1 || got.Lost[0] != want {
			t.Errorf("read %d events, lost %v, %v", len(got.Events), got.Lost, err)
		}
	})
	t.Run("all purged", func(t *testing.T) {
		api(t, b.Conn(), "STREAM.PURGE.EVENTS", ``)
		f := follow(t, b, 90)
		eventually(t, "the end", f.is(func() bool { return len(f.reached) > 0 && f.reached[0] == 100 }))
		got, err := b.Read(t.Context(), bridge.ReadRequest{From: 90, MaxMessages: 1000})
		if err != nil || got.Next != 101 || len(got.Lost) != 1 || got.Lost[0] != (bridge.Range{After: 89, Next: 101}) {
			t.Errorf("next %d, lost %v, %v", got.Next, got.Lost, err)
		}
		st, err := b.State(t.Context(), 0)
		if err != nil || st.First != 101 || st.Last != 100 || st.Messages != 0 {
			t.Errorf("state %+v, %v", st, err)
		}
		fill(t, b, 1, "events.a")
		eventually(t, "what comes after", f.is(func() bool { return len(f.seqs) == 1 && f.seqs[0] == 101 }))
	})
}

// A message deleted while the tail is behind it.
func TestHoleAhead(t *testing.T) {
	b := open(t, options(t))
	f := follow(t, b, 1)
	for i := range 20 {
		fill(t, b, 10, "events.a")
		api(t, b.Conn(), "STREAM.MSG.DELETE.EVENTS", fmt.Sprintf(`{"seq":%d}`, 10*i+9))
	}
	eventually(t, "the last event", f.is(func() bool { return len(f.seqs) > 0 && f.seqs[len(f.seqs)-1] == 200 }))
	if len(f.lost) != 0 {
		t.Errorf("lost %v", f.lost)
	}
}

func TestRenewed(t *testing.T) {
	b := open(t, options(t))
	fill(t, b, 10, "events.a")
	f := follow(t, b, 1)
	eventually(t, "the end", f.is(func() bool { return len(f.seqs) == 10 }))
	old := b.Streams()[0]
	api(t, b.Conn(), "STREAM.DELETE.EVENTS", "")
	eventually(t, "gone", f.is(func() bool { return f.gone == 1 }))
	if b.Ready() == nil {
		t.Error("ready without its stream")
	}
	if r := publish(t, b, &bridge.Publication{Subject: "events.a"}); r.err == nil {
		t.Error("stored in a stream that does not exist")
	}
	api(t, b.Conn(), "STREAM.CREATE.EVENTS", `{"name":"EVENTS","subjects":["events.>"],"storage":"file","retention":"limits","num_replicas":1,"allow_direct":true,"max_bytes":-1}`)
	eventually(t, "renewed", f.is(func() bool { return len(f.renewed) == 1 }))
	if now := b.Streams()[0]; now.Tag == old.Tag || now.Slot != old.Slot || f.renewed[0] != now {
		t.Errorf("stream %+v, before %+v", now, old)
	}
	fill(t, b, 3, "events.a")
	eventually(t, "its events", f.is(func() bool { return len(f.seqs) == 13 && f.seqs[10] == 1 }))
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
}

// Sequences that went back are another incarnation.
func TestEpoch(t *testing.T) {
	o := options(t)
	b := open(t, o)
	fill(t, b, 10, "events.a")
	tag := b.Streams()[0].Tag
	b.Mark()
	shut(t, b)

	b = open(t, o)
	if got := b.Streams()[0].Tag; got != tag {
		t.Fatalf("the tag changed with a restart: %s, %s", tag, got)
	}
	// What a damaged last block leads to, seen from outside: a recorded mark
	// above the last sequence.
	api(t, b.Conn(), "STREAM.UPDATE.EVENTS", `{"name":"EVENTS","subjects":["events.>"],"storage":"file","retention":"limits","num_replicas":1,"allow_direct":true,"allow_atomic":true,"allow_msg_ttl":true,"max_bytes":-1,"duplicate_window":60000000000,"metadata":{"jetway-epoch":"0","jetway-high-water":"17"}}`)
	f := follow(t, b, 5)
	eventually(t, "renewed or started in the new epoch", f.is(func() bool { return len(f.reached) > 0 }))
	if got := b.Streams()[0].Tag; got == tag {
		t.Error("the tag did not change")
	}
	tag = b.Streams()[0].Tag
	shut(t, b)
	b = open(t, o)
	if got := b.Streams()[0].Tag; got != tag {
		t.Errorf("the new tag changed with a restart: %s, %s", tag, got)
	}
}

func TestMeta(t *testing.T) {
	for reply, want := range map[string]string{
		"$JS.ACK.EVENTS.c.1.70.8.1700000000000000000.3":             "{1 70 8 1700000000000000000 3} true",
		"$JS.ACK.dom.acc.EVENTS.c.1.70.8.1700000000000000000.3":     "{1 70 8 1700000000000000000 3} true",
		"$JS.ACK.dom.acc.EVENTS.c.1.70.8.1700000000000000000.3.rnd": "{1 70 8 1700000000000000000 3} true",
		"$JS.ACK.EVENTS.c.1.70.8":                                   "{0 0 0 0 0} false",
		"$JS.FC.EVENTS.c.1":                                         "{0 0 0 0 0} false",
		"":                                                          "{0 0 0 0 0} false",
	} {
		m, ok := jetstream.ParseMeta(reply)
		if got := fmt.Sprint(m, ok); got != want {
			t.Errorf("%q: %s, want %s", reply, got, want)
		}
	}
	reply := "$JS.ACK.EVENTS.c.1.70.8.1700000000000000000.3"
	if n := testing.AllocsPerRun(100, func() { jetstream.ParseMeta(reply) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
