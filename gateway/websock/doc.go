// Package websock is the server's side of one WebSocket connection: the
// handshake is gorilla/websocket's, reading and writing are its own.
//
// Reading gives whole messages, bounded in size after inflation and in time
// once begun. A silent client holds no buffer, and its goroutine waits on a
// stack that has not grown for it (see input); with gorilla's reader it held
// 2 KiB more. Writing takes a [bridge.Output], in which any number of frames
// have been collected, and gives it to the kernel in one system call: that
// call is what a delivery costs most. Pongs and close frames are collected like
// all others (see [Conn.AppendPong], [AppendClose]), the reading writes nothing.
//
// Invariants:
//   - an idle connection holds no buffer, and no goroutine of its own; over
//     TLS one of 1 KiB;
//   - a message over the limit costs at most the limit in memory, or twice that
//     if it is compressed;
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
