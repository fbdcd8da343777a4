package socketio_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// The numbers are those of the project's list of attacks. After each, the
// connection has been closed, the reason has been counted, and another client
// is served.

// refusals notes why connections were closed.
type refusals struct {
	mu   sync.Mutex
	errs []error
}

func (r *refusals) note(_ *socketio.Conn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// take returns the only one since the last time.
func (r *refusals) take(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := r.errs
	r.errs = nil
	if len(errs) != 1 {
		t.Errorf("refused for %v", errs)
		return nil
	}
	return errs[0]
}

// attacked serves sockets that ack "e", for a test that attacks them.
func attacked(t *testing.T, o socketio.Options, test func(*testing.T, *site, *refusals)) {
	t.Helper()
	var refused refusals
	o.Failed = refused.note
	connected := func(so *socketio.Socket) {
		so.On("e", func(args socketio.Args, ack socketio.Ack) { ack(args) })
	}
	with(t, o, connected, func(t *testing.T, s *site) {
		bystander := s.dial(false)
		bystander.send("40").want("40*")
		test(t, s, &refused)
		bystander.send(`421["e",1]`).want("431[1]")
	})
}

// eachCloses sends each of the frames to a new client that has joined, and
// wants it closed for this error.
func eachCloses(t *testing.T, want error, attacks ...[]string) {
	t.Helper()
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, refused *refusals) {
		for _, frames := range attacks {
			c := s.dial(false)
			c.send("40").want("40*")
			c.send(frames...).want(closed)
			if err := refused.take(t); !errors.Is(err, want) {
				t.Errorf("%.100q: %v, want %v", frames, err, want)
			}
		}
	})
}

func each(frames ...string) (attacks [][]string) {
	for _, f := range frames {
		attacks = append(attacks, []string{f})
	}
	return attacks
}

// E10: what comes before a namespace is joined.
func TestE10NotJoined(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, refused *refusals) {
		for _, f := range []string{`42["e"]`, "41", "43[]", `430[]`, `44{"message":"x"}`, "4/", "4", "40[]", `42/custom,["e"]`} {
			s.dial(false).send(f).want(closed)
			if err := refused.take(t); !errors.Is(err, socketio.ErrUnexpected) && !errors.Is(err, socketio.ErrPacket) {
				t.Errorf("%q: %v", f, err)
			}
		}
		c, start := s.dial(false), time.Now()
		c.want(closed)
		if d := time.Since(start); d != socketio.DefaultConnectTimeout || refused.take(t) != socketio.ErrConnectTimeout {
			t.Errorf("closed after %s", d)
		}
	})
}

// E10: ten thousand namespaces cost nothing that stays; a client that does not
// read the answers is closed.
func TestE10ManyNamespaces(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, _ *refusals) {
		c := s.dial(false)
		for i := range 10_000 {
			name := fmt.Sprintf("/%d", i)
			c.send("40" + name).want("44" + name + `,{"message":"Invalid namespace"}`)
		}
		c.send("40").want("40*")
	})
}

func TestE10NamespaceQuota(t *testing.T) {
	conns := socketio.NewConns(socketio.ConnOptions{
		Handler:       acceptAll{},
		Namespaces:    func(string) bool { return true },
		MaxNamespaces: 3,
	})
	serve(t, conns, engineio.Options{}, func(t *testing.T, s *site) {
		c := s.dial(false)
		for i := range 3 {
			name := fmt.Sprintf("/%d,", i)
			c.send("40" + name).want("40" + name + "*")
		}
		c.send("40/3,").want(`44/3,{"message":"Too many namespaces"}`)
		c.send("41/1,", "40/3,").want("40/3,*")
	})
}

// E10: the auth of a client is bounded by the limit of messages.
func TestE10LargeAuth(t *testing.T) {
	attacked(t, socketio.Options{MaxBytes: 10_000}, func(t *testing.T, s *site, refused *refusals) {
		s.dial(false).send(`40{"a":"` + strings.Repeat("x", 10_000) + `"}`).want(closed)
		if err := refused.take(t); err != socketio.ErrTooBig {
			t.Error(err)
		}
		c := s.dial(false)
		_ = c.send(`40{"a":"` + strings.Repeat("x", 1_000_000) + `"}`).next() // 1009, by the session
		c.want(closed)
	})
}

// E11: CVE-2023-32695, CVE-2024-38355.
func TestE11EventName(t *testing.T) {
	eachCloses(t, socketio.ErrPacket, each(`42["connect"]`, `42["disconnecting"]`, `42["newListener"]`, `42["\u0063onnect"]`,
		`42[{"toString":1}]`, `42[]`, `42{}`, `42null`, `42[null]`, `42`, `42[["e"]]`, `42[true]`)...)
}

// E12: CVE-2022-2421.
func TestE12Placeholder(t *testing.T) {
	const bad = `451-["e",{"_placeholder":true,"num":%s}]`
	attacks := each(`42["e",{"_placeholder":true,"num":0}]`, `450-["e",{"_placeholder":true,"num":0}]`, `451-["e"]`, `451-["e",{"_placeholder":true}]`)
	for _, num := range []string{`"splice"`, `-1`, `1.5`, `9`, `1`, `null`, `1e0`, `99999999999999999999`} {
		attacks = append(attacks, []string{fmt.Sprintf(bad, num), "b:x"})
	}
	eachCloses(t, socketio.ErrAttachments, attacks...)
}

// E12: names of JavaScript's own mean nothing here, and are passed on.
func TestE12Prototype(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, _ *refusals) {
		c := s.dial(false)
		c.send("40").want("40*")
		c.send(`421["__proto__",{"constructor":1}]`, `422["e",{"__proto__":{"x":1},"constructor":{"prototype":[]}}]`).
			want(`432[{"__proto__":{"x":1},"constructor":{"prototype":[]}}]`)
	})
}

// E13: CVE-2026-33151.
func TestE13AttachmentCount(t *testing.T) {
	eachCloses(t, socketio.ErrTooManyAttachments, each(`45999999-["e"]`, `4511-["e"]`, `45`+strings.Repeat("9", 1000)+`-["e"]`)...)
	eachCloses(t, socketio.ErrAttachments, each(`451e9-["e"]`, `45-1-["e"]`, `45 1-["e"]`, `450x-["e"]`, `45["e"]`, `45-["e"]`)...)
}

// E14: CVE-2026-69185: a packet with no attachments does not arm anything.
func TestE14NoAttachments(t *testing.T) {
	eachCloses(t, socketio.ErrAttachments, []string{`450-["e"]`, "b:x"}, []string{`42["e"]`, "b:x"})
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, _ *refusals) {
		c := s.dial(false)
		c.send("40").want("40*")
		c.send(`450-7["e",1]`, `42["e"]`).want(`437[1]`)
	})
}

// E14: endless binary frames as the first are no packets of msgpack either.
func TestE14BinaryFirst(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, refused *refusals) {
		s.dial(false).send("b:xxxx", "b:xxxx").want(closed)
		if err := refused.take(t); !errors.Is(err, socketio.ErrPacket) {
			t.Error(err)
		}
	})
}

const onePlaceholder = `{"_placeholder":true,"num":0}`

// E15: nothing may come between a packet and its attachments.
func TestE15TextWhilePending(t *testing.T) {
	eachCloses(t, socketio.ErrAttachments, []string{`451-["e",` + onePlaceholder + `]`, `42["e"]`}, []string{`451-["e",` + onePlaceholder + `]`, "40/custom,"},
		[]string{`452-["e",` + twoPlaceholders + `]`, "b:x", `41`})
}

// E15: attachments count toward the limit in sum.
func TestE15AttachmentsInSum(t *testing.T) {
	attacked(t, socketio.Options{MaxBytes: 1000}, func(t *testing.T, s *site, refused *refusals) {
		c := s.dial(false)
		c.send("40").want("40*")
		part := "b:" + strings.Repeat("x", 450)
		c.send(`452-["x",`+twoPlaceholders+`]`, part, part, `421["e"]`).want("431[]")
		c.send(`452-["x",`+twoPlaceholders+`]`, part, part+strings.Repeat("x", 100)).want(closed)
		if err := refused.take(t); err != socketio.ErrTooBig {
			t.Error(err)
		}
	})
}

// E15: an attachment that never comes is not waited for for ever, also not if
// others trickle in.
func TestE15SlowAttachments(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, refused *refusals) {
		c := s.dial(false)
		c.send("40").want("40*")
		c.send(`452-1["e",` + twoPlaceholders + `]`)
		time.Sleep(29 * time.Second)
		c.send("b:x", "b:y").want(`462-1[`+twoPlaceholders+`]`, "b:x", "b:y")
		start := time.Now()
		c.send(`452-1["e",` + twoPlaceholders + `]`)
		time.Sleep(29 * time.Second)
		c.send("b:x").want(closed)
		if d := time.Since(start); d != socketio.DefaultAttachmentTimeout || refused.take(t) != socketio.ErrSlowAttachments {
			t.Errorf("closed after %s", d)
		}
	})
}

// E16: an ack that nobody has asked for, or that comes twice, is dropped. What
// is no decimal number is no ack id, and the packet none.
func TestE16Acks(t *testing.T) {
	attacked(t, socketio.Options{}, func(t *testing.T, s *site, _ *refusals) {
		c := s.dial(false)
		c.send("40").want("40*")
		c.send(`43[]`, `430[]`, `430[]`, `4399[1,2]`, `43`+strings.Repeat("9", 31)+`[]`, `461-5[`+onePlaceholder+`]`, "b:x", `421["e"]`).want("431[]")
	})
	eachCloses(t, socketio.ErrPacket, each(`431e30[]`, `43-1[]`, `431.5[]`, `430x0[]`, `42-1["e"]`, `421.5["e"]`)...)
}

// A client that makes the server answer and takes no answer holds no more than
// MaxBufferedBytes and a little, is not read any more, and loses its session.
func TestAnswersNotTaken(t *testing.T) {
	var answered atomic.Int32
	var reason atomic.Value
	connected := func(so *socketio.Socket) {
		so.On("e", func(_ socketio.Args, ack socketio.Ack) {
			ack(strings.Repeat("x", 10_000))
			answered.Add(1)
		})
		so.OnDisconnect(func(r string) { reason.Store(r) })
	}
	server := socketio.NewServer(socketio.Options{Namespaces: map[string]func(*socketio.Socket){"/": connected}})
	serve(t, server, engineio.Options{}, func(t *testing.T, s *site) {
		sid := strings.Split(s.poll("GET", "", ""), `"`)[3]
		s.poll("POST", sid, "40")
		synctest.Wait() // it has joined: before that, it may send no events
		go func() {     // it is not answered in time
			res, err := s.http.Post("http://jetway.test/?EIO=4&transport=polling&sid="+sid, "text/plain", strings.NewReader(strings.Repeat(`421["e"]`+"\x1e", 1000)+"42[0]"))
			if err == nil {
				res.Body.Close()
			}
		}()
		synctest.Wait()
		if n := answered.Load(); n < 100 || n > 110 {
			t.Errorf("%d answers wait", n)
		}
		time.Sleep(engineio.DefaultWriteTimeout - 1)
		if r := reason.Load(); r != nil {
			t.Errorf("%s too early", r)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if r := reason.Load(); r != engineio.ReasonTransportError {
			t.Errorf("%v", r)
		}
	})
}

// One that takes them gets them all, however much it asks for.
func TestAnswersTaken(t *testing.T) {
	const events = 500
	connected := func(so *socketio.Socket) {
		so.On("e", func(_ socketio.Args, ack socketio.Ack) { ack(strings.Repeat("x", 10_000)) })
	}
	with(t, socketio.Options{}, connected, func(t *testing.T, s *site) {
		c := s.dial(false)
		c.send("40").want("40*")
		for i := range events {
			c.send(fmt.Sprintf(`42%d["e"]`, i))
		}
		for i := range events {
			c.want(fmt.Sprintf(`43%d["%s"]`, i, strings.Repeat("x", 10_000)))
		}
	})
}

// A deep payload costs no stack, and a payload of many parts little memory.
func TestJ01Deep(t *testing.T) {
	deep := strings.Repeat(`[{"a":`, 100_000)
	eachCloses(t, socketio.ErrPacket, each(`42["e",`+deep, `40`+deep[1:], `43`+deep)...)
	var before, after runtime.MemStats
	in := []byte(`2["e",[` + strings.Repeat(`{"\u0061":[]},`, 50_000) + `0]]`)
	runtime.ReadMemStats(&before)
	_, _, err := socketio.Decode(in)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err != nil || n > 2<<20 {
		t.Errorf("%d bytes for %d, %v", n, len(in), err)
	}
}
