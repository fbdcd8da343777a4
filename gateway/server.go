package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/socketio/clientbundle"
	"github.com/jetway-io/jetway/gateway/websock"
)

const dropTimeout = time.Second // for dropped sessions to take themselves apart

// session is one client, whatever its protocol.
type session interface {
	Run()                         // until the client is gone
	Shutdown(ctx context.Context) // returns when Run has

	// Revoke ends the session if the revocation is about it, and reports
	// whether it is. It returns at once.
	Revoke(r bridge.Revocation) bool

	// Renew changes who the client is, as far as that may change; nil ends it.
	// It returns at once.
	Renew(renew func(*auth.Identity) *auth.Identity)
}

// Server accepts clients. Its life is [New], [Server.Start], [Server.Stop].
type Server struct {
	// Static after New.
	opts      Options
	logger    *slog.Logger
	listener  net.Listener
	sockets   *sockets     // below listener
	admin     net.Listener // nil without one
	http      []*http.Server
	admission *admission
	wire      websock.Stats
	refused   [len(refusals)]atomic.Uint64

	unauthenticated map[auth.Reason]*atomic.Uint64 // all reasons, from the start

	dedupe time.Duration // owned by Start, then static
	stock  *stock        // Socket.IO; nil without
	node   string        // this gateway's name in sids
	rules  atomic.Pointer[Rules]
	native atomic.Pointer[native.Options] // by the rules; from Start on
	quotas *quota.Registry

	handshakes *handshakes

	revocations auth.Revocations

	serving sync.WaitGroup // of http.Server.Serve

	mu       sync.Mutex
	sessions map[session]struct{}
	draining bool
	running  sync.WaitGroup // of sessions; Add only while not draining
}

// New validates the options and binds the listeners, so that an address that
// is taken is an error now. Nothing is accepted before Start.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:      opts,
		logger:    opts.Logger,
		admission: newAdmission(opts.MaxClients, opts.MaxPerAddress),
		sessions:  make(map[session]struct{}),

		handshakes: newHandshakes(),
	}
	s.node = randomNode()
	rules := opts.Rules().withDefaults()
	s.rules.Store(rules)
	s.quotas = quota.NewRegistry(rules.quotas(opts.MaxMessageBytes))
	s.quotas.Full = func() { s.count(refusedUser) }
	s.unauthenticated = make(map[auth.Reason]*atomic.Uint64)
	for _, why := range auth.Reasons() {
		s.unauthenticated[why] = new(atomic.Uint64)
	}
	if s.stock, err = newStock(s); err != nil {
		return nil, err
	}
	tcp, err := listen(opts.Listen, "listen")
	if err != nil {
		return nil, err
	}
	s.sockets = newSockets(tcp, s.rules.Load, func() { s.count(refusedSockets) })
	s.listener = s.sockets
	if opts.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(opts.TLSCert, opts.TLSKey)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gateway: the TLS certificate cannot be used: %w", err), s.listener.Close())
		}
		// HTTP/1.1 only: a WebSocket handshake needs the connection itself.
		s.listener = tls.NewListener(s.listener, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	opts.Bridge.OnRevoke(s.revoke)
	if opts.AdminListen != "" {
		if s.admin, err = listen(opts.AdminListen, "admin.listen"); err != nil {
			return nil, errors.Join(err, s.listener.Close())
		}
	}
	return s, nil
}

// listen binds an address; key names it in the configuration.
func listen(address, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop it, or set %s to another address", address, key)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w: correct %s", address, err, key)
	}
	return l, nil
}

// Addr returns the address that clients connect to.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// AdminAddr returns the address of metrics, nil when there is none.
func (s *Server) AdminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.Addr()
}

// Start accepts clients from now on.
func (s *Server) Start(ctx context.Context) error {
	dedupe, err := s.opts.Bridge.Dedupe(ctx)
	if err != nil {
		return err
	}
	s.dedupe = dedupe
	s.native.Store(s.nativeOptions(s.rules.Load()))
	if s.stock != nil {
		if err := s.stock.start(); err != nil {
			return err
		}
	}
	s.serve(s.listener, s.handler())
	if s.admin != nil {
		s.serve(s.admin, s.adminHandler())
	}
	return nil
}

func (s *Server) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.opts.HandshakeTimeout, // and for that of TLS
		ReadTimeout:       s.opts.HandshakeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    max(s.opts.MaxHeaderBytes-headerSlop, 1),
		// "OPTIONS *" is refused like the others that are of no use.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	s.http = append(s.http, server)
	s.serving.Go(func() {
		// Stop closes the listener first and the server last.
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !s.isDraining() {
			s.logger.Error("the listener failed", "address", l.Addr().String(), "error", err)
		}
	})
}

// headerSlop is how much more net/http reads of a header than it was told to.
const headerSlop = 4 << 10

// handler routes the requests of clients.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.serveNative)
	if s.stock != nil {
		path := s.opts.SocketIO.Path
		mux.Handle(path, s.stock.server)
		for _, name := range clientbundle.Names {
			mux.HandleFunc("GET "+path+name, clientbundle.ServeHTTP)
		}
	}
	s.handleHealth(mux)
	s.handlePages(mux)
	return s.behindProxies(s.ownNames(s.surface(mux)))
}

// Stop drains: it stops accepting, fails /readyz, tells the clients to come
// back later, and returns when their sessions have ended and what they
// published is answered, or when ctx ends; then it drops those that are left.
// It may be called without Start, and more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	all := s.all()

	errs := []error{ignoreClosed(s.listener.Close())}
	s.opts.Bridge.EndWork()
	for _, one := range all {
		go one.Shutdown(ctx) // ends with its session, which is awaited here
	}
	if s.stock != nil {
		errs = append(errs, s.stock.shutdown(ctx))
	}
	errs = append(errs, s.awaitSessions(ctx))
	if s.admin != nil {
		errs = append(errs, ignoreClosed(s.admin.Close()))
	}
	for _, server := range s.http {
		errs = append(errs, ignoreClosed(server.Close()))
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// awaitSessions returns when all sessions have ended, or a little after ctx.
func (s *Server) awaitSessions(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return nil
	case <-time.After(dropTimeout):
		return errors.New("gateway: not all sessions ended in time")
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// run registers a session and runs it on a goroutine of its own: the handler's
// would hold on to what net/http needed for the handshake. It returns false
// when the server is draining.
func (s *Server) run(one session, leave func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.sessions[one] = struct{}{}
	s.running.Go(func() {
		one.Run()
		leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, one)
	})
	return true
}

// isDraining reports whether Stop has been called.
func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Wire returns the counters of what is written to WebSocket clients.
func (s *Server) Wire() *websock.Stats { return &s.wire }

// randomNode names a gateway.
func randomNode() string {
	var b [6]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}
