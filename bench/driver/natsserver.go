package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bench/server"
)

// natsConfig allows as many consumers as there are clients; the default is
// 1,000 of a stream.
const natsConfig = `listen: "%s"
jetstream { store_dir: "%s", sync_interval: %s, limits { default_max_consumers: -1 } }
`

const natsWebSocket = `websocket { listen: "%s", no_tls: true }
`

// startNATS is nats-server with one stream, as Jetway's of the same name is;
// clients come over its WebSocket, or over TCP.
func startNATS(sync string, webSocket bool) func(*server.Server, Binaries, Use) error {
	return func(s *server.Server, b Binaries, _ Use) (err error) {
		tcp := s.Addr
		if webSocket {
			if tcp, err = server.FreeAddr(); err != nil {
				return err
			}
		}
		file := filepath.Join(s.Dir, "nats.conf")
		text := fmt.Appendf(nil, natsConfig, tcp, filepath.Join(s.Dir, "data"), sync)
		if webSocket {
			text = fmt.Appendf(text, natsWebSocket, s.Addr)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		if err := s.Run(b.path("nats-server"), "--config", file); err != nil {
			return err
		}
		return s.Await(30*time.Second, func() error { return createStream("nats://" + tcp) })
	}
}

func createStream(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = js.CreateStream(ctx, natsjs.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, MaxAge: 168 * time.Hour, MaxBytes: 4 << 30, Duplicates: time.Hour, AllowDirect: true})
	return err
}
