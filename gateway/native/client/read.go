package client

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/websock"
)

// read takes the server's frames until the connection ends, and is the only
// one that hands them out.
func (c *Client) read() {
	defer close(c.ended)
	var buf bytes.Buffer
	var err error
	for err == nil {
		err = c.readOne(&buf)
	}
	c.mu.Lock()
	c.err = c.ending(err)
	err = c.err
	calls, subs := c.calls, c.subs
	c.calls, c.subs = make(map[uint64]*call), make(map[string]*Sub)
	c.mu.Unlock()
	close(c.done)
	for _, w := range calls {
		<-c.slots
		w.answer(nil, err)
	}
	for _, s := range subs {
		s.leave()
	}
	c.cork.stop()
	_ = c.ws.Close() // closed already
}

func (c *Client) readOne(buf *bytes.Buffer) error {
	_, r, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	buf.Reset()
	if _, err := buf.ReadFrom(r); err != nil {
		return err
	}
	c.wait()
	b := bytes.Clone(buf.Bytes()) // events are views of it
	if c.opts.Raw {
		select {
		case c.frames <- b:
		case <-c.stop:
		}
		return nil
	}
	f := new(native.Received)
	if err := native.ParseReceived(b, f); err != nil {
		return fmt.Errorf("the server sent %.100q: %w", b, err)
	}
	c.handle(f)
	return nil
}

// wait waits while the client is paused.
func (c *Client) wait() {
	c.mu.Lock()
	gate := c.gate
	c.mu.Unlock()
	if gate == nil {
		return
	}
	select {
	case <-gate:
	case <-c.stop:
	}
}

func (c *Client) handle(f *native.Received) {
	switch f.Kind {
	case native.KindOK, native.KindErr:
		c.handleAnswer(f)
	case native.KindEvent, native.KindJob, native.KindLive, native.KindGap, native.KindEnd:
		c.mu.Lock()
		s := c.subs[f.SID]
		if s != nil && f.Kind == native.KindEnd {
			delete(c.subs, f.SID)
		}
		c.mu.Unlock()
		if s != nil {
			s.put(messageOf(f))
			if f.Kind == native.KindEnd {
				s.leave()
			}
		}
	case native.KindLost:
		c.handleLost(f)
	case native.KindExpiring:
		c.opts.OnExpiring(f.Expires, f.In)
	case native.KindBye:
		c.mu.Lock()
		c.bye = &ClosedError{Code: websock.Code(f.Code), Why: f.Why, Retry: f.Retry}
		c.mu.Unlock()
	}
}

func (c *Client) handleAnswer(f *native.Received) {
	id, err := strconv.ParseUint(f.Ref, 10, 64)
	var w *call
	if err == nil {
		w = c.take(id)
	}
	switch {
	case w == nil && f.Kind == native.KindErr:
		c.opts.OnError(f.Err)
	case w == nil: // its caller did not wait
		c.dropSub(f)
	case f.Kind == native.KindErr:
		w.answer(nil, f.Err)
	default:
		if w.sub != nil {
			// Here, not by the caller: the first event may be the next frame.
			w.sub.begin(f)
			c.mu.Lock()
			c.subs[f.SID] = w.sub
			c.mu.Unlock()
		}
		w.answer(f, nil)
	}
}

// dropSub ends a subscription whose caller has given up before its answer came.
func (c *Client) dropSub(f *native.Received) {
	if f.SID != "" {
		_ = c.write(native.AppendFrame(nil, &native.Frame{Verb: native.VerbOff, Text: f.SID})) // then all is over anyway
	}
}

// handleLost tells the workers: the frame does not say whose lease it was.
func (c *Client) handleLost(f *native.Received) {
	c.mu.Lock()
	var workers []*Sub
	for _, s := range c.subs {
		if s.work {
			workers = append(workers, s)
		}
	}
	c.mu.Unlock()
	for _, s := range workers {
		s.put(messageOf(f))
	}
}
