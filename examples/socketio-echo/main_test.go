package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// start serves with times at which no test has to hurry.
func start(t *testing.T) (url string) {
	e := newEcho(slog.New(slog.DiscardHandler), engineio.Options{}, time.Minute)
	server := httptest.NewServer(e.handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := e.socket.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := e.engine.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return server.URL
}

// talk sends messages and wants the answers to them; "b:" marks binary ones,
// and of an answer that ends with * only the beginning counts.
func talk(t *testing.T, url string, steps [][2]string) {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	for _, step := range append([][2]string{{"", `0{"sid":*`}}, steps...) {
		if data, binary := strings.CutPrefix(step[0], "b:"); binary {
			_ = ws.WriteMessage(websocket.BinaryMessage, []byte(data)) // seen by what is read
		} else if data != "" {
			_ = ws.WriteMessage(websocket.TextMessage, []byte(data))
		}
		if step[1] == "" {
			continue
		}
		kind, data, err := ws.ReadMessage()
		got := string(data)
		if kind == websocket.BinaryMessage {
			got = "b:" + got
		}
		if head, open := strings.CutSuffix(step[1], "*"); err != nil || open && !strings.HasPrefix(got, head) || !open && got != step[1] {
			t.Fatalf("%q was answered by %q, %v, want %q", step[0], got, err, step[1])
		}
	}
}

func TestEngineIO(t *testing.T) {
	talk(t, start(t)+"/engine.io/", [][2]string{{"4hello", "4hello"}, {"b:\x01\x02", "b:\x01\x02"}})
}

func TestSocketIO(t *testing.T) {
	talk(t, start(t)+"/socket.io/", [][2]string{
		{`40{"token":"123"}`, `40{"sid":"*`}, {"", `42["auth",{"token":"123"}]`},
		{"40/custom", `40/custom,{"sid":"*`}, {"", `42/custom,["auth",{}]`},
		{"40/random", `44/random,{"message":"Invalid namespace"}`},
		{`42["message",1,"2",{"3":[true]}]`, `42["message-back",1,"2",{"3":[true]}]`},
		{`451-["message",{"_placeholder":true,"num":0}]`, ""}, {"b:x", `451-["message-back",{"_placeholder":true,"num":0}]`}, {"", "b:x"},
		{`42456["message-with-ack",1]`, `43456[1]`},
	})
}

func TestCORS(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, start(t)+"/engine.io/?EIO=4&transport=polling", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://page.example")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(string(body), `0{"sid":`) {
		t.Errorf("%s %v %s", res.Status, res.Header, body)
	}
}

// run ends when it is told to, and when its address is taken.
func TestRun(t *testing.T) {
	e := newEcho(slog.New(slog.DiscardHandler), engineio.Options{}, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.run(ctx, "127.0.0.1:0") }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := e.run(t.Context(), "127.0.0.1:-1"); err == nil {
		t.Error("a port that is none")
	}
}
