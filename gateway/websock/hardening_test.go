package websock_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// Hostile input, named after the numbers of the project's list. W01, which
// needs a server, is TestW01; W09 and W10 are where pongs and writes are tested.

// refusal is what ends a connection, and with what.
type refusal struct {
	in   []byte
	want error
	code websock.Code
}

// W02: frames that RFC 6455 forbids end the connection with 1002, and never
// with a panic (CVE-2022-21676). The server itself writes nothing.
func TestW02BadFrames(t *testing.T) {
	tests := map[string][]byte{
		"unmasked frame":             {0x81, 0x02, 'h', 'i'},
		"RSV1 without extension":     frame(0xC1, nil),
		"RSV2":                       frame(0xA1, nil),
		"RSV3":                       frame(0x91, nil),
		"opcode 3":                   frame(0x83, nil),
		"opcode 11":                  frame(0x8B, nil),
		"opcode 15":                  frame(0x8F, nil),
		"fragmented ping":            frame(0x09, nil),
		"ping of 126 bytes":          frame(0x89, []byte(long(126))),
		"continuation of nothing":    frame(0x80, nil),
		"a message within a message": join(frame(0x01, nil), text("x")),
		"length in too many bytes":   rawws.Bytes(with(rawws.Text("x"), form(rawws.Bits64))),
		"close with one byte":        frame(0x88, []byte{3}),
		"close 999":                  closing(999, ""),
		"close 1005":                 closing(1005, ""),
		"close 1006":                 closing(1006, ""),
		"close, bad UTF-8":           closing(1000, "\xff"),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) { refuses(t, nil, refusal{in, websock.ErrProtocol, 1002}) })
	}
	for name, in := range map[string][]byte{
		"compressed, RSV1 on a ping":         frame(0xC9, nil),
		"compressed, RSV1 on a continuation": join(frame(0x01, nil), frame(0xC0, nil)),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, offerDeflate, refusal{in, websock.ErrProtocol, 1002}) })
	}
}

func refuses(t *testing.T, offer func(*http.Request), r refusal) {
	t.Helper()
	client, c := upgraded(t, websock.Options{MaxMessageBytes: 1 << 16}, offer)
	written := received(client)
	send(client, r.in)
	_, _, err := c.ReadMessage(nil)
	if !errors.Is(err, r.want) || websock.CloseCode(err) != r.code {
		t.Errorf("got %v (%d), want %v (%d)", err, websock.CloseCode(err), r.want, r.code)
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

// W03: a length is only a promise. One that no message may have is refused, and
// none costs memory (CVE-2020-27813, CVE-2026-27889).
func TestW03Lengths(t *testing.T) {
	const most = 10 << 10
	for name, tt := range map[string]refusal{
		"2^63-1":           {header(0x81, 1<<63-1), websock.ErrTooBig, 4413},
		"2^63":             {header(0x81, 1<<63), websock.ErrTooBig, 4413},
		"2^64-1":           {header(0x82, math.MaxUint64), websock.ErrTooBig, 4413},
		"2^40":             {header(0x81, 1<<40), websock.ErrTooBig, 4413},
		"overflow in sum":  {join(frame(0x01, []byte("x")), header(0x80, 1<<63-1)), websock.ErrTooBig, 4413},
		"2^63, of a ping":  {header(0x89, 1<<63), websock.ErrProtocol, 1002},
		"all that may be":  {header(0x81, websock.DefaultMaxMessageBytes), io.ErrUnexpectedEOF, 0},
		"one more":         {header(0x81, websock.DefaultMaxMessageBytes+2048), websock.ErrTooBig, 4413},
		"compressed, 2^62": {header(0xC1, 1<<62), websock.ErrTooBig, 4413},
	} {
		t.Run(name, func(t *testing.T) {
			n := leastAllocated(t, websock.Options{}, tt)
			if n >= most {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

// leastAllocated is what it costs to read what a client sends before it goes
// away: the least of a few times, since others allocate at the same time, too.
func leastAllocated(t *testing.T, o websock.Options, r refusal) uint64 {
	t.Helper()
	least := uint64(math.MaxUint64)
	for range 5 {
		client, c := upgraded(t, o, offerDeflate)
		var sending sync.WaitGroup
		sending.Go(func() {
			_, _ = client.Write(r.in)
			client.Close()
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := c.ReadMessage(nil)
		runtime.ReadMemStats(&after)
		c.Close()
		sending.Wait()
		least = min(least, after.TotalAlloc-before.TotalAlloc)
		if !errors.Is(err, r.want) || websock.CloseCode(err) != r.code {
			t.Fatalf("got %v (%d), want %v (%d)", err, websock.CloseCode(err), r.want, r.code)
		}
	}
	return least
}

// W04: the limit is of the message, not of its frames, and is exact.
func TestW04Limit(t *testing.T) {
	const limit = 1000
	half := []byte(long(500))
	tests := map[string]struct {
		in []byte
		ok bool
	}{
		"at the limit":                 {text(long(limit)), true},
		"one over":                     {text(long(limit + 1)), false},
		"far over":                     {text(long(70_000)), false},
		"fragments, at the limit":      {join(frame(0x01, half), frame(0x80, half)), true},
		"fragments, over":              {join(frame(0x01, half), frame(0x00, half), frame(0x80, []byte("x"))), false},
		"fragments, over, never ended": {join(frame(0x01, half), bytes.Repeat(frame(0x00, []byte("x")), 600)), false},
		"compressed, at the limit":     {frame(0xC1, deflate([]byte(long(limit)))), true},
		"compressed, one over":         {frame(0xC1, deflate([]byte(long(limit+1)))), false},
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

// W05: a message once begun has its time, which nothing extends: neither pongs,
// nor pings, nor empty continuations, nor single bytes (CVE-2026-48779,
// CVE-2026-42786).
func TestW05Unfinished(t *testing.T) {
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

// W05: what comes in a million parts, of a byte or of none, is one message of
// its size in memory, or one that is too big as soon as it is.
func TestW05Fragments(t *testing.T) {
	const limit = 50_000
	for name, tt := range map[string]struct {
		part string
		want error
		size int
	}{
		"a byte each": {"x", websock.ErrTooBig, 0},
		"empty":       {"", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			client, c := upgraded(t, websock.Options{MaxMessageBytes: limit}, nil)
			var sending sync.WaitGroup
			sending.Go(func() {
				_, err := client.Write(rawws.Bytes(rawws.Begin(rawws.OpBinary, "a")))
				many := bytes.Repeat(rawws.Bytes(rawws.Continue(tt.part)), 100)
				for n := either(1_000_000, 100_000); err == nil && n > 0; n -= 100 {
					_, err = client.Write(many)
				}
				_, _ = client.Write(rawws.Bytes(rawws.Finish("b")))
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			msg, _, err := c.ReadMessage(nil)
			runtime.ReadMemStats(&after)
			c.Close()
			sending.Wait()
			if err != tt.want || len(msg) != tt.size {
				t.Errorf("%d bytes, %v", len(msg), err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 10*limit { // it grows by parts, each a little larger
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

// bomb is 128 MiB of nothing in 127 KiB.
func bomb() []byte {
	flushed := append(deflate(make([]byte, 1<<20)), 0, 0, 0xff, 0xff)
	return bytes.Repeat(flushed, 128)
}

// W06: a bomb costs what a message may cost: what itself takes to come, mostly,
// as what it inflates to is put in pieces that are used again.
func TestW06Bomb(t *testing.T) {
	const limit = 256 << 10
	in := frame(0xC1, bomb())
	if len(in) > limit {
		t.Fatalf("the bomb itself is too big: %d bytes", len(in))
	}
	if n := leastAllocated(t, websock.Options{MaxMessageBytes: limit}, refusal{in, websock.ErrTooBig, 4413}); n > 4*limit {
		t.Errorf("%d bytes allocated", n)
	}
}

// W07: what does not inflate ends the connection with 1007.
func TestW07BadStream(t *testing.T) {
	for name, p := range map[string]string{
		"reserved block type": "\x07",
		"no stream":           "\xff\xfe\xfd\xfc",
		"length of a block":   "\x00\x05\x00\x00\x00Hello",
		"bad codes":           "\x04\xff\xff\xff\xff\xff",
		"cut off in a block":  "\x00\xff\x00\x00\xffHello",
		"after the last one":  "\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xf3",
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, offerDeflate, refusal{frame(0xC2, []byte(p)), websock.ErrInvalidData, 1007})
			refuses(t, offerDeflate, refusal{rawws.Bytes(squeezedParts(p)...), websock.ErrInvalidData, 1007})
		})
	}
}

// squeezedParts is a compressed message in parts of a byte.
func squeezedParts(p string) []rawws.Frame {
	all := rawws.Fragments(rawws.OpBinary, p, 1)
	all[0].RSV = rawws.RSV1
	return all
}

// W08: text that is not UTF-8 ends the connection with 1007, as soon as that is
// known.
func TestW08NotUTF8(t *testing.T) {
	for name, in := range map[string][]byte{
		"a byte":                  text("a\xff"),
		"half a rune at the end":  text("\xf0\x9f"),
		"half a rune, then ASCII": join(frame(0x01, []byte("\xf0\x9f")), frame(0x80, []byte("a"))),
		"surrogate":               text("\xed\xa0\x80"),
		"too long":                text("\xc0\xaf"),
		"beyond Unicode":          text("\xf4\x90\x80\x80"),
		"wrong at the start":      frame(0x01, []byte("\xff")),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, nil, refusal{in, websock.ErrInvalidData, 1007}) })
	}
	t.Run("compressed", func(t *testing.T) {
		refuses(t, offerDeflate, refusal{frame(0xC1, deflate([]byte("\xff"))), websock.ErrInvalidData, 1007})
	})
}

// W14: one reads, one writes, one closes, all at once.
func TestW14Concurrently(t *testing.T) {
	s, conns := server(t, websock.Options{}, (*httptest.Server).Start)
	ws, c := dial(t, s, conns)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ws.WriteMessage(websocket.TextMessage, []byte("up")) == nil && ws.WriteMessage(websocket.PingMessage, nil) == nil {
		}
	})
	wg.Go(func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	})
	wg.Go(func() {
		for n := 0; ; n++ {
			out := output(func(o *bridge.Output) { websock.AppendText(o, []byte("down")); c.AppendPong(o) })
			if n == 1000 {
				c.Close()
			}
			if c.Write(out) != nil {
				return
			}
		}
	})
	for {
		if _, _, err := c.ReadMessage(nil); err != nil {
			break
		}
	}
	ws.Close()
	wg.Wait()
}

// W17: an end in the middle is an end, not a message.
func TestW17CutOff(t *testing.T) {
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
