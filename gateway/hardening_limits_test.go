package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
)

// eventually waits until something holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func reasons(t *testing.T, s *gateway.Server, reason string) string {
	t.Helper()
	return metric(t, s, `jetway_connections_refused_total{reason="`+reason+`"}`)
}

// serves checks that a client that is there is served.
func serves(t *testing.T, c *websocket.Conn) {
	t.Helper()
	send(t, c, `{"ping":"there"}`)
	if got := readText(t, c); got != `{"pong":"there"}` {
		t.Errorf("got %s", got)
	}
}

func send(t *testing.T, c *websocket.Conn, frame string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// ask sends a frame and returns the next one of the server.
func ask(t *testing.T, c *websocket.Conn, frame string) string {
	t.Helper()
	send(t, c, frame)
	return readText(t, c)
}

// W12: a storm of handshakes is refused, whatever becomes of them, and those who
// are in do not notice.
func TestW12Handshakes(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		status       int
		rules        func(*gateway.Options)
	}{
		{"of one address", "handshake_rate_per_address", 429, func(o *gateway.Options) { o.HandshakeRatePerAddress = 4. / 3600 }},
		{"of all", "handshake_rate", 503, func(o *gateway.Options) { o.HandshakeRate = 4. / 3600 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := stockOptions(guarded(t))
			o.AdminListen = "127.0.0.1:0"
			s, _ := serve(t, o)
			in, _ := dialRaw(t, url(s), field("Authorization", "Bearer "+sign(t, "ann", "chat")))
			readText(t, in)
			tt.rules(&o)
			s.Reload(o.Rules())
			if _, r := dialRaw(t, url(s), field("Authorization", "Bearer x")); r.StatusCode != 401 && r.StatusCode != tt.status {
				t.Errorf("a bad token: %d", r.StatusCode)
			}
			_, r := dialRaw(t, url(s), nil)
			body, _ := io.ReadAll(r.Body)
			if r.StatusCode != tt.status || r.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"code":"rate_limited"`) || !strings.Contains(string(body), "limits."+tt.reason+" ") {
				t.Errorf("jetway.v1: %d, %v: %s", r.StatusCode, r.Header, body)
			}
			base := s.Addr().String() + "/socket.io/?EIO=4&transport="
			if _, r := dialRaw(t, "ws://"+base+"websocket", nil); r.StatusCode != tt.status || r.Header.Get("Retry-After") == "" {
				t.Errorf("Socket.IO: %d, %v", r.StatusCode, r.Header)
			}
			if status, body := get(t, "http://"+base+"polling", nil); status != tt.status || !strings.Contains(body, "limits."+tt.reason+" ") {
				t.Errorf("Socket.IO, polling: %d %s", status, body)
			}
			if n := reasons(t, s, tt.reason); n == "" || n == "0" {
				t.Errorf("counted %q", n)
			}
			serves(t, in)
		})
	}
}

// What a session that is open asks for is no handshake.
func TestPollsAreNoHandshakes(t *testing.T) {
	o := stockOptions(guarded(t))
	o.HandshakeRatePerAddress = 1. / 3600
	s, _ := serve(t, o)
	base := "http://" + s.Addr().String() + "/socket.io/?EIO=4&transport=polling"
	_, open := get(t, base, nil)
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(open[1:]), &hello); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r, err := http.Post(base+"&sid="+hello.SID, "text/plain", strings.NewReader("40/other,"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if status, body := get(t, base+"&sid="+hello.SID, nil); status != 200 || !strings.HasPrefix(body, "44/other,") {
			t.Fatalf("%d %s", status, body)
		}
	}
}

// W12: one account cannot fill the gateway, by whatever protocol, and gives its
// places back however its connections end.
func TestW12Users(t *testing.T) {
	now := time.Now()
	all := bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}}
	policy := &scripted{users: map[string]*auth.Identity{
		"ann": {User: "ann", Permissions: &all}, "again": {User: "ann", Permissions: &all, Expires: now.Add(time.Hour)}, "bob": {User: "bob", Permissions: &all},
	}}
	o := stockOptions(policy)
	o.MaxPerUser, o.AdminListen = 3, "127.0.0.1:0"
	o.SocketIO.Namespaces = []string{"/", "/a", "/b"}
	s, _ := serve(t, o)
	ann := field("Authorization", "Bearer ann")

	header, _ := dialRaw(t, url(s), ann)
	readText(t, header)
	frame, _ := dialRaw(t, url(s), nil)
	readText(t, frame)
	if got := ask(t, frame, `{"auth":"ann"}`); !strings.HasPrefix(got, `{"ok":`) {
		t.Fatalf("got %s", got)
	}
	stock := dialStock(t, s, nil)
	stock.send(`40{"token":"ann"}`)
	stock.want(`40{"sid":`)

	// A refresh takes no further place.
	for range 3 {
		if got := ask(t, frame, `{"auth":"again"}`); !strings.HasPrefix(got, `{"ok":`) {
			t.Fatalf("got %s", got)
		}
		stock.send(`421["jetway:auth","again"]`)
		stock.want(`431[{"ok":true`)
	}

	_, r := dialRaw(t, url(s), ann)
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "5" || !strings.Contains(string(body), `"code":"rate_limited"`) || !strings.Contains(string(body), "limits.per_user ") {
		t.Errorf("a handshake: %d %s", r.StatusCode, body)
	}
	late, _ := dialRaw(t, url(s), nil)
	readText(t, late)
	if got := ask(t, late, `{"auth":"ann","id":1}`); !strings.HasPrefix(got, `{"err":1,"code":"rate_limited"`) || !strings.Contains(got, "limits.per_user ") || !strings.Contains(got, `"retry":"5s"`) {
		t.Errorf("auth: %s", got)
	}
	if got := readText(t, late); !strings.HasPrefix(got, `{"bye":true,"code":4429`) || !strings.Contains(got, `"retry":"5s"`) {
		t.Errorf("and then: %s", got)
	}
	if code := closeCode(late); code != 4429 {
		t.Errorf("and then: %d", code)
	}
	stock.send(`40/a,{"token":"ann"}`)
	var refusal struct {
		Data struct{ Code, Hint, Retry string }
	}
	if err := json.Unmarshal([]byte(stock.want("44/a,")[5:]), &refusal); err != nil || refusal.Data.Code != "rate_limited" || refusal.Data.Retry != "5s" || !strings.Contains(refusal.Data.Hint, "limits.per_user ") {
		t.Errorf("Socket.IO: %+v, %v", refusal, err)
	}
	if n := reasons(t, s, "per_user"); n != "3" {
		t.Errorf("counted %s", n)
	}
	stock.send(`40/b,{"token":"bob"}`) // another user
	stock.want(`40/b,{"sid":`)

	// Left by the server, by the client, and by nobody.
	header.Close()
	stock.send("41") // "/", but not "/b"
	eventually(t, "two places are free", func() bool {
		c, r := dialRaw(t, url(s), ann)
		if r.StatusCode != 101 {
			return false
		}
		defer c.Close()
		second, r := dialRaw(t, url(s), ann)
		if second != nil {
			second.Close()
		}
		return r.StatusCode == 101
	})
	stock.c.NetConn().Close()
	send(t, frame, `{"auth":"bob"}`) // that is the end
	closeCode(frame)
	eventually(t, "nobody is left", func() bool { return s.Users() == 0 })
}

// W11: a header that comes byte by byte, and TLS that is never finished, hold a
// connection for as long as is configured, and other clients notice nothing.
func TestW11Slowloris(t *testing.T) {
	cert, key := certificate(t)
	for name, o := range map[string]gateway.Options{"plain": {}, "TLS": {TLSCert: cert, TLSKey: key}} {
		t.Run(name, func(t *testing.T) {
			o.Anonymous, o.HandshakeTimeout = everything, 5*time.Second
			s, _ := serve(t, o)
			scheme, dialer := "ws", *websocket.DefaultDialer
			dialer.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // of this test's own
			begins := []string{"G", "GET /ws HTTP/1.1\r\nHost: x\r\n", "GET /ws HTTP/1.1\r\nHost: x\r\nX-A: "}
			if o.TLSCert != "" {
				scheme, begins = "wss", []string{"", "\x16", "\x16\x03\x01\x40\x00\x01\x00"} // of the longest record
			}
			in, _, err := dialer.DialContext(t.Context(), scheme+"://"+s.Addr().String()+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			readText(t, in)
			var all sync.WaitGroup
			for _, begin := range begins {
				c, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				all.Go(func() { drip(t, c, begin) })
			}
			all.Wait()
			serves(t, in)
			eventually(t, "their sockets are gone", func() bool { n, _ := s.Sockets(); return n == 1 })
		})
	}
	t.Run("TLS, and then no header", func(t *testing.T) {
		s, _ := serve(t, gateway.Options{Anonymous: everything, HandshakeTimeout: 5 * time.Second, TLSCert: cert, TLSKey: key})
		c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		drip(t, c, "GET /ws HTTP/1.1\r\n")
	})
}

// drip sends byte after byte until the server has closed the connection.
func drip(t *testing.T, c net.Conn, begin string) {
	_, _ = io.WriteString(c, begin) // what fails shows below
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			_, _ = c.Write([]byte("a"))
		case <-late:
			t.Errorf("%q: still open", begin)
			c.Close()
		}
	}
}

// W11: a header that is too large, or has too many fields (CVE-2024-37890: that
// ended a process), is refused.
func TestW11Headers(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything, MaxHeaderBytes: 8 << 10, SocketIO: gateway.SocketIO{Path: "/socket.io/"}})
	const upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for name, tt := range map[string]struct {
		more string
		want int
	}{
		"as usual":         {"", 101},
		"large":            {"X-A: " + strings.Repeat("a", 6<<10) + "\r\n", 101},
		"too large":        {"X-A: " + strings.Repeat("a", 9<<10) + "\r\n", 431},
		"far too large":    {"X-A: " + strings.Repeat("a", 1<<20) + "\r\n", 431},
		"many":             {strings.Repeat("A: b\r\n", 150), 101},
		"too many":         {strings.Repeat("A: b\r\n", 1001), 431},
		"of other names":   {manyFields(300), 431},
		"all in one field": {"Cookie: " + strings.Repeat("a=b;", 1000) + "\r\n", 101},
	} {
		for _, path := range []string{"/ws", "/socket.io/?EIO=4&transport=websocket"} {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\n"+upgrade+tt.more+"\r\n") }() // which may not all be read
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || r.StatusCode != tt.want {
				t.Errorf("%s, %s: %+v, %v, want %d", name, path, r, err, tt.want)
			}
			c.Close()
		}
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: b\r\n", i)
	}
	return b.String()
}

// W12: connections that never become clients are bounded, too, before anything
// is read of them; who is in stays, and so does room for proxies.
func TestW12Sockets(t *testing.T) {
	const most = 4*1 + 64
	o := gateway.Options{Anonymous: everything, MaxPerAddress: 1, AdminListen: "127.0.0.1:0", HandshakeTimeout: 5 * time.Minute} // none of them is cut off
	s, _ := serve(t, o)
	in, _ := dialRaw(t, url(s), nil)
	readText(t, in)
	idle := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var quiet []net.Conn
	for range most - 1 {
		quiet = append(quiet, idle())
	}
	eventually(t, "they are open", func() bool { n, _ := s.Sockets(); return n == most })
	for range 10 {
		if n, err := idle().Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("one too many was told something: %v", err)
		}
	}
	if n := reasons(t, s, "sockets"); n != "10" {
		t.Errorf("counted %s", n)
	}
	if n := metric(t, s, "jetway_sockets"); n != fmt.Sprint(most) {
		t.Errorf("%s are open", n)
	}
	serves(t, in)

	trusting := o.Rules()
	trusting.TrustedProxies = networks("127.0.0.1/32")
	s.Reload(trusting)
	for range 10 {
		quiet = append(quiet, idle())
	}
	eventually(t, "those of a proxy are open", func() bool { n, _ := s.Sockets(); return n == most+10 })

	for _, c := range quiet {
		c.Close()
	}
	in.Close()
	eventually(t, "nothing is left", func() bool { n, addresses := s.Sockets(); return n == 0 && addresses == 0 })
}

// A page of Socket.IO has three connections for a while: its first two polls
// were on one each, which its browser keeps, and then there is its WebSocket. As
// many pages as an address may have can come at the same moment.
func TestSocketsOfPages(t *testing.T) {
	const pages = 100
	s, _ := serve(t, gateway.Options{Anonymous: everything, MaxPerAddress: pages, AdminListen: "127.0.0.1:0"})
	for i := range pages {
		for range 2 {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") // the answer shows whether it was read
			if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != http.StatusOK {
				t.Fatalf("page %d: %v", i, err)
			}
		}
		c, _ := dialRaw(t, url(s), nil)
		readText(t, c)
	}
	if n := reasons(t, s, "sockets"); n != "0" {
		t.Errorf("counted %s", n)
	}
}

// What is written at once to a bounded socket goes out at once.
func TestSocketsWriteVectors(t *testing.T) {
	var accepted atomic.Pointer[net.Conn]
	broker, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	s, err := gateway.New(gateway.Options{Bridge: bridge.New(broker, bridge.Options{}), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	go func() {
		if c, err := s.Accept(); err == nil {
			accepted.Store(&c)
		}
	}()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "accepted", func() bool { return accepted.Load() != nil })
	one := *accepted.Load()
	defer one.Close()
	if _, ok := one.(syscall.Conn); !ok {
		t.Error("websock would take it for no TCP")
	}
	counted := &writes{TCPSocket: one.(gateway.TCPSocket)}
	v := net.Buffers{[]byte("a"), []byte("b"), []byte("c")}
	if n, err := v.WriteTo(counted); n != 3 || err != nil || counted.n != 0 {
		t.Errorf("%d bytes, %v, in %d writes beside writev", n, err, counted.n)
	}
}

// writes counts the writes that are not writev.
type writes struct {
	gateway.TCPSocket
	n int
}

func (w *writes) Write(b []byte) (int, error) { w.n++; return w.TCPSocket.Write(b) }

// starving is a listener without file descriptors, until it has some.
type starving struct {
	net.Listener
	fed   chan struct{}
	tried atomic.Int32
}

func (l *starving) Accept() (net.Conn, error) {
	select {
	case <-l.fed:
		return l.Listener.Accept()
	default:
		l.tried.Add(1)
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
}

// W13: without file descriptors the gateway goes on, without a busy loop, and
// says that it is not ready; it recovers by itself.
func TestW13(t *testing.T) {
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	b := bridge.New(broker, bridge.Options{})
	s, err := gateway.New(gateway.Options{Bridge: b, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Anonymous: everything})
	if err != nil {
		t.Fatal(err)
	}
	l := &starving{fed: make(chan struct{})}
	s.Listen(func(inner net.Listener) net.Listener { l.Listener = inner; return l })
	begin := time.Now()
	if err := errors.Join(s.Start(t.Context()), b.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), b.Stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	ready := "http://" + s.AdminAddr().String() + "/readyz"
	eventually(t, "it says that it cannot accept", func() bool {
		status, body := get(t, ready, nil)
		return status == 503 && strings.Contains(body, "too many open files") && strings.Contains(body, "LimitNOFILE")
	})
	eventually(t, "it tries again", func() bool { return l.tried.Load() > 3 })
	// net/http waits 5 ms, then twice as long each time.
	if n, most := l.tried.Load(), int32(10+time.Since(begin)/(5*time.Millisecond)); n > most {
		t.Errorf("tried %d times", n)
	}
	if n := metric(t, s, "jetway_accept_errors_total"); n == "" || n == "0" {
		t.Errorf("counted %q", n)
	}
	if status, _ := get(t, strings.Replace(ready, "readyz", "livez", 1), nil); status != 200 {
		t.Errorf("/livez: %d", status)
	}
	close(l.fed)
	c, _ := dialRaw(t, url(s), nil)
	readText(t, c)
	serves(t, c)
	if status, body := get(t, ready, nil); status != 200 {
		t.Errorf("with room again: %d %s", status, body)
	}
}

// lowRates makes what is refused too often as little as it can be, 1,000 a second
// after the first 10,000, so that a flood from a slow machine is above it, too.
func lowRates(o *gateway.Options) { o.PublishRate, o.RequestRate = 200, 200 }

// W09: a flood of pings, of either kind, is slowed down, and at last ended; other
// clients are served.
func TestW09(t *testing.T) {
	o := gateway.Options{Anonymous: everything, AdminListen: "127.0.0.1:0"}
	lowRates(&o)
	s, _ := serve(t, o)
	other, _ := dialRaw(t, url(s), nil)
	readText(t, other)
	c, _ := dialRaw(t, url(s), nil)
	readText(t, c)
	go func() {
		for flood := []byte(`{"ping":1}`); ; {
			if c.WriteMessage(websocket.TextMessage, flood) != nil {
				return
			}
		}
	}()
	pongs, limited, bye := 0, 0, ""
	for bye == "" {
		switch got := readText(t, c); {
		case got == `{"pong":1}`:
			pongs++
		case strings.HasPrefix(got, `{"err":"ping","code":"rate_limited"`) && strings.Contains(got, "limits.request_rate "):
			limited++
		default:
			bye = got
		}
	}
	if !strings.HasPrefix(bye, `{"bye":true,"code":4429`) || !strings.Contains(bye, `"retry":"`) || limited < 10_000 || pongs < 200 {
		t.Errorf("%d pongs, %d refusals, then %s", pongs, limited, bye)
	}
	if code := closeCode(c); code != 4429 {
		t.Errorf("closed with %d", code)
	}
	for name, want := range map[string]string{"jetway_too_fast_total": "1", `jetway_limited_total{limit="max_durables"}`: "0"} {
		if n := metric(t, s, name); n != want {
			t.Errorf("%s is %s", name, n)
		}
	}
	if n := metric(t, s, `jetway_limited_total{limit="request_rate"}`); n != fmt.Sprint(limited+1) && n != fmt.Sprint(limited) {
		t.Errorf("counted %s of %d", n, limited)
	}
	serves(t, other)
}

// W09: by Socket.IO, too, who goes on however often it is refused is closed:
// whether the answers are wanted or not, and whatever is asked for.
func TestW09SocketIO(t *testing.T) {
	for name, flood := range map[string]string{
		"requests": `421["jetway:ping",{"ping":1}]`, "unasked": `42["jetway:off","s9"]`, "nonsense": `421["jetway:nonsense",{}]`, "forbidden": `421["$SYS.a",1]`, "namespaces": "40/other,",
	} {
		t.Run(name, func(t *testing.T) {
			o := stockOptions(nil)
			o.Anonymous, o.AdminListen = everything, "127.0.0.1:0"
			lowRates(&o)
			s, _ := serve(t, o)
			other, c := dialStock(t, s, nil), dialStock(t, s, nil)
			for _, one := range []stockClient{other, c} {
				one.send("40")
				one.want(`40{"sid":`)
			}
			go func() {
				for c.c.WriteMessage(websocket.TextMessage, []byte(flood)) == nil {
				}
			}()
			for {
				if _, _, err := c.c.ReadMessage(); err != nil {
					break
				}
			}
			if n := metric(t, s, "jetway_too_fast_total"); n != "1" {
				t.Errorf("counted %s", n)
			}
			other.send(`421["jetway:ping",{"ping":1}]`)
			other.want(`431[{"ok":true`)
		})
	}
}

// W09: WebSocket pings at full speed hold up nobody else, and cost one pong in a
// while; what they come with is still served.
func TestW09WebSocketPings(t *testing.T) {
	o := stockOptions(nil)
	o.Anonymous = everything
	s, _ := serve(t, o)
	other, _ := dialRaw(t, url(s), nil)
	readText(t, other)
	for _, where := range []string{url(s), "ws://" + s.Addr().String() + "/socket.io/?EIO=4&transport=websocket"} {
		c, _ := dialRaw(t, where, nil)
		readText(t, c)
		pongs := 0
		c.SetPongHandler(func(string) error { pongs++; return nil })
		const pings = 15_000
		flooding := make(chan error, 1)
		go func() {
			for i := range pings {
				if err := c.WriteControl(websocket.PingMessage, []byte(fmt.Sprint(i)), time.Now().Add(time.Minute)); err != nil {
					flooding <- err
					return
				}
			}
			flooding <- c.WriteMessage(websocket.TextMessage, []byte(`{"ping":"last"}`)) // nonsense to the other protocol, which it ends
		}()
		serves(t, other)
		for {
			_, b, err := c.ReadMessage()
			if err != nil || string(b) == `{"pong":"last"}` {
				break
			}
		}
		if err := <-flooding; err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if pongs == 0 || pongs > pings {
			t.Errorf("%s: %d pongs", where, pongs)
		}
		serves(t, other)
	}
}

// An application that publishes a burst, and repeats each event when it was told
// to, is not too fast, by either protocol.
func TestHonestBurst(t *testing.T) {
	const events = 1500
	o := stockOptions(nil)
	o.Anonymous, o.PublishRate = everything, 500
	s, _ := serve(t, o)
	c, _ := dialRaw(t, url(s), nil)
	readText(t, c)
	var mu sync.Mutex
	begin := time.Now()
	publish := func(id int) {
		mu.Lock()
		defer mu.Unlock()
		_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"pub":"events.a","data":1,"id":%d}`, id)) // the reader sees it
	}
	go func() {
		for i := range events {
			publish(i)
		}
	}()
	done, refused := 0, 0
	for done < events {
		var answer struct {
			OK, Err *int
			Retry   string
		}
		text := readText(t, c)
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if answer.OK != nil {
			done++
			continue
		}
		retry, err := time.ParseDuration(answer.Retry)
		if answer.Err == nil || err != nil {
			t.Fatalf("got %s", text)
		}
		refused++
		time.AfterFunc(retry, func() { publish(*answer.Err) })
	}
	// A burst, and what two seconds allow, are all of them.
	if took := time.Since(begin); refused == 0 && took < (events-500)*time.Second/500 {
		t.Errorf("nothing was refused in %v", took)
	}
}

// stuck is a broker that does not answer publishes until it may.
type stuck struct {
	*memory.Broker
	mu   sync.Mutex
	held []func()
}

func (s *stuck) Publish(p *bridge.Publication, done func(bridge.Receipt, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, func() { s.Broker.Publish(p, done) })
}

func (s *stuck) release() int {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	for _, answer := range held {
		answer()
	}
	return len(held)
}

// W16: what is asked of a broker that does not answer is bounded.
func TestW16Inflight(t *testing.T) {
	broker, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	held := &stuck{Broker: broker}
	o := stockOptions(nil)
	o.Anonymous, o.MaxInflight = everything, 5
	s := serveOver(t, held, o)
	c, _ := dialRaw(t, url(s), nil)
	readText(t, c)
	for i := range 6 {
		send(t, c, fmt.Sprintf(`{"pub":"events.a","data":1,"id":%d}`, i))
	}
	if got := readText(t, c); !strings.HasPrefix(got, `{"err":5,"code":"rate_limited"`) || !strings.Contains(got, "limits.max_inflight ") || !strings.Contains(got, `"retry":"1s"`) {
		t.Errorf("got %s", got)
	}
	serves(t, c)
	if n := held.release(); n != 5 {
		t.Errorf("%d were held", n)
	}
	for range 5 {
		if got := readText(t, c); !strings.HasPrefix(got, `{"ok":`) {
			t.Errorf("got %s", got)
		}
	}
	stock := dialStock(t, s, nil)
	stock.send("40")
	stock.want(`40{"sid":`)
	for i := range 6 {
		stock.send(fmt.Sprintf(`42%d["events.a",1]`, i))
	}
	stock.want(`435[{"ok":false,"code":"rate_limited"`)
	if n := held.release(); n != 5 {
		t.Errorf("%d were held", n)
	}
}

// W16: subscriptions by the hundred thousand, and loops of sub and off, meet a
// limit that is named, and leave nothing behind.
func TestW16(t *testing.T) {
	o := stockOptions(nil)
	o.Anonymous, o.AdminListen = everything, "127.0.0.1:0"
	lowRates(&o)
	s, _ := serve(t, o)
	before := heap()
	c, _ := dialRaw(t, url(s), nil)
	readText(t, c)
	go func() {
		for i := 0; ; i++ {
			if c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"sub":"events.%d","id":%d}`, i, i)) != nil {
				return // too fast
			}
		}
	}()
	oks, why := 0, map[string]int{}
	for bye := false; !bye; {
		switch got := readText(t, c); {
		case strings.HasPrefix(got, `{"ok":`):
			oks++
		case strings.HasPrefix(got, `{"live":`):
		case strings.HasPrefix(got, `{"bye":`):
			bye = true
		default:
			for _, key := range []string{"max_subscriptions", "request_rate"} {
				if strings.Contains(got, `"code":"rate_limited"`) && strings.Contains(got, "limits."+key+" ") {
					why[key]++
				}
			}
		}
	}
	if oks != 100 || why["max_subscriptions"] < 100 || why["request_rate"] < 5000 {
		t.Errorf("%d subscriptions, refused by %v", oks, why)
	}
	if code := closeCode(c); code != 4429 {
		t.Errorf("closed with %d", code)
	}

	// At 10 requests a second, however slow the machine is.
	o.RequestRate = 10
	slow, _ := serve(t, o)
	churn, _ := dialRaw(t, url(slow), nil)
	readText(t, churn)
	limited := false
	for range 1000 {
		send(t, churn, `{"sub":"events.a","id":"s"}`)
		var answer struct{ SID, Hint string }
		if err := json.Unmarshal([]byte(skipLive(t, churn)), &answer); err != nil {
			t.Fatal(err)
		}
		if limited = strings.Contains(answer.Hint, "limits.request_rate "); limited {
			break
		}
		send(t, churn, fmt.Sprintf(`{"off":%q,"id":"o"}`, answer.SID))
		skipLive(t, churn)
	}
	if !limited {
		t.Error("a loop of sub and off goes on for ever")
	}
	churn.Close()

	// Socket.IO: CONNECT and DISCONNECT, again and again.
	stock := dialStock(t, slow, nil)
	limited = false
	for i := 0; i < 1000 && !limited; i++ {
		stock.send("40")
		got := stock.want("4")
		limited = strings.HasPrefix(got, "44") && strings.Contains(got, `"code":"rate_limited"`) && strings.Contains(got, "limits.request_rate ") && strings.Contains(got, `"retry":"`)
		if !limited {
			stock.send("41")
		}
	}
	if !limited {
		t.Error("a loop of CONNECT and DISCONNECT goes on for ever")
	}
	stock.c.Close()
	eventually(t, "nobody is left", func() bool {
		for _, one := range []*gateway.Server{s, slow} {
			if n, _ := one.Sockets(); n > 0 || metric(t, one, "jetway_subscriptions") != "0" {
				return false
			}
		}
		return true
	})
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap has grown from %d to %d", before, after)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// skipLive returns the next frame that tells more than that a subscription has
// caught up.
func skipLive(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	for {
		if got := readText(t, c); !strings.HasPrefix(got, `{"live":`) {
			return got
		}
	}
}

// Each limit names itself, by either protocol; requests to services count like
// publishes, and a user has all its connections together.
func TestPublishLimits(t *testing.T) {
	all := bridge.Permissions{Pub: []string{">"}, Sub: []string{">"}, Req: []string{">"}}
	policy := &scripted{users: map[string]*auth.Identity{"ann": {User: "ann", Permissions: &all}}}
	for limit, edit := range map[string]func(*gateway.Options){
		"publish_rate":       func(o *gateway.Options) { o.PublishRate = 2. / 3600 },
		"publish_bytes":      func(o *gateway.Options) { o.PublishBytes, o.MaxMessageBytes = 1, 1024 },
		"user_publish_rate":  func(o *gateway.Options) { o.UserPublishRate = 2. / 3600 },
		"user_publish_bytes": func(o *gateway.Options) { o.UserPublishBytes, o.MaxMessageBytes = 1, 1024 },
	} {
		t.Run(limit, func(t *testing.T) {
			o := stockOptions(policy)
			o.AdminListen = "127.0.0.1:0"
			edit(&o)
			s, _ := serve(t, o)
			ann := field("Authorization", "Bearer ann")
			payload := `"` + string(bytes.Repeat([]byte("x"), 900)) + `"`
			c, _ := dialRaw(t, url(s), ann)
			readText(t, c)
			if got := ask(t, c, `{"pub":"events.a","data":`+payload+`,"id":1}`); !strings.HasPrefix(got, `{"ok":1`) {
				t.Fatalf("got %s", got)
			}
			for _, verb := range []string{`"pub":"events.a"`, `"req":"svc.a"`} {
				if got := ask(t, c, `{`+verb+`,"data":`+payload+`,"id":2}`); !strings.HasPrefix(got, `{"err":2,"code":"rate_limited"`) || !strings.Contains(got, "limits."+limit+" ") || !strings.Contains(got, `"retry":"`) {
					t.Errorf("%s: %s", verb, got)
				}
			}
			stock := dialStock(t, s, ann)
			stock.send("40")
			stock.want(`40{"sid":`)
			if !strings.HasPrefix(limit, "user_") {
				stock.send(`420["events.a",` + payload + `]`)
				stock.want(`430[{"ok":true`)
			}
			stock.send(`421["events.a",` + payload + `]`)
			if got := stock.want(`431[{"ok":false,"code":"rate_limited"`); !strings.Contains(got, "limits."+limit+" ") || !strings.Contains(got, `"retry":"`) {
				t.Errorf("Socket.IO: %s", got)
			}
			if n := metric(t, s, `jetway_limited_total{limit="`+limit+`"}`); n != "3" {
				t.Errorf("counted %s", n)
			}
		})
	}
}
