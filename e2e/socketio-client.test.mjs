// What a stock Socket.IO client can do, over each of its transports and both of its parsers.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import parser from 'socket.io-msgpack-parser';
import { io } from 'socket.io-client';
import { launch, open } from './lib/browser.mjs';
import { readAll } from './lib/client.mjs';
import { Jetway } from './lib/jetway.mjs';
import { HEARTBEAT, TRANSPORTS, client, collect, connect, connected, ok, subscribe, transport } from './lib/socketio.mjs';
import { until } from './lib/until.mjs';

const CONFIG = `
socketio: {namespaces: ["/", /admin], recovery: event, ${HEARTBEAT}}
bridge:
  map:
    - {event: "order:{id}", subject: "events.orders.{id}"}
    - {event: "chat message", subject: events.chat.general, key: 1}
`;
let browser, jetway;
before(async () => {
  [browser, jetway] = await Promise.all([launch(), new Jetway({ config: CONFIG }).start()]);
});
after(async () => {
  await browser?.close();
  await jetway?.stop();
});

// Everything that can be an argument, and comes back as it was.
const VALUES = [[1], ['text', { deep: [true, null, { ü: 'é\u2028' }] }], [], [null], [[1, 2], [3]], [1.5, -(2 ** 40), 1e-9, '', false]];
const BYTES = Buffer.from([0, 1, 2, 250, 255]);
let subjects = 0;
const subject = () => `events.t${++subjects}.x`; // for one test alone

const variants = Object.entries(TRANSPORTS).map(([name, transports]) => [name, { transports }]);
variants.push(['websocket, msgpack', { transports: ['websocket'], parser }], ['upgrade, msgpack', { parser, transports: TRANSPORTS.upgrade }]);

for (const [name, options] of variants) {
  test(`${name}: events, acknowledgements, arguments, binary`, { timeout: 120_000 }, async (t) => {
    const at = subject();
    const a = await connect(t, jetway.url, options), b = await connect(t, jetway.url, options);
    if (options.transports.length > 1) await until('the upgrade', () => transport(a) === 'websocket' && transport(b) === 'websocket');
    assert.equal(transport(a), options.transports.at(-1));
    await subscribe(b, at);
    const got = collect(b, at);

    for (const args of VALUES) a.emit(at, ...args); // without an acknowledgement
    await until('the events', () => got.length === VALUES.length);
    assert.deepEqual(got, VALUES.map((args) => (args.length ? args : [null])));

    got.length = 0;
    const first = await ok(a, at, 'x'), second = await ok(a, at, 'y', 2);
    assert.ok(first.pos && second.pos && first.pos !== second.pos);
    await until('two more', () => got.length === 2);
    assert.deepEqual(got, [['x'], ['y', 2]]);

    got.length = 0;
    const binary = [[BYTES], ['a', { b: BYTES, c: [BYTES] }], [new Uint8Array(2000).fill(7), 1]];
    for (const args of binary) await ok(a, at, ...args);
    await until('the binary ones', () => got.length === binary.length);
    const plain = (v) => (ArrayBuffer.isView(v) ? `bytes ${Buffer.from(v).toString('hex')}` : v instanceof ArrayBuffer ? `bytes ${Buffer.from(v).toString('hex')}` : Array.isArray(v) ? v.map(plain) : v && typeof v === 'object' ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)])) : v);
    assert.deepEqual(plain(got), plain(binary));
  });

  test(`${name}: mapped names, both ways`, { timeout: 120_000 }, async (t) => {
    const a = await connect(t, jetway.url, options);
    await subscribe(a, 'events.orders.>');
    const got = collect(a, `order:${name.length}`);
    await ok(a, `order:${name.length}`, { n: 1 });
    await until('the event', () => got.length === 1);
    assert.deepEqual(got, [[{ n: 1 }]]);

    const key = `${name.length}-${subject()}`;
    assert.ok(!(await ok(a, 'chat message', 'hello', key)).dup);
    assert.equal((await ok(a, 'chat message', 'hello', key)).dup, true);
  });
}

test('what is refused is told in the acknowledgement', { timeout: 120_000 }, async (t) => {
  const a = await connect(t, jetway.url);
  const answer = (...args) => a.timeout(30_000).emitWithAck(...args);
  for (const [args, code] of [
    [['no subject', 1], 'bad_subject'],
    [['order:a.b', 1], 'bad_subject'],
    [['$SYS.x', 1], 'forbidden'],
    [['chat message', 'no key'], 'bad_frame'],
    [['jetway:nonsense', {}], 'unknown_verb'],
    [['jetway:sub', { sub: '..' }], 'bad_subject'],
    [['jetway:off', 's99'], 'not_found'],
    [['jetway:req', { req: 'svc.nobody', data: 1, wait: '1s' }], 'no_responders'],
  ]) {
    const r = await answer(...args);
    assert.equal(r.ok, false, args[0]);
    assert.equal(r.code, code, `${args[0]}: ${JSON.stringify(r)}`);
    assert.ok(r.msg, args[0]);
  }
  assert.ok(a.connected, 'a refusal has closed the connection');
});

test('namespaces: those there are do not hear each other\'s rest, others are refused', { timeout: 120_000 }, async (t) => {
  const at = subject();
  const main = await connect(t, jetway.url);
  const admin = client(t, jetway.url, { namespace: '/admin' });
  await connected(admin);
  assert.notEqual(main.id, admin.id);
  await subscribe(admin, at);
  const gotMain = collect(main, at), gotAdmin = collect(admin, at);
  await ok(main, at, 1);
  await until('the event', () => gotAdmin.length === 1);
  assert.deepEqual(gotMain, [], 'the other namespace has not subscribed');

  // Both over one connection, as the stock manager does.
  const shared = io(jetway.url, { transports: ['websocket'], forceNew: true }), other = shared.io.socket('/admin');
  t.after(() => shared.io._close());
  await until('both are connected', () => shared.connected && other.connected);
  const left = collect(shared, at), right = collect(other, at);
  await subscribe(other, at);
  await ok(shared, at, 2);
  await until('the event', () => right.length === 1);
  shared.disconnect();
  await ok(other, at, 3);
  await until('the other namespace goes on', () => right.length === 2);
  assert.deepEqual(left, []);

  const unknown = client(t, jetway.url, { namespace: '/unknown' }), errors = collect(unknown, 'connect_error');
  unknown.connect();
  await until('connect_error', () => errors.length === 1);
  assert.equal(errors[0][0].message, 'Invalid namespace');
  assert.equal(unknown.connected, false);
});

test('connect_error says why, with data', { timeout: 120_000 }, async (t) => {
  const closed = await new Jetway({ config: 'auth: {anonymous: ""}\n' }).start();
  t.after(() => closed.stop());
  for (const transports of Object.values(TRANSPORTS)) {
    const socket = client(t, closed.url, { transports }), errors = collect(socket, 'connect_error');
    socket.connect();
    await until('connect_error', () => errors.length === 1);
    assert.equal(errors[0][0].data?.code, 'unauthenticated', JSON.stringify(errors[0][0]));
    assert.ok(errors[0][0].message && errors[0][0].data.hint);
    assert.equal(socket.active, false, 'a stock client does not come back after a refusal');
  }
});

// socket.io#3946: over maxHttpBufferSize the reference closes the connection, and the client sees "transport close".
test('#3946: messages over the limit are refused with a clear error', { timeout: 120_000 }, async (t) => {
  const small = await new Jetway({ config: 'limits: {max_message_bytes: 64KiB}\n' }).start();
  t.after(() => small.stop());
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    const a = await connect(t, small.url, { transports });
    const r = await a.timeout(30_000).emitWithAck('events.big', 'x'.repeat(100_000));
    assert.deepEqual([r.ok, r.code], [false, 'too_big'], `${name}: ${JSON.stringify(r)}`);
    assert.match(r.msg + r.hint, /max_message_bytes/);
    await ok(a, 'events.big', 'x'.repeat(60_000)); // on the same connection
    const binary = await a.timeout(30_000).emitWithAck('events.big', Buffer.alloc(100_000));
    assert.deepEqual([binary.ok, binary.code], [false, 'too_big'], `${name}, binary: ${JSON.stringify(binary)}`);
    assert.deepEqual(a.closes, []);
    const noAck = collect(a, 'jetway:error');
    a.emit('events.big', 'x'.repeat(100_000)); // nobody asks
    await until('the complaint', () => noAck.length === 1);
    assert.deepEqual([noAck[0][0].code, noAck[0][0].event], ['too_big', 'events.big']);
  }
  // What is too big even to be read ends the connection, and says so.
  const huge = await connect(t, small.url, { reconnection: false }), details = [];
  huge.on('disconnect', (_, d) => details.push(d));
  huge.emit('events.big', 'x'.repeat(3_000_000));
  await until('the end', () => details.length === 1);
  assert.equal(details[0].context.code, 1009);
  assert.equal(details[0].context.reason, 'a message has at most 1000000 bytes');
  assert.deepEqual((await readAll(small.ws, 'events.big')).length, 3);
});

// A server of another origin; `body()` is its page.
async function site(t, body) {
  const server = http.createServer((_, res) => res.writeHead(200, { 'content-type': 'text/html' }).end(body()));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${server.address().port}`;
}

test('Chromium: pages of the origins that are let in, over each transport, and no others', { timeout: 120_000 }, async (t) => {
  let gateway;
  const body = () => `<!doctype html><title>elsewhere</title><script src="${gateway.url}socket.io/socket.io.js"></script>`;
  const friend = await site(t, body), stranger = await site(t, body);
  gateway = await new Jetway({ config: `allowed_origins: ["${friend}"]\n` }).start();
  t.after(() => gateway.stop());

  const attempt = async (origin, transports, withCredentials) => {
    const page = await open(browser, origin);
    t.after(() => page.context().close());
    return page.evaluate(([url, options]) => new Promise((done) => {
      const socket = io(url, { reconnection: false, ...options });
      socket.on('connect_error', (err) => done(`refused: ${err.message}`));
      socket.on('connect', () => socket.emit('events.cors.x', new Uint8Array([1]), (a) => {
        const settled = () => done({ ok: a.ok, transport: socket.io.engine.transport.name });
        if (options.transports.length === 1 || socket.io.engine.transport.name === 'websocket') settled();
        else socket.io.engine.once('upgrade', settled);
      }));
    }), [gateway.url, { transports, withCredentials }]);
  };
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    for (const withCredentials of [false, true]) {
      assert.deepEqual(await attempt(friend, transports, withCredentials), { ok: true, transport: transports.at(-1) }, name);
    }
    assert.match(await attempt(stranger, transports, false), /^refused/, name);
  }
});
