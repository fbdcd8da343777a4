package driver

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/jetway-io/jetway/bench/wire"
)

// socketIO is Engine.IO v4 and Socket.IO v5, over a WebSocket from the start,
// with connection state recovery. Subscribing is Jetway's own event; the server
// of Node has been taught it.
type socketIO struct {
	from   *Cursor
	pid    string
	offset string
}

func (*socketIO) dial(addr string, o wire.Options) (*wire.Conn, error) {
	return wire.Dial(addr, "/socket.io/?EIO=4&transport=websocket", "", o)
}

func (s *socketIO) enter(_ *Client, from *Cursor) error {
	s.from = from
	return nil
}

// subscribe: who recovers is subscribed already.
func (s *socketIO) subscribe(c *Client, subject string, from *Cursor) error {
	if from != nil {
		c.confirm()
		return nil
	}
	return c.conn.Write([]byte(`420["jetway:sub",{"sub":"` + subject + `"}]`))
}

func (*socketIO) publish(dst []byte, id int64, subject string, payload []byte) []byte {
	dst = strconv.AppendInt(append(dst, "42"...), id, 10)
	dst = append(append(dst, `["`...), subject...)
	return append(append(append(dst, `",`...), payload...), ']')
}

func (s *socketIO) take(c *Client, p []byte) error {
	switch {
	case bytes.HasPrefix(p, []byte(`42[`)):
		if c.opts.Keep {
			s.offset = offsetOf(p)
		}
		if found, err := c.events(p); err != nil || found != 1 {
			return orUnexpected(err, p)
		}
		return nil
	case bytes.HasPrefix(p, []byte("43")):
		id, rest := number(p[2:])
		if !bytes.HasPrefix(rest, []byte(`[{"ok":true`)) {
			return unexpected(p)
		}
		if id == 0 {
			c.confirm()
		} else {
			c.acked(id)
		}
		return nil
	case len(p) == 1 && p[0] == '2':
		return c.conn.Write([]byte("3"))
	case len(p) > 0 && p[0] == '0':
		return c.conn.Write(s.connect())
	case bytes.HasPrefix(p, []byte("40{")):
		return s.connected(c, p)
	}
	return unexpected(p)
}

func (s *socketIO) connect() []byte {
	if s.from == nil {
		return []byte("40")
	}
	return []byte(`40{"pid":"` + s.from.session + `","offset":"` + s.from.offset + `"}`)
}

// connected: who has recovered has its pid again.
func (s *socketIO) connected(c *Client, p []byte) error {
	s.pid = string(member(p, "pid"))
	if s.from != nil && s.pid != s.from.session {
		return fmt.Errorf("the session is not recovered: %q is not %q", s.pid, s.from.session)
	}
	c.confirm()
	return nil
}

// offsetOf is the last argument of an event's packet.
func offsetOf(p []byte) string {
	p = bytes.TrimSuffix(p, []byte(`"]`))
	return string(p[bytes.LastIndexByte(p, '"')+1:])
}

func (s *socketIO) cursor() Cursor { return Cursor{session: s.pid, offset: s.offset} }
