// Package clientbundle holds the stock client for browsers, so that a page may
// load it from the server that it connects to, as from the reference:
//
//	<script src="/socket.io/socket.io.js"></script>
//
// socket.io.min.js is dist/socket.io.min.js of the npm package socket.io-client,
// byte for byte, in the version that [Version] says. It is Guillermo Rauch's
// and the Socket.IO contributors', under the MIT license, the text of which is
// in LICENSE.socket.io-client.
//
// To take a newer one: change the version in e2e/package.json, run npm install
// there, "go generate" here, and write the version into Version. The test
// compares the two.
package clientbundle

import (
	"bytes"
	_ "embed"
	"net/http"
	"time"
)

//go:generate cp ../../../e2e/node_modules/socket.io-client/dist/socket.io.min.js socket.io.min.js
//go:generate cp ../../../e2e/node_modules/socket.io-client/LICENSE LICENSE.socket.io-client

// Version is that of the npm package.
const Version = "4.8.4"

// maxAge is how long browsers keep the file without asking: the addresses of
// all versions are the same, and what they have must go with a new page soon.
const maxAge = "3600"

//go:embed socket.io.min.js
var script []byte

// Names are the files under which pages load the client from the reference.
// The long name gets the short file, too: the two behave the same.
var Names = [...]string{"socket.io.js", "socket.io.min.js"}

// ServeHTTP serves the client, whatever the path.
func ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age="+maxAge)
	h.Set("ETag", `"`+Version+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(script))
}
