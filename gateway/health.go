package gateway

import (
	"errors"
	"fmt"
	"net/http"
)

// handleHealth adds the probes: /livez says that the process serves, /readyz
// that a client would be served, or why not.
func (s *Server) handleHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.isDraining() {
			plain(w, http.StatusServiceUnavailable, "draining")
			return
		}
		if err := errors.Join(s.opts.Bridge.Ready(), s.sockets.ready()); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		plain(w, http.StatusOK, "ok")
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
