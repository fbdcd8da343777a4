package driver

import (
	"bytes"
	"strconv"

	"github.com/jetway-io/jetway/bench/wire"
)

// native is jetway.v1.
type native struct{ pos string }

func (*native) dial(addr string, o wire.Options) (*wire.Conn, error) {
	return wire.Dial(addr, "/ws", "jetway.v1", o)
}

func (*native) enter(*Client, *Cursor) error { return nil }

func (*native) subscribe(c *Client, subject string, from *Cursor) error {
	p := append([]byte(`{"sub":"`), subject...)
	if from != nil {
		p = append(append(p, `","from":"`...), from.offset...)
	}
	return c.conn.Write(append(p, `"}`...))
}

func (*native) publish(dst []byte, id int64, subject string, payload []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"id":`...), id, 10)
	dst = append(append(dst, `,"pub":"`...), subject...)
	return append(append(append(dst, `","data":`...), payload...), '}')
}

func (n *native) take(c *Client, p []byte) error {
	switch {
	case bytes.HasPrefix(p, []byte(`{"msg":`)):
		if c.opts.Keep {
			n.pos = string(member(p, "pos"))
		}
		if found, err := c.events(p); err != nil || found != 1 {
			return orUnexpected(err, p)
		}
		return nil
	case bytes.HasPrefix(p, []byte(`{"hi":`)), bytes.HasPrefix(p, []byte(`{"ok":"sub"`)) && !bytes.Contains(p, []byte(`"gap"`)):
		c.confirm()
		return nil
	case bytes.HasPrefix(p, []byte(`{"ok":`)):
		id, rest := number(p[len(`{"ok":`):])
		if id == 0 || !bytes.HasPrefix(rest, []byte(`,"pos":`)) {
			return unexpected(p)
		}
		c.acked(id)
		return nil
	case bytes.HasPrefix(p, []byte(`{"live":`)):
		return nil
	}
	return unexpected(p)
}

func (n *native) cursor() Cursor { return Cursor{offset: n.pos} }

func orUnexpected(err error, p []byte) error {
	if err != nil {
		return err
	}
	return unexpected(p)
}
