package memory

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.Requester = (*Broker)(nil)

// Serve makes fn a service: it answers requests on subjects that match the
// filter, each in a goroutine of its own, until stop is called. With nil it
// leaves one without an answer. Where several services match, all are asked
// and the first answer counts. stop waits for fn to return, so fn must not
// call it. An answer's headers reach the client as they are, in the order of
// their names, those of NATS's services (Nats-Service-Error…) included.
func (b *Broker) Serve(filter string, fn func(*bridge.Event) *bridge.Event) (stop func()) {
	return b.services.add(&service{filter: filter, fn: fn})
}

// Request implements [bridge.Requester].
func (b *Broker) Request(r *bridge.Request, done func(*bridge.Event, error)) {
	if err := bridge.ValidSubject(r.Subject); err != nil {
		done(nil, err)
		return
	}
	if err := b.services.ask(r, done); err != nil {
		done(nil, err)
	}
}

// services are those who answer requests, and the requests that wait.
type services struct {
	mu sync.Mutex
	// Guarded by mu.
	all     []*service
	waiting map[*question]bool
	closed  bool
}

type service struct {
	filter string
	fn     func(*bridge.Event) *bridge.Event
	calls  sync.WaitGroup // added to under services.mu, while it is in services.all
}

// question is a request that has no answer yet.
type question struct {
	done  func(*bridge.Event, error)
	timer *time.Timer
}

func (ss *services) add(s *service) (stop func()) {
	ss.mu.Lock()
	ss.all = append(ss.all, s)
	ss.mu.Unlock()
	return func() {
		ss.mu.Lock()
		ss.all = slices.DeleteFunc(ss.all, func(other *service) bool { return other == s })
		ss.mu.Unlock()
		s.calls.Wait()
	}
}

// ask hands the request to all services that match. With an error, done is the
// caller's to call.
func (ss *services) ask(r *bridge.Request, done func(*bridge.Event, error)) error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return errClosed()
	}
	q := &question{done: done}
	now, head := wallClock(), ownHead(r.Head)
	for _, s := range ss.all {
		if !bridge.Matches(s.filter, r.Subject) {
			continue
		}
		if q.timer == nil {
			ss.waitLocked(q, r.Wait)
		}
		e := &bridge.Event{Subject: r.Subject, Time: now, Head: head, Data: r.Data}
		s.calls.Go(func() {
			if a := s.fn(e); a != nil {
				ss.answer(q, &bridge.Event{Subject: a.Subject, Time: wallClock(), Head: sortHead(a.Head), Data: a.Data}, nil)
			}
		})
	}
	if q.timer == nil {
		return &bridge.Error{Code: bridge.CodeNoResponders, Msg: fmt.Sprintf("nobody answers requests on %q", r.Subject)}
	}
	return nil
}

func (ss *services) waitLocked(q *question, wait time.Duration) {
	if ss.waiting == nil {
		ss.waiting = make(map[*question]bool)
	}
	ss.waiting[q] = true
	q.timer = time.AfterFunc(wait, func() {
		ss.answer(q, nil, &bridge.Error{Code: bridge.CodeTimeout, Msg: fmt.Sprint("no answer within ", wait)})
	})
}

// answer ends a question, unless it has been answered.
func (ss *services) answer(q *question, e *bridge.Event, err error) {
	ss.mu.Lock()
	waits := ss.waiting[q]
	delete(ss.waiting, q)
	ss.mu.Unlock()
	if waits {
		q.timer.Stop()
		q.done(e, err)
	}
}

// close answers all that wait.
func (ss *services) close() {
	ss.mu.Lock()
	ss.closed = true
	var waiting []*question
	for q := range ss.waiting {
		waiting = append(waiting, q)
	}
	ss.mu.Unlock()
	for _, q := range waiting {
		ss.answer(q, nil, errClosed())
	}
}
