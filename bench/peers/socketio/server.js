// The reference: a Socket.IO server with connection state recovery, in memory
// or, with the address of a Redis server, in its streams. Clients subscribe as
// they do with Jetway, to a room; what one emits goes to the room of the same
// name, and is acknowledged when it has been handed over.
//
// The settings are those of https://socket.io/docs/v4/performance-tuning/ and
// https://socket.io/docs/v4/memory-usage/: bufferutil is installed, and the
// request of each connection is let go.
"use strict";
const { createServer } = require("node:http");
const { Server } = require("socket.io");

async function adapter(address) {
  if (!address) return undefined;
  const { createClient } = require("redis");
  const { createAdapter } = require("@socket.io/redis-streams-adapter");
  const client = createClient({ url: `redis://${address}` });
  await client.connect();
  return createAdapter(client, { maxLen: 200_000, readCount: 1000 });
}

async function main([address, redis]) {
  const http = createServer();
  const io = new Server(http, {
    adapter: await adapter(redis),
    serveClient: false,
    connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true },
  });
  io.engine.on("connection", (raw) => {
    raw.request = null;
  });
  io.on("connection", (socket) => {
    socket.onAny((subject, event, ack) => {
      if (subject === "jetway:sub") {
        socket.join(event.sub);
      } else {
        io.to(subject).emit(subject, event);
      }
      ack({ ok: true });
    });
  });
  const [host, port] = address.split(":");
  http.listen(Number(port), host);
}

main(process.argv.slice(2));
