package native

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
)

// maxBadFrames is how many bad frames in a row close a connection.
const maxBadFrames = 10

// Times of a session's end.
const (
	byeTimeout  = 5 * time.Second // to write the last frames
	retryMost   = 5 * time.Second // how far apart a restart spreads its clients
	retryAtBest = 500 * time.Millisecond
)

// Options configures sessions. All fields are required unless said otherwise.
type Options struct {
	Bridge           *bridge.Bridge
	Logger           *slog.Logger
	User             string              // who is connected
	Permissions      *bridge.Permissions // nil: not without a token
	MaxMessageBytes  int                 // as the connection enforces it; told to the client
	MaxSubscriptions int                 // of one client
	PublishRate      float64             // messages per second; bursts of one second
	PingInterval     time.Duration       // between two pings of the server
	Dedupe           time.Duration       // told to the client
	Address          string              // where the client is, for the log
}

// Session is one client that speaks jetway.v1. [Session.Run] reads it; events
// are written by the client's writer, see [bridge.Client].
type Session struct {
	// Static after New.
	opts   Options
	conn   *websock.Conn
	client *bridge.Client
	logger *slog.Logger

	// Owned by Run.
	limit *rate.Limiter
	bad   int // bad frames in a row

	mu     sync.Mutex
	closed bool
	pinger *time.Timer
}

// New makes a session on a connection; it owns both from now on.
func New(conn *websock.Conn, opts Options) *Session {
	s := &Session{opts: opts, conn: conn, logger: opts.Logger.With("client", opts.Address, "user", opts.User)}
	s.limit = rate.NewLimiter(rate.Limit(opts.PublishRate), int(opts.PublishRate)+1)
	perms := bridge.Permissions{}
	if opts.Permissions != nil {
		perms = *opts.Permissions
	}
	s.client = opts.Bridge.Connect(bridge.ClientOptions{
		User:             opts.User,
		Permissions:      perms,
		Encoder:          Encoder{},
		Transport:        conn,
		MaxSubscriptions: opts.MaxSubscriptions,
		Failed:           func(error) { conn.Close() },
	})
	conn.OnPing = func(payload []byte) {
		s.client.Reply(func(out *bridge.Output) { websock.AppendPong(out, payload) })
	}
	return s
}

// Run serves the client until it leaves, misbehaves or is told to go. It
// returns when nothing of the session is left.
func (s *Session) Run() {
	defer s.close()
	s.hello()
	if s.opts.Permissions == nil {
		s.Bye(websock.CodeUnauthenticated, "a token is needed, and this release takes none: let anonymous clients in (auth.anonymous)", false)
		return
	}
	for {
		msg, text, err := s.conn.ReadMessage()
		if err != nil {
			s.readFailed(err)
			return
		}
		if s.client.Ready() != nil {
			return
		}
		if !s.handle(msg, text) {
			return
		}
	}
}

// hello sends the first frame and starts the pings.
func (s *Session) hello() {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand
	s.text(func(dst []byte) []byte {
		return AppendHi(dst, &Hi{
			Session:         hex.EncodeToString(id[:]),
			User:            s.opts.User,
			Ping:            s.opts.PingInterval,
			MaxMessageBytes: s.opts.MaxMessageBytes,
			Dedupe:          s.opts.Dedupe,
		})
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinger = time.AfterFunc(s.opts.PingInterval, s.ping)
}

// ping asks the client for a sign of life. The connection's own read deadline
// ends those that give none.
func (s *Session) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.client.Reply(func(out *bridge.Output) { websock.AppendPing(out, nil) })
	s.pinger.Reset(s.opts.PingInterval)
}

// text queues one text frame.
func (s *Session) text(fn func(dst []byte) []byte) {
	s.client.Reply(func(out *bridge.Output) { appendText(out, fn) })
}

// appendText appends one text frame; answers are small and built on the stack.
func appendText(out *bridge.Output, fn func(dst []byte) []byte) {
	var frame [tailBytes]byte
	websock.AppendText(out, fn(frame[:0]))
}

// readFailed ends the session for what the client sent, where it is at fault.
func (s *Session) readFailed(err error) {
	var bad *websock.ProtocolError
	if errors.As(err, &bad) {
		s.Bye(bad.Code, bad.Reason, false)
	}
	s.logger.Debug("client left", "error", err)
}

// Bye tells the client that the server is about to close, closes, and returns
// when it has been written, or after a few seconds. With retry it is told when
// to come back, each client at another moment.
func (s *Session) Bye(code websock.Code, why string, retry bool) {
	bye := Bye{Code: int(code), Why: why}
	if retry {
		bye.Retry = (retryAtBest + mrand.N(retryMost)).Round(time.Millisecond)
	}
	s.client.Reply(func(out *bridge.Output) {
		appendText(out, func(dst []byte) []byte { return AppendBye(dst, bye) })
		websock.AppendClose(out, code, why)
	})
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	if s.client.Flush(ctx) != nil {
		s.logger.Debug("client did not take its bye")
	}
	s.conn.Close()
}

func (s *Session) close() {
	s.mu.Lock()
	s.closed = true
	if s.pinger != nil {
		s.pinger.Stop()
	}
	s.mu.Unlock()
	s.conn.Close()
	s.client.Close()
}

// handle does what one message asks for. It returns false when the session is
// over.
func (s *Session) handle(msg []byte, text bool) bool {
	f, err := parse(msg, text)
	if err == nil {
		err = s.verb(f)
	}
	var e *bridge.Error
	if err != nil {
		e = s.refuse(f, err)
	}
	if e == nil || e.Code != bridge.CodeBadFrame && e.Code != bridge.CodeUnknownVerb {
		s.bad = 0
		return true
	}
	if s.bad++; s.bad < maxBadFrames {
		return true
	}
	s.Bye(websock.CodeBadFrames, fmt.Sprintf("%d bad frames in a row", maxBadFrames), false)
	return false
}

// parse reads a message. It copies it: what is published must outlive the
// connection's buffer, and one copy costs less than one for each part.
func parse(msg []byte, text bool) (*Frame, error) {
	f := &Frame{}
	if !text {
		return f, &bridge.Error{Code: bridge.CodeBadFrame, Msg: "a binary message", Hint: `send text: one JSON object; bytes go into "b64"`}
	}
	return f, Parse(append([]byte(nil), msg...), f)
}

// refuse answers with an error.
func (s *Session) refuse(f *Frame, err error) *bridge.Error {
	e := bridge.ErrorOf(err)
	if e.Code == bridge.CodeInternal {
		s.logger.Error("request failed", "verb", f.Verb.String(), "error", err)
	}
	s.opts.Bridge.Stats().Refused.Add(e.Code)
	s.text(func(dst []byte) []byte { return AppendErr(dst, f.Ref(), e) })
	return e
}
