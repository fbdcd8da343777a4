package driver

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/jetway-io/jetway/bench/wire"
)

// natsWire is the protocol of NATS itself with JetStream: publishing is a request
// to a stream, a subscription an ordered push consumer, made as nats.go makes
// one. It runs over nats-server's WebSocket, or without one.
type natsWire struct {
	bare  bool
	inbox string
	carry []byte // the beginning of what has not arrived whole
	seq   string // in the stream, of the last event
}

// Subscriptions: of answers, and of events.
const (
	sidAnswers = '1'
	sidEvents  = '2'
)

var inboxes atomic.Int64

func newNATS(bare bool) *natsWire {
	return &natsWire{bare: bare, inbox: fmt.Sprintf("_INBOX.%d.%d.", os.Getpid(), inboxes.Add(1))}
}

func (n *natsWire) dial(addr string, o wire.Options) (*wire.Conn, error) {
	if n.bare {
		return wire.DialBare(addr, o)
	}
	return wire.Dial(addr, "/", "", o)
}

// enter: the server's PONG is the welcome.
func (n *natsWire) enter(c *Client, _ *Cursor) error {
	return c.conn.Write([]byte(`CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1,"lang":"go","version":"1"}` + "\r\n" +
		"SUB " + n.inbox + "a.* 1\r\nSUB " + n.inbox + "events 2\r\nPING\r\n"))
}

// ordered is the configuration of nats.go's ordered push consumer.
const ordered = `{"stream_name":"EVENTS","config":{"name":"%[1]s","deliver_subject":"%[2]sevents",%[3]s,"ack_policy":"none","max_deliver":1,` +
	`"ack_wait":79200000000000,"filter_subject":"%[4]s","replay_policy":"instant","flow_control":true,"idle_heartbeat":5000000000,"num_replicas":1,"mem_storage":true,` +
	`"inactive_threshold":300000000000}}`

func (n *natsWire) subscribe(c *Client, subject string, from *Cursor) error {
	start := `"deliver_policy":"new"`
	if from != nil {
		after, _ := number([]byte(from.offset))
		start = fmt.Sprintf(`"deliver_policy":"by_start_sequence","opt_start_seq":%d`, after+1)
	}
	name := fmt.Sprintf("bench-%d-%d", os.Getpid(), inboxes.Add(1))
	request := fmt.Sprintf(ordered, name, n.inbox, start, subject)
	return c.conn.Write(fmt.Appendf(nil, "PUB $JS.API.CONSUMER.CREATE.EVENTS.%s.%s %sa.created %d\r\n%s\r\n", name, subject, n.inbox, len(request), request))
}

func (n *natsWire) publish(dst []byte, id int64, subject string, payload []byte) []byte {
	dst = append(append(append(dst, "PUB "...), subject...), ' ')
	dst = strconv.AppendInt(append(append(dst, n.inbox...), "a."...), id, 10)
	dst = strconv.AppendInt(append(dst, ' '), int64(len(payload)), 10)
	return append(append(append(dst, "\r\n"...), payload...), "\r\n"...)
}

// take understands the operations in p, of which the last one may be cut off.
func (n *natsWire) take(c *Client, p []byte) error {
	if len(n.carry) > 0 {
		n.carry = append(n.carry, p...)
		p = n.carry
	}
	for {
		rest, err := n.operation(c, p)
		if err != nil {
			return err
		}
		if len(rest) == len(p) {
			break
		}
		p = rest
	}
	n.carry = append(n.carry[:0], p...)
	return nil
}

// operation understands the first one, and returns what follows: everything,
// if it is not whole.
func (n *natsWire) operation(c *Client, p []byte) ([]byte, error) {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return p, nil
	}
	line, rest := bytes.TrimSuffix(p[:end], []byte{'\r'}), p[end+1:]
	verb, args, _ := bytes.Cut(line, []byte{' '})
	switch string(verb) {
	case "MSG", "HMSG":
		size, _ := number(args[bytes.LastIndexByte(args, ' ')+1:])
		if int64(len(rest)) < size+2 {
			return p, nil
		}
		return rest[size+2:], n.message(c, string(verb) == "HMSG", args, rest[:size])
	case "PING":
		return rest, c.conn.Write([]byte("PONG\r\n"))
	case "PONG":
		c.confirm()
		return rest, nil
	case "INFO", "+OK":
		return rest, nil
	}
	return rest, unexpected(line)
}

// message is one for a subscription: subject, sid, reply if any, and sizes.
func (n *natsWire) message(c *Client, headed bool, args, payload []byte) error {
	subject, rest, _ := bytes.Cut(args, []byte{' '})
	if len(rest) == 0 {
		return unexpected(args)
	}
	switch {
	case rest[0] == sidEvents && headed:
		return n.status(c, rest, payload)
	case rest[0] == sidEvents:
		if c.opts.Keep {
			n.seq = sequence(rest)
		}
		if found, err := c.events(payload); err != nil || found != 1 {
			return orUnexpected(err, payload)
		}
		return nil
	case rest[0] != sidAnswers || headed || bytes.Contains(payload, []byte(`"error":`)):
		return unexpected(append(bytes.Clone(args), payload...))
	}
	id, _ := number(subject[len(n.inbox)+2:])
	if id == 0 {
		c.confirm()
	} else {
		c.acked(id)
	}
	return nil
}

// status is a heartbeat, or asks how far the client is.
func (n *natsWire) status(c *Client, rest, headers []byte) error {
	if !bytes.HasPrefix(headers, []byte("NATS/1.0 100")) {
		return unexpected(headers)
	}
	fields := bytes.Fields(rest) // sid, reply if any, and two sizes
	if len(fields) == 4 {
		return c.conn.Write(fmt.Appendf(nil, "PUB %s 0\r\n\r\n", fields[1]))
	}
	return nil
}

// sequence is the sixth token of a reply such as
// $JS.ACK.EVENTS.consumer.1.SEQUENCE.7.1700000000.0 (ADR-15).
func sequence(rest []byte) string {
	_, reply, _ := bytes.Cut(rest, []byte{' '})
	tokens := bytes.Split(reply, []byte{'.'})
	if len(tokens) < 7 {
		return ""
	}
	return string(tokens[5])
}

func (n *natsWire) cursor() Cursor { return Cursor{offset: n.seq} }
