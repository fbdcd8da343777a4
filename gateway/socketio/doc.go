// Package socketio is the server's side of Socket.IO, protocol revision 5.
package socketio
