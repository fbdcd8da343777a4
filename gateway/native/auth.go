package native

import (
	"context"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/websock"
)

// earlyBytes bounds a message of a client that nobody knows. A longer token
// goes into the handshake.
const earlyBytes = 4 << 10

// await begins the waiting for auth, or for the end of the token that the
// handshake brought. An error is the end.
func (s *Session) await() error {
	if s.who != nil {
		return s.known(s.who)
	}
	s.conn.SetMaxMessageBytes(earlyBytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limbo = time.AfterFunc(s.opts.AuthTimeout, func() {
		s.expel(websock.CodeAuthTimeout, auth.Late, "no auth in time")
	})
	return nil
}

// admit does what one message of a client asks for that nobody knows: auth, or
// ping and help. Anything else, and a token that is no good, is the end. It
// returns false then.
func (s *Session) admit(msg []byte, text bool) bool {
	f, err := parse(msg, text)
	switch {
	case err != nil:
	case f.Verb == VerbPing, f.Verb == VerbHelp:
		if err := s.verb(f); err != nil {
			s.refuse(f, err)
		}
		return !s.tooFast()
	case f.Verb == VerbAuth:
		id, err := s.opts.Authenticate(context.Background(), f.Text, s.address)
		if err == nil {
			err = s.become(f, id)
		}
		if err != nil && !s.crowded(f, err) {
			s.turnAway(err)
		}
		return err == nil
	}
	s.turnAway(early())
	return false
}

func early() error {
	return auth.Refuse(auth.Early, "auth comes first", `send {"auth":TOKEN}, at most 4 KiB, or the token in the handshake`)
}

// become makes the client who its token says that it is.
func (s *Session) become(f *Frame, id *auth.Identity) error {
	user, err := s.quota.Enter(id.User, id.Anonymous)
	if err != nil {
		return err
	}
	if err := s.client.Become(id.User, id.Permissions); err != nil {
		user.Leave()
		return err
	}
	s.user = user // nobody was one before
	s.mu.Lock()
	if s.limbo != nil {
		s.limbo.Stop()
		s.limbo = nil
	}
	s.mu.Unlock()
	s.conn.SetMaxMessageBytes(s.opts.MaxMessageBytes)
	return s.identified(f, id)
}

// crowded ends the session of a user that has too many connections, and reports
// whether it has.
func (s *Session) crowded(f *Frame, err error) bool {
	e := bridge.ErrorOf(err)
	if e == nil || e.Limit != bridge.LimitUser {
		return false
	}
	s.refuse(f, err)
	s.bye(websock.CodeTooFast, e.Msg+": "+e.Hint, e.Retry)
	return true
}

// identified notes who the client is, and answers its auth.
func (s *Session) identified(f *Frame, id *auth.Identity) error {
	if err := s.known(id); err != nil {
		return err
	}
	s.text(func(dst []byte) []byte { return AppendIdentity(dst, f.Ref(), id.User, id.Expires) })
	return nil
}

// auth takes another token of a client that is known: the next one of the same
// user, or the first one of an anonymous client. One that is no good leaves
// everything as it is, but one of another user ends the session.
func (s *Session) auth(f *Frame) error {
	if err := s.quota.Request(); err != nil {
		return err
	}
	id, err := s.opts.Authenticate(context.Background(), f.Text, s.address)
	switch {
	case err != nil:
		s.opts.AuthRefused(auth.ReasonOf(err))
		return err
	case s.who.Anonymous:
		return s.become(f, id)
	case id.User != s.who.User:
		return auth.OtherUsers()
	}
	return s.identified(f, id)
}

// known notes who the client is from now on. The rules may have changed since
// its token was judged, or its user been revoked, and Renew and Revoke were told
// of who it was before, or did not know the session yet: then it is somebody
// else, or nobody, which is an error and the end.
func (s *Session) known(id *auth.Identity) error {
	s.permitting.Lock()
	defer s.permitting.Unlock()
	s.note(id)
	if s.opts.Current != nil {
		if id = s.opts.Current(id); id == nil {
			return auth.WasRevoked()
		}
		s.note(id)
	}
	s.who = id
	s.client.SetPermissions(id.Permissions)
	s.expireAt(id.Expires)
	return nil
}

// note tells Renew and Revoke who the client is.
func (s *Session) note(id *auth.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
}

// expireAt has the client warned before its token ends, and ended with it.
func (s *Session) expireAt(at time.Time) {
	if at.IsZero() {
		s.expiry.Set(auth.Plan{})
		return
	}
	plan := auth.Plan{At: at, End: s.expire}
	if s.opts.ExpiryWarning != nil {
		plan.Before = s.opts.ExpiryWarning()
	}
	plan.Warn = func(in time.Duration) {
		s.text(func(dst []byte) []byte { return AppendExpiring(dst, at, in) })
	}
	s.expiry.Set(plan)
}

// expire ends the session, as its token has.
func (s *Session) expire() {
	s.expel(websock.CodeUnauthenticated, auth.RanOut, "the token has expired")
}

// turnAway ends the session from the goroutine that reads, because of its
// token.
func (s *Session) turnAway(err error) {
	if s.leaving() {
		s.opts.AuthRefused(auth.ReasonOf(err))
	}
	e := bridge.ErrorOf(err)
	code := websock.CodeUnauthenticated
	switch {
	case auth.Temporary(err):
		code = websock.CodeNotReady
	case e.Code == bridge.CodeForbidden:
		code = websock.CodeForbidden
	}
	why := e.Msg
	if e.Hint != "" {
		why += ": " + e.Hint
	}
	s.bye(code, why, e.Retry)
}

// Revoke ends the session of a user that is not to be here any more.
func (s *Session) Revoke(r bridge.Revocation) bool {
	s.mu.Lock()
	covered := !s.closed && s.id != nil && s.id.RevokedBy(r)
	if covered {
		s.tasks.Go(s.revoked)
	}
	s.mu.Unlock()
	return covered
}

func (s *Session) revoked() {
	s.expel(websock.CodeUnauthenticated, auth.Revoked, "the session was revoked")
}

// Renew changes what the client may do, after the roles have changed; nil ends
// its session.
func (s *Session) Renew(renew func(*auth.Identity) *auth.Identity) {
	s.permitting.Lock()
	defer s.permitting.Unlock()
	if next := s.renewed(renew); next != nil {
		s.client.SetPermissions(next.Permissions)
	}
}

// renewed notes who the client is now; nil if there is nothing to change.
func (s *Session) renewed(renew func(*auth.Identity) *auth.Identity) *auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.id == nil {
		return nil
	}
	next := renew(s.id)
	if next == nil {
		s.tasks.Go(s.revoked)
		return nil
	}
	s.id = next
	return next
}

// expel ends the session from another goroutine than Run's. What the client
// sends from now on is not heard; it has a few seconds to take its last frames.
func (s *Session) expel(code websock.Code, reason auth.Reason, why string) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.tasks.Add(1)
	s.mu.Unlock()
	defer s.tasks.Done()
	if !s.leaving() {
		return
	}
	s.opts.AuthRefused(reason)
	s.say(code, why, 0)
	s.flush()
	timer := time.NewTimer(finishTimeout)
	defer timer.Stop()
	select {
	case <-s.left:
	case <-timer.C:
	}
	_ = s.conn.Close() // Run sees it
}

// leaving reports whether the session has not been ended because of its token
// before: only one reason counts.
func (s *Session) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.expelled
	s.expelled = true
	return first
}
