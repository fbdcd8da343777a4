// Command socketio-echo is the server that the test suites of the Engine.IO and
// Socket.IO protocols ask for. It needs no broker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// shutdownTimeout is how long clients may take to go.
const shutdownTimeout = 5 * time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address to serve on")
	pingInterval := flag.Duration("ping-interval", 300*time.Millisecond, "time between a pong and the next ping")
	pingTimeout := flag.Duration("ping-timeout", 200*time.Millisecond, "time that a pong may take")
	connectTimeout := flag.Duration("connect-timeout", time.Second, "time until a client must have joined a namespace")
	debug := flag.Bool("debug", false, "log why sessions end")
	flag.Parse()

	level := slog.LevelInfo
	if *debug {
		level = slog.LevelDebug
	}
	e := newEcho(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})), engineio.Options{
		PingInterval: *pingInterval,
		PingTimeout:  *pingTimeout,
	}, *connectTimeout)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := e.run(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "socketio-echo:", err)
		os.Exit(1)
	}
}

// echo is both servers: Engine.IO alone, and Socket.IO on top of it.
type echo struct {
	engine, socket *engineio.Server
}

func newEcho(logger *slog.Logger, o engineio.Options, connectTimeout time.Duration) *echo {
	o.Logger = logger
	o.CORS = &engineio.CORS{Origins: []string{"*"}}
	engine, socket := o, o
	engine.Handler = engineEcho{logger}
	socket.Handler = socketio.NewServer(socketio.Options{
		Namespaces:     map[string]func(*socketio.Socket){"/": connectMain, "/custom": connectCustom},
		ConnectTimeout: connectTimeout,
		Logger:         logger,
	})
	return &echo{engineio.NewServer(engine), engineio.NewServer(socket)}
}

func (e *echo) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", e.engine)
	mux.Handle("/socket.io/", e.socket)
	return mux
}

// run serves until ctx ends.
func (e *echo) run(ctx context.Context, listen string) error {
	server := &http.Server{Addr: listen, Handler: e.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(e.engine.Shutdown(ctx), e.socket.Shutdown(ctx), server.Shutdown(ctx))
}

// engineEcho sends every message back.
type engineEcho struct{ logger *slog.Logger }

func (engineEcho) Open(*engineio.Session) {}

func (e engineEcho) Message(s *engineio.Session, data []byte, binary bool) {
	if err := s.Send(data, binary); err != nil {
		e.logger.Warn("message lost", "error", err)
	}
}

func (engineEcho) Close(*engineio.Session, string) {}

// connectMain serves the namespace "/".
func connectMain(s *socketio.Socket) {
	s.On("message", func(args socketio.Args, _ socketio.Ack) { emit(s, "message-back", args) })
	s.On("message-with-ack", func(args socketio.Args, ack socketio.Ack) { ack(args) })
	connectCustom(s)
}

// connectCustom tells the client what it sent as its auth.
func connectCustom(s *socketio.Socket) {
	auth := s.Auth()
	if auth == nil {
		auth = []byte("{}")
	}
	emit(s, "auth", auth)
}

// emit closes the connection of a client that does not take its events: an echo
// that leaves some out is none.
func emit(s *socketio.Socket, event string, arg any) {
	if s.Emit(event, arg) != nil {
		s.Conn().Close()
	}
}
