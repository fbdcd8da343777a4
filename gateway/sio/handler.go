package sio

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// Handler makes sockets of what clients join. It is a [socketio.ConnHandler].
type Handler struct {
	opts   Options        // static
	ending sync.WaitGroup // sockets that are being taken apart

	mu   sync.Mutex
	live map[*Socket]struct{} // until they are taken apart

	// Of sockets to come.
	maxSubscriptions int
	publishRate      float64
}

var _ socketio.ConnHandler = (*Handler)(nil)

// New returns a handler.
func New(o Options) (*Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Handler{opts: o, live: make(map[*Socket]struct{}), maxSubscriptions: o.MaxSubscriptions, publishRate: o.PublishRate}, nil
}

// Settle waits until what clients have asked of the broker is answered, or ctx
// ends: before their connections are closed.
func (h *Handler) Settle(ctx context.Context) {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.live))
	h.mu.Unlock()
	var settling sync.WaitGroup
	for _, s := range all {
		settling.Go(func() { s.client.Settle(ctx) })
	}
	settling.Wait()
}

// Wait returns when all sockets are gone, after their connections are.
func (h *Handler) Wait() { h.ending.Wait() }

// end takes a socket apart, on a goroutine of its own: its writer may have to
// wait for a poll that does not come.
func (h *Handler) end(s *Socket, deliberate bool) {
	h.ending.Go(func() {
		s.end(deliberate)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.live, s)
	})
}

// Limit changes the limits of the sockets to come.
func (h *Handler) Limit(maxSubscriptions int, publishRate float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maxSubscriptions, h.publishRate = maxSubscriptions, publishRate
}

func (h *Handler) limits() (maxSubscriptions int, publishRate float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.maxSubscriptions, h.publishRate
}

// ConnOptions returns the options of connections for this handler.
func (h *Handler) ConnOptions() socketio.ConnOptions {
	return socketio.ConnOptions{
		Handler:    h,
		Namespaces: func(name string) bool { return slices.Contains(h.opts.Namespaces, name) },
		Format:     h.opts.Format,
		Logger:     h.opts.Logger,
	}
}

// sockets are those of one connection, by namespace.
type sockets struct {
	mu sync.Mutex
	by map[string]*Socket
}

func socketsOf(c *socketio.Conn) *sockets {
	s, ok := c.Data.(*sockets)
	if !ok {
		s = &sockets{by: make(map[string]*Socket)}
		c.Data = s
	}
	return s
}

func (s *sockets) add(one *Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[one.namespace] = one
}

func (s *sockets) get(namespace string) *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[namespace]
}

func (s *sockets) take(namespace string) *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.by[namespace]
	delete(s.by, namespace)
	return one
}

// Connect implements [socketio.ConnHandler].
func (h *Handler) Connect(c *socketio.Conn, namespace string, payload []byte) {
	all := socketsOf(c)
	var ask handshake
	if payload != nil {
		_ = json.Unmarshal(payload, &ask) // what is not as it should be is not there
	}
	id, err := h.identify(c, namespace, ask)
	if err != nil {
		h.opts.AuthRefused(auth.ReasonOf(err))
		h.refuse(c, namespace, err)
		return
	}
	s := h.newSocket(c, namespace, id)
	all.add(s)
	if err := s.begin(ask); err != nil {
		all.take(namespace)
		h.end(s, false)
		h.refuse(c, namespace, err)
		return
	}
	s.expireAt(s.identity().Expires) // it could not be warned before
}

// refuse does not let a client in. What is temporary closes the connection
// instead: a stock client does not come back after a refusal.
func (h *Handler) refuse(c *socketio.Conn, namespace string, err error) {
	e := bridge.ErrorOf(err)
	h.opts.Bridge.Stats().Refused.Add(e.Code)
	if e.Code == bridge.CodeUnavailable || e.Code == bridge.CodeInternal || e.Code == bridge.CodeTimeout || e.Code == bridge.CodeNoResponders {
		h.opts.Logger.Warn("a socket cannot be opened", "namespace", namespace, "error", err)
		c.Close()
		return
	}
	data := map[string]string{"code": string(e.Code)}
	if e.Hint != "" {
		data["hint"] = e.Hint
	}
	_ = c.Refuse(namespace, &socketio.ConnectError{Message: e.Msg, Data: data}) // it is gone, or knows
}

// Event implements [socketio.ConnHandler].
func (h *Handler) Event(c *socketio.Conn, p *socketio.Packet) {
	if s := socketsOf(c).get(p.Namespace); s != nil && s.client.Ready() == nil {
		s.event(p)
	}
}

// Ack implements [socketio.ConnHandler].
func (h *Handler) Ack(c *socketio.Conn, p *socketio.Packet) {
	if s := socketsOf(c).get(p.Namespace); s != nil {
		s.acked(p)
	}
}

// Disconnect implements [socketio.ConnHandler]: the client has left on purpose.
func (h *Handler) Disconnect(c *socketio.Conn, namespace string) {
	if s := socketsOf(c).take(namespace); s != nil {
		h.end(s, true)
	}
}

// Close implements [socketio.ConnHandler].
func (h *Handler) Close(c *socketio.Conn, _ string) {
	all := socketsOf(c)
	for _, namespace := range h.opts.Namespaces {
		if s := all.take(namespace); s != nil {
			h.end(s, false)
		}
	}
}
