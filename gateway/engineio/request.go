package engineio

import (
	"crypto/tls"
	"net/http"
	"net/url"
)

// Request is what is known of the request that opened a session. Nothing of it
// changes; it must not be changed.
type Request struct {
	Header     http.Header
	Host       string
	Path       string
	Query      url.Values
	RemoteAddr string               // of the HTTP request: host:port of the other end of the connection, unless somebody in between knew better
	TLS        *tls.ConnectionState // nil without TLS
}

func newRequest(r *http.Request, query url.Values) *Request {
	return &Request{Header: r.Header, Host: r.Host, Path: r.URL.Path, Query: query, RemoteAddr: r.RemoteAddr, TLS: r.TLS}
}
