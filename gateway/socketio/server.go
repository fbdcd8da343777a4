package socketio

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// The defaults of [Options].
const (
	DefaultAckTimeout     = 30 * time.Second
	DefaultMaxPendingAcks = 1000
)

// Options configures a [Server]. The zero value is usable; zero and negative
// numbers mean the default.
type Options struct {
	// Namespaces are those that clients may join, each with what is called
	// once a client has: it sets the socket's listeners, of which none misses
	// an event, and may emit. Nil means "/" alone, with nothing to call.
	Namespaces map[string]func(*Socket)

	// Authorize decides whether a client may join a namespace, from what it
	// sent ([Socket.Auth]) and how it came ([engineio.Session.Request]). A
	// [ConnectError] is sent as it is; the client sees of any other error
	// "Internal error", and the log the rest. ctx ends when the client goes.
	// It may take its time, but for ConnectTimeout. Nil lets everybody in.
	Authorize func(ctx context.Context, s *Socket) error

	// AckTimeout bounds how long [Socket.EmitWithAck] waits, whatever its
	// context says: a client may never answer. Default 30s.
	AckTimeout time.Duration

	// MaxPendingAcks bounds the acks for which one socket waits. Default 1000.
	MaxPendingAcks int

	// These are as in [ConnOptions].
	Format            Format
	ConnectTimeout    time.Duration
	AttachmentTimeout time.Duration
	MaxBytes          int
	Failed            func(*Conn, error)

	// Logger gets a line for each connection that ends because of its client,
	// and for errors of Authorize and of answers. Nil discards.
	Logger *slog.Logger
}

// Server is a Socket.IO server: the handler of an [engineio.Server], which
// serves HTTP and is what shuts down. It keeps nothing of its own but what its
// connections hold. Its methods are called by the engineio server.
type Server struct {
	*Conns
	opts Options
	ids  atomic.Uint64 // of acks: never used twice
}

var _ engineio.Handler = (*Server)(nil)

// NewServer returns a server.
func NewServer(o Options) *Server {
	orDefault(&o.AckTimeout, DefaultAckTimeout)
	orDefault(&o.MaxPendingAcks, DefaultMaxPendingAcks)
	if o.Namespaces == nil {
		o.Namespaces = map[string]func(*Socket){root: nil}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: o}
	s.Conns = NewConns(ConnOptions{
		Handler:           connHandler{s},
		Namespaces:        s.has,
		Format:            o.Format,
		ConnectTimeout:    o.ConnectTimeout,
		AttachmentTimeout: o.AttachmentTimeout,
		MaxBytes:          o.MaxBytes,
		MaxNamespaces:     len(o.Namespaces),
		Failed:            o.Failed,
		Logger:            o.Logger,
	})
	return s
}

// has reports whether there is a namespace.
func (s *Server) has(namespace string) bool {
	_, ok := s.opts.Namespaces[namespace]
	return ok
}

// connHandler hands what comes on a connection to its sockets.
type connHandler struct{ server *Server }

var _ ConnHandler = connHandler{}

// sockets are those of one connection.
type sockets struct {
	working sync.WaitGroup // their workers
	mu      sync.Mutex
	list    []*Socket // connected, or about to be
}

// find returns the socket of a namespace, nil when there is none any more. The
// newest is found first: one that has left may still be there for a moment.
func (c *sockets) find(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.Backward(c.list) {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

// socketsOf returns the sockets of a connection.
func socketsOf(c *Conn) *sockets {
	all, _ := c.Data.(*sockets)
	return all
}

func (h connHandler) Connect(c *Conn, namespace string, auth []byte) {
	if c.Data == nil {
		c.Data = new(sockets)
	}
	s := newSocket(h.server, c, namespace, auth)
	all := socketsOf(c)
	all.mu.Lock()
	all.list = append(all.list, s)
	all.mu.Unlock()
	s.enqueue(0, s.join)
}

func (h connHandler) Event(c *Conn, p *Packet) {
	if s := socketsOf(c).find(p.Namespace); s != nil {
		s.enqueue(size(p), func() { s.dispatch(p) })
	}
}

// size is what a packet holds of memory.
func size(p *Packet) int {
	n := len(p.Data)
	for _, a := range p.Attachments {
		n += len(a)
	}
	return n
}

func (h connHandler) Ack(c *Conn, p *Packet) {
	if s := socketsOf(c).find(p.Namespace); s != nil && p.HasID {
		s.answered(p)
	}
}

func (h connHandler) Disconnect(c *Conn, namespace string) {
	if s := socketsOf(c).find(namespace); s != nil {
		s.leave(ReasonClientDisconnect)
	}
}

// Close waits for the listeners that are still at work.
func (h connHandler) Close(c *Conn, reason string) {
	all := socketsOf(c)
	if all == nil {
		return
	}
	all.leave(reason)
	all.working.Wait()
}

// leave ends all sockets.
func (c *sockets) leave(reason string) {
	c.mu.Lock()
	list := c.list
	c.list = nil
	c.mu.Unlock()
	for _, s := range list {
		s.leave(reason)
	}
}

// remove forgets a socket.
func (c *sockets) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(one *Socket) bool { return one == s })
}
