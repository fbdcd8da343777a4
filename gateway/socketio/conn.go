package socketio

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// The defaults of [ConnOptions]; the first is the reference's.
const (
	DefaultConnectTimeout    = 45 * time.Second
	DefaultAttachmentTimeout = 30 * time.Second
	DefaultMaxNamespaces     = 32
)

// Why a namespace was left or a connection closed, in the words of the
// reference, besides the reasons of package engineio.
const (
	ReasonClientDisconnect = "client namespace disconnect" // packet 1 of the client
	ReasonServerDisconnect = "server namespace disconnect" // [Socket.Disconnect], [Conn.Leave]
	ReasonConnectTimeout   = "connect timeout"             // no namespace was joined in time
)

// The errors of a connection, besides those of decoding and of package
// engineio.
var (
	// ErrUnexpected is what closes a connection whose client sends what it may
	// not: a packet for a namespace that it has not joined, or that it joins
	// twice, or one that only servers send.
	ErrUnexpected = errors.New("socketio: unexpected packet")

	// ErrConnectTimeout closes a connection whose client has not joined a
	// namespace in time.
	ErrConnectTimeout = errors.New("socketio: no namespace joined")

	// ErrSlowAttachments closes a connection whose client does not send the
	// attachments of a packet in time.
	ErrSlowAttachments = errors.New("socketio: attachments are missing")

	// ErrNotJoined is returned when the namespace is not joined, or not being
	// joined, any more.
	ErrNotJoined = errors.New("socketio: namespace not joined")
)

// ConnHandler does what the packets of connections ask for. Its calls for one
// connection are serial and in order; as long as one does not return, nothing
// more of this client is read. The packets are the handler's to keep.
type ConnHandler interface {
	// Connect is told that the client wants to join a namespace that there is;
	// auth is a JSON object, nil when there is none. It is answered by
	// [Conn.Accept] or [Conn.Refuse], then or later, from any goroutine.
	Connect(c *Conn, namespace string, auth []byte)

	// Event is told an event in a namespace that is joined.
	Event(c *Conn, p *Packet)

	// Ack is told an answer to an event that had an id. Nobody has checked
	// whether there was one: answers to nothing, and second ones, are to be
	// ignored.
	Ack(c *Conn, p *Packet)

	// Disconnect is told that the client has left a namespace. There is
	// nothing to answer.
	Disconnect(c *Conn, namespace string)

	// Close comes last, once, whatever was joined.
	Close(c *Conn, reason string)
}

// ConnOptions configures connections. Zero and negative numbers mean the
// default.
type ConnOptions struct {
	// Handler is required.
	Handler ConnHandler

	// Namespaces reports whether there is a namespace. Nil means "/" alone.
	// What it refuses is answered as the reference does, "Invalid namespace".
	Namespaces func(name string) bool

	// Connecting is asked before a client joins a namespace, also one that there
	// is not. What it returns refuses that; nil lets it go on. Nil lets all.
	Connecting func(*Conn) *ConnectError

	// Format of all connections. The default, FormatAuto, looks at the first
	// message of each.
	Format Format

	// ConnectTimeout is how long a client may take to join its first
	// namespace, until it is accepted. Default 45s.
	ConnectTimeout time.Duration

	// AttachmentTimeout is how long the attachments of a packet may take
	// after it: an unfinished packet is held, and blocks all others. Default
	// 30s.
	AttachmentTimeout time.Duration

	// MaxBytes bounds a packet with its attachments, in bytes. Default
	// [DefaultMaxBytes].
	MaxBytes int

	// MaxNamespaces bounds the namespaces of one connection, of which each
	// costs memory. Default 32.
	MaxNamespaces int

	// Failed is called for each connection that is closed because of what its
	// client did or did not do, for metrics and logs. Nil does nothing.
	Failed func(*Conn, error)

	// Logger gets a line at level debug for each of these. Nil discards.
	Logger *slog.Logger
}

// withDefaults returns the options with every default filled in.
func (o ConnOptions) withDefaults() ConnOptions {
	orDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	orDefault(&o.AttachmentTimeout, DefaultAttachmentTimeout)
	orDefault(&o.MaxBytes, DefaultMaxBytes)
	orDefault(&o.MaxNamespaces, DefaultMaxNamespaces)
	if o.Namespaces == nil {
		o.Namespaces = func(name string) bool { return name == root }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// orDefault gives a number that is not positive its default.
func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// NewConns returns what makes connections with these options.
func NewConns(o ConnOptions) *Conns { return &Conns{o.withDefaults()} }

// Conns makes an engineio session into a [Conn]: it is the handler of an
// [engineio.Server] for whoever speaks in packets. It keeps the Conn in the
// session's Data.
type Conns struct{ opts ConnOptions }

var _ engineio.Handler = (*Conns)(nil)

// Open implements [engineio.Handler].
func (o *Conns) Open(s *engineio.Session) { s.Data = newConn(s, &o.opts) }

// Message implements [engineio.Handler].
func (o *Conns) Message(s *engineio.Session, data []byte, binary bool) {
	s.Data.(*Conn).message(data, binary)
}

// Close implements [engineio.Handler].
func (o *Conns) Close(s *engineio.Session, reason string) { s.Data.(*Conn).closed(reason) }

// Conn is one client's connection: which namespaces it has joined, and what it
// may send. All methods may be called concurrently, and from within a
// [ConnHandler].
type Conn struct {
	// Data is the handler's. Set it in the first Connecting, or Connect.
	Data any

	// Static after construction.
	session *engineio.Session
	opts    *ConnOptions

	// Owned by message, whose calls are serial.
	packets Reconstructor
	format  Format // FormatAuto until the first message, and then static

	mu         sync.Mutex // guards what follows
	namespaces []membership
	connecting *time.Timer // nil once a namespace is joined
	attaching  *time.Timer // nil unless attachments are missing
	reason     string      // why it is being closed, if for a reason of its own
}

// membership is a namespace of a connection.
type membership struct {
	name  string
	state memberState
}

type memberState byte

const (
	joining memberState = iota // the handler has not answered
	joined
	left // by the server: what the client sends until it knows is dropped
)

func newConn(s *engineio.Session, o *ConnOptions) *Conn {
	c := &Conn{session: s, opts: o, format: o.Format, packets: Reconstructor{MaxBytes: o.MaxBytes}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startLocked(&c.connecting, o.ConnectTimeout, ReasonConnectTimeout, ErrConnectTimeout)
	return c
}

// Session returns the session below, to which whole frames may be written: see
// [Packet.AppendFrames] and [engineio.Session.Write]. They must be of the
// connection's Format.
func (c *Conn) Session() *engineio.Session { return c.session }

// Format returns the format of the connection, once the handler knows it.
func (c *Conn) Format() Format { return c.format }

// Close closes the connection after what is queued, and does not wait. A stock
// client connects again.
func (c *Conn) Close() { c.session.Close() }

// end closes the connection because of its client, for a reason of its own.
func (c *Conn) end(reason string, err error) {
	c.mu.Lock()
	first := c.reason == ""
	if first {
		c.reason = reason
	}
	c.mu.Unlock()
	if first {
		c.opts.Logger.Debug("connection refused", "client", c.session.Request().RemoteAddr, "reason", reason, "error", err)
		if c.opts.Failed != nil {
			c.opts.Failed(c, err)
		}
	}
	c.session.Close()
}

// closed is told by the session.
func (c *Conn) closed(reason string) {
	c.mu.Lock()
	if c.reason != "" {
		reason = c.reason
	}
	stop(&c.connecting)
	stop(&c.attaching)
	c.namespaces = nil
	c.mu.Unlock()
	c.opts.Handler.Close(c, reason)
}

// startLocked starts a timer that ends the connection, unless it has been
// stopped: also when it runs out just then.
func (c *Conn) startLocked(slot **time.Timer, d time.Duration, reason string, err error) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		c.mu.Lock()
		due := *slot == t
		c.mu.Unlock()
		if due {
			c.end(reason, err)
		}
	})
	*slot = t
}

// stop stops a timer, if there is one.
func stop(t **time.Timer) {
	if *t != nil {
		(*t).Stop()
		*t = nil
	}
}

// message takes one message of the client.
func (c *Conn) message(data []byte, binary bool) {
	p, whole, err := c.decode(data, binary)
	if err == nil && whole {
		err = c.receive(&p)
	}
	if err != nil {
		c.end(engineio.ReasonParseError, err)
	}
}

// decode makes a packet of one message, or of several.
func (c *Conn) decode(data []byte, binary bool) (p Packet, whole bool, err error) {
	if c.format == FormatAuto {
		c.format = FormatText
		if binary {
			c.format = FormatMsgpack
		}
	}
	if c.format == FormatMsgpack {
		switch {
		case !binary:
			return p, false, fmt.Errorf("%w: text among msgpack", ErrPacket)
		case len(data) > c.opts.MaxBytes:
			return p, false, ErrTooBig
		}
		p, err = DecodeMsgpack(data)
		return p, err == nil, err
	}
	if binary {
		p, whole, err = c.packets.Binary(data)
	} else {
		p, whole, err = c.packets.Text(data)
	}
	c.awaitAttachments(err == nil && !whole)
	return p, whole, err
}

// awaitAttachments starts or stops the time for the attachments of a packet,
// which is for all of them together.
func (c *Conn) awaitAttachments(missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !missing:
		stop(&c.attaching)
	case c.attaching == nil:
		c.startLocked(&c.attaching, c.opts.AttachmentTimeout, engineio.ReasonParseError, ErrSlowAttachments)
	}
}

// receive does what a packet asks for.
func (c *Conn) receive(p *Packet) error {
	state, there := c.state(p.Namespace)
	switch {
	case p.Type == PacketConnect && (!there || state == left):
		return c.connect(p)
	case p.Type == PacketConnect, p.Type == PacketConnectError, !there, state == joining:
		return fmt.Errorf("%w: type %d for namespace %.100q", ErrUnexpected, p.Type, p.Namespace)
	case state == left:
		return nil
	}
	switch p.Type {
	case PacketDisconnect:
		c.mu.Lock()
		c.dropLocked(p.Namespace)
		c.mu.Unlock()
		c.opts.Handler.Disconnect(c, p.Namespace)
	case PacketEvent:
		c.opts.Handler.Event(c, p)
	case PacketAck:
		c.opts.Handler.Ack(c, p)
	}
	return nil
}

// invalidNamespace refuses, in the words of the reference, which clients
// compare.
var invalidNamespace = &ConnectError{Message: "Invalid namespace"}

// connect begins to join a namespace.
func (c *Conn) connect(p *Packet) error {
	if c.opts.Connecting != nil {
		if why := c.opts.Connecting(c); why != nil {
			return c.sayRefused(p.Namespace, why)
		}
	}
	if !c.opts.Namespaces(p.Namespace) {
		return c.sayRefused(p.Namespace, invalidNamespace)
	}
	c.mu.Lock()
	c.dropLocked(p.Namespace)
	full := len(c.namespaces) >= c.opts.MaxNamespaces
	if !full {
		c.namespaces = append(c.namespaces, membership{name: p.Namespace})
	}
	c.mu.Unlock()
	if full {
		return c.sayRefused(p.Namespace, &ConnectError{Message: "Too many namespaces"})
	}
	c.opts.Handler.Connect(c, p.Namespace, p.Data)
	return nil
}

func (c *Conn) state(namespace string) (s memberState, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.indexLocked(namespace); i >= 0 {
		return c.namespaces[i].state, true
	}
	return 0, false
}

func (c *Conn) indexLocked(namespace string) int {
	return slices.IndexFunc(c.namespaces, func(m membership) bool { return m.name == namespace })
}

func (c *Conn) dropLocked(namespace string) {
	if i := c.indexLocked(namespace); i >= 0 {
		c.namespaces = slices.Delete(c.namespaces, i, i+1)
	}
}

// Accept lets the client into a namespace, and tells it: sid is the public id
// of its socket there, other than the secret one of the session. With a pid,
// "" for none, the client takes part in connection state recovery: it sends
// the pid with its next CONNECT, and with it the last offset that it has seen.
//
// It returns [ErrNotJoined] when the client has gone, and the errors of
// [engineio.Session.TryWrite], after any of which the connection is closed.
func (c *Conn) Accept(namespace, sid, pid string) error {
	data := jsontext.AppendString([]byte(`{"sid":`), sid)
	if pid != "" {
		data = jsontext.AppendString(append(data, `,"pid":`...), pid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.indexLocked(namespace)
	if i < 0 || c.namespaces[i].state != joining {
		return ErrNotJoined
	}
	c.namespaces[i].state = joined
	stop(&c.connecting)
	return c.sayLocked(&Packet{Type: PacketConnect, Namespace: namespace, Data: append(data, '}')})
}

// Refuse does not let the client into a namespace, and tells it why. A stock
// client does not try again by itself. Errors are as for Accept.
func (c *Conn) Refuse(namespace string, why *ConnectError) error {
	c.mu.Lock()
	i := c.indexLocked(namespace)
	if i < 0 || c.namespaces[i].state != joining {
		c.mu.Unlock()
		return ErrNotJoined
	}
	c.dropLocked(namespace)
	c.mu.Unlock()
	return c.sayRefused(namespace, why)
}

func (c *Conn) sayRefused(namespace string, why *ConnectError) error {
	data, err := why.appendJSON(nil)
	if err != nil {
		c.opts.Logger.Error("the data of a connect error is not JSON", "namespace", namespace, "error", err)
	}
	err = c.Send(&Packet{Type: PacketConnectError, Namespace: namespace, Data: data})
	if errors.Is(err, engineio.ErrFull) {
		c.end(engineio.ReasonTransportError, err)
	}
	return err
}

// Leave takes the client out of a namespace, and tells it. What it has sent
// before it knows that is dropped. A stock client does not come back by
// itself: to have it reconnect, close the connection instead. It returns
// [ErrNotJoined], and the errors of [engineio.Session.TryWrite].
func (c *Conn) Leave(namespace string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.indexLocked(namespace)
	if i < 0 || c.namespaces[i].state != joined {
		return ErrNotJoined
	}
	c.namespaces[i].state = left
	return c.sayLocked(&Packet{Type: PacketDisconnect, Namespace: namespace})
}

// sayLocked sends what the client must get, or closes the connection.
func (c *Conn) sayLocked(p *Packet) error {
	err := c.Send(p)
	if errors.Is(err, engineio.ErrFull) {
		c.session.Close()
	}
	return err
}

var outputs = sync.Pool{New: func() any { return new(bridge.Output) }}

// keptBytes bounds what is kept of an output for reuse.
const keptBytes = 64 << 10

// Send queues a packet and never blocks. Its Data and Attachments must not be
// changed afterwards. It does not look at whether the namespace is joined. It
// returns the errors of [Packet.AppendFrames], and
// [engineio.ErrFull] and [engineio.ErrClosed]; nothing of the packet is sent
// then, and the connection goes on.
func (c *Conn) Send(p *Packet) error { return c.write(p, c.session.TryWrite) }

// SendWait is Send for those who may wait: where Send returns
// [engineio.ErrFull], it waits until the client has taken enough, or has lost
// its session because it takes nothing. No [ConnHandler] should call it: while
// it waits the client is not read, nor are its pongs.
func (c *Conn) SendWait(p *Packet) error { return c.write(p, c.session.Write) }

func (c *Conn) write(p *Packet, write func(*bridge.Output) error) error {
	out := outputs.Get().(*bridge.Output)
	defer func() {
		if out.Size() <= keptBytes {
			out.Reset()
			outputs.Put(out)
		}
	}()
	if err := p.AppendFrames(out, c.format); err != nil {
		return err
	}
	return write(out)
}
