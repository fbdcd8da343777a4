package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
)

// stockMember is a connection of a member that speaks Socket.IO.
type stockMember struct {
	ws   *websocket.Conn
	gone chan struct{} // closed when nothing more is read

	mu      sync.Mutex // guards what follows, and one writes at a time
	ids     int
	answers map[int]func(error)
}

func (m *member) visitStock() error {
	dialer := websocket.Dialer{NetDialContext: dialFrom(m.address), HandshakeTimeout: 30 * time.Second}
	ws, answer, err := dialer.DialContext(m.crowd.ctx, "ws://"+m.crowd.target+pathSocketIO, nil)
	if err != nil && answer != nil {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1000)) // as much as there is
		if strings.Contains(string(body), "not ready") {
			return fmt.Errorf("%w: %s", errExcusable, body)
		}
		return fmt.Errorf("%w: %s", err, body)
	}
	if err != nil {
		return err
	}
	defer ws.Close()
	defer context.AfterFunc(m.crowd.ctx, func() { _ = ws.Close() })()
	c := &stockMember{ws: ws, gone: make(chan struct{}), answers: map[int]func(error){}}
	begun, err := m.join(c)
	if err != nil {
		return err
	}
	ended := m.writeOver(c.gone, func(data []byte, key string, answered func(error)) {
		if key == "" {
			c.emit(m.room, string(data), answered)
		} else {
			c.emit("jetway:pub", fmt.Sprintf(`{"pub":%q,"data":%s,"key":%q}`, m.room, data, key), answered)
		}
	})
	defer ended()
	defer c.end()
	if err := ws.SetReadDeadline(time.Now().Add(m.stay())); err != nil {
		return err
	}
	for {
		name, args, err := c.next()
		switch {
		case m.role.leaves && isTimeout(err):
			return nil
		case err != nil:
			return err
		case name == m.room && len(args) == 2: // the event, and where it is
			var pos string
			if err := json.Unmarshal(args[1], &pos); err != nil {
				return err
			}
			if err := m.take(args[0], pos, begun); err != nil {
				return err
			}
		case name != "":
			return fmt.Errorf("unexpected %q %.200q", name, args)
		}
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// join enters the namespace: the first time it subscribes to its room, later
// its session is recovered, which includes that.
func (m *member) join(c *stockMember) (begun time.Duration, err error) {
	if err := c.ws.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	ask, err := json.Marshal(struct {
		Token  string `json:"token"`
		PID    string `json:"pid,omitempty"`
		Offset string `json:"offset,omitempty"`
	}{m.token, m.pid, m.pos})
	if err == nil {
		err = c.write("40" + string(ask))
	}
	if err != nil {
		return 0, err
	}
	var reply struct{ PID string }
	for reply.PID == "" {
		text, err := c.read()
		switch {
		case err != nil:
			return 0, err
		case strings.HasPrefix(text, "44"):
			if strings.Contains(text, `"unavailable"`) {
				return 0, fmt.Errorf("%w: %s", errExcusable, text)
			}
			return 0, fmt.Errorf("the namespace is refused: %s", text)
		case !strings.HasPrefix(text, "40"):
			continue
		}
		if err := json.Unmarshal([]byte(text[2:]), &reply); err != nil || reply.PID == "" {
			return 0, fmt.Errorf("%w: no session: %s", errExcusable, text)
		}
	}
	begun = m.crowd.now()
	if m.pid != "" {
		if reply.PID != m.pid {
			return 0, errors.New("the session is not recovered")
		}
		return begun, nil
	}
	answered := make(chan error, 1)
	c.emit("jetway:sub", fmt.Sprintf(`{"sub":%q}`, m.room), func(err error) { answered <- err })
	for {
		name, args, err := c.next()
		if err != nil {
			return 0, err
		}
		select {
		case err := <-answered:
			if err == nil { // else its session does not have the room
				m.pid = reply.PID
				m.joined()
			}
			return m.crowd.now(), err
		default:
		}
		if name != "" {
			return 0, fmt.Errorf("unexpected %q %.200q", name, args)
		}
	}
}

func (c *stockMember) write(packet string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws.WriteMessage(websocket.TextMessage, []byte(packet))
}

// read returns the next packet that is no ping.
func (c *stockMember) read() (string, error) {
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return "", err
		}
		if string(text) != "2" {
			return string(text), nil
		}
		if err := c.write("3"); err != nil {
			return "", err
		}
	}
}

// next takes a packet, and returns the event in it, if it is one.
func (c *stockMember) next() (name string, args []json.RawMessage, err error) {
	text, err := c.read()
	if err != nil || len(text) < 2 {
		return "", nil, err
	}
	rest := strings.TrimLeft(text[2:], "0123456789")
	if text[1] == '2' || text[1] == '3' {
		if err := json.Unmarshal([]byte(rest), &args); err != nil {
			return "", nil, fmt.Errorf("%.200q: %w", text, err)
		}
	}
	switch text[:2] {
	case "42":
		err := json.Unmarshal(args[0], &name)
		return name, args[1:], err
	case "43":
		id, _ := strconv.Atoi(text[2 : len(text)-len(rest)])
		c.answered(id, args)
		return "", nil, nil
	}
	return "", nil, fmt.Errorf("unexpected %.200q", text)
}

// emit sends an event that wants an acknowledgement.
func (c *stockMember) emit(name, argument string, answered func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	c.answers[c.ids] = answered
	if err := c.ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `42%d[%q,%s]`, c.ids, name, argument)); err != nil {
		delete(c.answers, c.ids)
		go answered(err) // it may want what is held here
	}
}

func (c *stockMember) answered(id int, args []json.RawMessage) {
	c.mu.Lock()
	answered := c.answers[id]
	delete(c.answers, id)
	c.mu.Unlock()
	if answered == nil {
		return
	}
	var result struct {
		OK   bool
		Code bridge.Code
	}
	switch {
	case len(args) != 1 || json.Unmarshal(args[0], &result) != nil:
		answered(fmt.Errorf("answered with %.200q", args))
	case !result.OK:
		answered(&bridge.Error{Code: result.Code, Msg: string(args[0])})
	default:
		answered(nil)
	}
}

// end answers what will have no answer any more.
func (c *stockMember) end() {
	_ = c.ws.Close()
	close(c.gone)
	c.mu.Lock()
	left := c.answers
	c.answers = map[int]func(error){}
	c.mu.Unlock()
	for _, answered := range left {
		answered(fmt.Errorf("%w: the connection has ended", errExcusable))
	}
}
