package gateway

import (
	"net/netip"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/quota"
)

// Rules are what of [Options] may change while the server runs; the fields are
// those of Options, with the same defaults.
type Rules struct {
	Auth             auth.Authenticator
	AllowedOrigins   []string
	TrustedProxies   []netip.Prefix
	TokenSources     auth.Sources
	AuthTimeout      time.Duration
	MaxClients       int
	MaxPerAddress    int
	MaxSubscriptions int
	ExpiryWarning    time.Duration

	PublishRate, PublishBytes         float64
	UserPublishRate, UserPublishBytes float64
	RequestRate                       float64
	MaxInflight, MaxPerUser           int

	HandshakeRate, HandshakeRatePerAddress float64
}

// Rules returns those of the options.
func (o Options) Rules() Rules {
	return Rules{
		Auth: o.Auth, AllowedOrigins: o.AllowedOrigins, TrustedProxies: o.TrustedProxies, TokenSources: o.TokenSources, AuthTimeout: o.AuthTimeout, ExpiryWarning: o.ExpiryWarning,
		MaxClients: o.MaxClients, MaxPerAddress: o.MaxPerAddress, MaxSubscriptions: o.MaxSubscriptions,
		PublishRate: o.PublishRate, PublishBytes: o.PublishBytes, UserPublishRate: o.UserPublishRate, UserPublishBytes: o.UserPublishBytes,
		RequestRate: o.RequestRate, MaxInflight: o.MaxInflight, MaxPerUser: o.MaxPerUser,
		HandshakeRate: o.HandshakeRate, HandshakeRatePerAddress: o.HandshakeRatePerAddress,
	}
}

func (r Rules) withDefaults() *Rules {
	if r.Auth == nil {
		r.Auth = &auth.Policy{}
	}
	setDefault(&r.AuthTimeout, 10*time.Second)
	setDefault(&r.MaxClients, 100_000)
	setDefault(&r.MaxPerAddress, 1000)
	setDefault(&r.MaxSubscriptions, 100)
	setDefault(&r.PublishRate, 1000)
	setDefault(&r.ExpiryWarning, time.Minute)
	setDefault(&r.PublishBytes, 16<<20)
	setDefault(&r.UserPublishRate, 5000)
	setDefault(&r.UserPublishBytes, 64<<20)
	setDefault(&r.RequestRate, 500)
	setDefault(&r.MaxInflight, 4096)
	setDefault(&r.MaxPerUser, 1000)
	setDefault(&r.HandshakeRate, 5000)
	setDefault(&r.HandshakeRatePerAddress, 1000)
	return &r
}

// quotas are what clients and users may ask for.
func (r *Rules) quotas(maxMessageBytes int) quota.Limits {
	return quota.Limits{
		PublishRate: r.PublishRate, PublishBytes: r.PublishBytes, UserPublishRate: r.UserPublishRate, UserPublishBytes: r.UserPublishBytes,
		RequestRate: r.RequestRate, PerUser: r.MaxPerUser, MaxMessageBytes: maxMessageBytes, MaxSubscriptions: r.MaxSubscriptions,
	}
}

// renewer is an [auth.Authenticator] that can say what those may do whom
// another one has let in.
type renewer interface {
	Renew(id *auth.Identity) *auth.Identity
}

var _ renewer = (*auth.Policy)(nil)

// Reload changes the rules. Who is connected stays, with what the new Auth says
// that it may do, if that can say so, and with the limits that it had; who would
// not be let in without a token any more has to go. Origins, sources of tokens
// and limits are for those who come.
func (s *Server) Reload(r Rules) {
	rules := r.withDefaults()
	s.rules.Store(rules)
	s.native.Store(s.nativeOptions(rules))
	s.admission.limit(rules.MaxClients, rules.MaxPerAddress)
	if s.stock != nil {
		s.stock.handler.Limit(rules.MaxSubscriptions, rules.MaxInflight)
	}
	s.quotas.Limit(rules.quotas(s.opts.MaxMessageBytes))
	s.renew(rules, s.all()...)
	if again, ok := rules.Auth.(renewer); ok && s.stock != nil {
		s.stock.handler.Renew(again.Renew)
	}
}

// renew changes what sessions may do.
func (s *Server) renew(rules *Rules, sessions ...session) {
	again, ok := rules.Auth.(renewer)
	if !ok {
		return
	}
	for _, one := range sessions {
		one.Renew(again.Renew)
	}
}

// expiryWarning is how long before its end a token that begins now is warned of.
func (s *Server) expiryWarning() time.Duration { return s.rules.Load().ExpiryWarning }

// current is who a client is by the rules as they are now; nil if it would not
// be let in any more, or was revoked while it was judged.
func (s *Server) current(id *auth.Identity) *auth.Identity {
	if s.revocations.Cover(id) {
		return nil
	}
	if again, ok := s.rules.Load().Auth.(renewer); ok {
		return again.Renew(id)
	}
	return id
}

// revoke ends the sessions of a user that are not to be here any more.
func (s *Server) revoke(r bridge.Revocation) {
	s.revocations.Add(r) // for those who are being judged, and come now
	n := 0
	for _, one := range s.all() {
		if one.Revoke(r) {
			n++
		}
	}
	if s.stock != nil {
		n += s.stock.handler.Revoke(r)
	}
	s.logger.Info("sessions were revoked", "user", r.User, "before", r.Before, "sessions", n)
}

// all returns the sessions of jetway.v1.
func (s *Server) all() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]session, 0, len(s.sessions))
	for one := range s.sessions {
		all = append(all, one)
	}
	return all
}
