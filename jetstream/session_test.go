package jetstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

const sessionStream = "KV_JETWAY_SESSIONS"

func sessions(ttl time.Duration) func(*jetstream.Options) {
	return func(o *jetstream.Options) { o.Sessions = jetstream.SessionOptions{Keep: true, TTL: ttl} }
}

// settings returns a stream's configuration as NATS has it.
func settings(t *testing.T, b *jetstream.Broker, name string) map[string]any {
	t.Helper()
	m, err := b.Conn().Request("$JS.API.STREAM.INFO."+name, nil, deadline)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Config map[string]any `json:"config"`
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		t.Fatal(err)
	}
	return info.Config
}

func kv(t *testing.T, b *jetstream.Broker) natsjs.JetStream {
	t.Helper()
	js, err := natsjs.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func save(t *testing.T, b *jetstream.Broker, key, record string, revision uint64) uint64 {
	t.Helper()
	at, err := b.SaveSession(t.Context(), key, []byte(record), revision)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func wantCode(t *testing.T, what string, err error, want bridge.Code) {
	t.Helper()
	if !errors.Is(err, &bridge.Error{Code: want}) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// TestSessionBucketSettings: a bucket as nats.go makes it, so that its users
// and the nats command find nothing odd.
func TestSessionBucketSettings(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Minute} {
		b := open(t, options(t, sessions(ttl)))
		ours := settings(t, b, sessionStream)
		api(t, b.Conn(), "STREAM.DELETE."+sessionStream, "")
		want := ttl
		if want == 0 {
			want = 24 * time.Hour
		}
		eventually(t, "nats.go makes the bucket", func() bool {
			_, err := kv(t, b).CreateKeyValue(t.Context(), natsjs.KeyValueConfig{Bucket: "JETWAY_SESSIONS", TTL: want})
			return err == nil
		})
		if theirs := settings(t, b, sessionStream); !reflect.DeepEqual(ours, theirs) {
			t.Errorf("with the TTL %v the settings are\n%v, those of nats.go\n%v", ttl, ours, theirs)
		}
	}
}

func TestSessionBucketIsBroughtInLine(t *testing.T) {
	o := options(t)
	b := open(t, o)
	if _, err := kv(t, b).CreateKeyValue(t.Context(), natsjs.KeyValueConfig{
		Bucket: "JETWAY_SESSIONS", TTL: time.Hour, History: 5, Description: "ours", MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	shut(t, b)
	for _, c := range []struct {
		ttl         time.Duration
		age, window float64
	}{{0, float64(24 * time.Hour), float64(2 * time.Minute)}, {time.Second, 1e9, 1e9}, {time.Hour, float64(time.Hour), float64(2 * time.Minute)}} {
		sessions(c.ttl)(&o)
		b := open(t, o)
		got := settings(t, b, sessionStream)
		for key, want := range map[string]any{"max_age": c.age, "duplicate_window": c.window, "max_msgs_per_subject": 1.0, "description": "ours", "max_bytes": float64(1 << 20)} {
			if got[key] != want {
				t.Errorf("with the TTL %v, %s is %v, want %v", c.ttl, key, got[key], want)
			}
		}
		shut(t, b)
	}
}

func TestSessionsRefused(t *testing.T) {
	refused(t, options(t, sessions(time.Millisecond)), "JETWAY_SESSIONS", sessionStream)
	refused(t, options(t, func(o *jetstream.Options) { o.Streams[0].Name = sessionStream }), sessionStream, "another name")
	refused(t, options(t, func(o *jetstream.Options) { o.Streams[0].Subjects = []string{"$KV.>"} }), "EVENTS", "sessions", "$KV.>")
	o := options(t, func(o *jetstream.Options) { o.Streams[0].Subjects = []string{"events.>"} })
	b := open(t, o)
	api(t, b.Conn(), "STREAM.CREATE."+sessionStream, `{"name":"`+sessionStream+`","subjects":["other.>"]}`)
	shut(t, b)
	sessions(0)(&o)
	refused(t, o, sessionStream, "not a bucket")
}

func TestNoSessions(t *testing.T) {
	b := open(t, options(t, sessions(-1)))
	_, err := b.SaveSession(t.Context(), "k", nil, 0)
	wantCode(t, "SaveSession", err, bridge.CodeNoStream)
	if _, err := kv(t, b).KeyValue(t.Context(), "JETWAY_SESSIONS"); !errors.Is(err, natsjs.ErrBucketNotFound) {
		t.Errorf("the bucket: %v", err)
	}
}

// TestSessionsAsBucket looks at sessions as other programs do.
func TestSessionsAsBucket(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		sessions(0)(&o)
		b := open(t, o)
		bucket, err := kv(t, b).KeyValue(t.Context(), "JETWAY_SESSIONS")
		if err != nil {
			t.Fatal(err)
		}
		at := save(t, b, "a", "1", save(t, b, "a", "0", 0))
		save(t, b, "b", "2", 0)
		if e, err := bucket.Get(t.Context(), "a"); err != nil || string(e.Value()) != "1" || e.Revision() != at {
			t.Errorf("a is %v, %v", e, err)
		}
		if err := b.DropSession(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		if keys, err := bucket.Keys(t.Context()); err != nil || fmt.Sprint(keys) != "[a]" {
			t.Errorf("the keys are %v, %v", keys, err)
		}
		for how, remove := range map[string]func(context.Context, string, ...natsjs.KVDeleteOpt) error{"deleted": bucket.Delete, "purged": bucket.Purge} {
			if err := remove(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			_, _, err = b.LoadSession(t.Context(), "a")
			wantCode(t, "LoadSession of a session that was "+how, err, bridge.CodeNotFound)
			save(t, b, "a", how, 0)
		}
	})
}

// TestSessionBucketRemoved: sessions can be had again from those who have the
// clients, so the bucket is made again.
func TestSessionBucketRemoved(t *testing.T) {
	both(t, func(t *testing.T, o jetstream.Options) {
		sessions(0)(&o)
		b := open(t, o)
		for _, c := range []struct {
			name string
			call func(at uint64) error
			then string // the record that is there
		}{
			{"SaveSession", func(at uint64) error { _, err := b.SaveSession(t.Context(), "k", []byte("2"), at); return err }, "2"},
			{"LoadSession", func(uint64) error {
				_, _, err := b.LoadSession(t.Context(), "k")
				if errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound}) {
					return nil
				}
				return err
			}, ""},
			{"DropSession", func(uint64) error { return b.DropSession(t.Context(), "k") }, ""},
		} {
			_, at, _ := b.LoadSession(t.Context(), "k")
			at = save(t, b, "k", "1", at)
			// nats-server may fail to remove the files, and a stream that is made
			// again has what is in them: so nothing shall be.
			api(t, b.Conn(), "STREAM.PURGE."+sessionStream, "")
			api(t, b.Conn(), "STREAM.DELETE."+sessionStream, "")
			eventually(t, c.name+" succeeds", func() bool {
				err := c.call(at)
				if err != nil {
					wantCode(t, c.name, err, bridge.CodeUnavailable)
				}
				return err == nil
			})
			got, _, err := b.LoadSession(t.Context(), "k")
			if string(got) != c.then || (err == nil) != (c.then != "") {
				t.Errorf("after %s: %q, %v, want %q", c.name, got, err, c.then)
			}
		}
		if err := b.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

// TestSessionsOfLeader asks as if the bucket had copies.
func TestSessionsOfLeader(t *testing.T) {
	b := open(t, options(t, sessions(0)))
	b.SessionCopies(3)
	for _, record := range []string{"", "x", "\x00\xff"} {
		at := save(t, b, "k", record, 0)
		if got, rev, err := b.LoadSession(t.Context(), "k"); err != nil || string(got) != record || rev != at {
			t.Errorf("%q, revision %d, %v, want %q, %d", got, rev, err, record, at)
		}
		if err := b.DropSession(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		_, _, err := b.LoadSession(t.Context(), "k")
		wantCode(t, "LoadSession of one that was dropped", err, bridge.CodeNotFound)
	}
	_, _, err := b.LoadSession(t.Context(), "nobody")
	wantCode(t, "LoadSession", err, bridge.CodeNotFound)
	api(t, b.Conn(), "STREAM.DELETE."+sessionStream, "")
	eventually(t, "the bucket is there again", func() bool {
		_, _, err := b.LoadSession(t.Context(), "k")
		return errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound})
	})
}

// TestSessionSaveMasked: with somebody who listens to everything NATS does not
// say that nobody stores a record; the broker finds out by looking.
func TestSessionSaveMasked(t *testing.T) {
	b := open(t, options(t, sessions(0), func(o *jetstream.Options) { o.Timeout = 2 * time.Second }))
	stop, err := b.Listen(">", func(*bridge.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	api(t, b.Conn(), "STREAM.DELETE."+sessionStream, "")
	_, err = b.SaveSession(t.Context(), "k", nil, 0)
	wantCode(t, "SaveSession", err, bridge.CodeUnavailable)
	b.WatchSessions()
	eventually(t, "the session is saved", func() bool {
		_, err := b.SaveSession(t.Context(), "k", nil, 0)
		return err == nil
	})
}

func TestSessionTooBig(t *testing.T) {
	b := open(t, options(t, sessions(0)))
	_, err := b.SaveSession(t.Context(), "k", make([]byte, 1<<20), 0)
	wantCode(t, "SaveSession", err, bridge.CodeTooBig)
	api(t, b.Conn(), "STREAM.DELETE."+sessionStream, "")
	eventually(t, "a bucket of small records", func() bool {
		_, err := kv(t, b).CreateKeyValue(t.Context(), natsjs.KeyValueConfig{Bucket: "JETWAY_SESSIONS", MaxValueSize: 100})
		return err == nil
	})
	_, err = b.SaveSession(t.Context(), "k", make([]byte, 1000), 0)
	wantCode(t, "SaveSession into a bucket of small records", err, bridge.CodeTooBig)
}

// TestSessionsClose: a broker that ends leaves nobody waiting.
func TestSessionsClose(t *testing.T) {
	b := open(t, options(t, sessions(0), always))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			var at uint64
			for {
				var err error
				if at, err = b.SaveSession(t.Context(), fmt.Sprint("k", i), []byte("x"), at); err != nil {
					wantCode(t, "SaveSession", err, bridge.CodeUnavailable)
					return
				}
			}
		})
	}
	eventually(t, "sessions are saved", func() bool {
		_, _, err := b.LoadSession(t.Context(), "k49")
		return err == nil
	})
	shut(t, b)
	wg.Wait()
	_, _, err := b.LoadSession(t.Context(), "k1")
	wantCode(t, "LoadSession", err, bridge.CodeUnavailable)
}
