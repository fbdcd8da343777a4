package native

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/quota"
	"github.com/jetway-io/jetway/gateway/websock"
)

// maxBadFrames is how many bad frames in a row close a connection.
const maxBadFrames = 10

// Times of a session's end.
const (
	byeTimeout    = 5 * time.Second // to write the last frames
	finishTimeout = 2 * time.Second // for the client to close its side
	retryLeast    = 500 * time.Millisecond
	retrySpread   = 5 * time.Second // over which a restart spreads its clients
)

// Options configures sessions, many alike. All fields are required unless said
// otherwise. Static.
type Options struct {
	Bridge           *bridge.Bridge
	Logger           *slog.Logger
	Authenticate     func(ctx context.Context, token, address string) (*auth.Identity, error)
	AuthTimeout      time.Duration                       // for a client without identity to send auth
	AuthRefused      func(auth.Reason)                   // counts
	ExpiryWarning    func() time.Duration                // how long before the end of a token that begins now its client is warned; nil: not at all
	Current          func(*auth.Identity) *auth.Identity // who a client is by the rules as they are now, as for Renew; nil: they do not change
	MaxMessageBytes  int                                 // as the connection enforces it; told to the client
	MaxSubscriptions int                                 // of one client
	MaxInflight      int                                 // publishes and requests of one client without an answer
	PingInterval     time.Duration                       // between two pings of the server
	Dedupe           time.Duration                       // told to the client
}

// Handshake is what is known of a client when it has connected.
type Handshake struct {
	Identity *auth.Identity // who is connected; nil: nobody, until the client has said so
	Refused  error          // not nil: why the handshake was, of which the client is told
	Quota    *quota.Client  // what the client may ask for; nil: everything
	User     *quota.User    // who Identity is there; the session leaves for it
	Address  string         // where the client is
}

// Session is one client that speaks jetway.v1. [Session.Run] reads it; events
// are written by the client's writer, see [bridge.Client].
type Session struct {
	// Static after New.
	opts    *Options
	conn    *websock.Conn
	client  *bridge.Client
	quota   *quota.Client // nil without a bound
	address string

	// Owned by Run.
	refused error          // nil if the client was let in
	who     *auth.Identity // nil until it is known
	user    *quota.User    // the same; nil also while it is anonymous
	bad     int            // bad frames in a row

	// Set by answers to pub, whose faults only the bridge can see.
	misused atomic.Bool // a frame was refused as bad since Run last looked

	left  chan struct{}  // closed when Run reads no more
	done  chan struct{}  // closed when Run has ended
	tasks sync.WaitGroup // of expel; Add only while not closed

	permitting sync.Mutex // held while what the client may do changes; before mu
	expiry     auth.Expiry

	mu       sync.Mutex
	closed   bool
	expelled bool // because of its token
	pinger   *time.Timer
	limbo    *time.Timer    // ends a client that nobody knows; nil for all others
	id       *auth.Identity // nil until it is known
}

// New makes a session on a connection; it owns both from now on.
func New(conn *websock.Conn, opts *Options, h Handshake) *Session {
	s := &Session{opts: opts, conn: conn, quota: h.Quota, address: h.Address, refused: h.Refused, left: make(chan struct{}), done: make(chan struct{})}
	s.user = h.User
	var user string
	var perms *bridge.Permissions
	s.id = h.Identity
	if s.who = h.Identity; s.who != nil {
		user, perms = s.who.User, s.who.Permissions
	}
	s.client = opts.Bridge.Connect(bridge.ClientOptions{
		User:             user,
		Permissions:      perms,
		Encoder:          Encoder{},
		Transport:        conn,
		MaxSubscriptions: opts.MaxSubscriptions,
		MaxInflight:      opts.MaxInflight,
		Failed:           func(error) { _ = conn.Close() }, // ends the reading
	})
	conn.OnPing(func() { s.client.Reply(func(out *bridge.Output) { conn.AppendPong(out) }) })
	return s
}

// Run serves the client until it leaves, misbehaves or is told to go. It
// returns when nothing of the session is left.
func (s *Session) Run() {
	defer close(s.done)
	defer s.close()
	defer close(s.left)
	for more := websock.Aside(s.begin); more; {
		more = s.conn.Next(s.received)
	}
}

// begin greets the client. It returns false when the session is over.
func (s *Session) begin() bool {
	s.hello()
	err := s.refused
	if err == nil {
		err = s.await()
	}
	if err != nil {
		s.turnAway(err)
	}
	return err == nil
}

// received takes the next message, or the error that stands for it. It returns
// false when the session is over.
func (s *Session) received(msg []byte, text bool, err error) bool {
	switch {
	case err != nil:
		s.readFailed(err)
		return false
	case s.client.Ready() != nil:
		// The last frames are on their way, or nobody is there any more.
		s.flush()
		s.finish()
		return false
	case s.who == nil:
		return s.admit(msg, text)
	}
	return s.handle(msg, text)
}

// log is the session's: made when there is something to say.
func (s *Session) log() *slog.Logger {
	return s.opts.Logger.With("client", s.address, "user", s.client.User())
}

// hello sends the first frame and starts the pings.
func (s *Session) hello() {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand
	var expires time.Time
	if s.who != nil {
		expires = s.who.Expires
	}
	s.text(func(dst []byte) []byte {
		return AppendHi(dst, &Hi{
			Session:         hex.EncodeToString(id[:]),
			User:            s.client.User(),
			Expires:         expires,
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

// answers are built here, as a frame begins with its length. Most are small.
var answers = sync.Pool{New: func() any { return new(make([]byte, 0, tailBytes)) }}

// appendText appends one text frame.
func appendText(out *bridge.Output, fn func(dst []byte) []byte) {
	b := answers.Get().(*[]byte)
	text := fn((*b)[:0])
	websock.AppendText(out, text)
	if cap(text) <= 8*tailBytes {
		*b = text
	}
	answers.Put(b)
}

// readFailed ends the session after the client has closed it, broken the
// protocol, or gone.
func (s *Session) readFailed(err error) {
	s.log().Debug("client left", "reason", err)
	var peer *websock.PeerClosed
	code := websock.CloseCode(err)
	switch {
	case errors.As(err, &peer):
		s.client.Finish(func(out *bridge.Output) { websock.AppendClose(out, code, "") })
		s.flush()
		s.finish()
	case code == websock.CodeTooBig && s.who == nil:
		s.turnAway(early())
	case code != 0:
		s.bye(code, strings.TrimPrefix(err.Error(), "websock: "), 0)
	}
}

// say ends everything and queues the last frames: bye, and the close that
// follows it.
func (s *Session) say(code websock.Code, why string, retry time.Duration) {
	s.client.Finish(func(out *bridge.Output) {
		appendText(out, func(dst []byte) []byte { return AppendBye(dst, Bye{Code: int(code), Why: why, Retry: retry}) })
		websock.AppendClose(out, code, why)
	})
}

// flush waits until what was queued is written, and what was published
// answered, but not for ever.
func (s *Session) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	if s.client.Flush(ctx) != nil {
		s.log().Debug("the client did not take its last frames")
	}
}

func (s *Session) finish() { _ = s.conn.Finish(finishTimeout) } // it is over either way

// bye ends the session from the goroutine that reads.
func (s *Session) bye(code websock.Code, why string, retry time.Duration) {
	s.say(code, why, retry)
	s.flush()
	s.finish()
}

// Shutdown tells the client to come back a little later, each client at
// another moment, and returns when the session has ended or ctx has.
func (s *Session) Shutdown(ctx context.Context) {
	s.client.Settle(ctx)
	s.say(websock.CodeRestart, "the gateway restarts", jittered())
	if s.client.Flush(ctx) == nil {
		// Its own close frame is on its way; then Run ends by itself.
		left, cancel := context.WithTimeout(ctx, finishTimeout)
		defer cancel()
		select {
		case <-s.done:
			return
		case <-left.Done():
		}
	}
	_ = s.conn.Close() // Run sees it
	<-s.done
}

// jittered is when a client may come back.
func jittered() time.Duration {
	return (retryLeast + mrand.N(retrySpread)).Round(time.Millisecond)
}

// Discard is for a session that is not going to run.
func (s *Session) Discard() {
	s.close()
	close(s.done)
}

// close takes the session apart.
func (s *Session) close() {
	s.mu.Lock()
	s.closed = true
	for _, t := range []*time.Timer{s.pinger, s.limbo} {
		if t != nil {
			t.Stop()
		}
	}
	s.mu.Unlock()
	s.expiry.Stop()
	_ = s.conn.Close() // it may be closed already
	s.tasks.Wait()
	s.client.Close()
	s.user.Leave()
}

// handle does what one message asks for. It returns false when the session is
// over.
func (s *Session) handle(msg []byte, text bool) bool {
	f, err := parse(msg, text)
	if err == nil {
		err = s.verb(f)
	}
	if final := auth.Final(err); final != nil {
		s.turnAway(final)
		return false
	}
	if s.crowded(f, err) {
		return false
	}
	var e *bridge.Error
	if err != nil {
		e = s.refuse(f, err)
	}
	if s.tooFast() {
		return false
	}
	misused := s.misused.Swap(false)
	if !misused && (e == nil || e.Code != bridge.CodeBadFrame && e.Code != bridge.CodeUnknownVerb) {
		s.bad = 0
		return true
	}
	if s.bad++; s.bad < maxBadFrames {
		return true
	}
	s.bye(websock.CodeBadFrames, fmt.Sprintf("%d bad frames in a row", maxBadFrames), 0)
	return false
}

// tooFast ends the session of a client that goes on however often it is
// refused, and reports whether it does.
func (s *Session) tooFast() bool {
	if !s.quota.TooFast() {
		return false
	}
	s.bye(websock.CodeTooFast, "too much was refused, and more was sent: wait for retry", jittered())
	return true
}

// parse reads a message, which is the frame's own from now on.
func parse(msg []byte, text bool) (*Frame, error) {
	f := &Frame{}
	if !text {
		return f, &bridge.Error{Code: bridge.CodeBadFrame, Msg: "a binary message", Hint: `send text: one JSON object; bytes go into "b64"`}
	}
	return f, Parse(msg, f)
}

// refuse answers with an error.
func (s *Session) refuse(f *Frame, err error) *bridge.Error {
	e := bridge.ErrorOf(err)
	if errors.Is(err, bridge.ErrClosed) {
		return e // the client has gone meanwhile: no fault, and nobody to tell
	}
	if e.Code == bridge.CodeInternal {
		s.log().Error("request failed", "verb", f.Verb.String(), "error", err)
	}
	s.opts.Bridge.Stats().Refuse(e)
	s.quota.Refused() // tooFast looks at what comes of it
	s.text(func(dst []byte) []byte { return AppendErr(dst, f.Ref(), e) })
	return e
}
