package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
)

// maxQueuedBytes bounds the events that wait for the listeners of a socket:
// beyond it, the client is not read. One event always fits.
const maxQueuedBytes = 64 << 10

// eventBytes is what an event costs besides its payload.
const eventBytes = 256

// The errors of a [Socket], besides those of arguments and of package
// engineio.
var (
	// ErrDisconnected is returned when the socket is not, or no longer,
	// connected, and to whoever waits for an ack when it disconnects.
	ErrDisconnected = errors.New("socketio: the socket is not connected")

	// ErrTooManyAcks is returned when MaxPendingAcks acks are waited for.
	ErrTooManyAcks = errors.New("socketio: too many acks are waited for")
)

// Ack answers an event. Only its first call does; for an event that wants no
// answer it does nothing. What the arguments may be, see [Socket.Emit]. While
// too much waits for the client it waits, too: who asks for more than it takes
// is held up. An argument that cannot be sent closes the connection, lest the
// client wait for ever.
type Ack func(args ...any)

// Listener is called with the arguments of an event.
type Listener func(args Args, ack Ack)

// Socket is a client in one namespace. Its methods may be called concurrently.
//
// What was registered with [Socket.On], [Socket.OnAny] and [Socket.OnDisconnect]
// is called by one goroutine for each socket, in order, which is there only
// while something is to be called. While it is busy the connection goes on: it
// may wait in [Socket.EmitWithAck]. When 64 KiB of events wait for it, nothing
// more of this client is read.
type Socket struct {
	// Data is the application's. It is not looked at; set it in Authorize or
	// when the socket connects.
	Data any

	// Static after construction.
	server    *Server
	conn      *Conn
	id        string
	namespace string
	auth      json.RawMessage

	mu        sync.Mutex // guards what follows
	state     socketState
	cancel    context.CancelFunc // ends Authorize; nil unless it runs
	listeners []listener
	any       []func(event string, args Args, ack Ack)
	gone      []func(reason string)
	acks      map[uint64]chan<- Args // each is sent to once, or closed
	tasks     []task                 // in order
	queued    int                    // bytes of tasks
	room      chan struct{}          // closed when there is room; nil when nobody waits
	working   bool
}

type socketState byte

const (
	socketJoining socketState = iota
	socketConnected
	socketGone
)

type listener struct {
	event string
	call  Listener
}

// task is something for the worker to do.
type task struct {
	run   func()
	bytes int
}

func newSocket(server *Server, c *Conn, namespace string, auth []byte) *Socket {
	return &Socket{server: server, conn: c, id: randomID(), namespace: namespace, auth: auth}
}

// randomID returns 120 bits that nobody can guess, in 20 letters, as the
// reference has it.
func randomID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID returns the public id of the socket, which its client knows too. It is
// another one for each namespace and each connection.
func (s *Socket) ID() string { return s.id }

// Namespace returns the name of the namespace, such as "/".
func (s *Socket) Namespace() string { return s.namespace }

// Auth returns what the client sent as its auth: a JSON object, byte for byte,
// or nil.
func (s *Socket) Auth() json.RawMessage { return s.auth }

// Conn returns the connection, which the client's other namespaces share.
func (s *Socket) Conn() *Conn { return s.conn }

// On registers what is called for each event of that name, in the order of
// registration. An event that nobody listens to is dropped. The name of an
// event that is a number is its digits.
func (s *Socket) On(event string, call Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener{event, call})
}

// OnAny registers what is called for every event, before its listeners.
func (s *Socket) OnAny(call func(event string, args Args, ack Ack)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.any = append(s.any, call)
}

// OnDisconnect registers what is called last, once, with a Reason constant of
// this package or of engineio.
func (s *Socket) OnDisconnect(call func(reason string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = append(s.gone, call)
}

// Emit sends an event and never blocks. Each argument is written with
// encoding/json, except: a []byte is sent as binary, as a value of its own;
// [json.RawMessage] is sent byte for byte; an [Arg] is sent with its
// attachments, and [Args] as several arguments. Bytes must not be changed
// afterwards.
//
// It returns [ErrDisconnected]; [engineio.ErrFull] when too much waits for the
// client already, and the event is dropped; [ErrReserved], [ErrArgument],
// [ErrAttachments] for JSON that looks like a placeholder, and
// [ErrTooManyAttachments].
func (s *Socket) Emit(event string, args ...any) error {
	p, err := packEvent(event, args)
	if err != nil {
		return err
	}
	return s.send(p)
}

// EmitWithAck sends an event and waits for the client's answer, of which it
// returns the arguments. Besides the errors of Emit it returns those of ctx,
// [context.DeadlineExceeded] after the server's AckTimeout too, [ErrTooManyAcks],
// and [ErrDisconnected] when the client goes first; whether it has seen the
// event is then not known. An answer that comes later is dropped.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	p, err := packEvent(event, args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.server.opts.AckTimeout)
	defer cancel()
	answer := make(chan Args, 1)
	if p.ID, err = s.expect(answer); err != nil {
		return nil, err
	}
	defer s.forget(p.ID)
	p.HasID = true
	if err := s.send(p); err != nil {
		return nil, err
	}
	select {
	case args, ok := <-answer:
		if !ok {
			return nil, ErrDisconnected
		}
		return args, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// expect makes an id for an event whose answer goes to a channel.
func (s *Socket) expect(answer chan<- Args) (id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != socketConnected:
		return 0, ErrDisconnected
	case len(s.acks) >= s.server.opts.MaxPendingAcks:
		return 0, ErrTooManyAcks
	case s.acks == nil:
		s.acks = make(map[uint64]chan<- Args)
	}
	id = s.server.ids.Add(1) - 1
	s.acks[id] = answer
	return id, nil
}

func (s *Socket) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acks, id)
}

// answered hands an answer to who waits for it. Nobody may: it is late, or the
// second, or an answer to nothing.
func (s *Socket) answered(p *Packet) {
	s.mu.Lock()
	answer := s.acks[p.ID]
	delete(s.acks, p.ID)
	s.mu.Unlock()
	if answer == nil {
		return
	}
	elements, _ := Split(p.Data) // checked by Decode
	answer <- argsOf(elements, p.Attachments)
}

// send sends a packet in the socket's namespace.
func (s *Socket) send(p *Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != socketConnected {
		return ErrDisconnected
	}
	p.Namespace = s.namespace
	return s.conn.Send(p)
}

// Disconnect takes the client out of the namespace, and tells it: a stock
// client does not come back by itself. With closing, it is taken out of all of
// its namespaces, and the connection is closed. What it sent before is still
// handled. To have a client reconnect, close its [Conn] instead.
func (s *Socket) Disconnect(closing bool) {
	if !closing {
		s.leave(ReasonServerDisconnect)
		return
	}
	socketsOf(s.conn).leave(ReasonServerDisconnect)
	s.conn.Close()
}

// leave ends the socket, the first time that it is called.
func (s *Socket) leave(reason string) {
	s.mu.Lock()
	was := s.state
	s.state = socketGone
	if s.cancel != nil {
		s.cancel()
	}
	for id, answer := range s.acks {
		close(answer)
		delete(s.acks, id)
	}
	if was == socketConnected {
		s.enqueueLocked(0, func() { s.tellGone(reason) })
		if reason == ReasonServerDisconnect {
			_ = s.conn.Leave(s.namespace) // it may be gone by itself
		}
	}
	s.mu.Unlock()
	socketsOf(s.conn).remove(s)
}

func (s *Socket) tellGone(reason string) {
	s.mu.Lock()
	calls := s.gone
	s.mu.Unlock()
	for _, call := range calls {
		call(reason)
	}
}

// join is the first task: it lets the client in, or does not.
func (s *Socket) join() {
	if err := s.authorize(); err != nil {
		s.refuse(err)
		return
	}
	if !s.accept() {
		s.refuse(ErrDisconnected) // Authorize itself may have disconnected it
		return
	}
	if connected := s.server.opts.Namespaces[s.namespace]; connected != nil {
		connected(s)
	}
}

func (s *Socket) authorize() error {
	if s.server.opts.Authorize == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	gone := s.state == socketGone
	s.mu.Unlock()
	if gone {
		return ErrDisconnected
	}
	return s.server.opts.Authorize(ctx, s)
}

func (s *Socket) refuse(err error) {
	var why *ConnectError
	if !errors.As(err, &why) {
		why = internalError
		if s.is(socketJoining) {
			s.server.opts.Logger.Error("authorization failed", "namespace", s.namespace, "error", err)
		}
	}
	socketsOf(s.conn).remove(s)
	_ = s.conn.Refuse(s.namespace, why) // it may have gone
}

func (s *Socket) is(state socketState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == state
}

func (s *Socket) accept() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = nil
	if s.state == socketGone || s.conn.Accept(s.namespace, s.id, "") != nil {
		return false
	}
	s.state = socketConnected
	return true
}

// dispatch calls the listeners of an event.
func (s *Socket) dispatch(p *Packet) {
	name, _ := p.Event()         // checked by Decode
	elements, _ := Split(p.Data) // likewise
	args, ack := argsOf(elements[1:], p.Attachments), s.ackOf(p)
	s.mu.Lock()
	all, listeners := s.any, s.listeners
	s.mu.Unlock()
	for _, call := range all {
		call(name, args, ack)
	}
	for _, l := range listeners {
		if l.event == name {
			l.call(args, ack)
		}
	}
}

// ackOf returns what answers an event.
func (s *Socket) ackOf(p *Packet) Ack {
	if !p.HasID {
		return func(...any) {}
	}
	var called atomic.Bool
	id := p.ID
	return func(args ...any) {
		if called.Swap(true) {
			return
		}
		if !s.is(socketConnected) {
			return
		}
		answer, err := packAck(id, args)
		if err == nil {
			answer.Namespace = s.namespace
			err = s.conn.SendWait(answer) // without the lock: it may take long
		}
		if errors.Is(err, ErrArgument) || errors.Is(err, ErrAttachments) || errors.Is(err, ErrTooManyAttachments) {
			s.server.opts.Logger.Error("an event cannot be answered", "namespace", s.namespace, "error", err)
			s.conn.Close()
		}
	}
}

// enqueue has the worker do something, after all that it has to do already. It
// waits for room, which is how a client that sends faster than it is served is
// held up.
func (s *Socket) enqueue(bytes int, run func()) {
	bytes += eventBytes
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.queued > 0 && s.queued+bytes > maxQueuedBytes {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		<-room
		s.mu.Lock()
	}
	if s.state != socketGone {
		s.enqueueLocked(bytes, run)
	}
}

func (s *Socket) enqueueLocked(bytes int, run func()) {
	s.queued += bytes
	s.tasks = append(s.tasks, task{run, bytes})
	if !s.working {
		s.working = true
		socketsOf(s.conn).working.Go(s.work)
	}
}

// work is the goroutine that does what is to be done, and ends.
func (s *Socket) work() {
	for {
		run, more := s.nextTask()
		if !more {
			return
		}
		run()
	}
}

func (s *Socket) nextTask() (run func(), more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) == 0 {
		s.tasks, s.working = nil, false
		return nil, false
	}
	t := s.tasks[0]
	s.tasks[0] = task{}
	s.tasks = s.tasks[1:]
	s.queued -= t.bytes
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	return t.run, true
}
