package gateway

import (
	"net/http"
	"path"

	"github.com/jetway-io/jetway/bridge"
)

// surface is what a listener shows of its routes: these and nothing that
// net/http would make of a request by itself. It redirects no path that is
// written in another way ("//ws", "/x/../ws", "/socket.io": what stands before
// Jetway and decides by path would see another one), and says in the words of
// the protocol what is not there.
//
// A body is read where one belongs, after POST. What is left of one would be
// taken for the next request by whoever counts its bytes in another way (request
// smuggling). So a connection ends after a body without a length: net/http reads
// a request that has both Content-Length and Transfer-Encoding by the latter
// alone, as RFC 9112 section 6.1 allows with this end, and does not tell.
func (s *Server) surface(routes *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		handler, pattern := routes.Handler(r)
		switch {
		case r.RequestURI == "*": // of OPTIONS, and of the preface of HTTP/2
			s.refuseRequest(w, http.StatusBadRequest, &bridge.Error{Code: bridge.CodeBadFrame, Msg: "a request is about one path", Hint: "HTTP/1.1, as in GET /ws"})
		case r.ContentLength != 0 && r.Method != http.MethodPost:
			s.refuseRequest(w, http.StatusBadRequest, &bridge.Error{Code: bridge.CodeBadFrame, Msg: method(r) + " has no body here", Hint: "send it without one"})
		case pattern == r.URL.Path+"/": // net/http would redirect to it
			s.refuseRoute(w, r, handler, pattern)
		case pattern == "" || !clean(r.URL.Path):
			s.refuseRoute(w, r, handler, pattern)
		default:
			routes.ServeHTTP(w, r)
		}
	})
}

// refuseRoute answers what no route takes: the path is unknown, or the method
// is none of those of the path.
func (s *Server) refuseRoute(w http.ResponseWriter, r *http.Request, handler http.Handler, pattern string) {
	if pattern == "" {
		said := &unsent{header: http.Header{}}
		handler.ServeHTTP(said, r)
		if allow := said.header.Get("Allow"); said.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", allow)
			s.refuseRequest(w, said.status, &bridge.Error{Code: bridge.CodeBadFrame, Msg: method(r) + " is not for this path", Hint: "use " + allow})
			return
		}
	}
	s.refuseRequest(w, http.StatusNotFound, &bridge.Error{Code: bridge.CodeNotFound, Msg: "there is nothing at this path", Hint: "clients connect to /ws; /livez and /readyz are for probes"})
}

// refuseRequest answers, and ends the connection of who speaks something else.
func (s *Server) refuseRequest(w http.ResponseWriter, status int, e *bridge.Error) {
	s.count(refusedRoute)
	w.Header().Set("Connection", "close")
	answer(w, status, e)
}

// method is a request's method as far as it is one that is known: the others
// are the client's own text.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return r.Method
	}
	return "this method"
}

// clean reports whether a path is written as it is meant.
func clean(p string) bool {
	c := path.Clean(p)
	return p == c || c != "/" && p == c+"/"
}

// unsent notes an answer instead of sending it.
type unsent struct {
	header http.Header
	status int
}

func (u *unsent) Header() http.Header         { return u.header }
func (u *unsent) WriteHeader(status int)      { u.status = status }
func (u *unsent) Write(b []byte) (int, error) { return len(b), nil }
