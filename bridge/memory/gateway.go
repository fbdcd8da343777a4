package memory

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var _ bridge.Gateways = (*Broker)(nil)

// maxAsked is how many requests a gateway answers at once.
const maxAsked = 1000

// gateways are those who can be asked.
type gateways struct {
	mu     sync.Mutex
	byID   map[string]*gateway // guarded by mu
	closed chan struct{}       // closed with the broker
}

// gateway answers what others ask the gateway with one id.
type gateway struct {
	fn      func(context.Context, []byte) []byte
	life    context.Context // ends with stop, or with the broker
	end     context.CancelFunc
	running chan struct{} // holds a value for each request that is answered
}

// ServeGateway implements [bridge.Gateways]. An id that another has is an error
// with [bridge.CodeConflict].
func (b *Broker) ServeGateway(id string, fn func(context.Context, []byte) []byte) (stop func(), err error) {
	if err := validGateway(id); err != nil {
		return nil, err
	}
	g := &gateway{fn: fn, running: make(chan struct{}, maxAsked)}
	g.life, g.end = context.WithCancel(context.Background())
	if err := b.gateways.add(id, g); err != nil {
		g.end()
		return nil, err
	}
	return sync.OnceFunc(func() {
		b.gateways.remove(id)
		g.end()
		for range cap(g.running) { // all places: nobody runs
			g.running <- struct{}{}
		}
	}), nil
}

// AskGateway implements [bridge.Gateways].
func (b *Broker) AskGateway(ctx context.Context, id string, request []byte) ([]byte, error) {
	if err := validGateway(id); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, silentGateway(ctx)
	}
	g, err := b.gateways.find(id)
	if err != nil {
		return nil, err
	}
	select {
	case g.running <- struct{}{}:
	default:
		return nil, &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the gateway is asked too much at once", Hint: "try again", Retry: time.Second}
	}
	answer := make(chan []byte, 1)
	request = bytes.Clone(request)
	go func() {
		defer func() { <-g.running }()
		answer <- bytes.Clone(g.fn(g.life, request))
	}()
	select {
	case data := <-answer:
		return data, nil
	case <-ctx.Done():
		return nil, silentGateway(ctx)
	case <-b.gateways.closed:
		return nil, errClosed()
	}
}

func (gs *gateways) add(id string, g *gateway) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.isClosed() {
		return errClosed()
	}
	if gs.byID[id] != nil {
		return &bridge.Error{Code: bridge.CodeConflict, Msg: "another gateway has this id"}
	}
	if gs.byID == nil {
		gs.byID = map[string]*gateway{}
	}
	gs.byID[id] = g
	return nil
}

func (gs *gateways) remove(id string) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.byID, id)
}

func (gs *gateways) find(id string) (*gateway, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.isClosed() {
		return nil, errClosed()
	}
	if g := gs.byID[id]; g != nil {
		return g, nil
	}
	return nil, &bridge.Error{Code: bridge.CodeNoResponders, Msg: "there is no gateway " + id}
}

func (gs *gateways) isClosed() bool {
	select {
	case <-gs.closed:
		return true
	default:
		return false
	}
}

// close ends the contexts of those who answer, and the calls that wait.
func (gs *gateways) close() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	close(gs.closed)
	for _, g := range gs.byID {
		g.end()
	}
}

// silentGateway is the error for an answer that did not come before ctx ended.
func silentGateway(ctx context.Context) error {
	if ctx.Err() == context.Canceled {
		return ctx.Err()
	}
	return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the gateway did not answer in time", Hint: "try again"}
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
