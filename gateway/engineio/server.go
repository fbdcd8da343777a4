package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/gateway/websock"
)

// protocol is the value of the query parameter EIO.
const protocol = "4"

// dropTimeout is how long sessions may take to end once they are cut off.
const dropTimeout = time.Second

// Server opens sessions and hands requests to them. Its methods may be called
// concurrently.
type Server struct {
	opts  Options // static after construction
	grave grave

	mu       sync.Mutex
	sessions map[string]*Session
	draining bool
	running  sync.WaitGroup // sessions until their Close returns, and their goroutines
}

// NewServer returns a server. It holds nothing that would have to be freed
// until the first session opens; [Server.Shutdown] ends all.
func NewServer(opts Options) *Server {
	return &Server{opts: opts.withDefaults(), sessions: make(map[string]*Session)}
}

// ServeHTTP serves every request of Engine.IO, whatever its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.opts.CORS.handle(w, r) {
		return
	}
	if refused := s.route(w, r, r.URL.Query()); refused != nil {
		s.refuse(w, r, refused)
	}
}

// route finds out what a request wants, in the order of the reference, which
// decides about the code where several things are wrong.
func (s *Server) route(w http.ResponseWriter, r *http.Request, query url.Values) *Error {
	transport, sid, upgrade := query.Get("transport"), query.Get("sid"), websocket.IsWebSocketUpgrade(r)
	switch {
	case !s.speaks(transport):
		return refusal(CodeUnknownTransport)
	case query.Has("j"): // JSONP has gone with revision 4
		return refusal(CodeBadRequest)
	case r.Method == http.MethodGet && r.ContentLength != 0: // nobody would read the body
		return refusal(CodeBadRequest)
	case sid == "":
		return s.handshake(w, r, query, transport, upgrade)
	}
	session := s.find(sid)
	switch {
	case session == nil && !upgrade && transport == Polling:
		return s.serveUnknown(w, r, sid)
	case session == nil, s.opts.AllowSession != nil && !s.opts.AllowSession(session, r):
		return refusal(CodeUnknownSID)
	case query.Get("EIO") != protocol, upgrade != (transport == WebSocket):
		return refusal(CodeBadRequest)
	case upgrade && !s.opts.CORS.allows(r):
		return refusal(CodeForbidden)
	case upgrade:
		return session.serveUpgrade(w, r)
	case r.Method == http.MethodGet:
		return session.servePoll(w, r)
	case r.Method == http.MethodPost:
		return session.servePost(w, r)
	}
	return refusal(CodeBadRequest)
}

// speaks reports whether clients may use a transport.
func (s *Server) speaks(transport string) bool { return slices.Contains(s.opts.Transports, transport) }

func (s *Server) find(sid string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

// serveUnknown answers a polling request whose session is not here.
func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request, sid string) *Error {
	switch {
	case r.Method == http.MethodGet && s.serveLast(w, r, sid):
	case s.opts.UnknownSID == nil:
		return refusal(CodeUnknownSID)
	default:
		s.opts.UnknownSID.ServeHTTP(w, r)
	}
	return nil
}

// serveLast answers the last poll of a session that has been closed, and reports
// whether there was anything for it.
func (s *Server) serveLast(w http.ResponseWriter, r *http.Request, sid string) bool {
	last, ok := s.grave.take(sid)
	if ok {
		_ = s.answerPoll(w, r, last) // the session is over either way
	}
	return ok
}

// handshake opens a session (Engine.IO protocol v4, "Handshake").
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, query url.Values, transport string, upgrade bool) *Error {
	switch {
	case r.Method != http.MethodGet:
		return refusal(CodeBadHandshakeMethod)
	case upgrade != (transport == WebSocket):
		return refusal(CodeBadRequest)
	case query.Get("EIO") != protocol:
		return refusal(CodeUnsupportedProtocol)
	case !s.opts.CORS.allows(r):
		return refusal(CodeForbidden)
	case s.isDraining():
		return errDraining
	}
	if s.opts.AllowRequest != nil {
		if err := s.opts.AllowRequest(r); err != nil {
			return notAllowed(err)
		}
	}
	sid, req := s.opts.GenerateID(), newRequest(r, query)
	if upgrade {
		return s.openWebSocket(w, r, sid, req)
	}
	return s.openPolling(w, r, sid, req)
}

func (s *Server) openPolling(w http.ResponseWriter, r *http.Request, sid string, req *Request) *Error {
	session, refused := s.add(sid, req, nil)
	if refused != nil {
		return refused
	}
	session.open()
	if cookie := s.cookie(sid, r); cookie != "" {
		w.Header().Set("Set-Cookie", cookie)
	}
	if err := s.answerPoll(w, r, session.opening()); err != nil {
		session.end(endUnwritable)
	}
	return nil
}

func (s *Server) openWebSocket(w http.ResponseWriter, r *http.Request, sid string, req *Request) *Error {
	header := make(http.Header)
	if cookie := s.cookie(sid, r); cookie != "" {
		header.Set("Set-Cookie", cookie)
	}
	conn, err := s.accept(w, r, header)
	if err != nil {
		return nil // answered
	}
	session, refused := s.add(sid, req, conn)
	if refused != nil {
		dismiss(conn, websock.CodeRestart, refused.Message)
		return nil
	}
	s.running.Add(1) // the session's own keeps the count above 0 until open returns
	go func() {      // the handler's would hold on to what the handshake needed
		defer s.running.Done()
		websock.Aside(func() bool {
			session.attach(conn)
			session.greet()
			session.open()
			return true
		})
		session.read(conn)
	}()
	return nil
}

// accept answers the handshake of a WebSocket.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, header http.Header) (*websock.Conn, error) {
	conn, err := websock.Upgrade(w, r, websock.Options{
		Header:          header,
		CheckOrigin:     func(*http.Request) bool { return true }, // checked by CORS.allows
		MaxMessageBytes: s.opts.MaxHTTPBufferSize,
		MessageTimeout:  s.opts.MessageTimeout,
		MaxRate:         s.maxRate(),
		// The heartbeat decides: this must not come first.
		IdleTimeout:  2 * (s.opts.PingInterval + s.opts.PingTimeout),
		WriteTimeout: s.opts.WriteTimeout,
		Stats:        s.opts.Wire,
	})
	if err != nil && s.opts.Refused != nil {
		s.opts.Refused(r, refusal(CodeBadRequest))
	}
	return conn, err
}

// maxRate is how many packets a second are read of a client that comes now.
func (s *Server) maxRate() float64 {
	if s.opts.MaxRate == nil {
		return 0
	}
	return s.opts.MaxRate()
}

// add makes a session known. Its handling is held, see [Session.open].
func (s *Server) add(sid string, req *Request, conn *websock.Conn) (*Session, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return nil, errDraining
	case s.sessions[sid] != nil || sid == "": // a fault of GenerateID
		return nil, refusal(CodeBadRequest)
	}
	session := newSession(s, sid, req, conn)
	s.sessions[sid] = session
	s.running.Add(1)
	return session, nil
}

// remove forgets a session that has ended, but for what its next polls are to
// get, if anything.
func (s *Server) remove(session *Session, last [][]byte) {
	s.mu.Lock()
	delete(s.sessions, session.id)
	s.mu.Unlock()
	if len(last) > 0 {
		s.grave.bury(session.id, last...)
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// cookie returns the header field of the cookie, "" when there is none.
func (s *Server) cookie(sid string, r *http.Request) string {
	if s.opts.Cookie == "" {
		return ""
	}
	c := http.Cookie{Name: s.opts.Cookie, Value: sid, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode}
	return c.String()
}

// refuse answers a request with an error: as JSON, or, as the reference does
// for a WebSocket, whose client never sees the body, as its message with 400.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	if s.opts.Refused != nil {
		s.opts.Refused(r, e)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.ContentLength != 0 {
		// Otherwise net/http would wait for the rest of the body, to use the
		// connection again.
		h.Set("Connection", "close")
	}
	if e.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retry.Seconds()))))
	}
	status, body := e.status, []byte(e.Message)
	if websocket.IsWebSocketUpgrade(r) {
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("Connection", "close")
		if !e.told {
			status = http.StatusBadRequest
		}
	} else {
		h.Set("Content-Type", "application/json")
		body, _ = json.Marshal(e) // such a struct always can be
	}
	_ = s.respond(w, status, body) // the client may be gone
}

// randomID returns 128 bits that nobody can guess, URL-safe.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Shutdown refuses new sessions with 503, and closes those there are, after
// what is queued for them, in a way that makes stock clients connect again
// (WebSocket code 1012, packet 1). It returns when the handler has been told of
// the last, or, having cut the connections, soon after ctx ends, with its
// error. It does not stop the HTTP server.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	all := make([]*Session, 0, len(s.sessions))
	for _, one := range s.sessions {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		one.end(endShutdown)
	}
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
	for _, one := range all {
		one.cut()
	}
	select {
	case <-ended:
	case <-time.After(dropTimeout):
	}
	return ctx.Err()
}
