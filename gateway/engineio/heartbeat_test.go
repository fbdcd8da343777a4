package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// Pings come an interval after the last pong, to the instant.
func TestHeartbeatPolling(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		for range 3 {
			begin := time.Now()
			s.poll(sid).is(t, 200, "2")
			if took := time.Since(begin); took != suite.PingInterval {
				t.Errorf("the ping came after %v", took)
			}
			time.Sleep(suite.PingTimeout - 1)
			s.post(sid, "3").is(t, 200, "ok")
		}
		s.rec.want(t, "open")
	})
}

func TestHeartbeatWebSocket(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		for range 3 {
			begin := time.Now()
			c.want("2")
			if took := time.Since(begin); took != suite.PingInterval {
				t.Errorf("the ping came after %v", took)
			}
			time.Sleep(suite.PingTimeout - 1)
			c.send(text, "3")
			synctest.Wait()
		}
		s.rec.want(t, "open")
		begin := time.Now()
		c.want("2")
		c.wantClosed(1001)
		if took := time.Since(begin); took != suite.PingInterval+suite.PingTimeout {
			t.Errorf("it ended after %v", took)
		}
		s.rec.want(t, "close ping timeout")
	})
}

// A poll that comes in the instant in which the session is due finds it ended,
// whether or not its timer has got a processor by then.
func TestPollWhenDue(t *testing.T) {
	for range 50 {
		bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
			sid := s.open()
			time.Sleep(suite.PingInterval + suite.PingTimeout)
			s.poll(sid).is(t, 400, unknownSID)
			s.rec.want(t, "open", "close ping timeout")
		})
	}
}

// E08: without a pong the session ends when it is due, neither before nor
// after, with and without a poll that waits.
func TestE08NoPong(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		time.Sleep(suite.PingInterval + suite.PingTimeout - 1)
		s.rec.want(t, "open")
		time.Sleep(time.Nanosecond)
		s.rec.want(t, "close ping timeout")
		s.poll(sid).is(t, 400, unknownSID)
	})
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		s.poll(sid).is(t, 200, "2")
		s.poll(sid).is(t, 200, "1")
		s.rec.want(t, "open", "close ping timeout")
	})
}

// E08: since revision 4 clients do not ping.
func TestE08ClientPings(t *testing.T) {
	for _, p := range []string{"2", "2probe"} {
		bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
			sid := s.open()
			s.post(sid, "4a\x1e"+p+"\x1e4b").is(t, 400, badRequest)
			s.poll(sid).is(t, 400, unknownSID)
			s.rec.want(t, "open", "text a", "close transport error")
			c := s.ws("EIO=4&transport=websocket")
			s.opened(c.next().payload)
			c.send(text, p)
			c.wantClosed(1002)
			s.rec.want(t, "open", "close transport error")
		})
	}
}

// What arrives while a pong is awaited gives it time once more, since the pong
// may be behind it; but only once.
func TestHeartbeatBehindSomethingLarge(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		time.Sleep(suite.PingInterval + suite.PingTimeout - 1)
		s.post(sid, "4large").is(t, 200, "ok")
		time.Sleep(suite.PingTimeout / 2)
		s.post(sid, "4another").is(t, 200, "ok")
		time.Sleep(suite.PingTimeout/2 - 1)
		s.rec.want(t, "open", "text large", "text another")
		time.Sleep(time.Nanosecond)
		s.rec.want(t, "close ping timeout")
	})
}

// A pong that nobody asked for starts the interval anew, as in the reference.
func TestHeartbeatUnasked(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		time.Sleep(suite.PingInterval - 1)
		s.post(sid, "3").is(t, 200, "ok")
		begin := time.Now()
		s.poll(sid).is(t, 200, "2")
		if took := time.Since(begin); took != suite.PingInterval {
			t.Errorf("the ping came after %v", took)
		}
	})
}

// With the default times, as a stock client has them.
func TestHeartbeatDefaults(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		for range 100 {
			begin := time.Now()
			c.want("2")
			if took := time.Since(begin); took != 25*time.Second {
				t.Fatalf("the ping came after %v", took)
			}
			c.send(text, "3")
			synctest.Wait()
		}
		c.send(closing, "\x03\xe8")
		c.wantClosed(1000)
		s.rec.want(t, "open", "close transport close")
	})
}
