package jetstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// The headers by which a NATS microservice says that its answer is an error
// (ADR-32).
const (
	headServiceError = "Nats-Service-Error"
	headServiceCode  = "Nats-Service-Error-Code"
)

// Request implements [bridge.Requester].
func (b *Broker) Request(r *bridge.Request, done func(*bridge.Event, error)) {
	if err := b.tooBig(messageSize(&bridge.Publication{Data: r.Data, Head: r.Head})); err != nil {
		done(nil, err)
		return
	}
	m := &nats.Msg{Subject: r.Subject, Data: r.Data, Header: headers(r.Head, 0)}
	b.ask(m, r.Wait, func(a *nats.Msg, err error) {
		switch {
		case errors.Is(err, errNoAnswer):
			done(nil, &bridge.Error{Code: bridge.CodeTimeout, Msg: fmt.Sprintf("no answer on %s within %v", r.Subject, r.Wait),
				Hint: "whether the service received the request is unknown"})
		case err != nil:
			done(nil, b.failed(err))
		case status(a) == 503:
			done(nil, &bridge.Error{Code: bridge.CodeNoResponders, Msg: "nobody answers on " + r.Subject,
				Hint: "is the service running, and connected to this NATS?", Retry: 2 * time.Second})
		default:
			done(answer(r.Subject, a), nil)
		}
	})
}

// answer makes an event of a service's answer.
func answer(subject string, m *nats.Msg) *bridge.Event {
	head := fields(m.Header)
	for _, name := range []string{headServiceError, headServiceCode} {
		if v := last(m.Header, name); v != "" {
			head = append(head, bridge.Field{Name: name, Value: v})
		}
	}
	return &bridge.Event{Subject: subject, Time: time.Now(), Head: head, Data: m.Data}
}
