package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// lasting keeps sessions for longer than a test takes.
var lasting = &Sessions{}

var sessionTests = []test{
	{name: "a broker that keeps none", run: testNoSessions},
	{name: "a record is found as it was saved", run: testSaveLoad, sessions: lasting},
	{name: "the revision decides", run: testRevisions, sessions: lasting},
	{name: "dropping", run: testDrop, sessions: lasting},
	{name: "a key that nobody saved", run: testUnknownKey, sessions: lasting},
	{name: "keys", run: testSessionKeys, sessions: lasting},
	{name: "two gateways", run: testTwoStores, sessions: lasting},
	{name: "of many at once one wins", run: testRivals, sessions: lasting},
	{name: "nobody has saved it for the TTL", run: testSessionTTL, sessions: &Sessions{TTL: sessionTTL}, slow: true},
	{name: "nobody hears of it", run: testSessionNotHeard, sessions: lasting},
	{name: "ended contexts", run: testSessionContext, sessions: lasting},
}

// save saves a record, or ends the test.
func (r *rig) save(s bridge.SessionStore, key, record string, revision uint64) uint64 {
	r.Helper()
	got, err := s.SaveSession(r.ctx, key, []byte(record), revision)
	r.ok("SaveSession", err)
	if got == 0 || got == revision {
		r.Fatalf("SaveSession with revision %d: the new one is %d", revision, got)
	}
	return got
}

// saveFails checks that a record is not saved.
func (r *rig) saveFails(s bridge.SessionStore, key string, revision uint64, want bridge.Code) {
	r.Helper()
	got, err := s.SaveSession(r.ctx, key, []byte("not this"), revision)
	r.code(fmt.Sprint("SaveSession with revision ", revision), err, want)
	equal(r, "the revision beside an error", got, 0)
}

// holds checks what is stored.
func (r *rig) holds(s bridge.SessionStore, key, record string, revision uint64) {
	r.Helper()
	got, at, err := s.LoadSession(r.ctx, key)
	r.ok("LoadSession", err)
	equal(r, "the record", string(got), record)
	equal(r, "its revision", at, revision)
}

// holdsNone checks that nothing is stored.
func (r *rig) holdsNone(s bridge.SessionStore, key string) {
	r.Helper()
	got, at, err := s.LoadSession(r.ctx, key)
	r.code("LoadSession", err, bridge.CodeNotFound)
	equal(r, "length and revision of nothing", uint64(len(got))+at, 0)
}

// join returns the store of another gateway.
func (r *rig) join() bridge.SessionStore {
	r.Helper()
	s, ok := r.cluster.Join(r.T).(bridge.SessionStore)
	if !ok {
		r.Fatal("the broker of the other gateway is not a bridge.SessionStore")
	}
	return s
}

func testNoSessions(r *rig) {
	r.holdsNone(r.sessions, "k")
	r.saveFails(r.sessions, "k", 0, bridge.CodeNoStream)
	r.ok("DropSession", r.sessions.DropSession(r.ctx, "k"))
	r.code("DropSession of a bad key", r.sessions.DropSession(r.ctx, "a.b"), bridge.CodeBadFrame)
}

func testSaveLoad(r *rig) {
	var last uint64
	for i, record := range [][]byte{nil, []byte("x"), {0, 0xff, '\r', '\n'}, []byte("NATS/1.0 404\r\n\r\n"), bytes.Repeat([]byte("x"), 100_000)} {
		key, given := fmt.Sprint("k", i), bytes.Clone(record)
		at, err := r.sessions.SaveSession(r.ctx, key, given, 0)
		r.ok("SaveSession", err)
		clear(given) // it is the caller's again
		if at <= last {
			r.Errorf("revision %d after %d", at, last)
		}
		last = at
		r.holds(r.sessions, key, string(record), at)
		got, _, err := r.sessions.LoadSession(r.ctx, key)
		r.ok("LoadSession", err)
		clear(got)
		r.holds(r.sessions, key, string(record), at)
	}
}

func testRevisions(r *rig) {
	s := r.sessions
	first := r.save(s, "k", "1", 0)
	r.saveFails(s, "k", 0, bridge.CodeConflict)
	r.saveFails(s, "k", first+1, bridge.CodeConflict)
	other := r.save(s, "other", "x", 0)
	second := r.save(s, "k", "2", first)
	for _, wrong := range []uint64{0, first, other, second + 1, 1 << 60} {
		r.saveFails(s, "k", wrong, bridge.CodeConflict)
	}
	r.holds(s, "k", "2", second)
	r.holds(s, "other", "x", other)
	for i := range 20 { // the newest is all there is
		record := fmt.Sprint(i)
		second = r.save(s, "k", record, second)
		r.holds(s, "k", record, second)
	}
}

func testDrop(r *rig) {
	s := r.sessions
	first := r.save(s, "k", "1", 0)
	for range 2 {
		r.ok("DropSession", s.DropSession(r.ctx, "k"))
		r.holdsNone(s, "k")
	}
	r.saveFails(s, "k", first, bridge.CodeConflict)
	r.saveFails(s, "k", first+1_000_000, bridge.CodeConflict)
	r.holdsNone(s, "k")
	second := r.save(s, "k", "2", 0)
	r.holds(s, "k", "2", second)
	r.saveFails(s, "k", 0, bridge.CodeConflict)
	r.saveFails(s, "k", first, bridge.CodeConflict)
	third := r.save(s, "k", "3", second)
	r.holds(s, "k", "3", third)
}

func testUnknownKey(r *rig) {
	s := r.sessions
	r.holdsNone(s, "k")
	r.ok("DropSession", s.DropSession(r.ctx, "unknown"))
	r.holdsNone(s, "unknown")
	r.save(s, "unknown", "x", 0)
	// As after it was forgotten: nobody else has it.
	r.holds(s, "k", "1", r.save(s, "k", "1", 77))
}

func testSessionKeys(r *rig) {
	s := r.sessions
	for _, key := range []string{"a", "A-b_c=0", strings.Repeat("k", 128)} {
		at := r.save(s, key, key, 0)
		r.holds(s, key, key, at)
		r.ok("DropSession", s.DropSession(r.ctx, key))
	}
	for _, key := range []string{"", ".", "a.b", "*", ">", "a b", "a\r\nb", "a/b", "ä", "a\x00", strings.Repeat("k", 129)} {
		r.saveFails(s, key, 0, bridge.CodeBadFrame)
		_, _, err := s.LoadSession(r.ctx, key)
		r.code(fmt.Sprintf("LoadSession of %q", key), err, bridge.CodeBadFrame)
		r.code(fmt.Sprintf("DropSession of %q", key), s.DropSession(r.ctx, key), bridge.CodeBadFrame)
	}
}

func testTwoStores(r *rig) {
	one, two := r.sessions, r.join()
	at := r.save(one, "k", "1", 0)
	r.holds(two, "k", "1", at)
	r.saveFails(two, "k", 0, bridge.CodeConflict)
	at2 := r.save(two, "k", "2", at) // takes it over
	r.saveFails(one, "k", at, bridge.CodeConflict)
	r.holds(one, "k", "2", at2)
	for i := range 50 { // each finds at once what the other has just saved
		one, two = two, one
		record := fmt.Sprint(i)
		at2 = r.save(one, "k", record, at2)
		r.holds(two, "k", record, at2)
	}
	r.ok("DropSession", one.DropSession(r.ctx, "k"))
	r.holdsNone(two, "k")
	r.saveFails(two, "k", at2, bridge.CodeConflict)
	r.holds(one, "k", "again", r.save(two, "k", "again", 0))
}

// testRivals has many save at once: first a key that nobody has, then one that
// exists, then one that was dropped.
func testRivals(r *rig) {
	stores := []bridge.SessionStore{r.sessions, r.join()}
	var at uint64
	for round := range 12 {
		type won struct {
			record string
			at     uint64
		}
		var (
			wg sync.WaitGroup
			mu sync.Mutex
			w  []won
		)
		for i := range 16 {
			wg.Go(func() {
				record := fmt.Sprintf("%d by %d", round, i)
				got, err := stores[i%2].SaveSession(r.ctx, "k", []byte(record), at)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					w = append(w, won{record, got})
				case !errors.Is(err, &bridge.Error{Code: bridge.CodeConflict}):
					r.Errorf("SaveSession: %v, want %q", err, bridge.CodeConflict)
				}
			})
		}
		wg.Wait()
		equal(r, fmt.Sprint("winners of round ", round), len(w), 1)
		at = w[0].at
		r.holds(stores[round%2], "k", w[0].record, at)
		if round%4 == 3 {
			r.ok("DropSession", r.sessions.DropSession(r.ctx, "k"))
			at = 0
		}
	}
}

// sessionTTL is what a slow test waits, and the longest pause between two of its
// calls.
const sessionTTL = 3 * time.Second

func testSessionTTL(r *rig) {
	s := r.sessions
	began := time.Now()
	old := r.save(s, "old", "x", 0)
	r.save(s, "dropped", "x", 0)
	r.ok("DropSession", s.DropSession(r.ctx, "dropped"))
	at := r.save(s, "used", "x", 0)
	r.poll("the session is forgotten", func() bool {
		at = r.save(s, "used", "x", at) // which keeps it
		_, _, err := s.LoadSession(r.ctx, "old")
		if err != nil {
			r.code("LoadSession", err, bridge.CodeNotFound)
		}
		return err != nil
	})
	if d := time.Since(began); d < sessionTTL*9/10 {
		r.Errorf("it was forgotten after %v, want %v", d, sessionTTL)
	}
	r.holds(s, "used", "x", at)
	r.holds(s, "old", "y", r.save(s, "old", "y", 0))
	r.saveFails(s, "old", old, bridge.CodeConflict)
	r.save(s, "dropped", "y", 0)
}

// testSessionNotHeard: records are nobody's but the gateways'.
func testSessionNotHeard(r *rig) {
	l := r.listen(">")
	at := r.save(r.sessions, "k", "secret", 0)
	r.save(r.sessions, "k", "secret", at)
	r.send("live.end", "x")
	same(r, "heard by >", subjectsOf(l.until(1)), []string{"live.end"})
}

func testSessionContext(r *rig) {
	at := r.save(r.sessions, "k", "1", 0)
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for what, call := range map[string]func() error{
		"SaveSession": func() error { _, err := r.sessions.SaveSession(ctx, "k", nil, at); return err },
		"LoadSession": func() error { _, _, err := r.sessions.LoadSession(ctx, "k"); return err },
		"DropSession": func() error { return r.sessions.DropSession(ctx, "k") },
	} {
		if err := call(); !errors.Is(err, context.Canceled) && !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
			r.Errorf("%s with an ended context: %v, want context.Canceled or %q", what, err, bridge.CodeUnavailable)
		}
	}
	r.holds(r.sessions, "k", "1", at)
}
