// Package driver knows the programs that are compared: how each is started at
// its best settings, and what its clients say.
package driver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bench/server"
)

// Use is what a server is started for; some have settings for it.
type Use struct {
	Idle    bool // many clients, mostly idle
	Backlog int  // events that one client may ask for at once; 0: few
}

// Program is a server that can be measured.
type Program struct {
	Key   string // on the command line and in results
	Name  string // in reports
	About string // what it stores, and its settings

	Missing func() error // why it cannot be run here; nil is always
	start   func(s *server.Server, b Binaries, u Use) error
	proto   func() protocol
}

// Start returns when clients can connect.
func (p *Program) Start(b Binaries, under string, u Use) (*server.Server, error) {
	s, err := server.New(under)
	if err != nil {
		return nil, err
	}
	if s.Addr, err = server.FreeAddr(); err != nil {
		return nil, err
	}
	if err = p.start(s, b, u); err == nil {
		err = s.Await(20*time.Second, func() error {
			c, err := p.Dial(s.Addr, Options{})
			if err != nil {
				return err
			}
			c.Close()
			return nil
		})
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return s, nil
}

// Dial returns when the server has let the client in.
func (p *Program) Dial(addr string, o Options) (*Client, error) {
	return newClient(p.proto(), addr, o)
}

// Binaries is a directory with what Build has made, and where the peers are.
type Binaries struct{ bin, peers string }

// Build compiles the servers that are written in Go into dir. module is the
// directory of this module.
func Build(module, dir string) (Binaries, error) {
	peers, err := filepath.Abs(filepath.Join(module, "peers"))
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{bin: dir, peers: peers}
	for _, args := range [][]string{
		{"-C", filepath.Join(module, ".."), "build", "-o", filepath.Join(dir, "jetway"), "./cmd/jetway"},
		{"-C", module, "build", "-o", dir + "/", "./peers/centrifuge", "./limits/writeloop", "github.com/nats-io/nats-server/v2"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return b, fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return b, nil
}

func (b Binaries) path(name string) string { return filepath.Join(b.bin, name) }

// needs is for programs that have to be installed.
func needs(names ...string) func() error {
	return func() error {
		var missing []error
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				missing = append(missing, fmt.Errorf("%s is not installed", name))
			}
		}
		return errors.Join(missing...)
	}
}

// Programs are all of them, Jetway first, then the peers, then the limits.
func Programs() []*Program {
	return []*Program{
		{Key: "jetway", Name: "Jetway", About: "`jetway.v1`; every event in a stream before it is acknowledged, synced every 2 minutes",
			start: jetway("2m"), proto: func() protocol { return new(native) }},
		{Key: "jetway-always", Name: "Jetway, sync always", About: "the same, every event on disk before it is acknowledged",
			start: jetway("always"), proto: func() protocol { return new(native) }},
		{Key: "jetway-disk", Name: "Jetway, from disk", About: "the first, with no more than 100 events in memory: who comes back is served from the stream",
			start: jetway("2m", "log: {max_messages: 100}\n"), proto: func() protocol { return new(native) }},
		{Key: "jetway-sio", Name: "Jetway, Socket.IO", About: "Socket.IO clients with recovery, events stored as in the first",
			start: jetway("2m"), proto: func() protocol { return new(socketIO) }},
		{Key: "jetway-sio-always", Name: "Jetway, Socket.IO, sync always", About: "the same, every event on disk before it is acknowledged",
			start: jetway("always"), proto: func() protocol { return new(socketIO) }},
		{Key: "centrifuge", Name: "centrifuge", About: "the library's server, history and recovery in memory; no limit of messages per frame, small read buffers, pooled write buffers",
			start: startCentrifuge(0), proto: func() protocol { return new(centrifuge) }},
		{Key: "centrifuge-delay", Name: "centrifuge, write delay", About: "the same with `WriteDelay` 5 ms and `WriteWithTimer`, which its documentation recommends for high rates",
			start: startCentrifuge(5 * time.Millisecond), proto: func() protocol { return new(centrifuge) }},
		{Key: "centrifuge-redis", Name: "centrifuge, Redis", About: "the same with history in Redis, `appendfsync everysec`; Redis' CPU time is counted",
			Missing: needs("redis-server"), start: startCentrifugeRedis, proto: func() protocol { return new(centrifuge) }},
		{Key: "node", Name: "socket.io", About: "the reference server, connection state recovery in memory, nothing stored; bufferutil",
			Missing: needs("node", "npm"), start: startNode, proto: func() protocol { return new(socketIO) }},
		{Key: "node-redis", Name: "socket.io, Redis", About: "the same with the redis-streams adapter, `appendfsync everysec`; Redis' CPU time is counted",
			Missing: needs("node", "npm", "redis-server"), start: startNodeRedis, proto: func() protocol { return new(socketIO) }},
		{Key: "nats", Name: "nats-server", About: "its own WebSocket, an ordered push consumer for each client; a file stream, synced every 2 minutes",
			start: startNATS("2m", true), proto: func() protocol { return newNATS(false) }},
		{Key: "bare", Name: "limit: NATS", About: "the same without a WebSocket, over TCP: bare publishing, and bare consumers",
			start: startNATS("2m", false), proto: func() protocol { return newNATS(true) }},
		{Key: "bare-always", Name: "limit: NATS, sync always", About: "the same, every event on disk before it is acknowledged",
			start: startNATS("always", false), proto: func() protocol { return newNATS(true) }},
		{Key: "write", Name: "limit: one write each", About: "a gorilla WebSocket server that stores nothing and writes each event to each client",
			start: startLimit(), proto: func() protocol { return new(limit) }},
		{Key: "coalesce", Name: "limit: coalesced writes", About: "the same, the events that wait for a client in one write",
			start: startLimit("-coalesce"), proto: func() protocol { return new(limit) }},
	}
}

// jetwayConfig is the defaults but for addresses and what one address and one
// client may do.
const jetwayConfig = `listen: %s
admin: {listen: ""}
nats: {embedded: {sync: %s, listen: "", store_dir: ./data}}
limits: {publish_rate: 10000000/s, publish_bytes: 100GiB/s, request_rate: 10000000/s, per_address: 1000000, max_clients: 1000000, handshake_rate: 1000000/s, handshake_rate_per_address: 1000000/s}
`

func jetway(sync string, more ...string) func(*server.Server, Binaries, Use) error {
	return func(s *server.Server, b Binaries, _ Use) error {
		file := filepath.Join(s.Dir, "jetway.yaml")
		text := fmt.Sprintf(jetwayConfig, s.Addr, sync) + strings.Join(more, "")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		return s.Run(b.path("jetway"), "serve", "--config", file)
	}
}

func startCentrifuge(delay time.Duration, more ...string) func(*server.Server, Binaries, Use) error {
	return func(s *server.Server, b Binaries, u Use) error {
		args := append([]string{"-listen", s.Addr, fmt.Sprintf("-idle=%t", u.Idle)}, more...)
		if u.Backlog > 0 { // the default of 1 MiB is not enough for the answer
			args = append(args, "-queue", fmt.Sprint(max(1<<20, u.Backlog*1024)))
		}
		if delay > 0 {
			args = append(args, "-delay", delay.String())
		}
		return s.Run(b.path("centrifuge"), args...)
	}
}

func startCentrifugeRedis(s *server.Server, b Binaries, u Use) error {
	redis, err := startRedis(s)
	if err != nil {
		return err
	}
	return startCentrifuge(0, "-redis", redis)(s, b, u)
}

// startRedis returns when Redis listens.
func startRedis(s *server.Server) (addr string, err error) {
	if addr, err = server.FreeAddr(); err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if err := s.Run("redis-server", "--bind", host, "--port", port, "--dir", s.Dir, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""); err != nil {
		return "", err
	}
	return addr, s.Await(30*time.Second, func() error { return server.ListensOn(addr) })
}

func startNode(s *server.Server, b Binaries, _ Use) error { return runNode(s, b, s.Addr) }

func startNodeRedis(s *server.Server, b Binaries, _ Use) error {
	redis, err := startRedis(s)
	if err != nil {
		return err
	}
	return runNode(s, b, s.Addr, redis)
}

func runNode(s *server.Server, b Binaries, args ...string) error {
	dir := filepath.Join(b.peers, "socketio")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	return s.Run("node", append([]string{filepath.Join(dir, "server.js")}, args...)...)
}

func startLimit(more ...string) func(*server.Server, Binaries, Use) error {
	return func(s *server.Server, b Binaries, _ Use) error {
		return s.Run(b.path("writeloop"), append([]string{"-listen", s.Addr}, more...)...)
	}
}
