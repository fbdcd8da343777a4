package gateway

import (
	"net/http"
	"strings"
)

// pagePolicy lets a page run what is in it and scripts of this server (the stock
// Socket.IO client, workers), and connect to it; it loads nothing else from
// anywhere.
const pagePolicy = "default-src 'none'; script-src 'self' 'unsafe-inline'; worker-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'"

// handlePages adds the pages of development mode.
func (s *Server) handlePages(mux *http.ServeMux) {
	for path, page := range s.opts.Pages {
		pattern := "GET " + path
		if strings.HasSuffix(path, "/") {
			pattern += "{$}" // this path alone, not all below it
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { servePage(w, path, page) })
	}
}

func servePage(w http.ResponseWriter, path string, page []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if strings.HasSuffix(path, ".js") {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", pagePolicy)
	_, _ = w.Write(page) // the client may be gone
}
