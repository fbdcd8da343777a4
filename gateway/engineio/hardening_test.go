package engineio_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// Hostile input, named after the numbers of the project's list.

// E01: requests that are wrong from the start get the code of the reference, as
// JSON, or as text where a WebSocket was wanted (CVE-2023-31125: a parameter
// that the server did not expect ended its process).
func TestE01BadHandshake(t *testing.T) {
	const (
		transport = `{"code":0,"message":"Transport unknown"}`
		method    = `{"code":2,"message":"Bad handshake method"}`
		version   = `{"code":5,"message":"Unsupported protocol version"}`
	)
	tests := []struct{ method, query, want string }{
		{"GET", "", transport},
		{"GET", "EIO=4", transport},
		{"GET", "EIO=4&transport=foo", transport},
		{"GET", "EIO=4&transport=", transport},
		{"GET", "EIO=4&transport=constructor", transport},
		{"GET", "EIO=4&transport=Polling", transport},
		{"GET", "EIO=4&transport=webtransport", transport},
		{"GET", "EIO=4&transport[]=polling", transport},
		{"GET", "transport=polling", version},
		{"GET", "EIO=3&transport=polling", version},
		{"GET", "EIO=5&transport=polling", version},
		{"GET", "EIO=abc&transport=polling", version},
		{"GET", "EIO=04&transport=polling", version},
		{"POST", polling, method},
		{"PUT", polling, method},
		{"HEAD", polling, ""},
		{"DELETE", "EIO=abc&transport=polling", method},
		{"GET", "EIO=4&transport=websocket", badRequest},
		{"GET", polling + "&sid=unknown", unknownSID},
		{"POST", polling + "&sid=unknown", unknownSID},
		{"GET", polling + "&sid=__proto__", unknownSID},
		{"GET", polling + "&sid=constructor", unknownSID},
		{"GET", polling + "&sid=../x", unknownSID},
		{"GET", polling + "&sid=%00", unknownSID},
		{"GET", "EIO=4&transport=websocket&sid=unknown", unknownSID},
		{"GET", polling + "&j=0", badRequest}, // E17: JSONP
		{"GET", "EIO=4;transport=polling", transport},
		{"GET", "EIO=4&transport=%zz", transport},
	}
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		for _, tt := range tests {
			a := s.do(s.request(tt.method, tt.query, ""))
			if a.status != 400 || a.body != tt.want || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %+v", tt.method, tt.query, a)
			}
		}
		for query, want := range map[string]string{
			"EIO=4&transport=foo":                 "Transport unknown",
			"EIO=3&transport=websocket":           "Unsupported protocol version",
			"transport=websocket":                 "Unsupported protocol version",
			"EIO=4&transport=websocket&sid=other": "Session ID unknown",
			polling:                               "Bad request",
			"EIO=4&transport=websocket&j=1":       "Bad request",
		} {
			_, br, res := s.handshake(query, "")
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != 400 || string(body) != want {
				t.Errorf("WebSocket %s: %d %q", query, res.StatusCode, body)
			}
			if _, err := br.ReadByte(); err != io.EOF {
				t.Errorf("WebSocket %s: the connection stays open: %v", query, err)
			}
		}
		for _, query := range []string{"", "&sid=" + s.open()} {
			if status := s.raw("GET /?EIO=4&transport=websocket" + query + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); status != 400 {
				t.Errorf("half a handshake: %d", status)
			}
		}
		s.rec.want(t, "open") // the one that was asked for
		sid := s.rec.last().ID()
		s.probing(sid).send(text, "5") // nothing is left of the half
	})
}

// E01: requests for a session that are wrong leave it alone.
func TestE01BadRequest(t *testing.T) {
	bubble(t, echo(t), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		for _, tt := range []struct{ method, query string }{
			{"PUT", polling + "&sid=" + sid},
			{"HEAD", polling + "&sid=" + sid},
			{"OPTIONS", polling + "&sid=" + sid},
			{"GET", "EIO=3&transport=polling&sid=" + sid},
			{"POST", "transport=polling&sid=" + sid},
			{"GET", "EIO=4&transport=websocket&sid=" + sid},
			{"POST", "EIO=4&transport=websocket&sid=" + sid},
			{"GET", polling + "&j=0&sid=" + sid},
		} {
			if a := s.do(s.request(tt.method, tt.query, "")); a.status != 400 || tt.method != "HEAD" && a.body != badRequest {
				t.Errorf("%s %s: %+v", tt.method, tt.query, a)
			}
		}
		if _, _, res := s.handshake(polling+"&sid="+sid, ""); res.StatusCode != 400 {
			t.Errorf("WebSocket with transport=polling: %d", res.StatusCode)
		}
		s.post(sid, "4on").is(t, 200, "ok")
		s.poll(sid).is(t, 200, "4on")
		s.rec.want(t, "open", "text on")
	})
}

// raw sends a request as it is, and returns the status of the answer.
func (s *site) raw(request string) int {
	nc, err := s.pipes.Dial()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	go func() { _, _ = io.WriteString(nc, request) }() // the server may stop reading
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	nc.Close()
	return res.StatusCode
}

const tooBig = `{"code":3,"message":"Payload too large"}`

// E02: a body over the limit is refused with 413 and not read to its end,
// whatever its length is said to be (CVE-2020-36048); the session survives.
func TestE02TooBig(t *testing.T) {
	bubble(t, echo(t), engineio.Options{MaxHTTPBufferSize: 100}, func(t *testing.T, s *site) {
		sid := s.open()
		s.post(sid, "4"+long(100)).is(t, 413, tooBig)
		head := "POST /?" + polling + "&sid=" + sid + " HTTP/1.1\r\nHost: x\r\n"
		endless := strings.Repeat("ffff\r\n"+long(0xffff)+"\r\n", 100)
		for name, request := range map[string]string{
			"chunked":       head + "Transfer-Encoding: chunked\r\n\r\n" + endless,
			"told":          head + "Content-Length: 1000000000000\r\n\r\n4",
			"told and sent": head + "Content-Length: 10000000\r\n\r\n" + long(10_000_000),
		} {
			if status := s.raw(request); status != 413 {
				t.Errorf("%s: %d", name, status)
			}
		}
		s.post(sid, "4"+long(99)).is(t, 200, "ok")
		s.poll(sid).is(t, 200, "4"+long(99))
		s.rec.want(t, "open", "text "+long(99))
	})
}

// E02: a body that never comes to its end ends the session.
func TestE02Unfinished(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{PingInterval: time.Hour}, func(t *testing.T, s *site) {
		sid := s.open()
		begin := time.Now()
		status := s.raw("POST /?" + polling + "&sid=" + sid + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4hello")
		if took := time.Since(begin); status != 400 || took != engineio.BodyTimeout {
			t.Errorf("%d after %v", status, took)
		}
		s.rec.want(t, "open", "close transport error")
		s.poll(sid).is(t, 400, unknownSID)
	})
}

// A session that ends, or moves, while a POST is on its way, does not see it.
func TestPostTooLate(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(*site, string)
		told      []string
	}{
		"closed": {func(s *site, _ string) { s.rec.last().Close() }, []string{"open", "close forced close"}},
		"moved":  {func(s *site, sid string) { s.probing(sid).send(text, "5") }, []string{"open"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
				sid := s.open()
				nc, err := s.pipes.Dial()
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				_, _ = io.WriteString(nc, "POST /?"+polling+"&sid="+sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n4he")
				synctest.Wait()
				tt.meanwhile(s, sid)
				synctest.Wait()
				_, _ = io.WriteString(nc, "llo")
				if res, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || res.StatusCode != 400 {
					t.Errorf("%+v, %v", res, err)
				}
				s.rec.want(t, tt.told...)
			})
		})
	}
}

// E02: the body of a request that is refused anyway is not waited for.
func TestE02BodyOfRefused(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{PingInterval: time.Hour}, func(t *testing.T, s *site) {
		sid, overlapping := s.open(), s.open()
		begin := time.Now()
		for _, line := range []string{
			"GET /?" + polling + "&sid=" + sid,
			"GET /?" + polling,
			"POST /?" + polling,
			"POST /?" + polling + "&sid=unknown",
			"POST /?EIO=3&transport=polling&sid=" + overlapping,
		} {
			if status := s.raw(line + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"); status != 400 {
				t.Errorf("%s: %d", line, status)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// E02: a WebSocket message over the limit is closed with 1009.
func TestE02WebSocket(t *testing.T) {
	for _, upgraded := range []bool{false, true} {
		bubble(t, new(recorder), engineio.Options{MaxHTTPBufferSize: 100}, func(t *testing.T, s *site) {
			var c *client
			if upgraded {
				_, c = s.upgraded()
			} else {
				c = s.ws("EIO=4&transport=websocket")
				s.opened(c.next().payload)
			}
			c.send(text, "4"+long(99))
			s.rec.want(t, "open", "text "+long(99))
			c.send(text, "4"+long(100))
			c.wantClosed(1009)
			s.rec.want(t, "close transport error")
		})
	}
}

// E03: many packets that are nothing stop at the first; many that are something
// stop at the limit.
func TestE03ManyPackets(t *testing.T) {
	tests := map[string]struct {
		payload string
		most    int
		want    []string
	}{
		"separators":       {strings.Repeat("\x1e", 900_000), 0, []string{"close parse error"}},
		"pings":            {"2" + strings.Repeat("\x1e2", 400_000), 0, []string{"close transport error"}},
		"as many as may":   {"4a\x1e4b\x1e4c", 3, []string{"text a", "text b", "text c"}},
		"one more":         {"4a\x1e4b\x1e4c\x1e4d", 3, []string{"text a", "text b", "text c", "close parse error"}},
		"messages, a wave": {"4a" + strings.Repeat("\x1e4", 400_000), 1, []string{"text a", "close parse error"}},
		"nothing at all":   {"", 0, []string{"close parse error"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, new(recorder), engineio.Options{MaxPackets: tt.most}, func(t *testing.T, s *site) {
				a := s.post(s.open(), tt.payload)
				closes := strings.HasPrefix(tt.want[len(tt.want)-1], "close")
				if closes != (a.status == 400) {
					t.Errorf("%+v", a)
				}
				s.rec.want(t, append([]string{"open"}, tt.want...)...)
			})
		})
	}
}

// E06: a POST of a binary type is revision 3.
func TestE06BinaryPost(t *testing.T) {
	for _, kind := range []string{"application/octet-stream", "Application/Octet-Stream; x=y"} {
		bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
			sid := s.open()
			r := s.request("POST", polling+"&sid="+sid, "4hello")
			r.Header.Set("Content-Type", kind)
			s.do(r).is(t, 400, badRequest)
			s.poll(sid).is(t, 400, unknownSID)
			s.rec.want(t, "open", "close transport error")
		})
	}
}

// E07: what is no packet closes the session; a poll that waits is told.
func TestE07BadPackets(t *testing.T) {
	for _, bad := range []string{"abc", "b!!!", "7", "4\xff", "4good\x1e", "\x00"} {
		bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
			sid := s.open()
			poll := s.laterPoll(sid)
			s.post(sid, bad).is(t, 400, badRequest)
			(<-poll).is(t, 200, "1")
			s.poll(sid).is(t, 400, unknownSID)
			if strings.HasPrefix(bad, "4good") {
				s.rec.want(t, "open", "text good", "close parse error")
			} else {
				s.rec.want(t, "open", "close parse error")
			}
		})
	}
	for _, bad := range []string{"abc", "b!!!", "7", ""} {
		bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
			c := s.ws("EIO=4&transport=websocket")
			s.opened(c.next().payload)
			c.send(text, bad, "4after")
			c.wantClosed(1002)
			s.rec.want(t, "open", "close parse error")
		})
	}
}

// W02, W08: a broken WebSocket ends its session with the code of RFC 6455.
func TestW02BrokenWebSocket(t *testing.T) {
	for name, tt := range map[string]struct {
		in   []byte
		code uint16
	}{
		"unmasked":  {[]byte("\x81\x024x"), 1002},
		"RSV":       {masked(0x70|text, "4x"), 1002},
		"not UTF-8": {masked(text, "4\xff"), 1007},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
				c := s.ws("EIO=4&transport=websocket")
				s.opened(c.next().payload)
				go func() { _, _ = c.nc.Write(tt.in) }()
				c.wantClosed(tt.code)
				s.rec.want(t, "open", "close transport error")
			})
		})
	}
}

// W05: a message that is begun and dripped on ends the session, although pongs
// come all the time.
func TestW05UnfinishedMessage(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{PingInterval: time.Hour}, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		_, _ = c.nc.Write(append([]byte{text, 0x81, 0, 0, 0, 0}, '4'))
		for range 29 {
			time.Sleep(time.Second)
			_, _ = c.nc.Write(masked(pong, ""))
		}
		s.rec.want(t, "open")
		time.Sleep(time.Second)
		c.wantClosed(1008)
		s.rec.want(t, "close transport error")
	})
}

// W09: WebSocket pings are answered, the newest of many, and never after the
// close frame.
func TestW09PingFlood(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		for i := range 500 {
			c.send(ping, fmt.Sprint(i))
		}
		synctest.Wait()
		var last frame
		for n := len(c.frames); n > 0; n-- {
			if last = c.next(); last.op != pong {
				t.Fatalf("%v", last)
			}
		}
		if last.payload != "499" {
			t.Errorf("the last pong is for %q", last.payload)
		}
		c.send(text, "1")
		c.wantClosed(1000)
	})
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		c := s.ws(upgrade + sid)
		c.send(ping, "early")
		c.send(text, "2probe")
		c.want("3probe") // nothing else before the packet 5
		c.send(text, "5")
		if f := c.next(); f != (frame{pong, "early"}) {
			t.Errorf("%v", f)
		}
	})
}

// W09, E03: what a client sends more than it may is read later, by either
// transport, and other sessions do not wait for it.
func TestW09MaxRate(t *testing.T) {
	o := engineio.Options{MaxRate: func() float64 { return 100 }, PingInterval: time.Hour}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		sid, other := s.open(), s.open()
		begin := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			s.post(sid, strings.Repeat("3\x1e", 299)+"3").is(t, 200, "ok")
		})
		synctest.Wait()
		s.post(other, "4x").is(t, 200, "ok")
		if took := time.Since(begin); took > 10*time.Millisecond {
			t.Errorf("the other session waited for %s", took)
		}
		all.Wait()
		if took := time.Since(begin); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("300 packets took %s", took)
		}
	})
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		begin := time.Now()
		for range 300 {
			c.send(text, "3")
		}
		c.send(text, "1")
		c.wantClosed(1000)
		if took := time.Since(begin); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("300 packets took %s", took)
		}
	})
}

// W12: who decides about handshakes can say with which status, by either
// transport.
func TestRefusal(t *testing.T) {
	o := engineio.Options{AllowRequest: func(*http.Request) error {
		return fmt.Errorf("wrapped: %w", &engineio.Refusal{Status: 429, Message: "later", RetryAfter: 1500 * time.Millisecond})
	}}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		a := s.do(s.request("GET", polling, ""))
		if a.status != 429 || a.header.Get("Retry-After") != "2" || !strings.Contains(a.body, "later") || !strings.Contains(a.body, `"code":4`) {
			t.Errorf("%+v", a)
		}
		_, _, res := s.handshake("EIO=4&transport=websocket", "")
		if res.StatusCode != 429 || res.Header.Get("Retry-After") != "2" {
			t.Errorf("%+v", res)
		}
	})
}

// W17: a connection that just ends, or is reset in a frame, is the end of its
// session, and nothing is left of it.
func TestW17Gone(t *testing.T) {
	for _, half := range []string{"", "\x81", "\x81\x85\x00\x00\x00\x004h"} {
		bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
			c := s.ws("EIO=4&transport=websocket")
			s.opened(c.next().payload)
			_, _ = io.WriteString(c.nc, half)
			c.nc.Close()
			s.rec.want(t, "open", "close transport close")
			if n := s.server.Sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// A client that closes its WebSocket gets the same code back.
func TestPeerClose(t *testing.T) {
	bubble(t, new(recorder), suite, func(t *testing.T, s *site) {
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		c.send(closing, "\x03\xe9gone")
		c.wantClosed(1001)
		s.rec.want(t, "open", "close transport close")
	})
}

// A client that is told to go and does not, is cut off.
func TestDoesNotLeave(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		nc, br, _ := s.handshake("EIO=4&transport=websocket", "")
		if f, err := readFrame(br); err != nil || f.op != text {
			t.Fatalf("%v, %v", f, err)
		}
		synctest.Wait() // the first frame leaves before the handler is told
		session := s.rec.last()
		begin := time.Now()
		session.Close()
		if f, err := readFrame(br); err != nil || f.op != closing {
			t.Fatalf("%v, %v", f, err)
		}
		if _, err := readFrame(br); err == nil {
			t.Error("a frame after the close frame")
		}
		if took := time.Since(begin); took != engineio.CutTimeout {
			t.Errorf("cut off after %v", took)
		}
		nc.Close()
		s.rec.want(t, "open", "close forced close")
	})
}

// W17, over TCP: a reset, before, within and after a frame, with a poll that
// waits, and during an upgrade, ends the session, or only the upgrade.
func TestW17Reset(t *testing.T) {
	o := opener{opened: make(chan *engineio.Session, 1), closed: make(chan string, 1)}
	server, address := tcpSite(t, engineio.Options{Handler: o})
	for _, half := range []string{"", "\x81", "\x81\x85\x00\x00\x00\x004h", string(masked(text, "4whole"))} {
		nc := dialTCP(t, address)
		session := <-o.opened
		_, _ = io.WriteString(nc, half)
		reset(t, nc)
		if reason := <-o.closed; reason != engineio.ReasonTransportClose {
			t.Errorf("after %q: %s", half, reason)
		}
		if err := session.Write(group("4x")); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	if n := server.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}

	res, err := http.Get("http://" + address + "/?" + polling)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	session := <-o.opened
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "GET /?"+upgrade+session.ID()+" HTTP/1.1\r\n"+upgradeHeader+"\r\n")
	if _, err := nc.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	reset(t, nc) // right after 101
	if nc, err = net.Dial("tcp", address); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "GET /?"+polling+"&sid="+session.ID()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	for !session.Polled() { // until the poll waits
		runtime.Gosched()
	}
	reset(t, nc)
	if reason := <-o.closed; reason != engineio.ReasonTransportError {
		t.Errorf("poll: %s", reason)
	}
	http.DefaultClient.CloseIdleConnections()
}

// reset ends a connection with RST.
func reset(t *testing.T, nc net.Conn) {
	t.Helper()
	if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// W10: a poll whose client takes the answer slowly is served to its end, however
// long that takes; one that takes nothing is given up.
func TestW10SlowPoll(t *testing.T) {
	const size = 10 * 32 << 10
	bubble(t, new(recorder), engineio.Options{PingInterval: time.Hour, CompressAbove: -1}, func(t *testing.T, s *site) {
		for _, stops := range []bool{false, true} {
			sid := s.open()
			_ = s.rec.last().Send([]byte(long(size)), false)
			nc, err := s.pipes.Dial()
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, _ = io.WriteString(nc, "GET /?"+polling+"&sid="+sid+" HTTP/1.1\r\nHost: x\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReaderSize(nc, 16), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, part := 0, make([]byte, 32<<10)
			for !stops && err == nil {
				time.Sleep(engineio.DefaultWriteTimeout / 4)
				var n int
				n, err = res.Body.Read(part)
				got += n
			}
			if !stops && (got != size+1 || time.Since(begin) < engineio.DefaultWriteTimeout) {
				t.Errorf("%d bytes in %v", got, time.Since(begin))
			}
			time.Sleep(engineio.DefaultWriteTimeout + time.Nanosecond)
			nc.Close()
			if stops {
				s.rec.want(t, "open", "close transport error")
			} else {
				s.rec.want(t, "open")
			}
		}
	})
}
