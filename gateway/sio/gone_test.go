package sio_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// lockedText is a log that several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A client that goes while it is being let in is no fault of the gateway:
// otherwise it could fill the log.
func TestGoneWhileJoining(t *testing.T) {
	log := &lockedText{}
	left := make(chan struct{})
	g := startRig(t, newBroker(t), func(o *sio.Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		o.Identify = func(_ context.Context, c *socketio.Conn, _, _ string) (*auth.Identity, error) {
			c.Close()
			close(left)
			return &auth.Identity{User: "ann", Permissions: &everything}, nil
		}
	})
	p := g.dial(t)
	p.send("40")
	<-left
	for {
		if _, _, err := p.ws.ReadMessage(); err != nil {
			break
		}
	}
	refused := uint64(0)
	g.bridge.Stats().Refused.Each(func(_ bridge.Code, n uint64) { refused += n })
	if log.String() != "" || refused > 0 {
		t.Errorf("logged %q, counted %d", log, refused)
	}
}
