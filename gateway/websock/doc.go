// Package websock is the server's side of one WebSocket connection: the
// handshake and the reading are gorilla/websocket's, the writing is its own.
//
// Reading gives whole messages, bounded in size after inflation and in time
// once begun. Writing takes a [bridge.Output], in which any number of frames
// have been collected, and gives it to the kernel in one system call: that
// call is what a delivery costs most. Gorilla writes one frame per call, and
// some on its own account (pongs, close frames) from the reading goroutine;
// after the handshake its writes therefore go nowhere, and pongs and close
// frames are collected like all others (see [Conn.AppendPong], [AppendClose]).
//
// Invariants:
//   - an idle connection holds a read buffer of 1 KiB, and no goroutine of its
//     own;
//   - a message over the limit costs at most the limit in memory, compressed
//     or not;
//   - what a client sends is RFC 6455, or the connection ends with an error
//     that says which close code it deserves ([CloseCode]).
//
// Concurrency: one goroutine reads, one at a time writes, any may close.
//
// Caveats: the connection does not end with the request's context; whoever
// upgrades it must close it. http.Server.Shutdown does not know it.
// Permessage-deflate is accepted from clients that offer it as RFC 7692 wants,
// without context takeover, and never used for sending: compressing per client
// would undo that an event is encoded once for all of them.
package websock
