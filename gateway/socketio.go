package gateway

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// SocketIO configures the endpoint for stock Socket.IO clients. Zero values
// have the reference's defaults.
type SocketIO struct {
	Path       string // where it is, with a slash at both ends; "" serves none
	Recovery   sio.Recovery
	Namespaces []string
	Format     socketio.Format

	Mapping   *bridge.Mapping
	Subscribe []sio.Subscription

	PingInterval      time.Duration
	PingTimeout       time.Duration
	ConnectTimeout    time.Duration
	UpgradeTimeout    time.Duration
	MaxHTTPBufferSize int
	Cookie            string // name; "" sets none

	// Gateways reaches the gateway that has a polling client's session. Nil
	// with one gateway, or where a load balancer is sticky.
	Gateways bridge.Gateways
}

// stock is the endpoint while it runs.
type stock struct {
	handler *sio.Handler
	server  *engineio.Server
	conns   *socketio.Conns
	forward *sio.Forwarder // nil without other gateways
	stop    func()         // ends forward
	gateway *Server
}

// newStock makes the endpoint; nil when there is none.
func newStock(s *Server) (*stock, error) {
	o := s.opts.SocketIO
	if o.Path == "" {
		return nil, nil
	}
	handler, err := sio.New(sio.Options{
		Bridge: s.opts.Bridge, Logger: s.logger, AuthRefused: s.authRefused, ExpiryWarning: s.expiryWarning, Current: s.current,
		Identify: func(ctx context.Context, c *socketio.Conn, namespace, token string) (*auth.Identity, error) {
			return s.identifySocket(ctx, c.Session().Request(), namespace, token)
		},
		Mapping: o.Mapping, Subscribe: o.Subscribe, Recovery: o.Recovery, Namespaces: o.Namespaces, Format: o.Format,
		MaxMessageBytes: s.opts.MaxMessageBytes, MaxSubscriptions: s.opts.MaxSubscriptions, MaxInflight: s.opts.MaxInflight, Quotas: s.quotas,
	})
	if err != nil {
		return nil, err
	}
	conn := handler.ConnOptions()
	conn.ConnectTimeout = o.ConnectTimeout
	conn.Failed = func(_ *socketio.Conn, err error) { s.opts.Bridge.Stats().Refuse(&bridge.Error{Code: faultOf(err)}) }
	// What is over MaxMessageBytes alone is read to its end, and refused in its
	// acknowledgement.
	conn.MaxBytes = max(s.opts.MaxMessageBytes, o.MaxHTTPBufferSize, engineio.DefaultMaxHTTPBufferSize)
	st := &stock{gateway: s, handler: handler, conns: socketio.NewConns(conn)}
	options := engineio.Options{
		Handler: st, Logger: s.logger, Wire: &s.wire, AllowRequest: st.allow, AllowSession: st.owns, Refused: st.refused,
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, UpgradeTimeout: o.UpgradeTimeout,
		MessageTimeout: s.opts.MessageTimeout, MaxRate: s.readRate,
		MaxHTTPBufferSize: o.MaxHTTPBufferSize, Cookie: o.Cookie, WriteTimeout: writeTimeout,
		CORS: &engineio.CORS{Current: func() []string { return s.rules.Load().AllowedOrigins }, Credentials: true},
	}
	if o.Gateways != nil {
		st.forward = &sio.Forwarder{Node: s.node, Gateways: o.Gateways, MaxBytes: max(o.MaxHTTPBufferSize, engineio.DefaultMaxHTTPBufferSize)}
		options.GenerateID, options.UnknownSID = st.forward.SID, st.forward
	}
	st.server = engineio.NewServer(options)
	return st, nil
}

// faultOf is the code for what a connection is closed for.
func faultOf(err error) bridge.Code {
	switch {
	case errors.Is(err, socketio.ErrTooBig):
		return bridge.CodeTooBig
	case errors.Is(err, socketio.ErrConnectTimeout), errors.Is(err, socketio.ErrSlowAttachments):
		return bridge.CodeTimeout
	}
	return bridge.CodeBadFrame
}

// start serves what other gateways pass on.
func (st *stock) start() error {
	if st.forward == nil {
		return nil
	}
	st.forward.Local = st.server
	stop, err := st.forward.Serve()
	if err != nil {
		return fmt.Errorf("gateway: listening to other gateways: %w", err)
	}
	st.stop = stop
	return nil
}

// shutdown closes the sessions in a way that makes clients connect again.
func (st *stock) shutdown(ctx context.Context) error {
	st.handler.Settle(ctx)
	err := st.server.Shutdown(ctx)
	st.handler.Wait()
	if st.stop != nil {
		st.stop()
	}
	return err
}

// errNotReady is what clients see of a handshake that comes too early.
var errNotReady = errors.New("not ready: GET /readyz says why")

// allow decides about a handshake. Origins are checked by engineio, and tokens
// when a namespace is joined, but a cookie that comes from a page that may not
// use it opens nothing.
func (st *stock) allow(r *http.Request) error {
	s := st.gateway
	address := addressOf(r.RemoteAddr)
	if why, wait := s.handshakes.enter(address, s.rules.Load()); why != "" {
		return st.full(why, wait)
	}
	if s.isDraining() || s.opts.Bridge.Ready() != nil {
		s.count(refusedUnready)
		return errNotReady
	}
	if why, ok := s.admission.mayEnter(address); !ok {
		return st.full(why, retryFull)
	}
	if _, err := s.find(handshakeOf(r)); err != nil {
		s.authRefused(auth.ReasonOf(err))
		s.count(refusedToken)
		return err
	}
	return nil
}

// owns reports whether a request of a session shows no other token than the one
// that opened it. Who has signed in as somebody else meanwhile, in the same
// browser, must not go on as who was there before: the stock client connects
// again, and is who it is then.
func (st *stock) owns(s *engineio.Session, r *http.Request) bool {
	now, err := st.gateway.find(handshakeOf(r))
	if err != nil || now.Token == "" { // a page cannot send Authorization with the upgrade
		return err == nil
	}
	first, _ := st.gateway.find(handshakeOfSession(s.Request())) // it was good enough to open it
	return first.Token == "" || subtle.ConstantTimeCompare([]byte(first.Token), []byte(now.Token)) == 1
}

// full refuses a handshake by a limit.
func (st *stock) full(why refusal, retry time.Duration) error {
	st.gateway.count(why)
	e := why.tooMany(retry)
	return &engineio.Refusal{Status: why.status(), Message: e.Msg + ": " + e.Hint, RetryAfter: e.Retry}
}

// refused counts what is not counted elsewhere. What allow has refused is; of
// what is forbidden there are the origins left.
func (st *stock) refused(r *http.Request, e *engineio.Error) {
	switch {
	case e.Code != engineio.CodeForbidden:
		st.gateway.count(refusedRequest)
	case !originAllowed(r, st.gateway.rules.Load().AllowedOrigins):
		st.gateway.count(refusedOrigin)
	}
}

// Open implements [engineio.Handler].
func (st *stock) Open(s *engineio.Session) {
	st.gateway.admission.add(addressOf(s.Request().RemoteAddr))
	st.conns.Open(s)
}

// Message implements [engineio.Handler].
func (st *stock) Message(s *engineio.Session, data []byte, binary bool) {
	st.conns.Message(s, data, binary)
}

// Close implements [engineio.Handler].
func (st *stock) Close(s *engineio.Session, reason string) {
	st.conns.Close(s, reason)
	st.gateway.admission.leave(addressOf(s.Request().RemoteAddr))
}
