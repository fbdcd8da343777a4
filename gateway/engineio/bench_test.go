package engineio_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/internal/rawws"
)

// BenchmarkIdlePolling1000 tells what a session on polling costs between two
// polls: memory, and no goroutine.
func BenchmarkIdlePolling1000(b *testing.B) {
	benchmarkIdle(b, func(b *testing.B, server *engineio.Server) {
		for range idleSessions {
			w := httptest.NewRecorder()
			server.ServeHTTP(w, httptest.NewRequest("GET", "/?"+polling, nil))
			if w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
		}
	})
}

// BenchmarkIdleWebSocket1000 tells what a session on a WebSocket costs, without
// what the kernel and net/http hold, and with the pipe of the benchmark.
func BenchmarkIdleWebSocket1000(b *testing.B) {
	benchmarkIdle(b, func(b *testing.B, server *engineio.Server) {
		l := rawws.Listen()
		hs := &http.Server{Handler: server}
		go func() { _ = hs.Serve(l) }() // until it is closed
		b.Cleanup(func() { _ = hs.Close() })
		for range idleSessions {
			nc, err := l.Dial()
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { nc.Close() })
			if _, err := io.WriteString(nc, "GET /?EIO=4&transport=websocket HTTP/1.1\r\n"+upgradeHeader+"\r\n"); err != nil {
				b.Fatal(err)
			}
			readOpening(b, nc)
		}
	})
}

const idleSessions = 1000

func benchmarkIdle(b *testing.B, fill func(*testing.B, *engineio.Server)) {
	for b.Loop() {
		server := engineio.NewServer(engineio.Options{})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		fill(b, server)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/idleSessions, "heapB/session")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/idleSessions, "stackB/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/idleSessions, "goroutines/session")
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once: nobody reads the goodbyes
		_ = server.Shutdown(ctx)
	}
}

// BenchmarkWriteWebSocket is the fast path over loopback TCP.
func BenchmarkWriteWebSocket(b *testing.B) {
	o := opener{opened: make(chan *engineio.Session, 1)}
	_, address := tcpSite(b, engineio.Options{Handler: o})
	nc := dialTCP(b, address)
	go func() { _, _ = io.Copy(io.Discard, nc) }() // until it is closed
	session := <-o.opened
	out := group("42[\"event\",\""+strings.Repeat("x", 100)+"\"]", "attachment")
	b.ReportAllocs()
	for b.Loop() {
		if err := session.Write(out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPoll64 is the payload of a poll with 64 events.
func BenchmarkPoll64(b *testing.B) {
	out := group("4")
	for range 64 {
		out.AppendOutput(group("42[\"event\",\"" + strings.Repeat("x", 100) + "\"]"))
	}
	b.SetBytes(int64(out.Size()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := engineio.PayloadOf(out, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A session on polling has no goroutine of its own.
func TestIdleGoroutines(t *testing.T) {
	server := engineio.NewServer(engineio.Options{})
	before := runtime.NumGoroutine()
	for range 100 {
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?"+polling, nil))
	}
	if n := runtime.NumGoroutine(); n > before || server.Sessions() != 100 {
		t.Errorf("%d goroutines became %d, for %d sessions", before, n, server.Sessions())
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
