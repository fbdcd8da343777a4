package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/websock"
)

// closeTimeout is how long Close waits for the server to close too.
const closeTimeout = time.Second

// Client is one connection. See the package's comment.
type Client struct {
	// Static after construction.
	ws     *websocket.Conn
	cork   *cork
	opts   Options
	hello  native.Received
	slots  chan struct{} // one taken per call without an answer
	frames chan []byte   // for Recv
	done   chan struct{} // closed when there is nothing more to read
	ended  chan struct{} // closed when the reading goroutine ends, after all answers
	stop   chan struct{} // closed when Close begins

	writing sync.Mutex // one frame at a time

	mu     sync.Mutex // guards what follows
	lastID uint64
	calls  map[uint64]*call
	subs   map[string]*Sub
	gate   chan struct{} // closed by Resume; nil while not paused
	bye    *ClosedError  // what the server said before it closed
	err    error         // why the connection has ended
	closed bool          // Close was called
}

// call is a message that waits for its answer.
type call struct {
	answer func(*native.Received, error)
	sub    *Sub // to be registered when the answer is ok; may be nil
}

// Dial connects and waits for the server's first frame. The context is for the
// dialling only; the client lives until Close.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c := &Client{
		opts:   o,
		slots:  make(chan struct{}, o.MaxPending),
		frames: make(chan []byte, o.Buffer),
		done:   make(chan struct{}),
		ended:  make(chan struct{}),
		stop:   make(chan struct{}),
		calls:  make(map[uint64]*call),
		subs:   make(map[string]*Sub),
	}
	if err := c.connect(ctx, url); err != nil {
		return nil, err
	}
	c.cork.start()
	go c.read()
	return c, nil
}

func (c *Client) connect(ctx context.Context, url string) error {
	d := websocket.Dialer{
		Subprotocols:    []string{"jetway.v1"},
		TLSClientConfig: c.opts.TLS,
		WriteBufferPool: new(sync.Pool),
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := c.opts.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if t, ok := nc.(*net.TCPConn); ok && c.opts.ReceiveBufferBytes > 0 {
				_ = t.SetReadBuffer(c.opts.ReceiveBufferBytes) // a wish
			}
			c.cork = newCork(nc, c.opts.Timeout)
			return c.cork, nil
		},
	}
	head := c.opts.Header.Clone()
	if c.opts.Token != "" {
		if head == nil {
			head = http.Header{}
		}
		head.Set("Authorization", "Bearer "+c.opts.Token)
	}
	ws, resp, err := d.DialContext(ctx, url, head)
	switch {
	case err == nil:
		c.ws = ws
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case resp != nil && errors.Is(err, websocket.ErrBadHandshake):
		return refused(resp)
	default:
		return &ClosedError{Code: websock.CodeAbnormal, Why: "cannot connect", cause: err}
	}
	if c.opts.Raw {
		return nil
	}
	return c.greet(ctx)
}

// greet waits for the first frame.
func (c *Client) greet(ctx context.Context) error {
	cancelled := context.AfterFunc(ctx, func() { _ = c.ws.NetConn().SetReadDeadline(time.Unix(1, 0)) })
	_, b, err := c.ws.ReadMessage()
	if !cancelled() {
		err = context.Cause(ctx)
	} else if err == nil {
		err = native.ParseReceived(b, &c.hello)
	}
	if err == nil && c.hello.Kind == native.KindHi {
		return nil
	}
	_ = c.ws.Close() // it is of no use
	switch {
	case err == nil && c.hello.Kind == native.KindBye:
		return &ClosedError{Code: websock.Code(c.hello.Code), Why: c.hello.Why, Retry: c.hello.Retry}
	case err == nil:
		return &ClosedError{Code: websock.CodeProtocol, Why: "the server does not greet: is it a Jetway?"}
	case ctx.Err() != nil:
		return err
	}
	return c.ending(err)
}

// Session returns the id that the server gave to this connection.
func (c *Client) Session() string { return c.hello.Session }

// User returns who the server takes this client for.
func (c *Client) User() string { return c.hello.User }

// MaxMessageBytes returns the server's limit for one message.
func (c *Client) MaxMessageBytes() int { return c.hello.MaxMessageBytes }

// Done returns a channel that is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, a *[ClosedError]; nil before.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Send sends one text message as it is.
func (c *Client) Send(text string) error { return c.write([]byte(text)) }

// Recv returns the next message of a client with [Options.Raw], to be kept.
func (c *Client) Recv(ctx context.Context) ([]byte, error) {
	select {
	case b := <-c.frames:
		return b, nil
	default:
	}
	select {
	case b := <-c.frames:
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.done:
		return nil, c.Err()
	}
}

// Pause stops the reading, after at most one more message: the connection
// fills up, as with a client that is too slow. Pings are not answered either.
func (c *Client) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gate == nil {
		c.gate = make(chan struct{})
	}
}

// Resume ends Pause.
func (c *Client) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gate != nil {
		close(c.gate)
		c.gate = nil
	}
}

// Close says goodbye, waits a second for the server to do so too, and drops
// the connection. Calls that wait fail. It may be called more than once, but
// not from a callback, which it would wait for.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		<-c.ended
		return nil
	}
	close(c.stop)
	c.writing.Lock()
	_ = c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")) // it may be gone
	c.writing.Unlock()
	select {
	case <-c.done:
	case <-time.After(closeTimeout):
	}
	c.cork.stop()
	<-c.ended
	return nil
}

func (c *Client) write(b []byte) error {
	c.writing.Lock()
	err := c.ws.WriteMessage(websocket.TextMessage, b)
	c.writing.Unlock()
	if err == nil {
		return nil
	}
	select {
	case <-c.done: // which knows more about it
		return c.Err()
	default:
		return &ClosedError{Code: websock.CodeAbnormal, cause: err}
	}
}

// begin sends a message that wants an answer, and returns its id. answer is
// called exactly once if the error is nil, never otherwise, and must not wait.
func (c *Client) begin(ctx context.Context, f *native.Frame, w *call) (uint64, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-c.done:
		return 0, c.Err()
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		<-c.slots
		return 0, c.Err()
	}
	c.lastID++
	id := c.lastID
	c.calls[id] = w
	c.mu.Unlock()
	f.ID = strconv.FormatUint(id, 10)
	if err := c.write(native.AppendFrame(nil, f)); err != nil && c.take(id) != nil {
		return 0, err
	}
	return id, nil
}

// take removes a call that waits and returns it; nil if another has.
func (c *Client) take(id uint64) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.calls[id]
	if w != nil {
		delete(c.calls, id)
		<-c.slots
	}
	return w
}

// do sends a message and waits for its answer.
func (c *Client) do(ctx context.Context, f *native.Frame, sub *Sub) (*native.Received, error) {
	type result struct {
		r   *native.Received
		err error
	}
	results := make(chan result, 1)
	id, err := c.begin(ctx, f, &call{sub: sub, answer: func(r *native.Received, err error) { results <- result{r, err} }})
	if err != nil {
		return nil, err
	}
	select {
	case got := <-results:
		return got.r, got.err
	case <-ctx.Done():
		if c.take(id) != nil {
			return nil, context.Cause(ctx)
		}
		got := <-results // it came at the same moment
		return got.r, got.err
	}
}

// ending turns what ended the reading into what callers are told.
func (c *Client) ending(err error) error {
	e := &ClosedError{Code: websock.CodeAbnormal}
	var closed *websocket.CloseError
	switch {
	case c.bye != nil:
		e = c.bye
	case c.closed:
		e.Code, e.Why = websock.CodeNormal, "closed by this client"
	case errors.As(err, &closed):
		e.Code, e.Why = websock.Code(closed.Code), closed.Text
	default:
		e.cause = fmt.Errorf("read: %w", err)
	}
	return e
}
