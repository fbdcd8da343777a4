package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// with serves sockets that a test wants to have.
func with(t *testing.T, o socketio.Options, connected func(*socketio.Socket), test func(*testing.T, *site)) {
	t.Helper()
	if o.Namespaces == nil {
		o.Namespaces = map[string]func(*socketio.Socket){"/": connected, "/custom": connected}
	}
	serve(t, socketio.NewServer(o), engineio.Options{}, test)
}

// sockets hands over the sockets that connect.
func sockets() (connected func(*socketio.Socket), next <-chan *socketio.Socket) {
	c := make(chan *socketio.Socket, 10)
	return func(s *socketio.Socket) { c <- s }, c
}

func TestSocket(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		sid := c.send(`40/custom,{"a" :1}`).want("40/custom,*")
		so := <-next
		if so.ID() != sid || so.Namespace() != "/custom" || string(so.Auth()) != `{"a" :1}` || so.Conn().Session().ID() == sid || so.Conn().Format() != socketio.FormatText {
			t.Errorf("%q %q %q", so.ID(), so.Namespace(), so.Auth())
		}
		c.send("40").want("40*")
		if other := <-next; other.Auth() != nil || other.Conn() != so.Conn() {
			t.Errorf("%q", other.Auth())
		}
	})
}

func TestEmit(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		so := <-next
		bin := socketio.Arg{JSON: json.RawMessage(`{"x":{"_placeholder":true,"num":1},"y":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{[]byte("zero"), []byte("one")}}
		for _, tt := range []struct {
			args []any
			want []string
		}{
			{nil, []string{`42["e"]`}},
			{[]any{1, "<&>", nil, map[string]int{"a": 1}}, []string{`42["e",1,"<&>",null,{"a":1}]`}},
			{[]any{json.RawMessage(` [1.0 , 2] `), json.RawMessage(nil)}, []string{`42["e",[1.0 , 2],null]`}},
			{[]any{[]byte("a"), []byte(nil)}, []string{`452-["e",` + twoPlaceholders + `]`, "b:a", "b:"}},
			{[]any{[]byte("a"), bin}, []string{`453-["e",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":2},"y":{"_placeholder":true,"num":1}}]`, "b:a", "b:zero", "b:one"}},
			{[]any{socketio.Args{{JSON: json.RawMessage(`1`)}, {JSON: json.RawMessage(`2`)}}, 3}, []string{`42["e",1,2,3]`}},
		} {
			if err := so.Emit("e", tt.args...); err != nil {
				t.Errorf("%v: %v", tt.args, err)
			}
			c.want(tt.want...)
		}
	})
}

func TestEmitRefuses(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		so := <-next
		tests := []struct {
			event string
			arg   any
			want  error
		}{
			{"disconnect", 1, socketio.ErrReserved},
			{"e", make(chan int), socketio.ErrArgument},
			{"e", json.RawMessage(`{`), socketio.ErrArgument},
			{"e", json.RawMessage(`1,2`), socketio.ErrArgument},
			{"e", json.RawMessage(strings.Repeat("[", 65) + strings.Repeat("]", 65)), socketio.ErrArgument},
			{"e", map[string]any{"_placeholder": true, "num": 0}, socketio.ErrAttachments},
			{"e", socketio.Arg{JSON: json.RawMessage(`1`), Attachments: [][]byte{nil}}, socketio.ErrAttachments},
			{"e", socketio.Arg{}, socketio.ErrArgument},
			{"e", []byte("x"), nil},
			{"e", strings.Repeat("x", 2<<20), nil}, // larger than all that may wait, alone
		}
		for _, tt := range tests {
			synctest.Wait() // what was emitted before has left, so that nothing waits
			if err := so.Emit(tt.event, tt.arg); !errors.Is(err, tt.want) {
				t.Errorf("%s %.50v: %v, want %v", tt.event, tt.arg, err, tt.want)
			}
		}
		eleven := make([]any, 11)
		for i := range eleven {
			eleven[i] = []byte{}
		}
		if err := so.Emit("e", eleven...); !errors.Is(err, socketio.ErrTooManyAttachments) {
			t.Errorf("11 attachments: %v", err)
		}
		c.want(`451-["e",{"_placeholder":true,"num":0}]`, "b:x")
		if f := c.next(); len(f) < 2<<20 {
			t.Errorf("%d bytes", len(f))
		}
		c.wantQuiet(time.Second)
	})
}

func TestArgs(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		so := <-next
		got := make(chan socketio.Args, 1)
		so.On("e", func(args socketio.Args, _ socketio.Ack) { got <- args })
		c.send(`453-["e",{"_placeholder":true,"num":2},{"a":{"_placeholder":true,"num":0},"n":{"_placeholder":true,"num":1}},"text"]`, "b:A", "b:N", "b:two")
		args := <-got
		var first []byte
		var second struct{ A, N []byte }
		var third, fourth string
		if err := args.Decode(&first, &second, &third, &fourth); err != nil || string(first) != "two" || string(second.A) != "A" || string(second.N) != "N" || third != "text" || fourth != "" {
			t.Errorf("%q %q %q %v", first, second, third, err)
		}
		if b, ok := args[0].Bytes(); !ok || string(b) != "two" {
			t.Errorf("%q, %v", b, ok)
		}
		if b, ok := args[1].Bytes(); ok {
			t.Errorf("%q is the argument", b)
		}
		var wrong int
		if err := args.Decode(nil, nil, &wrong); err == nil || !strings.Contains(err.Error(), "argument 2") {
			t.Errorf("%v", err)
		}
		if err := (socketio.Arg{JSON: args[0].JSON}).Decode(&first); err == nil {
			t.Error("an attachment that is not there")
		}
	})
}

func TestListeners(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		so := <-next
		say := func(what string) socketio.Listener {
			return func(args socketio.Args, _ socketio.Ack) { _ = so.Emit(what, args) }
		}
		so.On("a", say("first"))
		so.On("a", say("second"))
		so.On("7", say("number"))
		so.OnAny(func(event string, args socketio.Args, _ socketio.Ack) { _ = so.Emit("any", event, args) })
		c.send(`42["a",1]`).want(`42["any","a",1]`, `42["first",1]`, `42["second",1]`)
		c.send(`42[7]`).want(`42["any","7"]`, `42["number"]`)
		c.send(`42["b",2]`).want(`42["any","b",2]`)
	})
}

// Acks that the server asks for.
func TestEmitWithAck(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{MaxPendingAcks: 2}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		so := <-next
		type answer struct {
			args socketio.Args
			err  error
			at   time.Duration
		}
		start := time.Now()
		ask := func(ctx context.Context) <-chan answer {
			got := make(chan answer, 1)
			go func() {
				args, err := so.EmitWithAck(ctx, "q", []byte("x"))
				got <- answer{args, err, time.Since(start)}
			}()
			synctest.Wait()
			return got
		}
		first := ask(t.Context())
		c.want(`451-0["q",{"_placeholder":true,"num":0}]`, "b:x")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := ask(short)
		c.want(`451-1["q",{"_placeholder":true,"num":0}]`, "b:x")
		if third := <-ask(t.Context()); !errors.Is(third.err, socketio.ErrTooManyAcks) {
			t.Errorf("third: %v", third.err)
		}
		c.send(`461-0[{"a":{"_placeholder":true,"num":0}},2]`, "b:y")
		if a := <-first; a.err != nil || len(a.args) != 2 || string(a.args[1].JSON) != "2" || string(a.args[0].Attachments[0]) != "y" {
			t.Errorf("first: %+v", a)
		}
		if a := <-second; !errors.Is(a.err, context.DeadlineExceeded) || a.at != time.Second {
			t.Errorf("second: %+v", a)
		}
		if a := <-ask(t.Context()); !errors.Is(a.err, context.DeadlineExceeded) || a.at != time.Second+socketio.DefaultAckTimeout {
			t.Errorf("fourth: %+v", a)
		}
		last := ask(t.Context())
		c.want(`451-2["q",{"_placeholder":true,"num":0}]`, "b:x", `451-3["q",{"_placeholder":true,"num":0}]`, "b:x")
		c.send("41")
		if a := <-last; !errors.Is(a.err, socketio.ErrDisconnected) {
			t.Errorf("last: %+v", a)
		}
		if a := <-ask(t.Context()); !errors.Is(a.err, socketio.ErrDisconnected) {
			t.Errorf("after the end: %+v", a)
		}
	})
}

// A listener may wait for an answer: the answers pass by it.
func TestAckWithinListener(t *testing.T) {
	connected := func(so *socketio.Socket) {
		args, err := so.EmitWithAck(context.Background(), "name?")
		_ = so.Emit("hello", args, err)
		so.On("swap", func(_ socketio.Args, ack socketio.Ack) {
			args, _ := so.EmitWithAck(context.Background(), "swap?")
			ack(args)
			ack("never seen")
		})
	}
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false).send("40")
		c.want("40*", `420["name?"]`)
		c.send(`430["Ann"]`).want(`42["hello","Ann",null]`)
		c.send(`425["swap"]`, `42["swap"]`).want(`421["swap?"]`)
		c.send(`431[1,2]`).want(`435[1,2]`, `422["swap?"]`)
		c.send(`432[]`).wantQuiet(time.Second)
	})
}

func TestAuthorize(t *testing.T) {
	authorize := func(_ context.Context, so *socketio.Socket) error {
		var auth struct{ Token string }
		_ = json.Unmarshal(so.Auth(), &auth)
		switch auth.Token {
		case "good":
			so.Data = "Ann"
			return nil
		case "typed":
			return fmt.Errorf("wrapped: %w", &socketio.ConnectError{Message: "not <you>", Data: map[string]any{"code": "forbidden"}})
		case "plain":
			return &socketio.ConnectError{Message: "no"}
		case "disconnected":
			so.Disconnect(false)
			return nil
		case "unwritable":
			return &socketio.ConnectError{Message: "no", Data: make(chan int)}
		}
		return errors.New("the database is on fire")
	}
	connected := func(so *socketio.Socket) { _ = so.Emit("hello", so.Data) }
	with(t, socketio.Options{Authorize: authorize}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send(`40{"token":"typed"}`).want(`44{"message":"not <you>","data":{"code":"forbidden"}}`)
		c.send(`40{"token":"plain"}`).want(`44{"message":"no"}`)
		c.send(`40{"token":"unwritable"}`).want(`44{"message":"no"}`)
		c.send(`40{"token":"disconnected"}`).want(`44{"message":"Internal error"}`)
		c.send(`40/custom,`).want(`44/custom,{"message":"Internal error"}`)
		c.send(`40{"token":"good"}`).want("40*", `42["hello","Ann"]`)
	})
}

// Authorize may be slow: the connection goes on, but for the namespace. When
// the client goes, its context ends.
func TestAuthorizeSlow(t *testing.T) {
	var canceled atomic.Bool
	authorize := func(ctx context.Context, so *socketio.Socket) error {
		if so.Namespace() == "/" {
			return nil
		}
		if so.Emit("early") != socketio.ErrDisconnected {
			t.Error("a socket that is not connected emits")
		}
		select {
		case <-time.After(time.Minute):
			return nil
		case <-ctx.Done():
			canceled.Store(true)
			return ctx.Err()
		}
	}
	with(t, socketio.Options{Authorize: authorize}, nil, func(t *testing.T, s *site) {
		c := s.dial(false).send("40/custom", "40")
		c.want("40*")
		start := time.Now()
		if c.want("40/custom,*"); time.Since(start) != time.Minute {
			t.Errorf("after %s", time.Since(start))
		}
		c = s.dial(false).send("40/custom")
		synctest.Wait()
		c.send("40/custom").want(closed)
		synctest.Wait()
		if !canceled.Load() {
			t.Error("nobody told Authorize")
		}
	})
}

func TestDisconnect(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		open := func() (*client, *socketio.Socket, <-chan string) {
			c := s.dial(false)
			c.send("40").want("40*")
			so, reason := <-next, make(chan string, 2)
			so.OnDisconnect(func(r string) { reason <- r })
			return c, so, reason
		}
		tests := map[string]struct {
			end    func(c *client, so *socketio.Socket)
			frames []string
			reason string
		}{
			"server":             {func(_ *client, so *socketio.Socket) { so.Disconnect(false); so.Disconnect(false) }, []string{"41"}, socketio.ReasonServerDisconnect},
			"server, closing":    {func(_ *client, so *socketio.Socket) { so.Disconnect(true) }, []string{"41", closed}, socketio.ReasonServerDisconnect},
			"server, connection": {func(_ *client, so *socketio.Socket) { so.Conn().Close() }, []string{closed}, engineio.ReasonForcedClose},
			"client":             {func(c *client, _ *socketio.Socket) { c.send("41") }, nil, socketio.ReasonClientDisconnect},
			"client, session":    {func(c *client, _ *socketio.Socket) { c.send("1") }, []string{closed}, engineio.ReasonTransportClose},
			"client, fault":      {func(c *client, _ *socketio.Socket) { c.send("42{}") }, []string{closed}, engineio.ReasonParseError},
			"client, gone":       {func(c *client, _ *socketio.Socket) { c.ws.Close() }, []string{closed}, engineio.ReasonTransportClose},
		}
		for name, tt := range tests {
			c, so, reason := open()
			tt.end(c, so)
			c.want(tt.frames...)
			if got := <-reason; got != tt.reason {
				t.Errorf("%s: %q", name, got)
			}
			synctest.Wait()
			if err := so.Emit("e"); err != socketio.ErrDisconnected || len(reason) > 0 {
				t.Errorf("%s: %v, %d more reasons", name, err, len(reason))
			}
		}
	})
}

// What a client sends before it knows that it was taken out is no fault of its,
// and it may come again.
func TestDisconnectCrossing(t *testing.T) {
	connected, next := sockets()
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		sid := c.send("40").want("40*")
		(<-next).Disconnect(false)
		c.send(`42["late"]`, `430[]`, "41").want("41")
		if again := c.send("40").want("40*"); again == sid {
			t.Error("the sid is the same")
		}
		so := <-next
		so.On("e", func(_ socketio.Args, ack socketio.Ack) { ack(1) })
		c.send(`421["e"]`).want("431[1]")
	})
}

// A listener that is slow holds up its client, in bounded memory, and nobody
// else; and the events are handled although the client has gone.
func TestSlowListener(t *testing.T) {
	const events, bytes = 100, 10_000
	var handled atomic.Int32
	connected := func(so *socketio.Socket) {
		so.On("e", func(socketio.Args, socketio.Ack) {
			time.Sleep(time.Second)
			handled.Add(1)
		})
	}
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		var sent atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() {
			for range events {
				c.send(`42["e","` + strings.Repeat("x", bytes) + `"]`)
				sent.Add(1)
			}
			c.send("1")
		})
		synctest.Wait()
		if n := sent.Load(); n < 6 || n > 10 {
			t.Errorf("%d events are taken while one is handled", n)
		}
		s.dial(false).send("40").want("40*")
		wg.Wait()
		time.Sleep(time.Minute)
		if n := handled.Load(); n != events {
			t.Errorf("%d events were handled", n)
		}
	})
}

// Many sockets, many goroutines: for the race detector, and for order.
func TestConcurrent(t *testing.T) {
	const each = 50
	connected := func(so *socketio.Socket) {
		so.On("go", func(_ socketio.Args, ack socketio.Ack) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range each {
						_ = so.Emit("e", []byte("bin"))
					}
				})
			}
			wg.Wait()
			ack()
		})
	}
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		for range 4 {
			c := s.dial(false)
			c.send("40").want("40*")
			c.send(`421["go"]`)
			for range 4 * each {
				c.want(`451-["e",{"_placeholder":true,"num":0}]`, "b:bin")
			}
			c.want("431[]")
		}
	})
}
