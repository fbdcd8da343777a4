// Package socketio is the server's side of Socket.IO, protocol revision 5, on
// top of package engineio: clients in namespaces, which emit events to the
// server and the other way round, and acknowledge them.
//
// It is a library of its own and needs no broker:
//
//	sockets := socketio.NewServer(socketio.Options{…})
//	http.Handle("/socket.io/", engineio.NewServer(engineio.Options{Handler: sockets}))
//
// # Layers
//
// Each uses the one before alone, and is of use without the next:
//
//   - The codec: [Packet], [Decode], [Reconstructor], [DecodeMsgpack] and the
//     Append functions do no I/O, start no goroutine and hold no state.
//     Payloads are JSON text that is never taken apart and put together again:
//     what a client wrote is passed on byte for byte ([Split], [Placeholders],
//     [AppendRenumbered]).
//   - [Conn] is one client's connection, as a state machine: which namespaces it
//     has joined, and what it may send now. A [ConnHandler] is told packets,
//     and answers with [Conn.Accept] and the like, with packets, or with whole
//     frames that it encoded once for many ([Packet.AppendFrames],
//     [engineio.Session.Write]). [Conns] makes one of each session. This is
//     where a gateway sits: it may give a pid to the client, find it again in
//     the next CONNECT, and replay what was missed.
//   - [Server] and [Socket] are for programs that want listeners and acks.
//
// # Files
//
// packet.go, array.go, placeholder.go, reconstructor.go, format.go and the two
// of msgpack are the codec; conn.go and connecterror.go the connection;
// server.go, socket.go and args.go the rest.
//
// # Invariants
//
//   - A client that breaks the protocol is closed, and the reason counted
//     ([ConnOptions.Failed]); nothing that it sends is repaired.
//   - A packet and its attachments are contiguous on the wire, whatever others
//     write meanwhile.
//   - Each attachment of a packet has exactly one place in its payload, in both
//     directions, and there are at most [MaxAttachments].
//   - Whatever waits for a client, or is held for it, is bounded: packets with
//     their attachments in bytes and time, namespaces and pending acks in
//     number, events for a listener in bytes.
//   - Errors that are not meant for clients do not reach them.
//
// # Concurrency
//
// The calls of a ConnHandler for one connection are serial. A [Socket] has a
// goroutine for its listeners while there is something for them to do; an idle
// client has none besides the session's. Locks are taken in this order: a
// socket's, a connection's, the session's.
//
// # Caveats
//
// The CONNECT reply of a Server holds only the sid: it does not recover
// sessions. Emitting to many sockets encodes for each; a gateway encodes once.
// A stock client neither retries a refused namespace nor comes back after
// packet 1: to have it reconnect, close the connection. What the client of
// another language sends as an object with "_placeholder":true is refused,
// attachments or not.
package socketio
