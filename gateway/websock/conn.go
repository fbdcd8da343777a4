package websock

import (
	"bufio"
	"bytes"
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

// drainBytes bounds what [Conn.Finish] reads from a client that goes on
// sending.
const drainBytes = 4 << 20

// Conn is one WebSocket connection. ReadMessage, Next, OnPing and Finish belong
// to one goroutine; Write, WriteSome and AppendPong may be called by any, one at a time;
// Close and RemoteAddr by any at any time.
type Conn struct {
	// Static after construction.
	nc             net.Conn
	subprotocol    string
	deflate        bool // permessage-deflate is agreed on
	messageTimeout time.Duration
	idleTimeout    time.Duration
	writeTimeout   time.Duration
	stats          *Stats
	pace           *quota.Pace // of the reading goroutine; nil without a bound

	// Owned by the reading goroutine.
	limit   int
	onPing  func()
	in      input
	msg     message
	readErr error
	settled int // messages read by Next, up to settling

	mu   sync.Mutex // guards what follows
	pong string     // the payload of the newest ping
	owes bool       // whether a pong is owed
}

// Upgrade answers a WebSocket handshake (RFC 6455 section 4.2) and takes the
// connection over: the HTTP handler may return, and the caller must Close it.
// When it fails it has answered the request, or closed the connection.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	o = o.withDefaults()
	extensions, err := agree(r.Header)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	u := websocket.Upgrader{
		Subprotocols:      o.Subprotocols,
		CheckOrigin:       o.CheckOrigin,
		HandshakeTimeout:  o.HandshakeTimeout,
		ReadBufferSize:    1, // of what reads nothing: gorilla takes the least it can
		WriteBufferPool:   noBuffers{},
		EnableCompression: extensions != "",
	}
	if extensions != "" { // gorilla is to find no other offer
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		r.Header[extensionsField] = []string{deflateToken}
	}
	h := &handshake{ResponseWriter: w, extensions: extensions}
	ws, err := u.Upgrade(h, r, o.Header)
	if err != nil {
		return nil, fmt.Errorf("websock: %w", err)
	}
	c := &Conn{
		nc:             h.conn,
		subprotocol:    ws.Subprotocol(),
		deflate:        extensions != "",
		limit:          o.MaxMessageBytes,
		messageTimeout: o.MessageTimeout,
		idleTimeout:    o.IdleTimeout,
		writeTimeout:   o.WriteTimeout,
		stats:          o.Stats,
		pace:           quota.NewPace(o.MaxRate),
	}
	c.in.init(c.nc)
	return c, nil
}

// handshake gives gorilla the connection.
type handshake struct {
	http.ResponseWriter
	extensions string // the answer to what the client offered
	conn       net.Conn
}

// Hijack implements [http.Hijacker].
func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = nc
	return answering{nc, h.extensions}, rw, nil
}

// answering is the connection as gorilla sees it.
type answering struct {
	net.Conn
	extensions string
}

// Write passes the answer on, with our own to the extensions.
func (a answering) Write(p []byte) (int, error) {
	answer := bytes.Replace(p, []byte(deflateAnswer), []byte(a.extensions), 1)
	if _, err := a.Conn.Write(answer); err != nil {
		return 0, err
	}
	return len(p), nil
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

// owe notes that a ping wants its pong.
func (c *Conn) owe(payload string) {
	c.mu.Lock()
	owed := c.owes
	c.pong, c.owes = payload, true
	c.mu.Unlock()
	if !owed && c.onPing != nil {
		c.onPing()
	}
}

// Subprotocol returns the sub-protocol agreed on, "" for none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// RemoteAddr returns the address of the other end of the TCP connection.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Close drops the connection without a word, and without waiting: reads and
// writes in progress fail with [net.ErrClosed].
func (c *Conn) Close() error {
	if t, ok := c.nc.(*tls.Conn); ok {
		// tls.Conn.Close first writes an alert, for up to 5s when the client
		// does not read. The close frame has said as much already.
		return t.NetConn().Close()
	}
	return c.nc.Close()
}

// Finish ends the connection after a close frame has been written: it says
// that nothing more will come, then reads and forgets what the client still
// sends, at most for d, and closes. Closed with bytes unread, TCP would reset
// the connection, and the client might never see the frames before it (RFC
// 6455 section 7.1.1). It takes the place of ReadMessage.
func (c *Conn) Finish(d time.Duration) error {
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite() // if it fails the connection is gone
	}
	c.setReadDeadline(d)
	_, _ = io.CopyN(io.Discard, c.nc, drainBytes) // likewise
	return c.Close()
}

// SetMaxMessageBytes changes the limit from the next message on. It is for the
// goroutine that reads.
func (c *Conn) SetMaxMessageBytes(n int) { c.limit = n }
