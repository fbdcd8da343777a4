// Stock Socket.IO clients, as npm has them, on a gateway or a proxy before it.
import { io } from 'socket.io-client';
import { until } from './until.mjs';

// What a client may use to get there. The last is what a page has that asks for nothing.
export const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

// Quick heartbeats and few messages in flight: what breaks is noticed soon.
export const HEARTBEAT = 'ping_interval: 500ms, ping_timeout: 1s';

// The same, and a machine that stalls for a second breaks nothing: for tests that know each connection.
export const PATIENT = 'ping_interval: 500ms, ping_timeout: 10s';

// An unconnected client with a manager of its own. `log` has what it saw, in the order in which it saw it.
export function client(t, url, { namespace = '/', ...options } = {}) {
  const socket = io(new URL(namespace, url).href, { forceNew: true, transports: ['websocket'], reconnectionDelay: 20, reconnectionDelayMax: 200, autoConnect: false, ...options });
  socket.connects = []; // socket.recovered of each
  socket.closes = []; // the reasons
  socket.on('connect', () => socket.connects.push(socket.recovered));
  socket.on('disconnect', (reason) => socket.closes.push(reason));
  t.after(() => socket.disconnect());
  return socket;
}

// Returns when it is connected. `how` as above.
export async function connect(t, url, how) {
  const socket = client(t, url, how);
  await connected(socket);
  return socket;
}

// Connects, if it is not, and waits for that.
export async function connected(socket, times = socket.connects.length + (socket.connected ? 0 : 1)) {
  socket.connect();
  await until(`connection ${times}`, () => socket.connected && socket.connects.length >= times);
}

export const transport = (socket) => socket.io.engine.transport.name;

// What it subscribes to reaches it under these names.
export function collect(socket, event) {
  const got = [];
  socket.on(event, (...args) => got.push(args));
  return got;
}

// An acknowledgement that has to be ok; it is returned.
export async function ok(socket, ...args) {
  const answer = await socket.timeout(30_000).emitWithAck(...args);
  if (answer?.ok !== true) throw new Error(`${args[0]}: ${JSON.stringify(answer)}`);
  return answer;
}

export const subscribe = (socket, filter, more) => ok(socket, 'jetway:sub', { sub: filter, ...more });
