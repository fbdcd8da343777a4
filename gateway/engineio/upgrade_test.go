package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

const upgrade = "EIO=4&transport=websocket&sid="

// probing returns a WebSocket that has had its probe answered.
func (s *site) probing(sid string) *client {
	s.t.Helper()
	c := s.ws(upgrade + sid)
	c.send(text, "2probe")
	c.want("3probe")
	return c
}

// upgraded returns a session on a WebSocket that began by polling.
func (s *site) upgraded() (string, *client) {
	s.t.Helper()
	sid := s.open()
	c := s.probing(sid)
	c.send(text, "5")
	synctest.Wait()
	return sid, c
}

func TestUpgrade(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		poll := s.laterPoll(sid)
		c := s.ws(upgrade + sid)
		synctest.Wait()
		select {
		case a := <-poll:
			t.Fatalf("the poll ended before the probe: %+v", a)
		default:
		}
		c.send(text, "2probe")
		c.want("3probe")
		(<-poll).is(t, 200, "6")
		if got := s.rec.last().Transport(); got != engineio.Polling {
			t.Errorf("on %s before the packet 5", got)
		}
		c.send(text, "5", "4hello")
		c.want("4hello")
		if got := s.rec.last().Transport(); got != engineio.WebSocket {
			t.Errorf("on %s", got)
		}
		c.send(bin, "\x01\x02")
		if f := c.next(); f != (frame{bin, "\x01\x02"}) {
			t.Errorf("%v", f)
		}
		c.send(text, "b/w==") // of a client without binary
		if f := c.next(); f != (frame{bin, "\xff"}) {
			t.Errorf("%v", f)
		}
		c.want("2") // the heartbeat moved, too
		c.send(text, "1")
		c.wantClosed(1000)
		s.rec.want(t, "open", "text hello", "binary \x01\x02", "binary \xff", "close transport close")
	})
}

// A poll that comes after the probe does not wait for a message.
func TestUpgradeEndsLaterPolls(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		c := s.probing(sid)
		for range 3 {
			begin := time.Now()
			s.poll(sid).is(t, 200, "6")
			if took := time.Since(begin); took != engineio.NoopDelay {
				t.Errorf("it took %v", took)
			}
		}
		// Messages go on by polling until the packet 5.
		s.post(sid, "4a").is(t, 200, "ok")
		begin := time.Now()
		s.poll(sid).is(t, 200, "4a")
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
		c.send(text, "5", "4b")
		c.want("4b")
		s.rec.want(t, "open", "text a", "text b")
	})
}

// Nothing is written on the WebSocket before the packet 5; then all that waits
// is, in order.
func TestUpgradeFlushes(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		sid := s.open()
		session := s.rec.last()
		_ = session.Send([]byte("before the probe"), false)
		c := s.probing(sid)
		_ = session.Send([]byte("after the probe"), true)
		time.Sleep(suite.PingInterval)
		synctest.Wait()
		_ = session.Send([]byte("after the ping"), false)
		synctest.Wait()
		select {
		case f := <-c.frames:
			t.Fatalf("%v before the packet 5", f)
		default:
		}
		c.send(text, "5")
		c.want("4before the probe")
		if f := c.next(); f != (frame{bin, "after the probe"}) {
			t.Errorf("%v", f)
		}
		c.want("2", "4after the ping")
		c.send(text, "3")
		c.want("2")
	})
}

// After the upgrade polling requests are refused, and another WebSocket is
// closed; the first stays. The poll may even arrive before the packet 5 that
// was sent before it.
func TestUpgraded(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid, c := s.upgraded()
		s.poll(sid).is(t, 400, badRequest)
		s.post(sid, "4x").is(t, 400, badRequest)
		s.ws(upgrade + sid).wantClosed(1008)
		c.send(text, "4hello")
		c.want("4hello")

		sid = s.open()
		c = s.probing(sid)
		poll := s.laterPoll(sid)
		c.send(text, "5", "4hello")
		(<-poll).is(t, 400, badRequest)
		c.want("4hello")
		s.rec.want(t, "open", "text hello", "open", "text hello")
	})
}

// E09: while one WebSocket upgrades a session, another is closed.
func TestE09SecondUpgrade(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		c := s.probing(sid)
		second := s.ws(upgrade + sid)
		second.send(text, "2probe", "5")
		second.wantClosed(1008)
		c.send(text, "5", "4hello")
		c.want("4hello")
	})
}

// E09: what is wrong before the packet 5 closes that WebSocket, and only that;
// another may try.
func TestE09BadUpgrade(t *testing.T) {
	tests := map[string]func(*client){
		"a message first":          func(c *client) { c.send(text, "4early") },
		"the end of it first":      func(c *client) { c.send(text, "5") },
		"a plain ping":             func(c *client) { c.send(text, "2") },
		"no packet":                func(c *client) { c.send(text, "abc") },
		"a binary message":         func(c *client) { c.send(bin, "2probe") },
		"a message for the 5":      func(c *client) { c.send(text, "2probe", "4early") },
		"a second probe":           func(c *client) { c.send(text, "2probe", "2probe") },
		"a frame that is none":     func(c *client) { _, _ = c.nc.Write([]byte{0xFF, 0xFF}) },
		"closed after the probe":   func(c *client) { c.send(text, "2probe"); c.send(closing, "") },
		"cut off":                  func(c *client) { c.nc.Close() },
		"cut off within a message": func(c *client) { _, _ = c.nc.Write(masked(text, "2probe")[:9]); c.nc.Close() },
		"silent":                   func(*client) { time.Sleep(engineio.DefaultUpgradeTimeout) },
		"silent after the probe":   func(c *client) { c.send(text, "2probe"); time.Sleep(engineio.DefaultUpgradeTimeout) },
	}
	for name, wrong := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
				sid := s.open()
				c := s.ws(upgrade + sid)
				wrong(c)
				for f := range c.frames { // until it is closed
					if f.op != closing && f.payload != "3probe" {
						t.Errorf("%v", f)
					}
				}
				synctest.Wait()
				s.post(sid, "4on").is(t, 200, "ok")
				s.poll(sid).is(t, 200, "4on")
				poll := s.laterPoll(sid)
				c = s.probing(sid)
				(<-poll).is(t, 200, "6")
				c.send(text, "5", "4hello")
				c.want("4hello")
				s.rec.want(t, "open", "text on", "text hello")
			})
		})
	}
}

// The upgrade has its time, and not a moment more.
func TestUpgradeTimeout(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		c := s.ws(upgrade + sid)
		begin := time.Now()
		time.Sleep(engineio.DefaultUpgradeTimeout - 1)
		c.send(text, "2probe")
		c.want("3probe")
		if f := c.next(); f.op != 0 || time.Since(begin) != engineio.DefaultUpgradeTimeout {
			t.Errorf("%v after %v", f, time.Since(begin))
		}
	})
}

// A session that ends during its upgrade takes the WebSocket with it.
func TestEndWhileUpgrading(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		c := s.probing(sid)
		s.post(sid, "1").is(t, 200, "ok")
		if f := c.next(); f.op != 0 {
			t.Errorf("%v", f)
		}
		s.poll(sid).is(t, 200, "6")
		s.rec.want(t, "open", "close transport close")
		_, _, res := s.handshake(upgrade+sid, "")
		if res.StatusCode != 400 {
			t.Errorf("%s", res.Status)
		}
	})
}

// A POST that is being handled while the upgrade completes comes before what the
// WebSocket brings.
func TestUpgradeKeepsOrder(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		hold := make(chan struct{})
		s.rec.onMessage = func(*engineio.Session, []byte, bool) { <-hold }
		sid := s.open()
		post := later(func() answer { return s.post(sid, "4a\x1e4b") })
		c := s.probing(sid)
		c.send(text, "5", "4c")
		s.rec.want(t, "open", "text a")
		close(hold)
		(<-post).is(t, 200, "ok")
		s.rec.want(t, "text b", "text c")
	})
}
