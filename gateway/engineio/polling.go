package engineio

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// noopDelay is how long a poll that comes during an upgrade is kept before a
// noop ends it. The client is about to say that the upgrade is complete, and
// what it sends on two connections may arrive in another order. The reference
// looks every 100 ms.
const noopDelay = 100 * time.Millisecond

// poll is a GET that waits for something to take away.
type poll struct {
	wake chan struct{} // of capacity 1

	// Guarded by the session's mu.
	last    []byte // ends the poll: a packet after what waits
	refused *Error // ends the poll with nothing
}

func (p *poll) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // it has been told
	}
}

// servePoll answers a GET.
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) *Error {
	// A poll may take longer than a server lets requests take. That its client
	// has gone is seen by the heartbeat.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not all can
	p, refused := s.startPoll()
	switch {
	case refused == nil:
	case refused.Code == CodeUnknownSID && s.server.serveLast(w, r, s.id): // it has ended since it was found
		return nil
	default:
		return refused
	}
	for {
		body, refused, ready := s.pollAnswer(p)
		switch {
		case refused != nil:
			return refused
		case ready:
			if err := s.server.answerPoll(w, r, body); err != nil {
				s.end(endUnwritable)
			}
			return nil
		}
		select {
		case <-p.wake:
		case <-r.Context().Done():
			s.end(endAborted)
			return nil
		}
	}
}

// startPoll makes the GET the one that waits, of which there is only one.
func (s *Session) startPoll() (*poll, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkHeartLocked()
	switch {
	case s.closed:
		return nil, refusal(CodeUnknownSID)
	case s.conn != nil:
		return nil, refusal(CodeBadRequest)
	case s.poll != nil:
		s.endLocked(endOverlap)
		return nil, refusal(CodeBadRequest)
	}
	p := &poll{wake: make(chan struct{}, 1)}
	s.poll = p
	if s.probed {
		time.AfterFunc(noopDelay, func() { s.endPoll(p) })
	}
	return p, nil
}

// endPollLocked ends a poll with a packet, unless it has ended.
func (s *Session) endPollLocked(p *poll, t PacketType) {
	if s.poll == p && p != nil && p.last == nil {
		p.last = Packet{Type: t}.Append(nil)
		p.signal()
	}
}

// pollAnswer returns what a poll is to be answered with, if anything.
func (s *Session) pollAnswer(p *poll) (body []byte, refused *Error, ready bool) {
	s.mu.Lock()
	if p.refused != nil || s.pending == nil && p.last == nil {
		defer s.mu.Unlock()
		return nil, p.refused, false
	}
	out := s.pending
	s.pending, s.poll = nil, nil
	s.takenLocked()
	s.mu.Unlock()

	defer recycle(out)
	body, err := payloadOf(out, p.last)
	if err != nil {
		s.end(endUnwritable)
		return nil, &Error{Code: CodeBadRequest, Message: "Internal error", status: http.StatusInternalServerError}, false
	}
	return body, nil, true
}

// endPollingLocked ends the poll that waits, and returns what the next ones are
// to get.
//
// A close packet has a poll of its own: the stock client puts off the messages
// of a payload to the next tick, and the close packet it obeys at once, after
// which it drops them.
func (s *Session) endPollingLocked(e ending) (last [][]byte) {
	s.takenLocked()
	packet := Packet{Type: e.packet}.Append(nil)
	alone := e.later && e.packet == PacketClose && s.pending != nil
	if s.poll != nil {
		if alone {
			s.poll.signal() // pending is for it
			return [][]byte{packet}
		}
		s.endPollLocked(s.poll, e.packet)
		return nil
	}
	out := s.pending
	s.pending = nil
	defer recycle(out)
	switch {
	case !e.later:
		return nil
	case !alone:
		return payloads(out, packet)
	}
	return append(payloads(out, nil), packet)
}

// payloads returns the payload of frames and a packet after them, or nothing
// when the frames are none: a fault of whoever wrote them, and the session is
// over anyway.
func payloads(out *bridge.Output, last []byte) [][]byte {
	payload, err := payloadOf(out, last)
	if err != nil {
		return nil
	}
	return [][]byte{payload}
}

// servePost answers a POST.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) *Error {
	// It is over before it is answered: the next may come at once.
	if refused := s.handlePost(w, r); refused != nil {
		return refused
	}
	// text/html is the reference's: some browsers would download plain text.
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store")
	_ = s.server.respond(w, http.StatusOK, []byte("ok")) // its heartbeat shows whether the client is there
	return nil
}

// handlePost reads a POST and does what it asks for.
func (s *Session) handlePost(w http.ResponseWriter, r *http.Request) *Error {
	if refused := s.startPost(); refused != nil {
		return refused
	}
	defer s.endPost()
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/octet-stream" {
		s.end(endBinary)
		return refusal(CodeBadRequest)
	}
	body, err := s.readBody(w, r)
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return errTooBig
	case err != nil:
		s.end(endAborted)
		return refusal(CodeBadRequest)
	}
	return s.receivePayload(body)
}

// startPost makes the POST the one that is served, of which there is only one.
func (s *Session) startPost() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return refusal(CodeUnknownSID)
	case s.conn != nil:
		return refusal(CodeBadRequest)
	case s.posting:
		s.endLocked(endOverlap)
		return refusal(CodeBadRequest)
	}
	s.posting = true
	return nil
}

func (s *Session) endPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posting = false
}

// readBody reads the body, but not further than the limit, whatever the length
// that the client told.
func (s *Session) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(s.server.opts.MaxHTTPBufferSize)
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.server.opts.MessageTimeout)) // not all can
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		// The handler may take longer. After an error it stays, for what
		// net/http does with the rest.
		_ = rc.SetReadDeadline(time.Time{})
	}
	return body, err
}

// receivePayload hands the packets of a POST to the session, in order, up to
// the first that is wrong or ends it.
func (s *Session) receivePayload(body []byte) *Error {
	s.handling.take()
	defer s.handling.pass()
	if refused := s.mayPost(); refused != nil {
		return refused
	}
	for p, err := range Packets(body, s.server.opts.MaxPackets) {
		if err != nil {
			s.end(endNoPacket)
			return refusal(CodeBadRequest)
		}
		s.pace.Wait()
		if !s.receive(p) {
			if p.Type == PacketPing {
				return refusal(CodeBadRequest)
			}
			return nil
		}
	}
	return nil
}

// mayPost tells whether a POST whose body has been read still counts.
func (s *Session) mayPost() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return refusal(CodeUnknownSID)
	case s.conn != nil:
		return refusal(CodeBadRequest)
	}
	return nil
}
