package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// pull is a request for the next messages of a consumer, while it is under way.
// It has a subscription of its own: nats-server delivers a message under its
// own subject, so that an inbox for many could not tell whose it is.
//
// A message that arrives after the end would be out for a whole ack_wait with
// nobody to work on it: it is given back at once. So a pull whose end was not
// nats-server's own stays subscribed until no message can come any more.
type pull struct {
	b        *Broker
	s        *stream
	consumer string
	batch    int
	maxBytes int
	expires  time.Duration
	take     func(m *nats.Msg, at meta, sent time.Time)
	done     func(error)

	mu    sync.Mutex         // held while take or done runs
	sub   *nats.Subscription // guarded by mu
	timer *time.Timer        // guarded by mu; late or forget
	sent  time.Time          // guarded by mu; before nats-server got the request
	taken int                // guarded by mu
	over  bool               // guarded by mu; done was called
}

// Pull implements [bridge.QueueBroker].
func (b *Broker) Pull(r *bridge.PullRequest) {
	hold := b.times.hold()
	p := &pull{b: b, s: b.queue, consumer: consumerName(r.Subject), batch: r.Max, maxBytes: r.MaxBytes, expires: b.times.pull, done: r.Done}
	p.take = func(m *nats.Msg, at meta, sent time.Time) {
		r.Take(&bridge.Job{
			Event: &bridge.Event{Subject: m.Subject, Stream: b.queue.current().stream, Seq: at.seq, Time: time.Unix(0, at.nanos),
				Head: fields(m.Header), Data: m.Data},
			Delivered: int(at.tries), Until: sent.Add(hold), Hold: hold, Handle: m.Reply,
		})
	}
	p.start()
}

// start sends the request. It never calls done itself: a caller may hold a lock
// that done needs.
func (p *pull) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errStopping
	if p.b.pulls.add(p) {
		err = p.subscribe()
	}
	if err == nil {
		err = p.send()
	}
	if err != nil {
		p.timer = time.AfterFunc(0, func() { p.fail(err) })
	}
}

// subscribe opens the way for the messages. The caller holds p.mu.
func (p *pull) subscribe() (err error) {
	if p.sub, err = p.b.nc.Subscribe(p.b.nc.NewInbox(), p.receive); err != nil {
		return err
	}
	// What comes is bounded by batch; a limit here would drop jobs.
	return p.sub.SetPendingLimits(-1, -1)
}

// send asks for the messages that are still wanted. The caller holds p.mu.
func (p *pull) send() error {
	request := map[string]any{"batch": p.batch - p.taken, "expires": p.expires}
	if p.maxBytes > 0 {
		request["max_bytes"] = p.maxBytes
	}
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode a pull: %w", err)
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.sent = time.Now()
	p.timer = time.AfterFunc(p.expires+min(resetWait, p.b.o.Timeout), p.late)
	return p.b.nc.PublishMsg(&nats.Msg{Subject: "$JS.API.CONSUMER.MSG.NEXT." + p.s.cfg.Name + "." + p.consumer, Reply: p.sub.Subject, Data: data})
}

// receive takes a message, or the word that no more will come.
func (p *pull) receive(m *nats.Msg) {
	at, isMessage := parseMeta(m.Reply)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !isMessage:
		p.receiveStatus(m)
	case p.over:
		_ = p.b.giveBack(m.Reply) // without a connection, ack_wait does that
	default:
		p.taken++
		p.take(m, at, p.sent)
		if p.taken == p.batch {
			p.finish(nil)
			p.forget()
		}
	}
}

// receiveStatus ends the pull, as a rule. The caller holds p.mu.
func (p *pull) receiveStatus(m *nats.Msg) {
	if p.over {
		p.forget()
		return
	}
	text := m.Header.Get("Description")
	switch code := status(m); {
	case code == 404, code == 408:
		p.finish(nil)
	case code == 409 && strings.Contains(text, "MaxBytes") && p.taken == 0 && p.maxBytes > 0:
		// The first message alone is larger. It would block the queue.
		p.maxBytes, p.batch = 0, 1
		if err := p.send(); err != nil {
			p.finish(p.b.failed(err))
		}
		return
	case code == 409 && (strings.Contains(text, "MaxBytes") || strings.Contains(text, "Batch Completed")):
		p.finish(nil)
	case code == 409 && (strings.Contains(text, "Consumer Deleted") || strings.Contains(text, "push based")):
		p.finish(p.unopened())
	case code == 409:
		p.b.o.Logger.Debug("a pull is refused", "consumer", p.consumer, "status", text)
		p.finish(p.b.failed(errNoAnswer))
	default: // no responders, or an error of the API
		p.check(errNoAnswer)
		return
	}
	p.forget()
}

// late is called when nats-server should have ended the pull.
func (p *pull) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		p.forget()
		return
	}
	p.timer = time.AfterFunc(p.b.o.Timeout, func() { p.fail(errNoAnswer) })
	p.check(nil)
}

// check finds out whether the consumer is there at all: of one that is not,
// nats-server only says that nobody responds, as while a leader is elected. If
// it is there, the pull goes on, or fails if there is a reason. The caller
// holds p.mu.
func (p *pull) check(why error) {
	if !p.b.enter() {
		return // Close abandons the pull
	}
	go func() {
		defer p.b.wg.Done()
		ctx, cancel := context.WithTimeout(p.b.life, p.b.o.Timeout)
		defer cancel()
		_, err := p.b.consumer(ctx, p.s, p.consumer)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch code := errCode(err); {
		case code == errConsumerNotFound, code == errStreamNotFound:
			p.finish(p.unopened())
		case why != nil:
			p.finish(p.b.failed(why))
		default:
			return
		}
		p.forget()
	}()
}

func (p *pull) unopened() error {
	return &bridge.Error{Code: bridge.CodeNotFound, Msg: "the consumer " + p.consumer + " does not exist any more", Hint: "open the queue again"}
}

func (p *pull) abandon(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish(p.b.failed(why))
	if why == errStopping && p.sub != nil {
		_ = p.sub.Drain() // what is on its way is given back
	}
}

// fail ends a pull of which nothing more can come.
func (p *pull) fail(why error) {
	p.mu.Lock()
	p.finish(p.b.failed(why))
	p.forget()
	p.mu.Unlock()
}

// finish calls done, once. The caller holds p.mu.
func (p *pull) finish(err error) {
	if p.over {
		return
	}
	p.over = true
	p.b.pulls.remove(p)
	p.done(err)
}

// forget ends the subscription. The caller holds p.mu.
func (p *pull) forget() {
	p.timer.Stop()
	if p.sub != nil {
		_ = p.sub.Unsubscribe() // fails only when it has ended, or with the connection
	}
}
