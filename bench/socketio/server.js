// The reference: a Socket.IO server with one room, and connection state
// recovery in memory. Whoever connects is in the room; what one emits goes to
// all of it, and is acknowledged when it has been handed over.
"use strict";
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, {
  connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true },
});
io.on("connection", (socket) => {
  socket.join("room");
  socket.on("events.bench.room", (event, ack) => {
    io.to("room").emit("events.bench.room", event);
    ack({ ok: true });
  });
});
http.listen(Number(process.argv[2]), "127.0.0.1");
