package websock

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/quota"
)

// readBufferBytes is what every idle connection holds. Messages of chats and
// forms fit, and larger ones only take more than one read.
const readBufferBytes = 1 << 10

// drainBytes bounds what [Conn.Finish] reads from a client that goes on
// sending.
const drainBytes = 4 << 20

// Conn is one WebSocket connection. ReadMessage, OnPing and Finish belong to
// one goroutine; Write and AppendPong may be called by any, one at a time;
// Close and RemoteAddr by any at any time.
type Conn struct {
	// Static after construction.
	ws             *websocket.Conn
	wire           *wire
	limit          int
	messageTimeout time.Duration
	idleTimeout    time.Duration
	writeTimeout   time.Duration
	stats          *Stats
	pace           *quota.Pace // of the reading goroutine; nil without a bound

	// Owned by the reading goroutine.
	onPing    func()
	inMessage bool
	readErr   error

	mu   sync.Mutex // guards what follows
	pong string     // the payload of the newest ping
	owes bool       // whether a pong is owed
}

// Upgrade answers a WebSocket handshake (RFC 6455 section 4.2) and takes the
// connection over: the HTTP handler may return, and the caller must Close it.
// When it fails it has answered the request, or closed the connection.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	o = o.withDefaults()
	u := websocket.Upgrader{
		Subprotocols:      o.Subprotocols,
		CheckOrigin:       o.CheckOrigin,
		HandshakeTimeout:  o.HandshakeTimeout,
		ReadBufferSize:    readBufferBytes,
		WriteBufferPool:   noBuffers{},
		EnableCompression: true,
	}
	h := &hijacker{ResponseWriter: w}
	ws, err := u.Upgrade(h, r, o.Header)
	if err != nil {
		return nil, fmt.Errorf("websock: %w", err)
	}
	h.wire.established = true
	c := &Conn{
		ws:             ws,
		wire:           h.wire,
		messageTimeout: o.MessageTimeout,
		idleTimeout:    o.IdleTimeout,
		writeTimeout:   o.WriteTimeout,
		stats:          o.Stats,
		pace:           quota.NewPace(o.MaxRate),
	}
	c.SetMaxMessageBytes(o.MaxMessageBytes)
	ws.SetPingHandler(c.handlePing)
	ws.SetPongHandler(c.handlePong)
	ws.SetCloseHandler(func(int, string) error { return nil }) // answered by whoever reads
	return c, nil
}

// hijacker gives gorilla the connection wrapped in a wire.
type hijacker struct {
	http.ResponseWriter
	wire *wire
}

// Hijack implements [http.Hijacker].
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.wire = &wire{Conn: nc}
	return h.wire, rw, nil
}

// noBuffers keeps gorilla from allocating a write buffer that it never needs.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// OnPing sets what is called, by the reading goroutine, when a pong becomes
// owed: it should have [Conn.AppendPong] called by whoever writes next. Set it
// before the first ReadMessage.
func (c *Conn) OnPing(f func()) { c.onPing = f }

// AppendPong adds the pong that is owed and reports whether one was. Of many
// pings since the last pong only the newest is answered (RFC 6455 section
// 5.5.3 allows it), so that a flood of pings cannot make a flood of pongs.
func (c *Conn) AppendPong(out *bridge.Output) bool {
	c.mu.Lock()
	payload, owes := c.pong, c.owes
	c.pong, c.owes = "", false
	c.mu.Unlock()
	if owes {
		AppendPong(out, []byte(payload))
	}
	return owes
}

func (c *Conn) handlePing(payload string) error {
	c.pace.Wait()
	c.alive()
	c.mu.Lock()
	owed := c.owes
	c.pong, c.owes = payload, true
	c.mu.Unlock()
	if !owed && c.onPing != nil {
		c.onPing()
	}
	return nil
}

func (c *Conn) handlePong(string) error {
	c.pace.Wait()
	c.alive()
	return nil
}

// alive starts the idle timeout anew, unless a message is being read: then
// pings and pongs must not keep an unfinished message alive.
func (c *Conn) alive() {
	if !c.inMessage {
		c.setReadDeadline(c.idleTimeout)
	}
}

// setReadDeadline cannot fail in a way that the next read would not show.
func (c *Conn) setReadDeadline(d time.Duration) {
	_ = c.wire.SetReadDeadline(time.Now().Add(d))
}

// Subprotocol returns the sub-protocol agreed on, "" for none.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// RemoteAddr returns the address of the other end of the TCP connection.
func (c *Conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }

// Close drops the connection without a word, and without waiting: reads and
// writes in progress fail with [net.ErrClosed].
func (c *Conn) Close() error {
	if t, ok := c.wire.Conn.(*tls.Conn); ok {
		// tls.Conn.Close first writes an alert, for up to 5s when the client
		// does not read. The close frame has said as much already.
		return t.NetConn().Close()
	}
	return c.wire.Conn.Close()
}

// Finish ends the connection after a close frame has been written: it says
// that nothing more will come, then reads and forgets what the client still
// sends, at most for d, and closes. Closed with bytes unread, TCP would reset
// the connection, and the client might never see the frames before it (RFC
// 6455 section 7.1.1). It takes the place of ReadMessage.
func (c *Conn) Finish(d time.Duration) error {
	if h, ok := c.wire.Conn.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite() // if it fails the connection is gone
	}
	c.setReadDeadline(d)
	_, _ = io.CopyN(io.Discard, c.wire.Conn, drainBytes) // likewise
	return c.Close()
}

// SetMaxMessageBytes changes the limit from the next message on. It is for the
// goroutine that reads.
func (c *Conn) SetMaxMessageBytes(n int) {
	c.limit = n
	// Compressed, a message may be a little larger than it is: deflate adds 5
	// bytes for every 64 KiB that it cannot compress.
	c.ws.SetReadLimit(int64(n) + int64(n)/1000 + 64)
}
