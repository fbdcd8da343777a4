package engineio_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// The payloads of the protocol's test suite come back as they were sent.
func TestPollingEcho(t *testing.T) {
	for _, payload := range []string{"4hello", "4", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4é😀\x1eb"} {
		bubble(t, echo(t), suite, func(t *testing.T, s *site) {
			sid := s.open()
			a := s.post(sid, payload)
			a.is(t, 200, "ok")
			if got := a.header.Get("Content-Type"); got != "text/html" {
				t.Errorf("content type %q", got)
			}
			a = s.poll(sid)
			a.is(t, 200, payload)
			if a.header.Get("Content-Type") != "text/plain; charset=UTF-8" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", a.header)
			}
		})
	}
}

// A poll waits for a message, longer than the HTTP server lets requests take,
// and the connection is of use after it.
func TestPollWaits(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		for range 3 {
			poll := s.laterPoll(sid)
			time.Sleep(24 * time.Second)
			if err := s.rec.last().Send([]byte("late"), false); err != nil {
				t.Fatal(err)
			}
			(<-poll).is(t, 200, "4late")
			s.post(sid, "3").is(t, 200, "ok")
		}
	})
}

// What is sent in Open comes with the first poll, after the handshake.
func TestSendInOpen(t *testing.T) {
	rec := &recorder{onOpen: func(s *engineio.Session) { _ = s.Send([]byte("welcome"), false) }}
	bubble(t, rec, engineio.Options{}, func(t *testing.T, s *site) {
		s.poll(s.open()).is(t, 200, "4welcome")
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		c.want("4welcome")
	})
}

// A handler may close the session anywhere.
func TestCloseInHandler(t *testing.T) {
	rec := &recorder{
		onOpen: func(s *engineio.Session) {
			if s.Request().Query.Has("no") {
				_ = s.Send([]byte("go away"), false)
				s.Close()
			}
		},
		onMessage: func(s *engineio.Session, data []byte, _ bool) {
			switch string(data) {
			case "say bye":
				_ = s.Send([]byte("ciao"), false)
				s.Close()
			case "bye":
				s.Close()
			}
		},
	}
	bubble(t, rec, engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		poll := s.laterPoll(sid)
		s.post(sid, "4say bye").is(t, 200, "ok")
		(<-poll).is(t, 200, "4ciao")
		s.poll(sid).is(t, 200, "1")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "text say bye", "close forced close")

		sid = s.opened(s.get(polling + "&no").body)
		s.rec.want(t, "open", "close forced close")
		s.poll(sid).is(t, 200, "4go away")
		s.poll(sid).is(t, 200, "1")
		s.poll(sid).is(t, 400, unknownSID)

		sid = s.open()
		s.post(sid, "4a\x1e4bye\x1e4b").is(t, 200, "ok")
		s.rec.want(t, "open", "text a", "text bye", "close forced close")
		if err := s.rec.last().Send(nil, false); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("%v", err)
		}

		c := s.ws("EIO=4&transport=websocket&no")
		s.opened(c.next().payload)
		c.want("4go away")
		c.wantClosed(1000)
		s.rec.want(t, "open", "close forced close")
	})
}

// An orderly close by the client ends its poll with a noop, whichever of the two
// requests arrives first.
func TestClientCloses(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		poll := s.laterPoll(sid)
		s.post(sid, "1").is(t, 200, "ok")
		(<-poll).is(t, 200, "6")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "close transport close")

		sid = s.open()
		s.post(sid, "4last\x1e1\x1e4too late").is(t, 200, "ok")
		s.post(sid, "4x").is(t, 400, unknownSID)
		s.poll(sid).is(t, 200, "6")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "text last", "close transport close")
	})
}

// A poll that had found its session when the session closed still gets the end of
// it: client and server send the two requests at the same time.
func TestLastPollOnItsWay(t *testing.T) {
	server := engineio.NewServer(engineio.Options{Handler: &recorder{onMessage: func(s *engineio.Session, _ []byte, _ bool) {
		s.Close()
		for i, want := range []string{"1", ""} {
			w := httptest.NewRecorder()
			refused := s.ServePoll(w, httptest.NewRequest("GET", "/", nil))
			if w.Body.String() != want || (refused != nil) != (want == "") {
				t.Errorf("poll %d: %q, %v", i, w.Body, refused)
			}
		}
	}}, GenerateID: fixedID})
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?"+polling, nil))
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/?"+polling+"&sid=sid", strings.NewReader("4x")))
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// The last poll does not wait for ever.
func TestLastPollTooLate(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		s.post(sid, "1").is(t, 200, "ok")
		time.Sleep(engineio.TombTimeout)
		synctest.Wait()
		s.poll(sid).is(t, 400, unknownSID)
	})
}

// Close ends the poll that waits, or the next one, after what is queued.
func TestServerCloses(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		poll := s.laterPoll(sid)
		s.rec.last().Close()
		s.rec.last().Close()
		(<-poll).is(t, 200, "1")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "close forced close")
	})
}

// Messages queued while a poll is on its way leave together.
func TestPollTakesAll(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		for _, m := range []string{"a", "b", "c"} {
			_ = session.Send([]byte(m), m == "b")
		}
		s.poll(sid).is(t, 200, "4a\x1ebYg==\x1e4c")
		if session.Waiting() != 0 {
			t.Errorf("%d bytes wait", session.Waiting())
		}
	})
}

// A client may send its next POST as soon as it has the answer to the last.
func TestPostAfterPost(t *testing.T) {
	bubble(t, echo(t), engineio.Options{MaxHTTPBufferSize: 10}, func(t *testing.T, s *site) {
		sid := s.open()
		for range 500 {
			s.post(sid, "4too large for it").is(t, 413, tooBig)
			s.post(sid, "4x").is(t, 200, "ok")
			s.poll(sid).is(t, 200, "4x")
		}
	})
}

// While the handler does not return, nothing more of the client is read.
func TestBackpressure(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		hold := make(chan struct{})
		s.rec.onMessage = func(*engineio.Session, []byte, bool) { <-hold }
		sid := s.open()
		post := later(func() answer { return s.post(sid, "4a\x1e4b") })
		s.rec.want(t, "open", "text a")
		hold <- struct{}{}
		s.rec.want(t, "text b")
		hold <- struct{}{}
		(<-post).is(t, 200, "ok")
	})
}

// E05: a poll given up by its client ends the session, and says so to the
// handler: what was queued for it may be lost.
func TestE05PollAborted(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		ctx, cancel := context.WithCancel(t.Context())
		poll := later(func() answer { return s.do(s.request("GET", polling+"&sid="+sid, "").WithContext(ctx)) })
		cancel()
		if a := <-poll; !errors.Is(a.err, context.Canceled) {
			t.Errorf("%+v", a)
		}
		synctest.Wait()
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "close transport error")
	})
}

// E04: overlapping requests end the session: whoever sends them is not the
// client, or broken.
func TestE04Overlap(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		first := s.laterPoll(sid)
		s.poll(sid).is(t, 400, badRequest)
		(<-first).is(t, 200, "1")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "close transport error")
	})
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		hold := make(chan struct{})
		s.rec.onMessage = func(*engineio.Session, []byte, bool) { <-hold }
		sid := s.open()
		first := later(func() answer { return s.post(sid, "4a\x1e4b") })
		s.post(sid, "4c").is(t, 400, badRequest)
		close(hold)
		(<-first).is(t, 200, "ok")
		s.poll(sid).is(t, 400, unknownSID)
		s.rec.want(t, "open", "text a", "close transport error")
	})
}
