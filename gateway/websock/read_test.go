package websock_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/gateway/websock"
)

func TestReadMessage(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want string
		text bool
	}{
		"text":               {text("hello"), "hello", true},
		"binary":             {frame(0x82, []byte{0xff, 0}), "\xff\x00", false},
		"empty":              {text(""), "", true},
		"16-bit length":      {text(long(300)), long(300), true},
		"64-bit length":      {text(long(70_000)), long(70_000), true},
		"fragments":          {join(frame(0x01, []byte("a")), frame(0x00, nil), frame(0x80, []byte("b"))), "ab", true},
		"a rune in two":      {join(frame(0x01, []byte("\xf0\x9f")), frame(0x80, []byte("\x98\x80"))), "😀", true},
		"control in between": {join(frame(0x01, []byte("a")), frame(0x8A, []byte("pong")), frame(0x80, []byte("b"))), "ab", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client, c := upgraded(t, websock.Options{}, nil)
			send(client, tt.in, text("next"))
			msg, isText, err := c.ReadMessage(nil)
			if err != nil || string(msg) != tt.want || isText != tt.text {
				t.Fatalf("got %.20q, text %v, %v", msg, isText, err)
			}
			dst := make([]byte, 0, 16)
			if next, _, err := c.ReadMessage(dst); err != nil || string(next) != "next" || &next[0] != &dst[:1][0] {
				t.Errorf("then %q, %v", next, err)
			}
		})
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// W02, W03, W07, W08: what RFC 6455 forbids ends the connection with the right
// code, and never with a panic. The server itself writes nothing.
func TestReadRefuses(t *testing.T) {
	unmasked := []byte{0x81, 0x02, 'h', 'i'}
	tests := map[string]struct {
		in   []byte
		want error
		code websock.Code
	}{
		"W02 unmasked frame":               {unmasked, websock.ErrProtocol, 1002},
		"W02 RSV1 without extension":       {frame(0xC1, nil), websock.ErrProtocol, 1002},
		"W02 RSV2":                         {frame(0xA1, nil), websock.ErrProtocol, 1002},
		"W02 RSV3":                         {frame(0x91, nil), websock.ErrProtocol, 1002},
		"W02 opcode 3":                     {frame(0x83, nil), websock.ErrProtocol, 1002},
		"W02 opcode 11":                    {frame(0x8B, nil), websock.ErrProtocol, 1002},
		"W02 opcode 15":                    {frame(0x8F, nil), websock.ErrProtocol, 1002},
		"W02 fragmented ping":              {frame(0x09, nil), websock.ErrProtocol, 1002},
		"W02 ping of 126 bytes":            {frame(0x89, []byte(long(126))), websock.ErrProtocol, 1002},
		"W02 continuation of nothing":      {frame(0x80, nil), websock.ErrProtocol, 1002},
		"W02 a message within a message":   {join(frame(0x01, nil), text("x")), websock.ErrProtocol, 1002},
		"W02 close with one byte":          {frame(0x88, []byte{3}), websock.ErrProtocol, 1002},
		"W02 close 999":                    {closing(999, ""), websock.ErrProtocol, 1002},
		"W02 close 1005":                   {closing(1005, ""), websock.ErrProtocol, 1002},
		"W02 close 1006":                   {closing(1006, ""), websock.ErrProtocol, 1002},
		"W02 close, bad UTF-8":             {closing(1000, "\xff"), websock.ErrProtocol, 1002},
		"W03 length 2^63-1":                {header(0x81, 1<<63-1), websock.ErrTooBig, 4413},
		"W03 length 2^63":                  {header(0x81, 1<<63), websock.ErrTooBig, 4413},
		"W03 lengths that overflow in sum": {join(frame(0x01, []byte("x")), header(0x80, 1<<63-1)), websock.ErrTooBig, 4413},
		"W08 not UTF-8":                    {text("a\xff"), websock.ErrInvalidData, 1007},
		"W08 half a rune at the end":       {text("\xf0\x9f"), websock.ErrInvalidData, 1007},
		"W08 half a rune, then ASCII":      {join(frame(0x01, []byte("\xf0\x9f")), frame(0x80, []byte("a"))), websock.ErrInvalidData, 1007},
		"W08 surrogate":                    {text("\xed\xa0\x80"), websock.ErrInvalidData, 1007},
		"W08 wrong at the start, no end":   {frame(0x01, []byte("\xff")), websock.ErrInvalidData, 1007},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { refuses(t, tt.in, nil, tt.want, tt.code) })
	}
}

func refuses(t *testing.T, in []byte, offer func(*http.Request), want error, code websock.Code) {
	t.Helper()
	client, c := upgraded(t, websock.Options{MaxMessageBytes: 1 << 16}, offer)
	written := received(client)
	send(client, in)
	_, _, err := c.ReadMessage(nil)
	if !errors.Is(err, want) || websock.CloseCode(err) != code {
		t.Errorf("got %v (%d), want %v (%d)", err, websock.CloseCode(err), want, code)
	}
	for range 2000 { // gorilla panics when a failed connection is read again and again
		if _, _, again := c.ReadMessage(nil); again != err {
			t.Fatalf("then %v", again)
		}
	}
	c.Close()
	if b := written(); len(b) > 0 {
		t.Errorf("the server wrote % x", b)
	}
}

func TestReadRefusesCompressed(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want error
		code websock.Code
	}{
		"W02 RSV1 on a ping":         {frame(0xC9, nil), websock.ErrProtocol, 1002},
		"W02 RSV1 on a continuation": {join(frame(0x01, nil), frame(0xC0, nil)), websock.ErrProtocol, 1002},
		"W06 bomb":                   {frame(0xC1, deflate(make([]byte, 4<<20))), websock.ErrTooBig, 4413},
		"W07 reserved block type":    {frame(0xC1, []byte{0x07}), websock.ErrInvalidData, 1007},
		"W07 bad stream":             {frame(0xC1, []byte("\xff\xfe\xfd\xfc")), websock.ErrInvalidData, 1007},
		"W08 not UTF-8":              {frame(0xC1, deflate([]byte("\xff"))), websock.ErrInvalidData, 1007},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { refuses(t, tt.in, offerDeflate, tt.want, tt.code) })
	}
}

// deflate is p as permessage-deflate has it: without the last four bytes
// (RFC 7692 section 7.2.1).
func deflate(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = w.Write(p)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

func TestReadCompressed(t *testing.T) {
	client, c := upgraded(t, websock.Options{}, offerDeflate)
	send(client, frame(0xC1, deflate([]byte("hello"))), text("plain"))
	for _, want := range []string{"hello", "plain"} {
		if msg, text, err := c.ReadMessage(nil); string(msg) != want || !text || err != nil {
			t.Fatalf("got %q, %v", msg, err)
		}
	}
}

// W04: the limit is of the message, not of its frames, and is exact.
func TestReadLimit(t *testing.T) {
	const limit = 1000
	half := []byte(long(500))
	tests := map[string]struct {
		in []byte
		ok bool
	}{
		"at the limit":             {text(long(limit)), true},
		"one over":                 {text(long(limit + 1)), false},
		"far over":                 {text(long(70_000)), false},
		"fragments, at the limit":  {join(frame(0x01, half), frame(0x80, half)), true},
		"fragments, over":          {join(frame(0x01, half), frame(0x00, half), frame(0x80, []byte("x"))), false},
		"compressed, at the limit": {frame(0xC1, deflate([]byte(long(limit)))), true},
		"compressed, one over":     {frame(0xC1, deflate([]byte(long(limit+1)))), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client, c := upgraded(t, websock.Options{MaxMessageBytes: limit}, offerDeflate)
			send(client, tt.in)
			msg, _, err := c.ReadMessage(nil)
			if tt.ok && (err != nil || len(msg) != limit) || !tt.ok && err != websock.ErrTooBig {
				t.Errorf("%d bytes, %v", len(msg), err)
			}
		})
	}
}

// W03, W06: neither a promised length nor a bomb costs memory.
func TestReadAllocatesLittle(t *testing.T) {
	bomb := deflate(make([]byte, 8<<20))
	for name, in := range map[string][]byte{"length": header(0x81, 1<<62), "bomb": frame(0xC1, bomb)} {
		client, c := upgraded(t, websock.Options{MaxMessageBytes: 32 << 10}, offerDeflate)
		send(client, in)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := c.ReadMessage(nil)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; err != websock.ErrTooBig || n > 400<<10 {
			t.Errorf("%s: %d bytes allocated, %v", name, n, err)
		}
	}
}

func TestReadPeerClosed(t *testing.T) {
	tests := map[string]struct {
		in     []byte
		code   websock.Code
		reason string
	}{
		"with a code":    {closing(4001, "bye"), 4001, "bye"},
		"without a code": {frame(0x88, nil), websock.CodeNoStatus, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client, c := upgraded(t, websock.Options{}, nil)
			send(client, tt.in)
			_, _, err := c.ReadMessage(nil)
			var closed *websock.PeerClosed
			if !errors.As(err, &closed) || closed.Code != tt.code || closed.Reason != tt.reason || websock.CloseCode(err) != tt.code {
				t.Errorf("got %v", err)
			}
		})
	}
}

// W17: an end in the middle is an end, not a message.
func TestReadCutOff(t *testing.T) {
	for name, in := range map[string][]byte{"between frames": nil, "in a header": {0x81}, "in a message": text("hello")[:9], "between fragments": frame(0x01, []byte("a"))} {
		t.Run(name, func(t *testing.T) {
			client, c := upgraded(t, websock.Options{}, nil)
			go func() {
				_, _ = client.Write(in)
				client.Close()
			}()
			if msg, _, err := c.ReadMessage(nil); err != io.ErrUnexpectedEOF || websock.CloseCode(err) != 0 {
				t.Errorf("got %q, %v", msg, err)
			}
		})
	}
	_, c := upgraded(t, websock.Options{}, nil)
	c.Close()
	if _, _, err := c.ReadMessage(nil); !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

var times = websock.Options{IdleTimeout: 45 * time.Second, MessageTimeout: 30 * time.Second}

// Any frame, a pong too, starts the idle timeout anew; bytes of a frame that
// is not complete do not.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := upgraded(t, times, nil)
		start := time.Now()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer c.Close()
		wg.Go(func() {
			for range 10 {
				time.Sleep(40 * time.Second)
				_, _ = client.Write(frame(0x8A, nil))
			}
			for _, b := range text("never finished")[:5] {
				time.Sleep(20 * time.Second)
				_, _ = client.Write([]byte{b})
			}
		})
		_, _, err := c.ReadMessage(nil)
		if d := time.Since(start); err != websock.ErrIdle || d != 445*time.Second {
			t.Errorf("%v after %s", err, d)
		}
	})
}

// W05: a message once begun has its time, which nothing extends: neither
// pongs, nor pings, nor empty continuations, nor single bytes.
func TestMessageTimeout(t *testing.T) {
	drips := map[string][]byte{"pongs": frame(0x8A, nil), "pings": frame(0x89, nil), "empty continuations": frame(0x00, nil), "bytes": frame(0x00, []byte("x"))}
	for name, drip := range drips {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, c := upgraded(t, times, nil)
				var wg sync.WaitGroup
				defer wg.Wait()
				defer c.Close()
				wg.Go(func() {
					_, err := client.Write(frame(0x01, []byte("begun")))
					for err == nil {
						time.Sleep(time.Second)
						_, err = client.Write(drip)
					}
				})
				start := time.Now()
				_, _, err := c.ReadMessage(nil)
				if d := time.Since(start); err != websock.ErrSlowMessage || d != 30*time.Second || websock.CloseCode(err) != 1008 {
					t.Errorf("%v after %s", err, d)
				}
			})
		})
	}
}

// W05: a message in a hundred thousand fragments is one message, of bounded
// size in memory.
func TestManyFragments(t *testing.T) {
	const n = 100_000
	client, c := upgraded(t, websock.Options{}, nil)
	send(client, frame(0x01, nil), bytes.Repeat(frame(0x00, []byte("x")), n), frame(0x80, nil))
	if msg, _, err := c.ReadMessage(nil); len(msg) != n || err != nil {
		t.Errorf("%d bytes, %v", len(msg), err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(text("hello"), true)
	f.Add(join(frame(0x01, []byte("a")), frame(0x8A, nil), frame(0x80, []byte("b"))), false)
	f.Add(frame(0xC1, deflate([]byte("hello"))), true)
	f.Add(closing(1000, "bye"), false)
	f.Fuzz(func(t *testing.T, in []byte, compressed bool) {
		offer := offerDeflate
		if !compressed {
			offer = nil
		}
		client, c := upgraded(t, websock.Options{MaxMessageBytes: 1000}, offer)
		go func() {
			_, _ = client.Write(in)
			client.Close()
		}()
		for {
			msg, _, err := c.ReadMessage(nil)
			if err != nil {
				return
			}
			if len(msg) > 1000 {
				t.Fatalf("%d bytes", len(msg))
			}
		}
	})
}

// Options.Header reaches the client with the handshake.
func TestUpgradeHeader(t *testing.T) {
	o := websock.Options{Header: http.Header{"Set-Cookie": {"io=sid"}}}
	s, conns := server(t, o, (*httptest.Server).Start)
	ws, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	defer (<-conns).Close()
	if got := res.Header.Get("Set-Cookie"); got != "io=sid" {
		t.Errorf("%q", got)
	}
}
