package engineio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// group is an output of a header and its attachments.
func group(header string, attachments ...string) *bridge.Output {
	out := new(bridge.Output)
	websock.AppendText(out, []byte(header))
	for _, a := range attachments {
		websock.AppendBinary(out, []byte(a))
	}
	return out
}

// Write, TryWrite and Send keep their order, on both transports.
func TestWriteOrder(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		write := func(session *engineio.Session) {
			err := errors.Join(session.Send([]byte("a"), false), session.Write(group("4b", "c")), session.TryWrite(group("4d")),
				session.Write(new(bridge.Output)), session.TryWrite(new(bridge.Output)), session.Send([]byte("e"), true))
			if err != nil {
				t.Error(err)
			}
		}
		sid := s.open()
		write(s.rec.last())
		s.poll(sid).is(t, 200, "4a\x1e4b\x1ebYw==\x1e4d\x1ebZQ==")
		_, c := s.upgraded()
		write(s.rec.last())
		for _, want := range []frame{{text, "4a"}, {text, "4b"}, {bin, "c"}, {text, "4d"}, {bin, "e"}} {
			if f := c.next(); f != want {
				t.Errorf("%v, want %v", f, want)
			}
		}
	})
}

// WriteSome never waits, and keeps its place among the others: what the kernel
// takes a part of, the session writes on; after it comes what was sent meanwhile.
func TestWriteSome(t *testing.T) {
	o := opener{opened: make(chan *engineio.Session, 1)}
	_, address := tcpSite(t, engineio.Options{Handler: o})
	nc := dialTCP(t, address)
	session := <-o.opened
	packets := 0
	packet := func() string {
		packets++
		return fmt.Sprintf("4%d %s", packets, long(60_000))
	}
	var out *bridge.Output
	for full := false; !full; { // nobody reads
		out = group(packet())
		if err := session.WriteSome(out); err != nil {
			t.Fatal(err)
		}
		full = out.Size() > 0 // the session is writing what the one before has left
	}
	if err := session.Send([]byte(packet()[1:]), false); err != nil {
		t.Fatal(err)
	}
	// The one that was not taken comes last.
	packets++
	wrote := make(chan error, 1)
	go func() { wrote <- session.Write(out) }()
	c := rawws.New(nc)
	for i := 1; i <= packets; i++ {
		want := i
		switch i {
		case packets - 2:
			continue // the one that waits
		case packets:
			want = packets - 2
		}
		f, err := c.Next()
		if err != nil || string(f.Payload) != fmt.Sprintf("4%d %s", want, long(60_000)) {
			t.Fatalf("packet %d of %d: %.10q, %v", i, packets, f.Payload, err)
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	last := group("4last")
	if err := session.WriteSome(last); err != nil || last.Size() > 0 {
		t.Errorf("%v, %d bytes are left", err, last.Size())
	}
	if f, err := c.Next(); string(f.Payload) != "4last" {
		t.Errorf("%q, %v", f.Payload, err)
	}
}

// On polling WriteSome takes all for which there is room, and else nothing.
func TestWriteSomePolling(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 10}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		first, second := group("4first"), group("4second")
		if err := errors.Join(session.WriteSome(first), session.WriteSome(second)); err != nil || first.Size() > 0 || second.Size() != len("xx4second") {
			t.Errorf("%v, %d and %d bytes are left", err, first.Size(), second.Size())
		}
		s.poll(sid).is(t, 200, "4first")
		if err := session.WriteSome(second); err != nil || second.Size() > 0 {
			t.Errorf("%v, %d bytes are left", err, second.Size())
		}
		s.poll(sid).is(t, 200, "4second")
		session.Close()
		if err := session.WriteSome(group("4x")); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// A large shared payload goes to both transports as it is.
func TestWriteShared(t *testing.T) {
	large := []byte(long(100_000))
	out := new(bridge.Output)
	out.Append(websock.AppendHeader(nil, websock.OpText, 1+len(large))...)
	out.Append('4')
	out.AppendShared(large)
	out.EndFrame()
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		if err := s.rec.last().Write(out); err != nil {
			t.Fatal(err)
		}
		s.poll(sid).is(t, 200, "4"+string(large))
		_, c := s.upgraded()
		if err := s.rec.last().Write(out); err != nil {
			t.Fatal(err)
		}
		c.want("4" + string(large))
	})
}

// Text with a separator would become two packets.
func TestSendSeparator(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		if err := session.Send([]byte("a\x1e4b"), false); !errors.Is(err, engineio.ErrSeparator) {
			t.Errorf("%v", err)
		}
		if err := errors.Join(session.Send([]byte("a\x1e4b"), true), session.Write(group("4a\x1e4b"))); err != nil {
			t.Error(err)
		}
		s.poll(sid).is(t, 200, "bYR40Yg==\x1e4a\\u001e4b")
	})
}

// What is not frames ends the session, and nothing else.
func TestWriteNoFrames(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		out := new(bridge.Output)
		out.AppendString("not frames")
		if err := s.rec.last().Write(out); err != nil {
			t.Fatal(err)
		}
		if a := s.poll(sid); a.status != 500 {
			t.Errorf("%+v", a)
		}
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "close transport error")
	})
}

// Without room Send and TryWrite refuse, and Write waits for a poll.
func TestFull(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 1000}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		if err := session.Send([]byte(long(5000)), false); err != nil { // alone it may be larger
			t.Fatal(err)
		}
		if err := session.Send([]byte("x"), false); !errors.Is(err, engineio.ErrFull) {
			t.Errorf("Send: %v", err)
		}
		if err := session.TryWrite(group("4x")); !errors.Is(err, engineio.ErrFull) {
			t.Errorf("TryWrite: %v", err)
		}
		wrote := make(chan error, 1)
		go func() { wrote <- session.Write(group("4waited")) }()
		synctest.Wait()
		if len(wrote) > 0 {
			t.Fatal("Write did not wait")
		}
		time.Sleep(engineio.DefaultWriteTimeout - 1)
		s.poll(sid).is(t, 200, "4"+long(5000))
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		s.poll(sid).is(t, 200, "4waited")
		time.Sleep(time.Second) // the timeout had begun before the poll
		s.rec.want(t, "open")
	})
}

// A Write that waits moves to the WebSocket with the session.
func TestFullUpgrade(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 10}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		_ = session.Write(group("4" + long(100)))
		wrote := make(chan error, 1)
		go func() { wrote <- session.Write(group("4waited")) }()
		c := s.probing(sid)
		c.send(text, "5")
		c.want("4"+long(100), "4waited")
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	})
}

// A client that does not poll, but does answer pings, loses its session, and the
// writer is let go.
func TestWriteTimeout(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 10}, func(t *testing.T, s *site) {
		s.open()
		session := s.rec.last()
		_ = session.Write(group("4" + long(100)))
		begin := time.Now()
		if err := session.Write(group("4x")); !errors.Is(err, engineio.ErrClosed) {
			t.Error(err)
		}
		if took := time.Since(begin); took != engineio.DefaultWriteTimeout {
			t.Errorf("it took %v", took)
		}
		s.rec.want(t, "open", "close transport error")
	})
	// The end of the session lets it go, too.
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 10}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		_ = session.Write(group("4" + long(100)))
		time.AfterFunc(time.Second, session.Close)
		if err := session.Write(group("4x")); !errors.Is(err, engineio.ErrClosed) {
			t.Error(err)
		}
		s.poll(sid).is(t, 200, "4"+long(100))
		s.poll(sid).is(t, 200, "1")
		for _, err := range []error{session.Write(group("4x")), session.TryWrite(group("4x")), session.Send(nil, false)} {
			if !errors.Is(err, engineio.ErrClosed) {
				t.Error(err)
			}
		}
	})
}

// W10: a WebSocket client that never reads is cut off, and does not hold up the
// heartbeat.
func TestW10NeverReads(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 100}, func(t *testing.T, s *site) {
		nc, _, res := s.handshake("EIO=4&transport=websocket", "")
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res.Status)
		}
		synctest.Wait()
		session := s.rec.last()
		full := 0
		for range 100 {
			if errors.Is(session.Send([]byte("message"), false), engineio.ErrFull) {
				full++
			}
		}
		if full < 80 || session.Waiting() > 100 {
			t.Errorf("%d of 100 refused, %d bytes wait", full, session.Waiting())
		}
		begin := time.Now()
		if err := session.Write(group("4x")); err == nil {
			t.Error("written to nobody")
		}
		if took := time.Since(begin); took != engineio.DefaultWriteTimeout {
			t.Errorf("it took %v", took)
		}
		s.rec.want(t, "open", "close transport error")
		nc.Close()
	})
}

// A Write has its turn although others go on sending, and after what they have
// sent before it.
func TestWriteHasItsTurn(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		nc, br, _ := s.handshake("EIO=4&transport=websocket", "")
		next := func() string {
			f, err := readFrame(br)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return f.payload
		}
		s.opened(next())
		session := s.rec.last()
		send := func(m string) {
			if err := session.Send([]byte(m), false); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		send("a") // is being written until the client reads
		send("b")
		wrote := make(chan error, 1)
		go func() { wrote <- session.Write(group("4write")) }()
		synctest.Wait()
		got := []string{next()}
		send("c")
		got = append(got, next(), next(), next())
		if want := []string{"4a", "4b", "4write", "4c"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		nc.Close()
	})
}

// The two ways to write, from many goroutines and across an upgrade, never come
// between the frames of a group, and lose nothing.
func TestGroupsStayTogether(t *testing.T) {
	const writers, each = 4, 50
	bubble(t, new(recorder), engineio.Options{MaxBufferedBytes: 100}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					name := fmt.Sprintf("%d.%d", w, i)
					out := group("4head "+name, name, name)
					write := session.Write
					if w == 0 {
						write = func(out *bridge.Output) error { return untilRoom(func() error { return session.TryWrite(out) }) }
					}
					if err := write(out); err != nil {
						t.Error(err)
					}
					if err := untilRoom(func() error { return session.Send([]byte("single "+name), false) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var got []string
		for range 5 { // too few for all
			got = append(got, packets(t, s.poll(sid).body)...)
		}
		c := s.probing(sid)
		c.send(text, "5")
		for len(got) < writers*each*4 {
			f := c.next()
			if f.op == bin {
				f.payload = string(binaryPacket(f.payload).Append(nil))
			}
			got = append(got, f.payload)
		}
		wg.Wait()
		checkGroups(t, got, writers*each)
	})
}

func untilRoom(send func() error) error {
	for {
		if err := send(); !errors.Is(err, engineio.ErrFull) {
			return err
		}
		time.Sleep(time.Millisecond) // of the bubble's time
	}
}

func packets(t *testing.T, payload string) []string {
	var all []string
	for p, err := range engineio.Packets([]byte(payload), 10_000) {
		if err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		all = append(all, string(p.Append(nil)))
	}
	return all
}

func checkGroups(t *testing.T, got []string, groups int) {
	t.Helper()
	heads, singles := 0, 0
	for i := 0; i < len(got); i++ {
		if strings.HasPrefix(got[i], "4single ") {
			singles++
			continue
		}
		name, ok := strings.CutPrefix(got[i], "4head ")
		want := string(binaryPacket(name).Append(nil))
		if !ok || i+2 >= len(got) || got[i+1] != want || got[i+2] != want {
			t.Fatalf("%q, then %q", got[i], got[i+1:min(i+3, len(got))])
		}
		heads++
		i += 2
	}
	if heads != groups || singles != groups {
		t.Errorf("%d groups and %d single messages, want %d each", heads, singles, groups)
	}
}

// W14, W17: clients that come, move and go while others write.
func TestConcurrent(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		s.rec.onMessage = func(session *engineio.Session, data []byte, binary bool) { _ = session.Send(data, binary) }
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				sid := s.open()
				s.post(sid, "4x")
				s.poll(sid)
				if i%4 == 0 {
					return // and never comes again
				}
				c := s.ws(upgrade + sid)
				c.send(text, "2probe")
				c.want("3probe")
				c.send(text, "5", "4y")
				if i%4 == 1 {
					c.nc.Close()
					return
				}
				c.want("4y")
				c.send(text, "1")
				c.wantClosed(1000)
			})
		}
		for range 20 {
			wg.Go(func() {
				time.Sleep(time.Millisecond)
				s.rec.mu.Lock()
				all := slices.Clone(s.rec.sessions)
				s.rec.mu.Unlock()
				for _, session := range all {
					_ = session.Write(group("4from elsewhere", "x"))
					session.Transport()
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		<-done
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.server.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// tcpSite is a server on the loopback, for what a pipe does not show.
func tcpSite(t testing.TB, o engineio.Options) (*engineio.Server, string) {
	t.Helper()
	server := engineio.NewServer(o)
	hs := httptest.NewServer(server)
	t.Cleanup(func() {
		if err := server.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		hs.Close()
	})
	return server, strings.TrimPrefix(hs.URL, "http://")
}

// opener hands sessions over as they open, and the reasons for which they end.
type opener struct {
	opened chan *engineio.Session
	closed chan string // nil: nobody wants to know
}

func (o opener) Open(s *engineio.Session)              { o.opened <- s }
func (opener) Message(*engineio.Session, []byte, bool) {}
func (o opener) Close(_ *engineio.Session, reason string) {
	if o.closed != nil {
		o.closed <- reason
	}
}

// dialTCP opens a WebSocket whose frames nobody reads yet.
func dialTCP(t testing.TB, address string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := nc.Write([]byte("GET /?EIO=4&transport=websocket HTTP/1.1\r\n" + upgradeHeader + "\r\n")); err != nil {
		t.Fatal(err)
	}
	readOpening(t, nc)
	return nc
}

// readOpening reads up to the end of the open packet, byte by byte: what
// follows is left.
func readOpening(t testing.TB, nc net.Conn) {
	t.Helper()
	for head := []byte(nil); !bytes.HasSuffix(head, []byte("}")); {
		var b [1]byte
		if _, err := nc.Read(b[:]); err != nil {
			t.Fatal(err)
		}
		head = append(head, b[0])
	}
}

// A Write to an idle WebSocket is one system call, and allocates nothing.
func TestWriteAllocs(t *testing.T) {
	o := opener{opened: make(chan *engineio.Session, 1)}
	stats := new(websock.Stats)
	_, address := tcpSite(t, engineio.Options{Handler: o, Wire: stats})
	nc := dialTCP(t, address)
	session := <-o.opened
	out := group("42[\"event\"]", "attachment", "another")
	buf := make([]byte, out.Size())
	write := func() {
		if err := session.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, buf); err != nil {
			t.Fatal(err)
		}
	}
	write() // which waits for the open packet's to be counted
	before := stats.Writes.Load()
	const runs = 200
	allocs := testing.AllocsPerRun(runs, write)
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
	if writes := stats.Writes.Load() - before; writes != runs+1 {
		t.Errorf("%d writes for %d outputs", writes, runs+1)
	}
}
