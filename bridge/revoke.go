package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// signalRevoke is the name of the signal that ends the sessions of a user. It
// is for operators and services: no client can publish on control subjects.
const signalRevoke = "revoke"

// maxRevocation bounds what such a signal says.
const maxRevocation = 4 << 10

// Revocation says whose connections end.
type Revocation struct {
	User   string
	Before time.Time // only those with a token issued before it; zero is all
}

// Covers reports whether the revocation is about a connection of this user, by
// a token that was issued then; a zero time is a token that does not say, and
// since is when its client showed it.
func (r Revocation) Covers(user string, issued, since time.Time) bool {
	if issued.IsZero() {
		issued = since
	}
	return r.User == user && (r.Before.IsZero() || issued.Before(r.Before))
}

// ParseRevocation reads {"user":"ann"} or {"sub":"ann","before":TIME}: one name
// of the user, and an RFC 3339 time that may be left out. Anything else in it is
// refused: a misspelt "before" would end more than was meant.
func ParseRevocation(data []byte) (Revocation, error) {
	var said struct {
		User   string     `json:"user"`
		Sub    string     `json:"sub"`
		Before *time.Time `json:"before"`
	}
	if len(data) > maxRevocation {
		return Revocation{}, errors.New("larger than 4 KiB")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&said); err != nil {
		return Revocation{}, errors.New(`not {"user":NAME} or {"sub":NAME,"before":TIME}`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Revocation{}, errors.New("something follows the object")
	}
	r := Revocation{User: said.User}
	switch {
	case (said.User == "") == (said.Sub == ""):
		return Revocation{}, errors.New(`one of "user" and "sub" must name somebody`)
	case said.User == "":
		r.User = said.Sub
	}
	if said.Before != nil {
		if r.Before = *said.Before; r.Before.IsZero() {
			return Revocation{}, errors.New(`"before" is no time`)
		}
	}
	return r, nil
}

// OnRevoke has fn called for each revocation that any gateway, service or
// operator signals. It must not block. It is to be called before Start.
func (b *Bridge) OnRevoke(fn func(Revocation)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revoked = fn
}

// heardRevoke handles the signal.
func (b *Bridge) heardRevoke(data []byte) {
	r, err := ParseRevocation(data)
	if err != nil {
		b.logger.Warn("a revocation is not understood, nothing is revoked", "error", err)
		return
	}
	b.mu.Lock()
	fn := b.revoked
	b.mu.Unlock()
	if fn != nil {
		fn(r)
	}
}

// Ask sends a question of the gateway's own to a service, on any subject. done
// is called as with [Client.Request].
func (b *Bridge) Ask(r Request, done func(*Event, error)) {
	requester, ok := b.broker.(Requester)
	if !ok {
		done(nil, &Error{Code: CodeNoResponders, Msg: "no services can be reached from here"})
		return
	}
	requester.Request(&r, func(e *Event, err error) {
		if err == nil {
			e, err = served(e)
		}
		done(e, err)
	})
}
