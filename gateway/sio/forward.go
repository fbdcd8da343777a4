package sio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// A polling client has no connection that stays: each of its requests may reach
// another gateway. The sid says which one has the session, and the others pass
// the request on over the broker, so that load balancers need no stickiness.

// forwardTimeout is how long a forwarded request may take: a poll lasts for a
// ping interval.
const forwardTimeout = time.Minute

// Forwarder passes requests on to the gateways that have their sessions, and
// serves those that others pass on.
type Forwarder struct {
	// Node names this gateway in the sids of its sessions: one valid token
	// without dashes.
	Node string

	Gateways bridge.Gateways
	Local    http.Handler // serves what others pass on
	MaxBytes int          // of a request's body
}

// SID makes the id of a new session.
func (f *Forwarder) SID() string { return f.Node + "-" + randomID() }

// nodeOf is the gateway that a sid names.
func nodeOf(sid string) (node string, ok bool) {
	node, _, ok = strings.Cut(sid, "-")
	return node, ok && bridge.ValidName(node) == nil
}

// passedHeaders are those that engineio looks at, and who asks for tokens.
var passedHeaders = []string{"Origin", "Content-Type", "Accept-Encoding", "Access-Control-Request-Method", "Access-Control-Request-Headers", "Sec-Fetch-Site", "Cookie", "Authorization"}

// passed is a request or an answer on its way between gateways: its head as
// JSON, a line break, and the body.
type passed struct {
	Method string      `json:"method,omitempty"`
	Path   string      `json:"path,omitempty"`
	Query  string      `json:"query,omitempty"`
	Remote string      `json:"remote,omitempty"`
	Host   string      `json:"host,omitempty"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`

	body []byte
}

func (p *passed) encode() []byte {
	head, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings always marshal
	}
	return append(append(head, '\n'), p.body...)
}

func decodePassed(b []byte) (*passed, error) {
	head, body, ok := bytes.Cut(b, []byte{'\n'})
	p := &passed{body: body}
	if !ok {
		return nil, fmt.Errorf("sio: a passed request without a head")
	}
	return p, json.Unmarshal(head, p)
}

// ServeHTTP passes a request with a sid that is not ours on to whose it is. The
// answer to one that is nobody's is that of the reference.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	node, ok := nodeOf(r.URL.Query().Get("sid"))
	if !ok || node == f.Node {
		unknownSID(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(f.MaxBytes)))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	p := &passed{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Remote: r.RemoteAddr, Host: r.Host, Header: http.Header{}, body: body}
	for _, name := range passedHeaders {
		if v := r.Header.Values(name); len(v) > 0 {
			p.Header[name] = v
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), forwardTimeout)
	defer cancel()
	answer, err := f.Gateways.AskGateway(ctx, node, p.encode())
	if err == nil {
		p, err = decodePassed(answer)
	}
	if err != nil {
		unknownSID(w) // that gateway is gone, and the session with it
		return
	}
	for name, values := range p.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.body) // the client may be gone
}

// unknownSID is Engine.IO's error 1.
func unknownSID(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"code":1,"message":"Session ID unknown"}`) // the client may be gone
}

// Serve answers what other gateways pass on, until stop is called.
func (f *Forwarder) Serve() (stop func(), err error) {
	return f.Gateways.ServeGateway(f.Node, func(ctx context.Context, request []byte) []byte {
		p, err := decodePassed(request)
		if err != nil {
			return (&passed{Status: http.StatusBadRequest}).encode()
		}
		w := &answer{header: http.Header{}}
		f.Local.ServeHTTP(w, p.request(ctx))
		return (&passed{Status: max(w.status, http.StatusOK), Header: w.header, body: w.body.Bytes()}).encode()
	})
}

// request is the request that was passed on.
func (p *passed) request(ctx context.Context) *http.Request {
	r := &http.Request{
		Method: p.Method, URL: &url.URL{Path: p.Path, RawQuery: p.Query}, Header: p.Header, Host: p.Host, RemoteAddr: p.Remote,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(p.body)), ContentLength: int64(len(p.body)),
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return r.WithContext(ctx)
}

// answer collects what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
