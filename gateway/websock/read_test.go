package websock_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"net/http"
	"net/http/httptest"
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
	last := "\xf3\x48\xcd\xc9\xc9\x07\x00\x00" // RFC 7692 section 7.2.3.4
	send(client, frame(0xC1, deflate([]byte("hello"))), text("plain"), frame(0xC1, []byte(last)))
	for _, want := range []string{"hello", "plain", "Hello"} {
		if msg, text, err := c.ReadMessage(nil); string(msg) != want || !text || err != nil {
			t.Fatalf("got %q, %v", msg, err)
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
