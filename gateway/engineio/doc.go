// Package engineio is the server's side of Engine.IO, protocol revision 4: the
// transport under Socket.IO. It gives a client one session of ordered messages
// over HTTP long-polling, a WebSocket, or the first and then the second.
//
// It is a library of its own: it knows neither Socket.IO nor what the messages
// mean, and needs no broker.
//
// # Place in the flow
//
// [Server] is an [net/http.Handler] that the caller mounts where it likes
// (/engine.io/, /socket.io/). It answers handshakes, keeps the sessions, and
// hands each request to the one that it names by sid. A [Session] calls a
// [Handler] with what the client sends, and takes what is sent to it in two
// ways: [Session.Send] queues one message, [Session.Write] takes a
// [bridge.Output] of whole WebSocket frames. The second is the fast path: on a
// WebSocket the frames leave as they are, in one system call; a poll gets them
// as packets of its payload.
//
// # Files
//
// packet.go, payload.go and transcode.go are the codec: no I/O, no goroutine,
// no state. server.go, cors.go and respond.go are HTTP; polling.go,
// websocket.go and upgrade.go the transports; session.go, heartbeat.go and
// write.go the session above them; ending.go lists how one ends, and grave.go
// keeps what is left of it for its last poll.
//
// # Invariants
//
//   - The calls of a [Handler] for one session are serial and in order: Open,
//     any number of Message, Close, also across an upgrade.
//   - What one Write, TryWrite or Send takes stays together: nothing comes
//     between its frames, whatever others write meanwhile.
//   - Nothing is written to a WebSocket before the upgrade is complete, except
//     the answer to the probe.
//   - Every queue has a bound and a policy, see [Options]; no client can make
//     the server hold more.
//   - Packets that a handler sees are well formed: text is UTF-8, base64 is
//     decoded.
//
// # Concurrency
//
// All methods of Server and Session may be called concurrently, and from
// within a Handler. A session on polling has no goroutine of its own, one on a
// WebSocket has the one that reads; a writer exists only while there is
// something to write.
//
// # Caveats
//
// A message that a poll has taken away and that the network lost is lost:
// Engine.IO does not acknowledge. Clients without binary support (b64=1) are
// understood, but a WebSocket still gets binary frames. WebTransport, JSONP and
// protocol revision 3 are not spoken. A page of another origin may open a
// session only if [Options.CORS] lets it, over WebSocket as well, which the
// reference does not check.
package engineio
