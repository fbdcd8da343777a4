package driver

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/jetway-io/jetway/bench/wire"
)

// centrifuge is the JSON protocol of github.com/centrifugal/centrifuge: one or
// more lines of JSON in a message. Publishing begins with id 3.
type centrifuge struct {
	epoch  string
	offset string
}

func (*centrifuge) dial(addr string, o wire.Options) (*wire.Conn, error) {
	return wire.Dial(addr, "/connection/websocket", "centrifuge-json", o)
}

func (*centrifuge) enter(c *Client, _ *Cursor) error {
	return c.conn.Write([]byte(`{"id":1,"connect":{}}`))
}

func (*centrifuge) subscribe(c *Client, subject string, from *Cursor) error {
	if from == nil {
		return c.conn.Write([]byte(`{"id":2,"subscribe":{"channel":"` + subject + `"}}`))
	}
	return c.conn.Write(fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"%s","recover":true,"epoch":"%s","offset":%s}}`, subject, from.session, from.offset))
}

func (*centrifuge) publish(dst []byte, id int64, subject string, payload []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"id":`...), id+2, 10)
	dst = append(append(dst, `,"publish":{"channel":"`...), subject...)
	return append(append(append(dst, `","data":`...), payload...), "}}"...)
}

func (f *centrifuge) take(c *Client, p []byte) error {
	for len(p) > 0 {
		var line []byte
		line, p, _ = bytes.Cut(p, []byte{'\n'})
		if err := f.line(c, line); err != nil {
			return err
		}
	}
	return nil
}

func (f *centrifuge) line(c *Client, line []byte) error {
	switch {
	case bytes.HasPrefix(line, []byte(`{"push":`)):
		if c.opts.Keep {
			f.offset = string(member(line, "offset"))
		}
		if found, err := c.events(line); err != nil || found != 1 {
			return orUnexpected(err, line)
		}
		return nil
	case bytes.HasPrefix(line, []byte(`{"id":`)):
		id, rest := number(line[len(`{"id":`):])
		return f.reply(c, id, line, rest)
	case len(line) == 0:
		return nil
	case string(line) == "{}": // a ping
		return c.conn.Write([]byte("{}"))
	}
	return unexpected(line)
}

// reply is the answer to a command.
func (f *centrifuge) reply(c *Client, id int64, line, rest []byte) error {
	switch {
	case id > 2 && bytes.HasPrefix(rest, []byte(`,"publish":`)):
		c.acked(id - 2)
		return nil
	case id == 1 && bytes.HasPrefix(rest, []byte(`,"connect":`)):
		c.confirm()
		return nil
	case id == 2 && bytes.HasPrefix(rest, []byte(`,"subscribe":`)):
		if c.opts.From != nil && !bytes.Contains(rest, []byte(`"recovered":true`)) {
			return fmt.Errorf("not recovered: %.300q", rest)
		}
		f.epoch = string(member(rest, "epoch"))
		c.confirm()
		_, err := c.events(rest)
		return err
	}
	return unexpected(line)
}

func (f *centrifuge) cursor() Cursor { return Cursor{session: f.epoch, offset: f.offset} }
