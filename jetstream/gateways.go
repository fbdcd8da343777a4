package jetstream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// Gateways ask each other through core NATS:
//
//	jetway.ctl.gateway.<id>        a request to a gateway
//	jetway.ctl.answer.<asker>.<n>  that it was received, and then the answer
//
// NATS says at once that nobody listens on a subject, but only if that is true
// of everybody: a client with the filter ">" is enough for silence. So a gateway
// says that it has received a request, and one that does not within
// Options.Timeout is not there: a round trip, and what a busy machine adds to it.
const (
	ctlGateway = ctl + "gateway."
	ctlAnswer  = ctl + "answer."
)

// headGateway is on what a gateway says about a request; its answer has no
// headers.
const (
	headGateway  = "Jetway-Gateway"
	saysReceived = "received"
	saysBusy     = "busy"
	saysTooBig   = "too-big" // the answer, for NATS
)

// maxAsked is how many requests a gateway answers at once. It bounds what
// others can make it do, such as a storm of reconnects after one has died.
const maxAsked = 1000

// gatewayServer answers what others ask one gateway.
type gatewayServer struct {
	b       *Broker
	fn      func(context.Context, []byte) []byte
	life    context.Context // ends with stop, or with the broker
	running chan empty      // holds a value for each request that is answered
}

// ServeGateway implements [bridge.Gateways]. Two with the same id are both
// asked, and the first answer counts.
func (b *Broker) ServeGateway(id string, fn func(context.Context, []byte) []byte) (stop func(), err error) {
	if err := validGateway(id); err != nil {
		return nil, err
	}
	life, end := context.WithCancel(b.life)
	g := &gatewayServer{b: b, fn: fn, life: life, running: make(chan empty, maxAsked)}
	unsubscribe, err := b.subscribe(ctlGateway+id, g.receive)
	if err != nil {
		end()
		return nil, err
	}
	// So that who is told of the gateway by other ways than NATS can ask it at
	// once. Without a connection the subscription is made with the next one.
	flush, cancel := context.WithTimeout(life, b.o.Timeout)
	defer cancel()
	_ = b.nc.FlushWithContext(flush)
	return sync.OnceFunc(func() {
		unsubscribe()
		end()
		for range cap(g.running) { // all places: nobody runs
			g.running <- empty{}
		}
	}), nil
}

// receive must not block.
func (g *gatewayServer) receive(m *nats.Msg) {
	select {
	case g.running <- empty{}:
	default:
		g.say(m, saysBusy)
		return
	}
	if !g.b.enter() {
		<-g.running
		return
	}
	g.say(m, saysReceived)
	go func() {
		defer g.b.wg.Done()
		defer func() { <-g.running }()
		g.answer(m)
	}()
}

func (g *gatewayServer) answer(m *nats.Msg) {
	data := g.fn(g.life, m.Data)
	if int64(len(data)) > g.b.nc.MaxPayload() {
		g.say(m, saysTooBig)
		return
	}
	// Without a connection nothing can be said; the asker does not wait for ever.
	_ = g.b.nc.Publish(m.Reply, data)
}

// say tells the asker something about its request. As for errors, see answer.
func (g *gatewayServer) say(m *nats.Msg, what string) {
	_ = g.b.nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: nats.Header{headGateway: {what}}})
}

// gatewayCall waits for the answer of a gateway.
type gatewayCall struct {
	received chan empty // closed when the gateway has the request
	done     chan empty // closed when there is an answer, or will be none

	mu     sync.Mutex
	has    bool      // guarded by mu; received is closed
	over   bool      // guarded by mu; done is closed
	answer *nats.Msg // static after done
	why    error     // static after done; why there is no answer
}

func (k *gatewayCall) receive(m *nats.Msg) {
	if m.Header.Get(headGateway) != saysReceived {
		k.finish(m, nil)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.has {
		k.has = true
		close(k.received)
	}
}

func (k *gatewayCall) abandon(why error) { k.finish(nil, why) }

func (k *gatewayCall) finish(m *nats.Msg, why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over {
		k.over, k.answer, k.why = true, m, why
		close(k.done)
	}
}

// AskGateway implements [bridge.Gateways].
func (b *Broker) AskGateway(ctx context.Context, id string, request []byte) ([]byte, error) {
	if err := validGateway(id); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, silentGateway(ctx, id)
	}
	if most := b.nc.MaxPayload(); int64(len(request)) > most {
		return nil, &bridge.Error{Code: bridge.CodeTooBig, Msg: fmt.Sprintf("a request to a gateway has %d bytes, NATS takes %d", len(request), most)}
	}
	k := &gatewayCall{received: make(chan empty), done: make(chan empty)}
	ticket, reply := b.answers.open(k)
	defer b.answers.close(ticket)
	if !b.asks.add(k) {
		return nil, b.failed(errStopping)
	}
	defer b.asks.remove(k)
	if err := b.nc.PublishRequest(ctlGateway+id, reply, request); err != nil {
		return nil, b.failed(err)
	}
	return b.awaitGateway(ctx, id, k)
}

func (b *Broker) awaitGateway(ctx context.Context, id string, k *gatewayCall) ([]byte, error) {
	timer := time.NewTimer(b.o.Timeout)
	defer timer.Stop()
	received, late := k.received, timer.C
	for {
		select {
		case <-k.done:
			return b.gatewayAnswer(id, k)
		case <-received:
			received, late = nil, nil
		case <-late:
			return nil, noGateway(id)
		case <-ctx.Done():
			return nil, silentGateway(ctx, id)
		}
	}
}

// gatewayAnswer reads how a call has ended.
func (b *Broker) gatewayAnswer(id string, k *gatewayCall) ([]byte, error) {
	if k.why != nil {
		return nil, b.failed(k.why)
	}
	if status(k.answer) == 503 {
		return nil, noGateway(id)
	}
	switch k.answer.Header.Get(headGateway) {
	case saysBusy:
		return nil, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the gateway " + id + " is asked too much at once", Hint: "try again", Retry: time.Second}
	case saysTooBig:
		return nil, &bridge.Error{Code: bridge.CodeTooBig, Msg: "the answer of the gateway " + id + " is larger than NATS takes"}
	}
	return k.answer.Data, nil
}

func noGateway(id string) error {
	return &bridge.Error{Code: bridge.CodeNoResponders, Msg: "there is no gateway " + id, Hint: "it has stopped, or cannot be reached"}
}

// silentGateway is the error for an answer that did not come before ctx ended.
// A context that the caller ended stays what it is.
func silentGateway(ctx context.Context, id string) error {
	if ctx.Err() == context.Canceled {
		return ctx.Err()
	}
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the gateway " + id + " did not answer in time", Hint: "try again", Retry: time.Second}
}

// validGateway returns nil when a gateway can have the id.
func validGateway(id string) error {
	if err := bridge.ValidSubject(id); err != nil {
		return err
	}
	if strings.Contains(id, ".") {
		return &bridge.Error{Code: bridge.CodeBadSubject, Msg: "the id of a gateway is one token, without dots"}
	}
	return nil
}

var _ bridge.Gateways = (*Broker)(nil)
