package sio

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// Handler makes sockets of what clients join. It is a [socketio.ConnHandler].
type Handler struct {
	opts   Options        // static
	ending sync.WaitGroup // sockets that are being taken apart

	mu   sync.Mutex
	live map[*Socket]struct{} // until they are taken apart

	// Of sockets to come.
	maxSubscriptions, maxInflight int
}

var _ socketio.ConnHandler = (*Handler)(nil)

// New returns a handler.
func New(o Options) (*Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Handler{opts: o, live: make(map[*Socket]struct{}), maxSubscriptions: o.MaxSubscriptions, maxInflight: o.MaxInflight}, nil
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
func (h *Handler) Limit(maxSubscriptions, maxInflight int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maxSubscriptions, h.maxInflight = maxSubscriptions, maxInflight
}

func (h *Handler) limits() (maxSubscriptions, maxInflight int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.maxSubscriptions, h.maxInflight
}

// ConnOptions returns the options of connections for this handler.
func (h *Handler) ConnOptions() socketio.ConnOptions {
	return socketio.ConnOptions{
		Handler:    h,
		Namespaces: func(name string) bool { return slices.Contains(h.opts.Namespaces, name) },
		Connecting: h.connecting,
		Format:     h.opts.Format,
		Logger:     h.opts.Logger,
	}
}

// sockets are those of one connection, by namespace.
type sockets struct {
	quota *quota.Client

	mu sync.Mutex
	by map[string]*Socket
}

func (h *Handler) socketsOf(c *socketio.Conn) *sockets {
	s, ok := c.Data.(*sockets)
	if !ok {
		s = &sockets{quota: h.opts.Quotas.Client(), by: make(map[string]*Socket)}
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
	all := h.socketsOf(c)
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
	member, err := all.quota.Enter(id.User, id.Anonymous)
	if err != nil {
		h.refuse(c, namespace, err)
		return
	}
	s := h.newSocket(c, namespace, id, member)
	all.add(s)
	if err := s.begin(ask); err != nil {
		all.take(namespace)
		h.end(s, false)
		h.refuse(c, namespace, err)
		return
	}
	s.expireAt(s.identity().Expires) // it could not be warned before
}

// gone reports whether a client could not be let in because it has left.
func gone(err error) bool {
	return errors.Is(err, bridge.ErrClosed) || errors.Is(err, engineio.ErrClosed) || errors.Is(err, socketio.ErrNotJoined)
}

// refuse does not let a client in. What is temporary closes the connection
// instead: a stock client does not come back after a refusal.
func (h *Handler) refuse(c *socketio.Conn, namespace string, err error) {
	if gone(err) { // no fault, and nobody to tell
		c.Close()
		return
	}
	e := bridge.ErrorOf(err)
	if e.Code == bridge.CodeUnavailable || e.Code == bridge.CodeInternal || e.Code == bridge.CodeTimeout || e.Code == bridge.CodeNoResponders {
		h.opts.Bridge.Stats().Refuse(e)
		h.opts.Logger.Warn("a socket cannot be opened", "namespace", namespace, "error", err)
		c.Close()
		return
	}
	_ = c.Refuse(namespace, h.refusal(c, e)) // it is gone, or knows
}

// connecting says whether a client may join any namespace now: a loop of that
// costs tokens to be judged, and sessions to be stored.
func (h *Handler) connecting(c *socketio.Conn) *socketio.ConnectError {
	if err := h.socketsOf(c).quota.Request(); err != nil {
		return h.refusal(c, bridge.ErrorOf(err))
	}
	return nil
}

// refusal is what a client is told that is not let in. One that is refused too
// often is closed.
func (h *Handler) refusal(c *socketio.Conn, e *bridge.Error) *socketio.ConnectError {
	h.opts.Bridge.Stats().Refuse(e)
	if !h.socketsOf(c).quota.Refused() {
		c.Close()
	}
	data := map[string]string{"code": string(e.Code)}
	if e.Hint != "" {
		data["hint"] = e.Hint
	}
	if e.Retry > 0 {
		data["retry"] = e.Retry.String()
	}
	return &socketio.ConnectError{Message: e.Msg, Data: data}
}

// Event implements [socketio.ConnHandler].
func (h *Handler) Event(c *socketio.Conn, p *socketio.Packet) {
	if s := h.socketsOf(c).get(p.Namespace); s != nil && s.client.Ready() == nil {
		s.event(p)
	}
}

// Ack implements [socketio.ConnHandler].
func (h *Handler) Ack(c *socketio.Conn, p *socketio.Packet) {
	if s := h.socketsOf(c).get(p.Namespace); s != nil {
		s.acked(p)
	}
}

// Disconnect implements [socketio.ConnHandler]: the client has left on purpose.
func (h *Handler) Disconnect(c *socketio.Conn, namespace string) {
	if s := h.socketsOf(c).take(namespace); s != nil {
		h.end(s, true)
	}
}

// Close implements [socketio.ConnHandler].
func (h *Handler) Close(c *socketio.Conn, _ string) {
	all := h.socketsOf(c)
	for _, namespace := range h.opts.Namespaces {
		if s := all.take(namespace); s != nil {
			h.end(s, false)
		}
	}
}
