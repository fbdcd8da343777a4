// Package websock is the server's side of one WebSocket connection.
package websock
