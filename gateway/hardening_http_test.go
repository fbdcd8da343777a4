package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// The cases H01 to H08 of the list of attacks: what reaches the listeners
// beside clients.

// exposed is a gateway with everything that it can serve.
func exposed(t *testing.T, o gateway.Options) *gateway.Server {
	t.Helper()
	o.Anonymous, o.AdminListen = everything, "127.0.0.1:0"
	o.SocketIO.Path = "/socket.io/"
	o.Pages = map[string][]byte{"/": []byte("the page"), "/jobs/worker.js": []byte("the script")}
	s, _ := serve(t, o)
	return s
}

// listeners are the addresses of both.
func listeners(s *gateway.Server) map[string]string {
	return map[string]string{"clients": s.Addr().String(), "admin": s.AdminAddr().String()}
}

// answered is one answer on a connection.
type answered struct {
	status int
	header http.Header
	body   string
	closes bool // nothing more comes after it
}

// say writes bytes as they are and nothing more, and returns what is answered
// until the server closes.
func say(t *testing.T, address, raw string) []answered {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return sayOn(t, c, raw)
}

func sayOn(t *testing.T, c net.Conn, raw string) (all []answered) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil { // it would only wait longer
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, raw) // it may have been refused before the end
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the same
	}
	method, _, _ := strings.Cut(raw, " ")
	r := bufio.NewReader(c)
	for {
		answer, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return all
		}
		body, _ := io.ReadAll(answer.Body) // of a connection that ends
		all = append(all, answered{answer.StatusCode, answer.Header, string(body), answer.Close})
	}
}

// served checks that somebody else is.
func served(t *testing.T, s *gateway.Server) {
	t.Helper()
	c, err := client.Dial(t.Context(), url(s), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Publish(t.Context(), "events.a", []byte("1"), client.PubOptions{}); err != nil {
		t.Error(err)
	}
}

func counted(t *testing.T, s *gateway.Server, reason string) int {
	t.Helper()
	n, err := strconv.Atoi(metric(t, s, `jetway_connections_refused_total{reason="`+reason+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// H01: nothing is served but what is there by its own name; a path is not put
// right, as who stands before and decides by path saw another one.
func TestH01(t *testing.T) {
	s := exposed(t, gateway.Options{})
	paths := []string{"/../", "/..", "/../ws", "/../../../../etc/passwd", "/socket.io/../ws", "/socket.io/../../etc/passwd", "/jobs/../ws", "/./ws", "/ws/.", "/ws/..",
		"/%2e%2e/ws", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fws", "/jobs%2f..%2fws", "/%2e/ws", "/ws%2f", "/ws/", "/ws%00", "/%00", "/ws%0d%0aX:%20y", "/ws%20", "/ws;x",
		"//", "//ws", "//evil.example", "//evil.example/..", "/jobs//worker.js", "/\\..\\ws", "/..%5cws", "/WS", "/metrics/", "/metrics/..", "//metrics", "/%6detrics/x",
		"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/config", "/server.go", "/jetway.yaml", "/.git/config", "/.env", "/favicon.ico", "/jobs", "/jobs/",
		"/" + strings.Repeat("x", 8<<10), "/" + strings.Repeat("../", 2<<10)}
	for name, address := range listeners(s) {
		before := counted(t, s, "route")
		for _, path := range paths {
			for _, a := range say(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
				var e struct{ Code, Msg, Hint string }
				if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != 404 || e.Code != "not_found" || e.Hint == "" || a.header.Get("Location") != "" {
					t.Errorf("%s: %.60q: %d %s", name, path, a.status, a.body)
				}
			}
		}
		if n := counted(t, s, "route") - before; n != len(paths) {
			t.Errorf("%s: %d of %d are counted", name, n, len(paths))
		}
		for _, path := range []string{"", "ws", "../ws", "/\x00", "/w\x00s", "/w\x7fs", "/a b", "/%", "/%zz", "/\x1b[2J", "http://[::1/ws"} {
			if got := say(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 400 || !got[0].closes {
				t.Errorf("%s: %q: %+v", name, path, got)
			}
		}
		if got := say(t, address, "GET /"+strings.Repeat("x", 64<<10)+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 431 || !got[0].closes {
			t.Errorf("%s: a very long path: %.300v", name, got)
		}
	}
	// What belongs to one listener is not on the other one.
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if got := say(t, s.Addr().String(), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 404 {
			t.Errorf("clients: %s: %+v", path, got)
		}
	}
	for _, path := range []string{"/", "/ws", "/socket.io/?EIO=4&transport=polling", "/socket.io/socket.io.js", "/jobs/worker.js", "/debug/pprof/"} {
		if got := say(t, s.AdminAddr().String(), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 404 {
			t.Errorf("admin: %s: %+v", path, got)
		}
	}
	served(t, s)
}

// H01: the methods of each path; those that are not its own are refused with
// what may be used.
func TestH01Methods(t *testing.T) {
	s := exposed(t, gateway.Options{})
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "GE\x00T"} {
		for path, address := range map[string]string{"/": s.Addr().String(), "/ws": s.Addr().String(), "/livez": s.Addr().String(), "/jobs/worker.js": s.Addr().String(),
			"/metrics": s.AdminAddr().String(), "/readyz": s.AdminAddr().String()} {
			got := say(t, address, method+" "+path+" HTTP/1.1\r\nHost: x\r\nX-Secret: hunter2\r\nContent-Length: 0\r\n\r\n")
			if strings.Contains(method, "\x00") {
				if len(got) != 1 || got[0].status != 400 {
					t.Errorf("%q %s: %+v", method, path, got)
				}
				continue
			}
			if len(got) != 1 || got[0].status != 405 || got[0].header.Get("Allow") != "GET, HEAD" || !got[0].closes || strings.Contains(got[0].body, "hunter2") {
				t.Errorf("%s %s: %+v", method, path, got)
			}
		}
	}
	for path, address := range map[string]string{"/": s.Addr().String(), "/livez": s.Addr().String(), "/metrics": s.AdminAddr().String()} {
		if got := say(t, address, "HEAD "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 200 || got[0].body != "" {
			t.Errorf("HEAD %s: %+v", path, got)
		}
	}
	if got := say(t, s.Addr().String(), "HEAD /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0].status != 400 {
		t.Errorf("HEAD /ws: %+v", got)
	}
	served(t, s)
}

// H02: no text of a client makes a line of the log, or a command of the
// terminal that shows it.
func TestH02Names(t *testing.T) {
	var log syncBuffer
	s := exposed(t, gateway.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	const evil = "x\nlevel=ERROR msg=forged \x1b[2J\x1b]0;t\x07 %s%n%v \u009b31m \u2028"
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := dialRaw(t, url(s), field("User-Agent", "a %s %n \u009b", "X-Request-Id", "%v\tlevel=ERROR", "Origin", "http://"+s.Addr().String()))
	readText(t, c) // hi
	for _, frame := range []string{`{"pub":%s,"data":1}`, `{"sub":%s}`, `{"pub":"events.a","data":1,"key":%s}`, `{"pub":"events.a","data":1,"head":{%s:"x"}}`, `{"auth":%s}`, `{%s:1}`, `{"id":%s,"frob":1}`} {
		if err := c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, frame, text)); err != nil {
			t.Fatal(err)
		}
		if got := readText(t, c); !strings.HasPrefix(got, `{"err":`) || strings.ContainsAny(got, "\n\r\x1b\x07") {
			t.Errorf("%s: %q", frame, got)
		}
	}
	// A reason of the client's own for its end is in the log.
	if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, evil)); err != nil {
		t.Fatal(err)
	}
	closeCode(c)
	stock := dialStock(t, s, field("User-Agent", "\u009b %s", "X-Request-Id", "%n"))
	stock.send("40/" + strings.ReplaceAll(evil, ",", ""))
	stock.want("44")
	stock.send("40")
	stock.want("40")
	stock.send(`420[` + string(text) + `,1]`)
	stock.want(`430[{"ok":false`)
	stock.send(`42["jetway:` + string(text)[1:] + `]`)
	if got := stock.want(`42`); !strings.Contains(got, `["jetway:error",{"ok":false`) {
		t.Errorf("got %q", got)
	}
	stock.send("4" + evil)
	stock.closes()
	for _, raw := range []string{"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n", "G\x1b[2JET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /ws HTTP/1.1\r\nHost: x\r\nA\x1b: b\r\n\r\n", "GET /%0Alevel=ERROR%20msg=forged%1b[2J HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \u009b[2J\r\n\r\n"} {
		say(t, s.Addr().String(), raw)
	}
	served(t, s)
	if err := s.Stop(t.Context()); err != nil { // waits for the clients' ends
		t.Fatal(err)
	}
	for _, want := range []string{"client left", "connection refused", "handshake refused"} {
		if !strings.Contains(log.String(), want) {
			t.Fatalf("no line %q: the attack did not get there\n%s", want, log.String())
		}
	}
	for line := range strings.Lines(log.String()) {
		if !strings.HasPrefix(line, "time=") || strings.ContainsAny(line, "\x1b\x07\u009b\u2028") || strings.Count(line, " level=ERROR ") > 0 && !strings.Contains(line, `\n`) || strings.Contains(line, "%!") {
			t.Errorf("forged: %q", line)
		}
	}
}

// H04: what is for operators is on a listener of its own, there is none unless
// it is asked for, and profiles are on neither. That no public address is taken
// is in package config (TestGolden/public-admin).
func TestH04(t *testing.T) {
	s, _ := serve(t, gateway.Options{Anonymous: everything})
	if s.AdminAddr() != nil {
		t.Errorf("an admin listener at %v", s.AdminAddr())
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline", "/debug/vars", "/admin", "/console/"} {
		if got := say(t, s.Addr().String(), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0].status != 404 {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

const polling = "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

// smuggled is a second request, hidden behind a first one.
const smuggled = "GET /livez?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

// H07: a request that two readers could take for different ones is refused, or
// is the last of its connection: what is hidden behind it is never answered.
func TestH07(t *testing.T) {
	s := exposed(t, gateway.Options{})
	sid := handshake(t, s)
	shapes := map[string]string{
		"two lengths":               "Content-Length: 1\r\nContent-Length: 40\r\n\r\n2",
		"two lengths in one":        "Content-Length: 1, 40\r\n\r\n2",
		"a signed length":           "Content-Length: +1\r\n\r\n2",
		"a negative length":         "Content-Length: -1\r\n\r\n2",
		"a hexadecimal length":      "Content-Length: 0x1\r\n\r\n2",
		"a huge length":             "Content-Length: 99999999999999999999\r\n\r\n2",
		"space before the colon":    "Content-Length : 1\r\n\r\n2",
		"two hosts":                 "Host: y\r\nContent-Length: 1\r\n\r\n2",
		"space before the first":    "X: y\r\n\r\n",
		"CR in a value":             "X: y\rContent-Length: 1\r\n\r\n2",
		"NUL in a value":            "X: y\x00\r\nContent-Length: 1\r\n\r\n2",
		"no colon":                  "X\r\nContent-Length: 1\r\n\r\n2",
		"no name":                   ": y\r\nContent-Length: 1\r\n\r\n2",
		"TE, space before colon":    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"TE unknown":                "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"TE identity":               "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n2",
		"TE twice":                  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE list":                   "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"TE with VT":                "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"TE and a bad length":       "Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\n",
		"TE and length":             "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		"length and TE":             "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n",
		"TE, folded":                "Transfer-Encoding:\r\n chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		"a chunk of bad size":       "Transfer-Encoding: chunked\r\n\r\nzz\r\n2\r\n0\r\n\r\n",
		"a chunk of negative size":  "Transfer-Encoding: chunked\r\n\r\n-1\r\n2\r\n0\r\n\r\n",
		"a chunk of huge size":      "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n2\r\n0\r\n\r\n",
		"a chunk longer than said":  "Transfer-Encoding: chunked\r\n\r\n1\r\n22\r\n0\r\n\r\n",
		"a long extension":          "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 10_000) + "\r\n2\r\n0\r\n\r\n",
		"a bad trailer":             "Transfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\nContent-Length 5\r\n\r\n",
		"chunked, nothing wrong":    "Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n",
		"expectation of its own":    "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n2",
		"a length that is too long": "Content-Length: 2000000000\r\n\r\n2",
	}
	for name, rest := range shapes {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "nothing wrong") {
				sid = handshake(t, s)
			}
			head := fmt.Sprintf(polling, sid)
			if name == "space before the first" {
				head = strings.Replace(head, "\r\nHost", "\r\n Host", 1)
			}
			got := say(t, s.Addr().String(), head+rest+smuggled)
			for i, a := range got {
				if a.body == "ok\n" {
					t.Errorf("answer %d is to the smuggled request", i)
				}
			}
			if len(got) != 1 || !got[0].closes {
				t.Fatalf("answered %+v", got)
			}
			wrong := name != "chunked, nothing wrong"
			if refused := got[0].status >= 400 && got[0].status < 600; refused != wrong {
				t.Errorf("answered %+v", got)
			}
		})
	}
	// Where there is never a body, both listeners refuse one.
	for name, address := range listeners(s) {
		for shape, rest := range map[string]string{
			"length":        "Content-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n",
			"TE":            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"TE and length": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
			"CR alone":      "X: y\r\r",
			"obsolete fold": "X: y\r\n Content-Length: 5\r\nContent-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n",
		} {
			for _, path := range []string{"/livez", "/ws", "/metrics", "/"} {
				got := say(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+rest+smuggled)
				if len(got) != 1 || got[0].status != 400 || !got[0].closes {
					t.Errorf("%s: %s with %s: %+v", name, path, shape, got)
				}
			}
		}
	}
	// A folded field is one field: nothing that follows is another one.
	got := say(t, s.Addr().String(), "GET /livez HTTP/1.1\r\nHost: x\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n"+smuggled)
	if len(got) != 2 || got[0].status != 200 || got[1].body != "ok\n" { // two requests, as they stand there
		t.Errorf("folded: %+v", got)
	}
	served(t, s)
}

// handshake opens a session by polling and returns its sid.
func handshake(t *testing.T, s *gateway.Server) string {
	t.Helper()
	_, body := get(t, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling", nil)
	var open struct{ Sid string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &open); err != nil || open.Sid == "" {
		t.Fatalf("%s: %v", body, err)
	}
	return open.Sid
}

// H08: HTTP/1.1 is spoken and nothing else: no tunnels, no upgrade but to
// WebSocket, no HTTP/2, by no way there is to it.
func TestH08(t *testing.T) {
	s := exposed(t, gateway.Options{})
	const settings = "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
	for name, address := range listeners(s) {
		for _, tt := range []struct {
			what, raw string
			status    []int
		}{
			{"preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{400}},
			{"HTTP/2 by name", "GET /ws HTTP/2.0\r\nHost: x\r\n\r\n", []int{505}},
			{"HTTP/3 by name", "GET /ws HTTP/3.0\r\nHost: x\r\n\r\n", []int{505}},
			{"HTTP/0.9", "GET /ws\r\n\r\n", []int{400}},
			{"tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", []int{404, 405}},
			{"tunnel with a path", "CONNECT /ws HTTP/1.1\r\nHost: x\r\n\r\n", []int{404, 405}},
			{"extended CONNECT", "CONNECT /ws HTTP/1.1\r\nHost: x\r\n:protocol: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", []int{400, 404, 405}},
			{"h2c on /ws", "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n" + settings + "\r\n", []int{400, 404}},
			{"h2c and WebSocket", "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n" + settings + "\r\n", []int{400, 404}},
			{"another upgrade", "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: TLS/1.0\r\n\r\n", []int{400, 404}},
			{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		} {
			got := say(t, address, tt.raw)
			ok := len(got) == 1 && got[0].closes
			if ok {
				ok = false
				for _, status := range tt.status {
					ok = ok || got[0].status == status
				}
			}
			if !ok {
				t.Errorf("%s: %s: %+v", name, tt.what, got)
			}
		}
		// Where there is no upgrade, one that is asked for is ignored, as HTTP wants
		// (RFC 9110 section 7.8), and what follows is HTTP/1.1.
		got := say(t, address, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+settings+"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		if len(got) != 2 || got[0].status != 200 || got[1].status != 400 || got[0].header.Get("Upgrade") != "" {
			t.Errorf("%s: h2c on /livez: %+v", name, got)
		}
	}
	served(t, s)
}

// H08: over TLS, too.
func TestH08TLS(t *testing.T) {
	cert, key := certificate(t)
	s := exposed(t, gateway.Options{TLSCert: cert, TLSKey: key})
	dial := func(protocols ...string) (*tls.Conn, error) {
		c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, err
	}
	if _, err := dial("h2"); err == nil {
		t.Error("HTTP/2 alone is agreed on")
	}
	c, err := dial("h2", "http/1.1")
	if err != nil || c.ConnectionState().NegotiatedProtocol != "http/1.1" {
		t.Fatalf("agreed on %q, %v", c.ConnectionState().NegotiatedProtocol, err)
	}
	if got := sayOn(t, c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); len(got) != 1 || got[0].status != 400 {
		t.Errorf("the preface: %+v", got)
	}
	if c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is agreed on")
	}
	// Plain HTTP on the same port.
	if got := say(t, s.Addr().String(), "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) > 1 || len(got) == 1 && got[0].status != 400 {
		t.Errorf("plain HTTP: %+v", got)
	}
}

// certificate writes one for tests, with its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// A path that is not served is not redirected to one that is, and a header of
// too many fields is refused in the words of the protocol; both are counted.
func TestOddRequestsAreRefusedInWords(t *testing.T) {
	s := exposed(t, gateway.Options{})
	for raw, want := range map[string]struct {
		status int
		code   string
	}{
		"GET /socket.io?EIO=4 HTTP/1.1\r\nHost: x\r\n\r\n":              {http.StatusNotFound, "not_found"},
		"POST /socket.io HTTP/1.1\r\nHost: x\r\n\r\n":                   {http.StatusNotFound, "not_found"},
		"GET /livez HTTP/1.1\r\nHost: x\r\n" + manyFields(300) + "\r\n": {http.StatusRequestHeaderFieldsTooLarge, "bad_frame"},
	} {
		got := say(t, s.Addr().String(), raw)
		if len(got) != 1 || got[0].status != want.status || !got[0].closes || !strings.Contains(got[0].body, `"code":"`+want.code+`"`) {
			t.Errorf("%.40q: %+v", raw, got)
		}
	}
	if n := reasons(t, s, "route"); n != "3" {
		t.Errorf("counted %s", n)
	}
}
