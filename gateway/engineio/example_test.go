package engineio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/jetway-io/jetway/gateway/engineio"
)

// shout answers each message in capitals.
type shout struct{}

func (shout) Open(s *engineio.Session) { fmt.Println("open over", s.Transport()) }

func (shout) Message(s *engineio.Session, data []byte, binary bool) {
	if err := s.Send(bytes.ToUpper(data), binary); err != nil {
		fmt.Println("not sent:", err)
	}
}

func (shout) Close(_ *engineio.Session, reason string) { fmt.Println("closed:", reason) }

// A server and the requests of a client that polls.
func ExampleServer() {
	server := engineio.NewServer(engineio.Options{Handler: shout{}})
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server)
	web := httptest.NewServer(mux)
	defer web.Close()

	call := func(method, sid, body string) string {
		r, err := http.NewRequest(method, web.URL+"/engine.io/?EIO=4&transport=polling"+sid, strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			return err.Error()
		}
		return string(answer)
	}
	var handshake struct{ SID string }
	opening := call("GET", "", "")
	if err := json.Unmarshal([]byte(opening[1:]), &handshake); err != nil {
		fmt.Println(err)
	}
	sid := "&sid=" + handshake.SID
	fmt.Println(call("POST", sid, "4hello"))
	fmt.Println(call("GET", sid, ""))
	if err := server.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(call("GET", sid, ""))
	http.DefaultClient.CloseIdleConnections()

	// Output:
	// open over polling
	// ok
	// 4HELLO
	// closed: server shutting down
	// 1
}
