package driver

import (
	"bytes"
	"strconv"

	"github.com/jetway-io/jetway/bench/wire"
)

// limit is what the write loop of limits/writeloop understands: nothing but
// words, and events come as they are.
type limit struct{}

func (*limit) dial(addr string, o wire.Options) (*wire.Conn, error) {
	return wire.Dial(addr, "/", "", o)
}

func (*limit) enter(c *Client, _ *Cursor) error {
	c.confirm()
	return nil
}

func (*limit) subscribe(c *Client, subject string, _ *Cursor) error {
	return c.conn.Write([]byte("sub " + subject))
}

func (*limit) publish(dst []byte, id int64, subject string, payload []byte) []byte {
	dst = strconv.AppendInt(append(dst, "pub "...), id, 10)
	dst = append(append(append(dst, ' '), subject...), ' ')
	return append(dst, payload...)
}

func (*limit) take(c *Client, p []byte) error {
	switch {
	case len(p) > 0 && p[0] == '{':
		if found, err := c.events(p); err != nil || found != 1 {
			return orUnexpected(err, p)
		}
		return nil
	case string(p) == "sub":
		c.confirm()
		return nil
	case bytes.HasPrefix(p, []byte("pub ")):
		id, _ := number(p[4:])
		c.acked(id)
		return nil
	}
	return unexpected(p)
}

func (*limit) cursor() Cursor { return Cursor{} }
