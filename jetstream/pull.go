package jetstream

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// pull is a request for the next messages of a consumer, while it is under way.
// It has a mailbox of its own: nats-server delivers a message under its own
// subject, so that an inbox for many could not tell whose it is.
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

	mu    sync.Mutex  // held while take or done runs
	box   *mailbox    // guarded by mu; nil when nothing more can come
	timer *time.Timer // guarded by mu; late or forget
	sent  time.Time   // guarded by mu; before nats-server got the request
	exact bool        // guarded by mu; the last message will be the last that comes
	taken int         // guarded by mu
	over  bool        // guarded by mu; done was called
}

// Pull implements [bridge.QueueBroker].
func (b *Broker) Pull(r *bridge.PullRequest) (cancel func()) {
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
	return p.cancel
}

// start sends the request. It never calls done itself: a caller may hold a lock
// that done needs.
func (p *pull) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errStopping
	if p.b.pulls.add(p) {
		p.box, err = p.b.openMailbox(p)
	}
	if err == nil {
		err = p.send()
	}
	if err != nil {
		p.timer = time.AfterFunc(0, func() { p.fail(err) })
	}
}

// send asks for the messages that are still wanted. The caller holds p.mu.
func (p *pull) send() error {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.sent = time.Now()
	p.timer = time.AfterFunc(p.expires+min(resetWait, p.b.o.Timeout), p.late)
	return p.b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.s.cfg.Name+"."+p.consumer, p.box.sub.Subject, p.request())
}

// request is what nats-server wants to know (ADR-13). With max_bytes it would
// tell, in one more message, that there was room left (consumer.go,
// loopAndGatherMsgs), so a single message is asked for without.
func (p *pull) request() []byte {
	batch := p.batch - p.taken
	r := strconv.AppendInt(append(make([]byte, 0, 80), `{"batch":`...), int64(batch), 10)
	r = strconv.AppendInt(append(r, `,"expires":`...), int64(p.expires), 10)
	p.exact = p.maxBytes <= 0 || batch == 1
	if !p.exact {
		r = strconv.AppendInt(append(r, `,"max_bytes":`...), int64(p.maxBytes), 10)
	}
	return append(r, '}')
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
			p.complete()
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
	if why == errStopping {
		p.drain()
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

// cancel ends a pull that nobody waits for any more.
func (p *pull) cancel() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish(nil)
	p.drain()
}

// drain ends the subscription, so that nothing more is handed out for it, and
// has what is on its way given back. The caller holds p.mu.
func (p *pull) drain() {
	if p.box != nil {
		p.timer.Stop()
		_ = p.box.sub.Drain() // it fails only when there is no connection
		p.box = nil
	}
}

// complete is the end of a pull that was answered in full. The caller holds
// p.mu.
func (p *pull) complete() {
	if !p.exact {
		p.forget()
		return
	}
	p.timer.Stop()
	p.box.keep()
	p.box = nil
}

// forget ends the subscription. The caller holds p.mu.
func (p *pull) forget() {
	p.timer.Stop()
	if p.box != nil {
		p.box.close()
		p.box = nil
	}
}
