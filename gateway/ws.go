package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/websock"
)

// subprotocol is echoed to clients that ask for it.
const subprotocol = "jetway.v1"

// writeTimeout is how long a client may take nothing at all of what is written
// to it. It is not for slow clients, which catch up as they can, but for those
// that are gone: a little more than the heartbeat finds out by itself.
const writeTimeout = 2 * time.Minute

// serveNative lets a jetway.v1 client in.
func (s *Server) serveNative(w http.ResponseWriter, r *http.Request) {
	address, rules := addressOf(r.RemoteAddr), s.rules.Load()
	if why, wait := s.handshakes.enter(address, rules); why != "" {
		s.refuse(w, why, why.tooMany(wait))
		return
	}
	if !originAllowed(r, rules.AllowedOrigins) {
		s.refuse(w, refusedOrigin, &bridge.Error{Code: bridge.CodeForbidden, Msg: "this origin may not connect", Hint: "add it to allowed_origins"})
		return
	}
	if s.isDraining() || s.opts.Bridge.Ready() != nil {
		s.refuse(w, refusedUnready, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "not ready", Hint: "GET /readyz says why", Retry: time.Second})
		return
	}
	if why, ok := s.admission.enter(address); !ok {
		s.refuse(w, why, why.tooMany(retryFull))
		return
	}
	leave := func() { s.admission.leave(address) }
	id, refused, err := s.identify(r.Context(), handshakeOf(r))
	if err != nil {
		leave()
		s.refuseToken(w, err)
		return
	}
	quotas := s.quotas.Client()
	var user *quota.User
	if id != nil {
		if user, err = quotas.Enter(id.User, id.Anonymous); err != nil {
			leave()
			answer(w, refusedUser.status(), bridge.ErrorOf(err)) // it has been counted
			return
		}
	}
	conn, err := websock.Upgrade(w, r, websock.Options{
		Subprotocols:    []string{subprotocol},
		CheckOrigin:     func(*http.Request) bool { return true }, // checked above
		MaxMessageBytes: s.opts.MaxMessageBytes,
		MessageTimeout:  s.opts.MessageTimeout,
		MaxRate:         s.readRate(),
		IdleTimeout:     s.opts.PingInterval + s.opts.PingTimeout,
		WriteTimeout:    writeTimeout,
		Stats:           &s.wire,
	})
	if err != nil {
		user.Leave()
		leave()
		s.count(refusedUpgrade)
		s.logger.Debug("handshake refused", "client", address, "error", err)
		return
	}
	session := native.New(conn, s.native.Load(), native.Handshake{Identity: id, Refused: refused, Quota: quotas, User: user, Address: address})
	if !s.run(session, leave) {
		session.Discard()
		leave()
		return
	}
}

// nativeOptions are those of the sessions that begin under the rules.
func (s *Server) nativeOptions(rules *Rules) *native.Options {
	return &native.Options{
		Bridge:           s.opts.Bridge,
		Logger:           s.logger,
		Authenticate:     s.authenticate,
		AuthTimeout:      rules.AuthTimeout,
		AuthRefused:      s.authRefused,
		ExpiryWarning:    s.expiryWarning,
		Current:          s.current,
		MaxMessageBytes:  s.opts.MaxMessageBytes,
		MaxSubscriptions: rules.MaxSubscriptions,
		MaxInflight:      rules.MaxInflight,
		PingInterval:     s.opts.PingInterval,
		Dedupe:           s.dedupe,
	}
}

// readRate is how many frames a second are read of a client that comes now.
func (s *Server) readRate() float64 {
	return s.rules.Load().quotas(s.opts.MaxMessageBytes).ReadRate()
}

func (s *Server) count(why refusal) {
	for i := range refusals {
		if refusals[i] == why {
			s.refused[i].Add(1)
		}
	}
}

// refuse answers a request that is not let in, with the error object that
// clients know from the protocol.
func (s *Server) refuse(w http.ResponseWriter, why refusal, e *bridge.Error) {
	s.count(why)
	answer(w, why.status(), e)
}

// answer writes an error object.
func answer(w http.ResponseWriter, status int, e *bridge.Error) {
	body := struct {
		OK    bool        `json:"ok"`
		Code  bridge.Code `json:"code"`
		Msg   string      `json:"msg"`
		Hint  string      `json:"hint,omitempty"`
		Retry string      `json:"retry,omitempty"`
	}{Code: e.Code, Msg: e.Msg, Hint: e.Hint}
	if e.Retry > 0 {
		body.Retry = e.Retry.String()
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.Retry.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
