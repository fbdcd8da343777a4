package bridge

import (
	"context"
	"fmt"
	"time"
)

// Times of requests to services.
const (
	requestWait    = 5 * time.Second // when the client does not say
	maxRequestWait = 5 * time.Minute
)

// Headers by which a NATS micro service says that it failed (NATS ADR-32).
const (
	serviceErrorHeader = "Nats-Service-Error"
	serviceCodeHeader  = "Nats-Service-Error-Code"
)

// Request asks a service. done is called exactly once, perhaps before Request
// returns, and must not block: with the answer, an event without a stream, or
// with an [Error]: bad_subject, bad_frame, forbidden, no_responders, timeout,
// service, too_big, unavailable. A zero Wait means 5 s. What is stored or
// queued cannot be asked: nobody would answer but the stream.
func (c *Client) Request(r Request, done func(*Event, error)) {
	if err := c.checkRequest(&r); err != nil {
		done(nil, err)
		return
	}
	var answer *Event
	answered := c.asks(1, func(err error) { done(answer, err) })
	take := func(e *Event, err error) {
		if err == nil {
			answer, err = served(e)
		}
		answered(err)
	}
	c.bridge.stats.Requests.Add(1)
	if c.bridge.answersItself(r.Subject) {
		c.bridge.answer(r, c.Permissions(), take)
		return
	}
	r.Head = append(append(make([]Field, 0, len(r.Head)+1), r.Head...), Field{UserHeader, c.User()})
	c.bridge.broker.(Requester).Request(&r, take)
}

func (c *Client) checkRequest(r *Request) error {
	if err := ValidSubject(r.Subject); err != nil {
		return err
	}
	if err := c.who.Load().perms.allowReq(r.Subject); err != nil {
		return err
	}
	if r.Wait == 0 {
		r.Wait = requestWait
	}
	_, able := c.bridge.broker.(Requester)
	switch {
	case r.Wait < 0 || r.Wait > maxRequestWait:
		return &Error{Code: CodeBadFrame, Msg: fmt.Sprintf("wait is not between 0 and %v", maxRequestWait), Hint: `as in "wait":"2s"`}
	case c.bridge.isQueue(r.Subject) || c.bridge.covering(r.Subject) >= 0:
		return &Error{Code: CodeBadSubject, Msg: fmt.Sprintf("%q is stored, no service answers on it", r.Subject), Hint: "publish to it with pub"}
	case !able:
		return &Error{Code: CodeNoResponders, Msg: "no services can be reached from here"}
	}
	return nil
}

// served is the answer of a service, or the error that it answered with.
func served(e *Event) (*Event, error) {
	code, text := header(e.Head, serviceCodeHeader), header(e.Head, serviceErrorHeader)
	switch {
	case code == "" && text == "":
		return e, nil
	case code == "":
		return nil, &Error{Code: CodeService, Msg: text}
	}
	return nil, &Error{Code: CodeService, Msg: code + ": " + text}
}

// answer answers a request that is the gateway's own to answer, of a client that
// may do this.
func (b *Bridge) answer(r Request, may *Permissions, done func(*Event, error)) {
	ctx, cancel := context.WithTimeout(b.ctx, r.Wait)
	b.work.Go(func() {
		defer cancel()
		done(b.queues.deadRequest(ctx, r.Subject, r.Data, may))
	})
}
