package engineio

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// partBytes is how much of an answer may take up to WriteTimeout.
const partBytes = 32 << 10

// A gzip.Writer has hundreds of KB, so they are shared.
var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return z
}}

// answerPoll answers a poll with a payload, and returns when it has been given
// to the network.
func (s *Server) answerPoll(w http.ResponseWriter, r *http.Request, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if s.opts.CompressAbove >= 0 && len(body) > s.opts.CompressAbove && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	return s.respond(w, http.StatusOK, body)
}

// respond answers a request, and returns when the answer has been given to the
// network, or the client has taken nothing for WriteTimeout. What the HTTP
// server allows from the beginning of a request may be over by now.
func (s *Server) respond(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	rc := http.NewResponseController(w)
	extend := func() { _ = rc.SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout)) } // not all can
	extend()
	w.WriteHeader(status)
	for part := range slices.Chunk(body, partBytes) {
		extend()
		if _, err := w.Write(part); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) { // after HEAD
			return err
		}
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	// The connection may serve other requests after this.
	_ = rc.SetWriteDeadline(time.Time{})
	return nil
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // a bytes.Buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// acceptsGzip reports whether the client lists gzip (RFC 9110 section 12.5.3),
// and does not refuse it by a weight of 0.
func acceptsGzip(r *http.Request) bool {
	for _, field := range r.Header.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(field, ",") {
			name, params, _ := strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				_, q, weighted := strings.Cut(params, "q=")
				return !weighted || strings.Trim(q, " 0.") != ""
			}
		}
	}
	return false
}
