package driver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bench/wire"
)

// protocol is what one connection says to its server, and understands. It is
// owned by the goroutine that reads the connection, but for publish.
type protocol interface {
	// dial connects, down to where messages are.
	dial(addr string, o wire.Options) (*wire.Conn, error)
	// enter says who is there, if anybody has to be told; the server's answer
	// is confirmed by take. Who goes on from a cursor says so here or in
	// subscribe.
	enter(c *Client, from *Cursor) error
	// subscribe asks for the events of a subject; the answer is confirmed by
	// take.
	subscribe(c *Client, subject string, from *Cursor) error
	// publish appends the message that publishes a payload, to be acknowledged
	// with the id. It may be called by several goroutines.
	publish(dst []byte, id int64, subject string, payload []byte) []byte
	// take understands one message: it calls events, acked and confirm.
	take(c *Client, message []byte) error
	// cursor is from where another connection may go on. The client has been
	// asked to keep it.
	cursor() Cursor
}

// Cursor is a place in what a client receives.
type Cursor struct {
	N       int64  // the event that came last
	session string // what the protocol calls it: a session or an epoch
	offset  string // and a position
}

// Options are what a client is for.
type Options struct {
	wire.Options
	From    *Cursor        // go on from here
	Keep    bool           // remember where to go on
	Acked   func(id int64) // is called when a publish is acknowledged
	Arrived chan struct{}  // has room for one: events have arrived
}

// Client is one connection of any of the servers. It counts instead of handing
// events out, and fails when one is missing, comes twice or out of order.
type Client struct {
	conn  *wire.Conn
	proto protocol
	opts  Options
	last  atomic.Int64 // the event that came last
	timed atomic.Bool

	// Owned by the goroutine that reads.
	confirmed bool
	now       int64 // when the message came that is taken; 0: nobody wants to know
	latencies []uint32
}

func newClient(p protocol, addr string, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	conn, err := p.dial(addr, o.Options)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, proto: p, opts: o}
	if o.From != nil {
		c.last.Store(o.From.N)
	}
	if err := c.asked(p.enter(c, o.From)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("no welcome: %w", err)
	}
	return c, nil
}

// Subscribe returns when the server has confirmed it. It must not be called
// once Listen is.
func (c *Client) Subscribe(subject string) error {
	if err := c.asked(c.proto.subscribe(c, subject, c.opts.From)); err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return nil
}

// asked takes what comes until what has been asked for is confirmed.
func (c *Client) asked(err error) error {
	for err == nil && !c.confirmed {
		err = c.step()
	}
	c.confirmed = false
	return err
}

func (c *Client) confirm() { c.confirmed = true }

// Await takes what comes until event n has.
func (c *Client) Await(n int64, timeout time.Duration) error {
	err := c.conn.Deadline(time.Now().Add(timeout))
	for err == nil && c.last.Load() < n {
		err = c.step()
	}
	if err != nil {
		return fmt.Errorf("event %d of %d: %w", c.last.Load(), n, err)
	}
	return nil
}

// Listen takes what comes until the client is closed. It returns why it is not
// content.
func (c *Client) Listen() error {
	err := c.conn.Deadline(time.Time{})
	for err == nil {
		err = c.step()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	if err == io.EOF {
		err = wire.ErrClosed
	}
	return err
}

func (c *Client) step() error {
	p, err := c.conn.Read()
	if err != nil {
		return err
	}
	c.now = 0
	if c.timed.Load() {
		c.now = time.Now().UnixNano()
	}
	return c.proto.take(c, p)
}

// events counts those in a message, and returns how many there were.
func (c *Client) events(p []byte) (int, error) {
	last, found := c.last.Load(), 0
	for {
		n, t, rest, err := nextEvent(p)
		if err != nil {
			return found, err
		}
		if rest == nil {
			break
		}
		if n != last+1 {
			return found, fmt.Errorf("event %d after event %d", n, last)
		}
		if c.now != 0 {
			c.latencies = append(c.latencies, uint32(min(max(c.now-t, 0)/1000, 1<<32-1)))
		}
		last, p = n, rest
		found++
	}
	if found > 0 {
		c.last.Store(last)
		if c.opts.Arrived != nil {
			select {
			case c.opts.Arrived <- struct{}{}:
			default:
			}
		}
	}
	return found, nil
}

func (c *Client) acked(id int64) {
	if c.opts.Acked != nil {
		c.opts.Acked(id)
	}
}

// Last is the number of the event that came last.
func (c *Client) Last() int64 { return c.last.Load() }

// CountFrom says that the next event will be the one after n. It may be called
// before Subscribe.
func (c *Client) CountFrom(n int64) { c.last.Store(n) }

// Time begins or ends to note how long events are on the way. It may be called
// when nothing is.
func (c *Client) Time(on bool) { c.timed.Store(on) }

// TakeLatencies returns how long events were on the way while that was noted,
// in microseconds. It may be called when it is not any more.
func (c *Client) TakeLatencies() []uint32 {
	list := c.latencies
	c.latencies = nil
	return list
}

// Cursor is where to go on after what has been received. It may be called when
// nothing is on the way.
func (c *Client) Cursor() Cursor {
	at := c.proto.cursor()
	at.N = c.last.Load()
	return at
}

// Publish sends a payload, to be acknowledged with the id.
func (c *Client) Publish(id int64, subject string, payload []byte) error {
	return c.conn.Write(c.proto.publish(nil, id, subject, payload))
}

// PublishMany sends events with one system call, with the ids from first on.
// Each is made by event, which appends it.
func (c *Client) PublishMany(first int64, count int, event func(dst []byte, id int64) (subject string, payload []byte)) error {
	var payload []byte
	id := first
	return c.conn.WriteMany(func(dst []byte) []byte {
		if id == first+int64(count) {
			return nil
		}
		var subject string
		subject, payload = event(payload[:0], id)
		dst = c.proto.publish(dst, id, subject, payload)
		id++
		return dst
	})
}

// Close pulls the cable.
func (c *Client) Close() { c.conn.Close() }

func unexpected(p []byte) error { return fmt.Errorf("an unexpected message: %.300q", p) }
