// Package chat holds the chat page of Socket.IO's tutorial. The program serves
// it at "/chat" in development, if its configuration has a subject for the
// page's event, as the example's jetway.yaml does.
package chat

import _ "embed"

// Page is index.html, UTF-8. It loads /socket.io/socket.io.js from the host
// that served it, and connects there. Do not change it.
//
//go:embed index.html
var Page []byte

// Event is what the page emits and listens to.
const Event = "chat message"
