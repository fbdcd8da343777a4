package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

func TestDial(t *testing.T) {
	f, o := serve(t, func(_ int, p *peer) { p.hi(); p.until() })
	o.Token = "T"
	c := dial(t, o)
	if c.Session() != "S" || c.User() != "ann" || c.MaxMessageBytes() != 1000 || c.Err() != nil {
		t.Errorf("session %q, user %q, limit %d, %v", c.Session(), c.User(), c.MaxMessageBytes(), c.Err())
	}
	c.Close()
	c.Close()
	var closed *client.ClosedError
	if err := c.Err(); !errors.As(err, &closed) || closed.Code != websock.CodeNormal {
		t.Errorf("after Close: %v", err)
	}
	if h := f.heads[0]; h.Get("Authorization") != "Bearer T" || h.Get("Sec-WebSocket-Protocol") != "jetway.v1" {
		t.Errorf("headers %v", h)
	}
	if _, err := c.Publish(t.Context(), "s", nil, client.PubOptions{}); !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		t.Errorf("publishing after Close: %v", err)
	}
}

// A warning is told, with what is left by the server's clock; the refresh that
// it asks for is sent as it is.
func TestExpiring(t *testing.T) {
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		p.send(`{"expiring":"2031-01-02T02:04:05Z","in":"1m","hint":"send auth"}`, `{"expiring":1}`)
		if f := p.recv(); f == nil || f.Verb != native.VerbAuth || f.Text != "next" {
			t.Errorf("got %+v", f)
		} else {
			p.send(`{"ok":` + f.ID + `,"user":"ann"}`)
		}
		p.until()
	})
	told := make(chan time.Duration, 2)
	var until time.Time
	o.OnExpiring = func(expires time.Time, in time.Duration) {
		if in > 0 {
			until = expires
		}
		told <- in
	}
	c := dial(t, o)
	if in, again := <-told, <-told; in != time.Minute || again != 0 || !until.Equal(time.Date(2031, 1, 2, 2, 4, 5, 0, time.UTC)) {
		t.Errorf("told %s and %s, until %s", in, again, until)
	}
	if err := c.Auth(t.Context(), "next"); err != nil {
		t.Error(err)
	}
}

func TestDialFails(t *testing.T) {
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return "ws" + strings.TrimPrefix(s.URL, "http")
	}
	for url, want := range map[string]bridge.Code{
		status(401): bridge.CodeUnauthenticated, status(403): bridge.CodeForbidden, status(404): bridge.CodeNotFound,
		status(429): bridge.CodeRateLimited, status(503): bridge.CodeUnavailable, status(500): bridge.CodeUnavailable,
		"ws://127.0.0.1:1/ws": bridge.CodeUnavailable,
	} {
		if _, err := client.Dial(t.Context(), url, client.Options{}); !errors.Is(err, &bridge.Error{Code: want}) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	scripts := map[string]struct {
		script func(int, *peer)
		code   websock.Code
	}{
		"bye first":   {func(_ int, p *peer) { p.send(`{"bye":true,"code":4503,"why":"not ready","retry":"3s"}`) }, 4503},
		"no greeting": {func(_ int, p *peer) { p.send(`{"pong":1}`) }, websock.CodeProtocol},
		"close first": {func(_ int, p *peer) { p.close(4403, "") }, 4403},
		"end first":   {func(_ int, p *peer) {}, websock.CodeAbnormal},
	}
	for name, tt := range scripts {
		t.Run(name, func(t *testing.T) {
			_, o := serve(t, tt.script)
			_, err := client.Dial(t.Context(), url, o)
			var closed *client.ClosedError
			if !errors.As(err, &closed) || closed.Code != tt.code {
				t.Errorf("got %v, want code %d", err, tt.code)
			}
		})
	}
}

// A server that accepts and says nothing must not hold a client forever.
func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := serve(t, func(_ int, p *peer) { p.until() })
		start := time.Now()
		_, err := client.Dial(t.Context(), url, o)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultTimeout {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestPublish(t *testing.T) {
	var got []native.Frame
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		for _, answer := range []string{
			`{"ok":%s,"pos":"t-1","watch":"jobs.events.r.1"}`, `{"ok":%s,"pos":"t-1","dup":true}`, `{"ok":%s}`,
			`{"err":%s,"code":"queue_full","msg":"full","hint":"wait","retry":"2s"}`,
		} {
			f := p.recv()
			got = append(got, *f)
			p.send(fmt.Sprintf(answer, f.ID))
		}
		p.until()
	})
	c := dial(t, o)
	pub := func(data string, o client.PubOptions) (client.Ack, error) {
		return c.Publish(t.Context(), "jobs.r", []byte(data), o)
	}
	if a, err := pub(`{"a":1}`, client.PubOptions{}); err != nil || a != (client.Ack{Pos: "t-1", Watch: "jobs.events.r.1"}) {
		t.Errorf("got %+v, %v", a, err)
	}
	opts := client.PubOptions{Key: "k", If: "t-1", TTL: time.Hour, Delay: time.Minute, Head: []bridge.Field{{Name: "A", Value: "b"}}}
	if a, err := pub("\xff", opts); err != nil || a != (client.Ack{Pos: "t-1", Dup: true}) {
		t.Errorf("got %+v, %v", a, err)
	}
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	if a, err := pub("", client.PubOptions{At: at}); err != nil || a != (client.Ack{}) {
		t.Errorf("got %+v, %v", a, err)
	}
	var e *bridge.Error
	if _, err := pub("1", client.PubOptions{}); !errors.As(err, &e) || !reflect.DeepEqual(*e, bridge.Error{Code: "queue_full", Msg: "full", Hint: "wait", Retry: 2 * time.Second}) {
		t.Errorf("got %v", err)
	}
	if string(got[0].Data) != `{"a":1}` || got[0].Text != "jobs.r" || string(got[1].Binary) != "\xff" || got[1].Key != "k" ||
		got[1].If != "t-1" || got[1].TTL != time.Hour || len(got[1].Head) != 1 || got[1].Delay != time.Minute || !got[2].At.Equal(at) || got[2].Binary == nil {
		t.Errorf("the server got %+v", got)
	}
}

// Answers may come in any order; those outstanding are bounded.
func TestPublishAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		_, o := serve(t, func(_ int, p *peer) {
			p.hi()
			var ids []string
			for range n {
				ids = append(ids, p.recv().ID)
			}
			time.Sleep(time.Second)
			for i := n - 1; i >= 0; i-- {
				p.send(fmt.Sprintf(`{"ok":%s,"pos":"t-%d"}`, ids[i], i))
			}
			p.until()
		})
		o.MaxPending = n
		c := dial(t, o)
		acks := make(chan client.Ack, 2*n)
		add := func(ctx context.Context) error {
			return c.PublishAsync(ctx, "s", nil, client.PubOptions{}, func(a client.Ack, err error) {
				if err == nil {
					acks <- a
				}
			})
		}
		for range n {
			if err := add(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := add(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more than MaxPending: %v", err)
		}
		for i := n - 1; i >= 0; i-- {
			if a := <-acks; a.Pos != fmt.Sprintf("t-%d", i) {
				t.Errorf("got %+v", a)
			}
		}
		if err := add(t.Context()); err != nil {
			t.Errorf("after the answers: %v", err)
		}
	})
}

// What has no answer when the connection ends fails, once.
func TestPendingFailsAtTheEnd(t *testing.T) {
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		p.recv()
		p.send(`{"bye":true,"code":1012,"why":"restart","retry":"1s"}`)
	})
	c := dial(t, o)
	var closed *client.ClosedError
	err := c.Ping(t.Context())
	if !errors.As(err, &closed) || closed.Code != 1012 || closed.Why != "restart" || closed.Retry != time.Second || !closed.MayReconnect() {
		t.Errorf("got %v", err)
	}
	if !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		t.Error("not unavailable")
	}
}

// A caller that gives up leaves nothing behind, and a subscription that comes
// after all is ended.
func TestCallGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := ""
		_, o := serve(t, func(_ int, p *peer) {
			p.hi()
			id := p.recv().ID
			time.Sleep(time.Second)
			p.send(`{"ok":` + id + `,"sid":"s1"}`)
			off = p.recv().Text
			p.until()
		})
		o.MaxPending = 1
		c := dial(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Subscribe(ctx, ">", client.SubOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if off != "s1" {
			t.Errorf("the server was told to end %q", off)
		}
	})
}

func TestSubscribe(t *testing.T) {
	var asked native.Frame
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		asked = *p.recv()
		p.send(
			`{"ok":`+asked.ID+`,"sid":"s1","from":"t-4","behind":2,"gap":{"after":"t-1","next":"t-5"}}`,
			`{"msg":"a.b","t":"2030-01-02T03:04:05.5Z","head":{"A":"b"},"data":{"n":1},"sid":"s1","pos":"t-5","lag":1}`,
			`{"msg":"a.b","t":"2030-01-02T03:04:05Z","b64":"/w==","sid":"s1","pos":"t-6","lag":0}`,
			`{"msg":"not.ours","t":"2030-01-02T03:04:05Z","data":1,"sid":"s9"}`, `{"something":"new"}`,
			`{"gap":"s1","after":"t-6","next":"t-9"}`, `{"live":"s1","pos":"t-9"}`, `{"end":"s1","why":"until"}`,
		)
		p.until()
	})
	c := dial(t, o)
	s, err := c.Subscribe(t.Context(), "a.>", client.SubOptions{From: "first", As: "me", Max: 10, Until: "now"})
	if err != nil {
		t.Fatal(err)
	}
	if asked.Text != "a.>" || asked.From != "first" || asked.As != "me" || asked.Max != 10 || asked.Until != "now" {
		t.Errorf("asked %+v", asked)
	}
	if s.SID != "s1" || s.From != "t-4" || s.Behind != 2 || *s.Gap != (client.Gap{After: "t-1", Next: "t-5"}) {
		t.Errorf("got %+v", s)
	}
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, want := range []client.Message{
		{Kind: native.KindEvent, Subject: "a.b", Time: at.Add(time.Second / 2), Head: []bridge.Field{{Name: "A", Value: "b"}}, Data: []byte(`{"n":1}`), Pos: "t-5", Lag: 1},
		{Kind: native.KindEvent, Subject: "a.b", Time: at, Binary: []byte{0xff}, Pos: "t-6"},
		{Kind: native.KindGap, After: "t-6", Next: "t-9"},
		{Kind: native.KindLive, Pos: "t-9"},
		{Kind: native.KindEnd, Why: "until"},
	} {
		got, err := s.Next(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound}) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSeenOffPing(t *testing.T) {
	var got []string
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		for f := p.recv(); f != nil; f = p.recv() {
			got = append(got, fmt.Sprintf("%s %s %s", f.Verb, f.Text, f.SID))
			switch {
			case f.ID == "":
				p.send(`{"err":"seen","code":"bad_position","msg":"no"}`)
			case f.Verb == native.VerbPing:
				p.send(string(native.AppendPong(nil, f)))
			default:
				p.send(`{"ok":` + f.ID + `,"sid":"s1"}`)
			}
		}
	})
	refused := make(chan *bridge.Error, 1)
	o.OnError = func(e *bridge.Error) { refused <- e }
	c := dial(t, o)
	s, err := c.Subscribe(t.Context(), "a", client.SubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(c.Seen(t.Context(), s, "t-1"), c.SeenNoAck(s, "x"), c.Ping(t.Context()), c.Off(t.Context(), s))
	if err != nil {
		t.Fatal(err)
	}
	if e := <-refused; e.Code != bridge.CodeBadPosition {
		t.Errorf("refused with %v", e)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound}) {
		t.Errorf("after off: %v", err)
	}
	c.Close()
	if want := []string{"sub a ", "seen t-1 s1", "seen x s1", "ping  ", "off s1 "}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWork(t *testing.T) {
	var got []string
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		p.send(`{"ok":`+p.recv().ID+`,"sid":"s1"}`, `{"job":"jobs.r","sid":"s1","lease":"L","try":2,"for":"30s","pos":"q-1","data":7}`)
		for f := p.recv(); f != nil; f = p.recv() {
			got = append(got, fmt.Sprint(f.Verb, " ", f.Text, " ", string(f.Data), " ", f.Delay, f.Wait, " ", f.Why, f.Head))
			p.send(`{"ok":` + f.ID + `,"head":{"A":"b"},"data":"answer"}`)
		}
	})
	c := dial(t, o)
	ctx := t.Context()
	s, err := c.Work(ctx, "jobs.r", 3)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Next(ctx)
	if err != nil || j.Lease != "L" || j.Try != 2 || j.For != 30*time.Second || string(j.Payload()) != "7" {
		t.Errorf("got %+v, %v", j, err)
	}
	err = errors.Join(c.Wip(ctx, "L", []byte("50")), c.Nak(ctx, "L", time.Second, "busy"), c.Term(ctx, "L", "bad"), c.Ack(ctx, "L", nil))
	r, reqErr := c.Request(ctx, "svc", []byte("1"), client.RequestOptions{Wait: time.Second, Head: []bridge.Field{{Name: "C", Value: "d"}}})
	if reqErr != nil || string(r.Payload()) != `"answer"` || !reflect.DeepEqual(r.Head, []bridge.Field{{Name: "A", Value: "b"}}) {
		t.Errorf("got %+v, %v", r, reqErr)
	}
	c.Close()
	want := []string{"wip L 50 0s 0s []", "nak L  1s 0s busy[]", "term L  0s 0s bad[]", "ack L  0s 0s []", "req svc 1 0s 1s [{C d}]"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A subscription that is not read stops the reading of the connection: the
// server can write no more, and nothing grows. Read again, it goes on, and
// nothing is missing.
func TestBackpressure(t *testing.T) {
	for name, pause := range map[string]bool{"not read": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events = 100
				sent := 0
				_, o := serve(t, func(_ int, p *peer) {
					p.hi()
					p.send(`{"ok":` + p.recv().ID + `,"sid":"s1"}`)
					p.recv() // when the client has paused
					for ; sent < events; sent++ {
						p.send(fmt.Sprintf(`{"msg":"s","t":"2030-01-02T03:04:05Z","data":%d,"sid":"s1"}`, sent))
						time.Sleep(time.Millisecond)
					}
					p.until()
				})
				o.Buffer = 10
				c := dial(t, o)
				s, err := c.Subscribe(t.Context(), "s", client.SubOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if pause {
					c.Pause()
				}
				if err := c.Send(`{"ping":1}`); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if sent > 80 { // the buffer, and what the read buffer holds
					t.Errorf("%d events sent to a client that does not read", sent)
				}
				c.Resume()
				for i := range events {
					if m, err := s.Next(t.Context()); err != nil || string(m.Data) != fmt.Sprint(i) {
						t.Fatalf("event %d: %s, %v", i, m.Data, err)
					}
				}
			})
		})
	}
}

// Close ends a client whose reading goroutine waits for room.
func TestCloseWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := serve(t, func(_ int, p *peer) {
			p.hi()
			p.send(`{"ok":` + p.recv().ID + `,"sid":"s1"}`)
			for range 50 {
				p.send(`{"msg":"s","t":"2030-01-02T03:04:05Z","data":1,"sid":"s1"}`)
			}
			p.until()
		})
		o.Buffer = 1
		c := dial(t, o)
		if _, err := c.Subscribe(t.Context(), "s", client.SubOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		c.Close()
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("Close took %s", d)
		}
	})
}

func TestRaw(t *testing.T) {
	_, o := serve(t, func(_ int, p *peer) {
		p.send("anything")
		b, _, _ := p.c.ReadMessage(nil)
		p.send(string(b))
	})
	o.Raw = true
	c := dial(t, o)
	for _, want := range []string{"anything", "hello"} {
		if b, err := c.Recv(t.Context()); err != nil || string(b) != want {
			t.Fatalf("got %q, %v", b, err)
		}
		if err := c.Send("hello"); err != nil && want == "anything" {
			t.Fatal(err)
		}
	}
	if _, err := c.Recv(t.Context()); !errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) {
		t.Errorf("at the end: %v", err)
	}
}

// Frames sent while one is being written share the next write.
func TestWritesAreCollected(t *testing.T) {
	got := make(chan int, 1)
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		n := 0
		for p.recv() != nil {
			n++
		}
		got <- n
	})
	dialPipe := o.Dial
	count := new(counting)
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dialPipe(ctx, network, address)
		count.Conn = nc
		return count, err
	}
	c := dial(t, o)
	for range 1000 {
		if err := c.PublishNoAck("s", nil, client.PubOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if n := <-got; n != 1000 || count.writes > 900 {
		t.Errorf("%d frames in %d writes", n, count.writes)
	}
}

type counting struct {
	net.Conn
	writes int
}

func (c *counting) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}
