package gateway

import (
	"context"
	"net/http"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/engineio"
)

// hello is what of a request that opens a connection says who is there.
type hello struct {
	header  http.Header
	host    string
	query   func(name string) []string
	address string
}

func handshakeOf(r *http.Request) hello {
	return hello{r.Header, r.Host, func(name string) []string { return r.URL.Query()[name] }, addressOf(r.RemoteAddr)}
}

func handshakeOfSession(r *engineio.Request) hello {
	return hello{r.Header, r.Host, func(name string) []string { return r.Query[name] }, addressOf(r.RemoteAddr)}
}

// find looks for a token in a handshake.
func (s *Server) find(h hello) (auth.Credentials, error) {
	rules := s.rules.Load()
	return rules.TokenSources.Find(auth.Handshake{Header: h.header, Query: h.query, Address: h.address,
		OwnPage: func() bool { return ownPage(h.header, h.host, rules.AllowedOrigins) }})
}

// identify decides about a handshake. The first error is for whoever can see
// the answer to it. refused is for a page, which cannot: it is let in to be
// told. A client that is nobody yet, and may say who it is, has neither.
func (s *Server) identify(ctx context.Context, h hello) (id *auth.Identity, refused, err error) {
	c, err := s.find(h)
	if err != nil {
		return nil, nil, err
	}
	who := s.rules.Load().Auth
	if c.Source == auth.None && !who.Open() && who.Takes() {
		return nil, nil, nil
	}
	if id, err = s.judge(ctx, who, c); err != nil && c.Source != auth.Bearer {
		return nil, err, nil
	}
	return id, nil, err
}

// authenticate takes a token that a client sends later. The header of its
// handshake is not kept for that.
func (s *Server) authenticate(ctx context.Context, token, address string) (*auth.Identity, error) {
	return s.judge(ctx, s.rules.Load().Auth, auth.Credentials{Token: token, Source: auth.Frame, Address: address})
}

// identifySocket decides about a Socket.IO client that joins a namespace, or
// shows another token: by that, or else by the handshake of its connection.
func (s *Server) identifySocket(ctx context.Context, r *engineio.Request, namespace, token string) (*auth.Identity, error) {
	c, err := s.find(handshakeOfSession(r))
	if token != "" {
		c, err = auth.Credentials{Token: token, Source: auth.Frame, Address: c.Address, Header: r.Header}, nil
	}
	if err != nil {
		return nil, err
	}
	c.Namespace = namespace
	return s.judge(ctx, s.rules.Load().Auth, c)
}

// judge asks who a client is, and notes since when it has waited for that.
func (s *Server) judge(ctx context.Context, who auth.Authenticator, c auth.Credentials) (*auth.Identity, error) {
	shown := s.revocations.Now()
	id, err := who.Authenticate(ctx, c)
	if err != nil {
		return nil, err
	}
	known := *id // the Authenticator may give the same one to others
	known.Shown = shown
	if known.Permissions == nil {
		known.Permissions = new(bridge.Permissions)
	}
	return &known, nil
}

// refuseToken answers a handshake whose token is refused.
func (s *Server) refuseToken(w http.ResponseWriter, err error) {
	s.authRefused(auth.ReasonOf(err))
	s.count(refusedToken)
	status := http.StatusUnauthorized
	e := bridge.ErrorOf(err)
	switch {
	case auth.Temporary(err):
		status = http.StatusServiceUnavailable
	case e.Code == bridge.CodeForbidden:
		status = http.StatusForbidden
	default:
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2
	}
	answer(w, status, e)
}

// authRefused counts a refusal.
func (s *Server) authRefused(why auth.Reason) {
	if n := s.unauthenticated[why]; n != nil {
		n.Add(1)
	}
}
