// Package sio is where stock Socket.IO clients meet the bridge: it gives each
// namespace that a client joins a [bridge.Client], translates the names of
// events into subjects and back, and makes connection state recovery survive
// restarts, idle clients and half-open connections.
//
// # Place in the flow
//
// engineio carries, socketio speaks in packets, and hands them to [Handler],
// which is a [socketio.ConnHandler]. A [Socket] is one client in one
// namespace. What it emits is published (event.go) or, if its name begins with
// "jetway:", is a verb of jetway.v1 (control.go). What the bridge delivers is
// written by the socket's encoder (encoder.go), whole frames straight to the
// connection.
//
// # Subscriptions and place
//
// All that a socket wants without more is one bundle ([bridge.Client.SubscribeBundle]):
// an event comes once, however many of its filters match, and one position says
// where the client is. That position is the offset of Socket.IO's connection
// state recovery: the trailing argument of each event, or a "jetway:cursor"
// event after each batch. Subscriptions with a place of their own (from, as)
// and work on queues are beside it.
//
// # Recovery
//
// A session is stored when the client connects and when what it wants changes
// ([bridge.Session]). A client that comes back with its pid is authorised
// first, takes the session over from whatever socket still holds it, and then
// gets what it missed: from the offset that it sends, or, if it has none, or a
// stale one, or garbage, from where the session began. Where messages no longer
// exist, or the session does not, it gets a new one, and so knows by
// socket.recovered that it has to load its state anew.
//
// # Concurrency
//
// Handler's methods are called serially for each connection. What the bridge
// calls, encoders above all, runs on the bridge's goroutines.
package sio
