package sio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// expiringHint is for a client whose token is about to end.
const expiringHint = `emit("jetway:auth", {auth: TOKEN}, ack) with a new token of the same user`

var errNotAllowed = errors.New("the client's roles do not allow it")

// identify says who wants to join a namespace.
func (h *Handler) identify(c *socketio.Conn, namespace string, ask handshake) (*auth.Identity, error) {
	token, ok := ask.token()
	if !ok {
		return nil, auth.Refuse(auth.NoToken, "the token is not a text, or empty", "send auth: {token: TEXT}, or no token at all")
	}
	return h.opts.Identify(context.Background(), c, namespace, token)
}

// token is what the client sent, "" if nothing; ok is false when it is none.
// null is nothing: it is what {token: localStorage.getItem(…)} may be.
func (k handshake) token() (token string, ok bool) {
	if len(k.Token) == 0 || string(k.Token) == "null" {
		return "", true
	}
	err := json.Unmarshal(k.Token, &token)
	return token, err == nil && token != ""
}

// auth takes another token: the next one of the same user. One that is no good
// leaves everything as it is; one of another user closes the connection.
func (s *Socket) auth(p *socketio.Packet, f *native.Frame) error {
	if err := s.quota.Request(); err != nil {
		return err
	}
	if f.Text == "" { // else the one of the handshake would be asked for
		s.h.opts.AuthRefused(auth.NoToken)
		return auth.Refuse(auth.NoToken, "the token is empty", `as in emit("jetway:auth", {auth: TOKEN}, ack)`)
	}
	id, err := s.h.opts.Identify(context.Background(), s.conn, s.namespace, f.Text)
	if err == nil && id.User != s.user {
		err = auth.OtherUsers()
		if s.identity().Anonymous {
			err = &auth.Error{Reason: auth.OtherUser, Wire: bridge.Error{Code: bridge.CodeConflict, Msg: "this socket is anonymous", Hint: "disconnect, set auth.token, and connect again"}}
		}
	}
	if err != nil {
		s.h.opts.AuthRefused(auth.ReasonOf(err))
		if auth.Final(err) != nil {
			s.conn.Close()
			return nil // there is nobody to tell
		}
		return err
	}
	if err := s.permit(id); err != nil {
		return err
	}
	s.expireAt(id.Expires)
	extra := member(nil, "user", id.User)
	if !id.Expires.IsZero() {
		extra = member(extra, "expires", id.Expires.UTC().Format(time.RFC3339Nano))
	}
	s.answer(p, extra)
	return nil
}

// permit changes what the client may do. The bundle goes on without the
// filters that are not allowed any more, of which the client is told.
func (s *Socket) permit(id *auth.Identity) error {
	filters := id.Permissions.Allowed(s.filters)
	gone := slices.DeleteFunc(slices.Clone(s.filters), func(f string) bool { return slices.Contains(filters, f) })
	if len(gone) > 0 {
		if err := s.refilter(filters); err != nil {
			return err
		}
	}
	s.permitting.Lock()
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	s.client.SetPermissions(id.Permissions)
	s.permitting.Unlock()
	s.renewCurrent()
	for _, filter := range gone {
		for sid, of := range s.named {
			if of == filter {
				delete(s.named, sid)
			}
		}
		s.control("end", append(member([]byte(`{"why":"revoked"`), "filter", filter), '}'))
	}
	return nil
}

// expireAt has the client warned before its token ends, and its connection
// closed with it.
func (s *Socket) expireAt(at time.Time) {
	plan := auth.Plan{At: at, End: s.expire}
	if s.h.opts.ExpiryWarning != nil {
		plan.Before = s.h.opts.ExpiryWarning()
	}
	plan.Warn = func(in time.Duration) {
		object := fmt.Appendf(nil, `{"expires":%q,"in":%q`, at.UTC().Format(time.RFC3339Nano), native.DurationText(in))
		s.control("expiring", append(member(object, "hint", expiringHint), '}'))
	}
	s.expiry.Set(plan)
}

// expire closes the connection, as the token has ended. The client is not told
// why: it comes back, with another token if its application has one, and is
// refused with the old one.
func (s *Socket) expire() {
	s.h.opts.AuthRefused(auth.RanOut)
	s.conn.Close()
}

// Revoke closes the connections of a user that is not to be here any more, and
// returns how many sockets that are. It returns at once.
func (h *Handler) Revoke(r bridge.Revocation) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.live {
		s.mu.Lock()
		covered := !s.closed && !s.revoked && s.id.RevokedBy(r)
		s.revoked = s.revoked || covered
		s.mu.Unlock()
		if covered {
			n++
			h.opts.AuthRefused(auth.Revoked)
			time.AfterFunc(0, s.conn.Close) // it takes what is held here
		}
	}
	return n
}

// Renew changes what clients may do, after the roles have changed. A socket
// with a filter that is not allowed any more is closed, and so is one of a
// client that would not be let in: it comes back, to what it may have now.
func (h *Handler) Renew(renew func(*auth.Identity) *auth.Identity) {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.live))
	h.mu.Unlock()
	for _, s := range all {
		s.renew(renew)
	}
}

// renew is Renew for one socket.
func (s *Socket) renew(renew func(*auth.Identity) *auth.Identity) {
	s.permitting.Lock()
	defer s.permitting.Unlock()
	s.mu.Lock()
	if s.closed || s.revoked {
		s.mu.Unlock()
		return
	}
	next := renew(s.id)
	if s.revoked = next == nil; !s.revoked {
		s.id = next
	}
	s.mu.Unlock()
	if next == nil {
		s.h.opts.AuthRefused(auth.Revoked)
		s.conn.Close()
		return
	}
	s.client.SetPermissions(next.Permissions)
	s.mu.Lock()
	filters := s.filters
	s.mu.Unlock()
	s.closeUnless(filters)
}

// renewCurrent is for a client that has just become known: the rules may have
// changed since its token was judged, or its user been revoked, without Renew or
// Revoke having seen it.
func (s *Socket) renewCurrent() {
	if s.h.opts.Current != nil {
		s.renew(s.h.opts.Current)
	}
}

// closeUnless closes the connection of a socket whose bundle was ended, or could
// not be resumed as it is, unless all its filters are allowed. It is called both
// after the filters have changed and after the permissions have.
func (s *Socket) closeUnless(filters []string) {
	if len(s.client.Permissions().Allowed(filters)) < len(filters) {
		s.conn.Close()
	}
}

// identity is who the client is now.
func (s *Socket) identity() *auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}
