package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// echo is a server with somebody else's WebSocket, which checks what it reads.
func echo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{Subprotocols: []string{"x"}}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		if err := ws.WriteMessage(websocket.PingMessage, []byte("are you there")); err != nil {
			return
		}
		for {
			kind, p, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, p) != nil {
				return
			}
			if string(p) == "bye" {
				_ = ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4400, "enough"))
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestConn(t *testing.T) {
	c, err := Dial(echo(t), "/", "x", Options{From: "127.0.0.1", Receive: 4096, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		p := bytes.Repeat([]byte{'a'}, n)
		done := make(chan error, 1)
		go func() { done <- c.Write(p) }()
		got, err := c.Read()
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("%d bytes came back as %d, %v", n, len(got), err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	messages := []string{"one", "two", "bye"}
	err = c.WriteMany(func(dst []byte) []byte {
		if i == len(messages) {
			return nil
		}
		i++
		return append(dst, messages[i-1]...)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range messages {
		if got, err := c.Read(); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := c.Read(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "4400 enough") {
		t.Fatalf("got %v for a close frame", err)
	}
}

func TestRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := Dial(strings.TrimPrefix(s.URL, "http://"), "/", "", Options{Timeout: 10 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Fatalf("got %v", err)
	}
}

// A message may come in fragments, with control frames between them.
func TestFragments(t *testing.T) {
	for name, tt := range map[string]struct{ bytes, want, fail string }{
		"whole":           {"\x81\x02ab", "ab", ""},
		"fragments":       {"\x01\x02ab\x00\x01c\x80\x01d", "abcd", ""},
		"pong in between": {"\x01\x02ab\x8a\x01x\x80\x01d", "abd", ""},
		"close":           {"\x88\x00", "", "closed"},
		"unknown":         {"\x83\x00", "", "0x83"},
		"too large":       {"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "", "a message of"},
		"cut off":         {"\x81\x05ab", "", io.ErrUnexpectedEOF.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				_, _ = io.WriteString(there, tt.bytes)
			}()
			c := New(here, 0)
			defer c.Close()
			got, err := c.Read()
			if tt.fail == "" && (err != nil || string(got) != tt.want) || tt.fail != "" && (err == nil || !strings.Contains(err.Error(), tt.fail)) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
