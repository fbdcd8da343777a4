package engineio_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// suite are the options of the protocol's test suite.
var suite = engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}

func fixedID() string { return "sid" }

// The handshake holds exactly what the protocol's test suite wants.
func TestHandshake(t *testing.T) {
	o := suite
	o.GenerateID = fixedID
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		a := s.get(polling + "&t=abc&b64=1")
		a.is(t, 200, `0{"sid":"sid","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
		for field, want := range map[string]string{
			"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store", "Set-Cookie": "",
			"Access-Control-Allow-Origin": "", "Content-Encoding": "", "Connection": "",
		} {
			if got := a.header.Get(field); got != want {
				t.Errorf("%s: %q, want %q", field, got, want)
			}
		}
		s.rec.last().Close()
		s.rec.want(t, "open", "close forced close")
	})
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		s.ws("EIO=4&transport=websocket").want(`0{"sid":"sid","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
		s.rec.want(t, "open")
	})
}

func TestDefaults(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		a := s.get(polling)
		sid := s.opened(a.body)
		if len(sid) < 22 || strings.Trim(sid, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			t.Errorf("sid %q", sid)
		}
		a.is(t, 200, `0{"sid":"`+sid+`","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
		if s.open() == sid {
			t.Error("twice the same sid")
		}
	})
	// A server without a handler drops what it gets.
	bubble(t, nil, engineio.Options{}, func(t *testing.T, s *site) {
		s.post(s.open(), "4x").is(t, 200, "ok")
	})
}

// One transport only: then there is nothing to upgrade to.
func TestTransports(t *testing.T) {
	o := engineio.Options{Transports: []string{engineio.Polling}, GenerateID: fixedID}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		if a := s.get(polling); !strings.Contains(a.body, `"upgrades":[]`) {
			t.Errorf("%q", a.body)
		}
		for _, sid := range []string{"", "&sid=sid"} {
			_, br, res := s.handshake("EIO=4&transport=websocket"+sid, "")
			if body, _ := io.ReadAll(res.Body); res.StatusCode != 400 || string(body) != "Transport unknown" || br.Buffered() != 0 {
				t.Errorf("%d %q", res.StatusCode, body)
			}
		}
	})
	o.Transports = []string{engineio.WebSocket}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		s.get(polling).is(t, 400, `{"code":0,"message":"Transport unknown"}`)
		s.ws("EIO=4&transport=websocket")
	})
}

func TestAllowRequest(t *testing.T) {
	var refused []string
	o := engineio.Options{
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Get("token") != "good" {
				return errors.New(`no <token> "here"`)
			}
			return nil
		},
		Refused: func(r *http.Request, e *engineio.Error) { refused = append(refused, e.Message) },
	}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		s.get(polling).is(t, 403, `{"code":4,"message":"no \u003ctoken\u003e \"here\""}`)
		_, _, res := s.handshake("EIO=4&transport=websocket", "")
		if body, _ := io.ReadAll(res.Body); res.StatusCode != 400 || string(body) != `no <token> "here"` {
			t.Errorf("%d %q", res.StatusCode, body)
		}
		if res.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: a page could be made of the message", res.Header)
		}
		s.rec.want(t)
		sid := s.opened(s.get(polling + "&token=good").body)
		s.post(sid, "4 without the token").is(t, 200, "ok")
		s.post(sid, "4"+long(engineio.DefaultMaxHTTPBufferSize)).is(t, 413, tooBig)
		s.raw("GET /?EIO=4&transport=websocket&token=good HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if want := []string{`no <token> "here"`, `no <token> "here"`, "Payload too large", "Bad request"}; !slices.Equal(refused, want) {
			t.Errorf("refused: %q", refused)
		}
	})
}

// A sid that GenerateID gave before must not take its session over.
func TestGenerateIDTwice(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{GenerateID: fixedID}, func(t *testing.T, s *site) {
		sid := s.open()
		s.get(polling).is(t, 400, badRequest)
		c := s.ws("EIO=4&transport=websocket")
		c.wantClosed(1012)
		s.post(sid, "4x").is(t, 200, "ok")
		s.rec.want(t, "open", "text x")
	})
}

func TestRequest(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		r := s.request("GET", polling+"&user=ann", "")
		r.Header.Set("Authorization", "Bearer x")
		sid := s.opened(s.do(r).body)
		session := s.rec.last()
		got := session.Request()
		if got.Header.Get("Authorization") != "Bearer x" || got.Query.Get("user") != "ann" || got.Host != "jetway.test" ||
			got.Path != "/engine.io/" || got.RemoteAddr == "" || got.TLS != nil {
			t.Errorf("%+v", got)
		}
		if session.ID() != sid || session.Transport() != engineio.Polling {
			t.Errorf("%s, %s", session.ID(), session.Transport())
		}
	})
}

func TestCookie(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{Cookie: "io", GenerateID: fixedID}, func(t *testing.T, s *site) {
		const want = "io=sid; Path=/; HttpOnly; SameSite=Lax"
		a := s.get(polling)
		if got := a.header.Get("Set-Cookie"); got != want {
			t.Errorf("polling: %q", got)
		}
		if got := s.post("sid", "4x").header.Get("Set-Cookie"); got != "" {
			t.Errorf("after the handshake: %q", got)
		}
		s.rec.last().Close()
		synctest.Wait()
		_, _, res := s.handshake("EIO=4&transport=websocket", "")
		if got := res.Header.Get("Set-Cookie"); got != want {
			t.Errorf("WebSocket: %q", got)
		}
	})
}

// Polling requests for other nodes are passed on, those for this node are not.
func TestUnknownSID(t *testing.T) {
	o := engineio.Options{
		UnknownSID: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Method+" "+r.URL.Query().Get("sid")+" "+string(body))
		}),
		CORS: &engineio.CORS{Origins: []string{"*"}},
	}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		a := s.poll("elsewhere")
		a.is(t, 200, "GET elsewhere ")
		if a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Error("no CORS header")
		}
		s.post("elsewhere", "4x").is(t, 200, "POST elsewhere 4x")
		s.post(s.open(), "4x").is(t, 200, "ok")
		_, _, res := s.handshake("EIO=4&transport=websocket&sid=elsewhere", "")
		if body, _ := io.ReadAll(res.Body); res.StatusCode != 400 || string(body) != "Session ID unknown" {
			t.Errorf("upgrade: %d %q", res.StatusCode, body)
		}
	})
}

func TestCORS(t *testing.T) {
	const allowed = "https://good.example"
	listed := &engineio.CORS{Origins: []string{allowed}, Credentials: true}
	anyone := &engineio.CORS{Origins: []string{"*", allowed}, Credentials: true}
	tests := map[string]struct {
		cors        *engineio.CORS
		origin      string
		status      int
		allow       string
		credentials string
	}{
		"off, no origin":         {nil, "", 200, "", ""},
		"off, own origin":        {nil, "http://jetway.test", 200, "", ""},
		"off, other origin":      {nil, allowed, 403, "", ""},
		"listed":                 {listed, allowed, 200, allowed, "true"},
		"listed, no origin":      {listed, "", 200, "", ""},
		"listed, own origin":     {listed, "http://jetway.test", 200, "", ""},
		"not listed":             {listed, "https://evil.example", 403, "", ""},
		"null":                   {listed, "null", 403, "", ""},
		"suffix":                 {listed, "https://good.example.evil.com", 403, "", ""},
		"prefix":                 {listed, "https://evilgood.example", 403, "", ""},
		"port":                   {listed, "https://good.example:8443", 403, "", ""},
		"case":                   {listed, "https://GOOD.example", 403, "", ""},
		"dot":                    {listed, "https://good.example.", 403, "", ""},
		"user":                   {listed, "https://jetway.test@evil.example", 403, "", ""},
		"any":                    {anyone, "https://evil.example", 200, "*", ""},
		"any, null":              {anyone, "null", 200, "*", ""},
		"any, but listed, too":   {anyone, allowed, 200, allowed, "true"},
		"any, for no origin":     {anyone, "", 200, "*", ""},
		"listed, not decodeable": {listed, "https://%zz", 403, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, new(recorder), engineio.Options{CORS: tt.cors}, func(t *testing.T, s *site) {
				for _, query := range []string{polling, "EIO=4&transport=polling&sid=none"} { // on errors, too
					r := s.request("GET", query, "")
					if tt.origin != "" {
						r.Header.Set("Origin", tt.origin)
					}
					a := s.do(r)
					if query == polling && a.status != tt.status {
						t.Errorf("%d %s", a.status, a.body)
					}
					if got := a.header.Get("Access-Control-Allow-Origin"); got != tt.allow {
						t.Errorf("%s: allowed %q", query, got)
					}
					if got := a.header.Get("Access-Control-Allow-Credentials"); got != tt.credentials {
						t.Errorf("%s: credentials %q", query, got)
					}
				}
				header := ""
				if tt.origin != "" {
					header = "Origin: " + tt.origin + "\r\n"
				}
				want := map[int]int{200: 101, 403: 400}[tt.status]
				if _, _, res := s.handshake("EIO=4&transport=websocket", header); res.StatusCode != want {
					t.Errorf("WebSocket: %d, want %d", res.StatusCode, want)
				}
			})
		})
	}
}

// Whoever knows a sid still cannot upgrade it from a page of another origin.
func TestCORSUpgrade(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		sid := s.open()
		for _, header := range []string{"Origin: https://evil.example\r\n", "Origin: http://jetway.test\r\nOrigin: http://jetway.test\r\n"} {
			_, _, res := s.handshake("EIO=4&transport=websocket&sid="+sid, header)
			if body, _ := io.ReadAll(res.Body); res.StatusCode != 400 || string(body) != "Forbidden" {
				t.Errorf("%d %q", res.StatusCode, body)
			}
		}
	})
}

// E17: preflights, also odd ones, are answered 204 and open nothing.
func TestE17Preflight(t *testing.T) {
	const origin = "https://good.example"
	o := engineio.Options{CORS: &engineio.CORS{Origins: []string{origin}}}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		for asked, want := range map[string]string{
			"": "", "authorization, x-a": "authorization, x-a", "a\"b": "", "*": "", long(2000): "", "é": "",
		} {
			r := s.request("OPTIONS", polling, "")
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Headers", asked)
			a := s.do(r)
			a.is(t, 204, "")
			if got := a.header.Get("Access-Control-Allow-Headers"); got != want {
				t.Errorf("%.20q: allowed %q", asked, got)
			}
			if got := a.header.Get("Access-Control-Allow-Methods"); got != "GET, POST" {
				t.Errorf("methods %q", got)
			}
		}
		r := s.request("OPTIONS", "nonsense", "")
		r.Header.Set("Origin", "https://evil.example")
		a := s.do(r)
		a.is(t, 204, "")
		if len(a.header.Values("Access-Control-Allow-Methods"))+len(a.header.Values("Access-Control-Allow-Origin")) != 0 {
			t.Errorf("%v", a.header)
		}
		s.rec.want(t)
	})
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		s.do(s.request("OPTIONS", polling, "")).is(t, 400, `{"code":2,"message":"Bad handshake method"}`)
	})
}

func TestCompression(t *testing.T) {
	message := strings.Repeat("hello ", 1000)
	tests := map[string]struct {
		above   int
		accept  string
		message string
		zipped  bool
	}{
		"accepted":         {0, "deflate, gzip;q=0.5, br", message, true},
		"not accepted":     {0, "deflate", message, false},
		"refused":          {0, "gzip;q=0.0", message, false},
		"nothing said":     {0, "", message, false},
		"small":            {0, "gzip", long(1023), false},
		"just large":       {0, "gzip", long(1024), true},
		"turned off":       {-1, "gzip", message, false},
		"other threshold":  {5, "GZIP", "hello", true},
		"not over it":      {6, "gzip", "hello", false},
		"a name like gzip": {0, "xgzip", message, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, echo(t), engineio.Options{CompressAbove: tt.above}, func(t *testing.T, s *site) {
				sid := s.open()
				s.post(sid, "4"+tt.message)
				r := s.request("GET", polling+"&sid="+sid, "")
				r.Header.Set("Accept-Encoding", tt.accept)
				a := s.do(r)
				if zipped := a.header.Get("Content-Encoding") == "gzip"; zipped != tt.zipped {
					t.Fatalf("compressed %v", zipped)
				}
				if tt.zipped {
					z, err := gzip.NewReader(strings.NewReader(a.body))
					if err != nil {
						t.Fatal(err)
					}
					plain, _ := io.ReadAll(z)
					if len(a.body) >= len(plain) && len(plain) > 100 {
						t.Errorf("%d bytes became %d", len(plain), len(a.body))
					}
					a.body = string(plain)
				}
				a.is(t, 200, "4"+tt.message)
			})
		})
	}
}

// Shutdown ends all sessions so that stock clients connect again, gives them
// what is queued, and lets no new ones in.
func TestShutdown(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		waits := s.open()
		polls := s.laterPoll(waits)
		absent := s.open()
		if err := s.rec.last().Send([]byte("last words"), false); err != nil {
			t.Fatal(err)
		}
		c := s.ws("EIO=4&transport=websocket")
		s.opened(c.next().payload)
		upgrading := s.ws("EIO=4&transport=websocket&sid=" + absent)
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		(<-polls).is(t, 200, "1")
		s.poll(absent).is(t, 200, "4last words")
		s.poll(absent).is(t, 200, "1")
		s.poll(absent).is(t, 400, unknownSID)
		s.poll(waits).is(t, 400, unknownSID)
		c.wantClosed(1012)
		if f := upgrading.next(); f.op != 0 {
			t.Errorf("upgrading: %v", f)
		}
		s.rec.want(t, "open", "open", "open", "close server shutting down", "close server shutting down", "close server shutting down")
		if s.server.Sessions() != 0 {
			t.Error("sessions are left")
		}
		s.get(polling).is(t, 503, `{"code":3,"message":"Server shutting down"}`)
		if _, _, res := s.handshake("EIO=4&transport=websocket", ""); res.StatusCode != 400 {
			t.Errorf("WebSocket: %d", res.StatusCode)
		}
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

// A handshake that is on its way when the server begins to stop opens nothing.
func TestShutdownDuringHandshake(t *testing.T) {
	var server *engineio.Server
	o := engineio.Options{AllowRequest: func(r *http.Request) error { return server.Shutdown(r.Context()) }}
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		server = s.server
		s.ws("EIO=4&transport=websocket").wantClosed(1012)
		s.rec.want(t)
	})
	bubble(t, new(recorder), o, func(t *testing.T, s *site) {
		server = s.server
		s.get(polling).is(t, 503, `{"code":3,"message":"Server shutting down"}`)
		s.rec.want(t)
	})
}

// Shutdown does not wait longer than it may, neither for a handler nor for a
// client that does not read.
func TestShutdownTimeout(t *testing.T) {
	bubble(t, new(recorder), engineio.Options{}, func(t *testing.T, s *site) {
		hold := make(chan struct{})
		s.rec.onMessage = func(*engineio.Session, []byte, bool) { <-hold }
		c := s.ws("EIO=4&transport=websocket")
		c.send(text, "4x")
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := s.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
		close(hold)
		s.rec.want(t, "open", "text x", "close server shutting down")
	})
}

// What is kept for last polls is bounded in number, bytes and time.
func TestGrave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g engineio.Grave
		g.Bury("first", []byte("1"))
		if last, ok := g.Take("first"); !ok || string(last) != "1" {
			t.Errorf("%q, %v", last, ok)
		}
		g.Bury("two", []byte("4a"), []byte("1"))
		for _, want := range []string{"4a", "1", ""} {
			if last, ok := g.Take("two"); string(last) != want || ok != (want != "") {
				t.Errorf("%q, %v, want %q", last, ok, want)
			}
		}
		if _, ok := g.Take("first"); ok {
			t.Error("taken twice")
		}
		for i := range engineio.MaxTombs + 10 {
			g.Bury(string(rune(0x10000+i)), []byte("6"))
		}
		if tombs, entries, n := g.Kept(); tombs != engineio.MaxTombs || entries != tombs || n != tombs {
			t.Errorf("kept %d, %d, %d", tombs, entries, n)
		}
		time.Sleep(engineio.TombTimeout / 2)
		for i := range 100 {
			g.Bury(string(rune(0x20000+i)), bytes.Repeat([]byte("x"), 1<<20))
		}
		if tombs, _, n := g.Kept(); tombs != 16 || n != engineio.MaxTombBytes {
			t.Errorf("kept %d, %d", tombs, n)
		}
		time.Sleep(engineio.TombTimeout / 2)
		if tombs, _, _ := g.Kept(); tombs != 16 {
			t.Errorf("kept %d", tombs)
		}
		time.Sleep(engineio.TombTimeout / 2)
		synctest.Wait()
		if tombs, entries, n := g.Kept(); tombs+entries+n != 0 {
			t.Errorf("kept %d, %d, %d", tombs, entries, n)
		}
		g.Bury("again", []byte("old"))
		g.Bury("again", []byte("new"))
		if last, _ := g.Take("again"); string(last) != "new" {
			t.Errorf("%q", last)
		}
	})
}
