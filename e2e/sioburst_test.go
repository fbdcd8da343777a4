package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/sio"
)

const (
	burstClients = 5000
	burstDialers = 200             // at once: more only wait in the kernel
	burstTime    = 3 * time.Minute // for all of it
)

// TestSocketIOBurst: a crowd that comes in a few seconds, as after a restart,
// gets its CONNECT replies, each of which has waited for a session to be
// stored; and then each gets the next event.
func TestSocketIOBurst(t *testing.T) {
	mayOpen(t, 3*burstClients)
	n := startNode(t, nodeOptions{gateway: gateway.Options{
		PingInterval: 5 * time.Minute,
		SocketIO:     gateway.SocketIO{Path: "/socket.io/", PingInterval: 5 * time.Minute, Subscribe: []sio.Subscription{{Filter: "events.burst"}}},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), burstTime)
	defer cancel()
	crowd := make([]*stockClient, burstClients)
	t.Cleanup(func() {
		for _, c := range crowd {
			if c != nil {
				_ = c.ws.Close()
			}
		}
	})

	begun := time.Now()
	var slowest time.Duration
	var mu sync.Mutex
	each(t, crowd, func(i int) error {
		at := time.Now()
		c, err := dialStock(ctx, n)
		if err != nil {
			return fmt.Errorf("client %d after %v: %w", i, time.Since(at), err)
		}
		mu.Lock()
		defer mu.Unlock()
		crowd[i] = c
		slowest = max(slowest, time.Since(at))
		return nil
	})
	t.Logf("%d CONNECT replies in %v, the slowest after %v", burstClients, time.Since(begun), slowest)

	sids := make(map[string]bool, burstClients)
	for _, c := range crowd {
		sids[c.reply] = true
	}
	if len(sids) != burstClients {
		t.Errorf("%d different sessions", len(sids))
	}

	begun = time.Now()
	publishN(t, dial(t, n, client.Options{}), "events.burst", 1, 1)
	each(t, crowd, func(i int) error {
		text, err := crowd[i].read(ctx, `42["events.burst",`)
		if err == nil && !strings.HasPrefix(text, `42["events.burst",1`) {
			err = fmt.Errorf("got %q", text)
		}
		return err
	})
	t.Logf("the event reached all of them within %v", time.Since(begun))
}

// mayOpen allows the process this many files and connections.
func mayOpen(t *testing.T, files uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= files {
		return
	}
	limit.Cur = files
	limit.Max = max(limit.Max, files)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("the test needs %d open files (ulimit -n): %v", files, err)
	}
}

// each calls f for each of the crowd, and fails with its first errors.
func each(t *testing.T, crowd []*stockClient, f func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	turns, failed := make(chan int), make(chan error, len(crowd))
	for range burstDialers {
		group.Go(func() {
			for i := range turns {
				if err := f(i); err != nil {
					failed <- err
				}
			}
		})
	}
	for i := range crowd {
		turns <- i
	}
	close(turns)
	group.Wait()
	close(failed)
	if bad := len(failed); bad > 0 {
		t.Fatalf("%d of %d failed, one with: %v", bad, len(crowd), <-failed)
	}
}

// stockClient speaks as little of Socket.IO as is needed to be there.
type stockClient struct {
	ws    *websocket.Conn
	reply string // to its CONNECT
}

func dialStock(ctx context.Context, n *node) (*stockClient, error) {
	url := strings.TrimSuffix(n.url, "/ws") + "/socket.io/?EIO=4&transport=websocket"
	dialer := websocket.Dialer{HandshakeTimeout: burstTime, ReadBufferSize: 512, WriteBufferSize: 512}
	ws, _, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	c := &stockClient{ws: ws}
	if _, err = c.read(ctx, "0{"); err == nil {
		err = ws.WriteMessage(websocket.TextMessage, []byte("40"))
	}
	if err == nil {
		c.reply, err = c.read(ctx, "40{")
	}
	if err != nil {
		_ = ws.Close()
		return nil, err
	}
	return c, nil
}

// read returns the next message, which has to begin so.
func (c *stockClient) read(ctx context.Context, prefix string) (string, error) {
	deadline, _ := ctx.Deadline()
	if err := c.ws.SetReadDeadline(deadline); err != nil {
		return "", err
	}
	_, text, err := c.ws.ReadMessage()
	if err == nil && !strings.HasPrefix(string(text), prefix) {
		err = fmt.Errorf("got %q, want %q…", text, prefix)
	}
	return string(text), err
}
