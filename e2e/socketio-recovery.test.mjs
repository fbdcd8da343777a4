// What users of the reference complain of in its connection state recovery, one test for each complaint. A stock client
// reads, a writer publishes, connections and gateways break; in the end every event was delivered once, in order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './lib/client.mjs';
import { History } from './lib/history.mjs';
import { Jetway } from './lib/jetway.mjs';
import { Proxy } from './lib/proxy.mjs';
import { HEARTBEAT, PATIENT, TRANSPORTS, client, collect, connected, ok, subscribe, transport } from './lib/socketio.mjs';
import { until } from './lib/until.mjs';

const SUBJECT = 'events.r.x';
const config = (socketio = HEARTBEAT, more = '') => `
socketio: {${socketio}}
bridge: {connect: {subscribe: [events.r.>]}}
${more}`;

// A gateway, a proxy before it, a writer past the proxy, and what happened.
async function rig(t, text = config()) {
  const jetway = await new Jetway({ config: text }).start();
  const proxy = await new Proxy(jetway.port).start();
  const writer = new Client(jetway.ws), history = new History();
  t.after(async () => {
    writer.close();
    await proxy.stop();
    await jetway.stop();
  });
  let n = 0;
  const write = (count = 1, subject = SUBJECT) => Promise.all(Array.from({ length: count }, () => {
    const v = history.attempt(`w-${++n}`);
    return writer.publish(subject, v, v).then(() => history.ack(v));
  }));
  return { jetway, proxy, writer, history, write, restart: async () => { await jetway.kill(); await jetway.start(); } };
}

// A reader of the rig, whose deliveries go into its history. `extra` is what came besides the value.
function reader(t, { proxy, history }, options) {
  const socket = client(t, proxy.url, options);
  socket.extra = [];
  socket.on(SUBJECT, (v, ...rest) => { history.deliver(v); socket.extra.push(rest); });
  return socket;
}

const has = ({ history }, n) => until(`${n} delivered`, () => history.delivered.length >= n);

// Everything was recovered, and exactly.
function assertRecovered(t, { history }, socket, times) {
  t.diagnostic(history.assertExact('reader'));
  assert.equal(socket.connects[0] ?? false, false);
  assert.ok(socket.connects.length > times, `${socket.connects.length} connections: what should have broken it did not`);
  assert.ok(socket.connects.slice(1).every(Boolean), `recovered: ${socket.connects}`);
}

for (const mode of ['trailing', 'event']) {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`#5413: recovery after a server restart (${mode}, ${name})`, { timeout: 120_000 }, async (t) => {
      const r = await rig(t, config(`recovery: ${mode}, ${HEARTBEAT}`));
      const socket = reader(t, r, { transports });
      await connected(socket);
      const id = socket.id;
      await r.write(50);
      await has(r, 50);
      for (let kill = 1; kill <= 3; kill++) {
        const writing = r.write(200);
        await until('some of them', () => r.history.acked.size > 50 + 200 * (kill - 1) + 20);
        await r.restart();
        await until('it is back', () => socket.connects.length >= kill + 1);
        await writing;
      }
      await has(r, 650);
      assertRecovered(t, r, socket, 3);
      assert.equal(socket.id, id, 'a recovered socket keeps its id');
      for (const extra of socket.extra) assert.deepEqual(extra.map((x) => typeof x), mode === 'trailing' ? ['string'] : []);
    });
  }
}

test('#4880: recovery of a half-open connection, before the server has noticed', { timeout: 120_000 }, async (t) => {
  const r = await rig(t, config('ping_interval: 20s, ping_timeout: 20s'));
  const socket = reader(t, r);
  await connected(socket);
  for (let change = 1; change <= 5; change++) {
    await r.write(20);
    await has(r, change * 40 - 20);
    const writing = r.write(20);
    assert.equal(r.proxy.change(), 1);
    assert.equal(r.proxy.believed > 0, true, 'the server knows already');
    await writing;
    await until('it is back', () => socket.connects.length >= change + 1);
    await has(r, change * 40);
  }
  assertRecovered(t, r, socket, 5);
});

test('#4880: recovery after a cut that nobody is told of', { timeout: 120_000 }, async (t) => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    const r = await rig(t, config('ping_interval: 300ms, ping_timeout: 700ms'));
    const socket = reader(t, r, { transports });
    await connected(socket);
    if (transports.length > 1) await until('the upgrade', () => transport(socket) === 'websocket');
    for (let cut = 1; cut <= 2; cut++) {
      await r.write(20);
      await has(r, cut * 40 - 20);
      r.proxy.blackhole();
      await r.write(20);
      let since = Date.now();
      await until(`${name}: the client notices`, () => {
        if (Date.now() - since > 3_000) { // it was between two polls, without a connection to cut
          r.proxy.blackhole();
          since = Date.now();
        }
        return socket.connects.length >= cut + 1;
      });
      await has(r, cut * 40);
    }
    assertRecovered(t, r, socket, 2);
  }
});

test('#5282: recovery of a client that was idle for longer than sessions are kept', { timeout: 120_000 }, async (t) => {
  const TTL = 8000;
  const r = await rig(t, config(`session_ttl: ${TTL}ms, ${HEARTBEAT}`));
  const socket = reader(t, r);
  await connected(socket);
  await r.write(3);
  await has(r, 3);
  const since = Date.now();
  await until('it is idle for twice that time', () => Date.now() - since > 2 * TTL);
  const writing = r.write(3);
  r.proxy.change();
  await writing;
  await has(r, 6);
  await r.restart();
  await until('it is back', () => socket.connects.length >= 3);
  await r.write(3);
  await has(r, 9);
  assertRecovered(t, r, socket, 2);
});

test('#4888, #5538: recovery of a client that has received no event yet', { timeout: 120_000 }, async (t) => {
  for (const mode of ['trailing', 'event']) {
    for (const how of ['restart', 'change']) {
      const r = await rig(t, config(`recovery: ${mode}, ${HEARTBEAT}`));
      await r.write(5); // before its time
      r.history.attempted.clear();
      r.history.acked.clear();
      const socket = reader(t, r);
      await connected(socket);
      if (how === 'restart') await r.jetway.kill();
      const writing = r.write(20);
      if (how === 'restart') await r.jetway.start();
      else r.proxy.change();
      await writing;
      await has(r, 20);
      await until('it is back', () => socket.connects.length >= 2);
      assertRecovered(t, r, socket, 1);
    }
  }
});

test('PR #5539: recovery with events in between that no stream stores', { timeout: 120_000 }, async (t) => {
  for (const mode of ['trailing', 'event']) {
    const r = await rig(t, config(`recovery: ${mode}, ${PATIENT}`));
    const socket = reader(t, r);
    await connected(socket);
    await subscribe(socket, 'live.>');
    const live = collect(socket, 'live.typing');
    for (let cut = 1; cut <= 3; cut++) {
      await r.write(10);
      await has(r, cut * 20 - 10);
      live.length = 0;
      for (let i = 0; i < 5; i++) await ok(socket, 'live.typing', 'a text that is no offset');
      await until('the live ones', () => live.length >= 5);
      assert.equal(live[0][0], 'a text that is no offset');
      r.proxy.change();
      await r.write(10);
      await until('it is back', () => socket.connects.length >= cut + 1);
      await has(r, cut * 20);
      await subscribe(socket, 'live.>');
    }
    assertRecovered(t, r, socket, 3);
  }
});

test('#5491: authorisation comes before the replay', { timeout: 120_000 }, async (t) => {
  const roles = (filter) => `auth: {anonymous: someone}\nroles: {someone: {pub: [">"], sub: [${filter}]}}\n`;
  for (const [name, after] of [
    ['may not read it any more', roles('events.other.>')],
    ['is not let in any more', 'auth: {anonymous: ""}\n'],
  ]) {
    const r = await rig(t, config(PATIENT, roles('events.r.>')));
    const socket = reader(t, r), all = [];
    await connected(socket);
    await r.write(5);
    await has(r, 5);
    socket.io.reconnection(false);
    r.proxy.change();
    await until('it is away', () => !socket.connected);
    const away = client(t, r.proxy.url, { auth: { pid: socket._pid, offset: socket._lastOffset } }), refused = collect(away, 'connect_error');
    away.onAny((...args) => all.push(args));
    await r.write(5); // what it may not see
    await r.jetway.kill();
    r.jetway.config = config(PATIENT, after);
    await r.jetway.start();
    away.connect();
    await until(`${name}: an answer`, () => away.connected || refused.some(([err]) => err.data));
    if (away.connected) { // to what it may have now
      assert.equal(name, 'may not read it any more');
      assert.equal(away.recovered, false);
      assert.equal((await away.emitWithAck('jetway:sub', { sub: 'events.other.>' })).ok, true); // comes behind what it was sent before
      assert.deepEqual(all.map(([event]) => event), ['jetway:expired']);
    } else {
      assert.equal(name, 'is not let in any more');
      assert.equal(refused.find(([err]) => err.data)[0].data.code, 'unauthenticated');
      assert.deepEqual(all, []);
    }
    assert.equal(r.history.delivered.length, 5);
  }
});

test('#5250: a signal when the session has expired', { timeout: 120_000 }, async (t) => {
  const TTL = 4000;
  for (const mode of ['trailing', 'event']) {
    const r = await rig(t, config(`recovery: ${mode}, session_ttl: ${TTL}ms, ${PATIENT}`));
    const socket = reader(t, r), expired = collect(socket, 'jetway:expired');
    await connected(socket);
    await r.write(3);
    await has(r, 3);
    await r.jetway.kill();
    const since = Date.now();
    await until('the session has expired', () => Date.now() - since > 2 * TTL);
    await r.jetway.start();
    await until('it is back', () => socket.connects.length >= 2);
    await until('the signal', () => expired.length === 1);
    assert.deepEqual(socket.connects, [false, false], 'what is gone was recovered');
    await r.write(3);
    await has(r, 6);
    r.proxy.change(); // the new session recovers, whatever offset of the old one the client still has
    await r.write(3);
    await has(r, 9);
    assert.deepEqual(socket.connects.slice(2), [true]);
    assert.equal(expired.length, 1);
    t.diagnostic(r.history.assertExact(mode));
  }
});

test('#5250: a page that says what it has misses nothing when its session has expired', { timeout: 120_000 }, async (t) => {
  const TTL = 2000;
  const r = await rig(t, config(`session_ttl: ${TTL}ms, ping_interval: 500ms, ping_timeout: 5s`));
  const socket = reader(t, r, { auth: { serverOffset: 0 } }), expired = collect(socket, 'jetway:expired');
  socket.on(SUBJECT, (_, offset) => { socket.auth.serverOffset = offset; }); // as in the official tutorial
  await connected(socket);
  await r.write(10);
  await has(r, 10);
  r.proxy.ports = [1]; // it finds nobody
  r.proxy.change();
  await r.write(10);
  const since = Date.now();
  await until('the session has expired', () => Date.now() - since > 6 * TTL); // which begins when the server has noticed
  await r.restart();
  r.proxy.ports = [r.jetway.port];
  await has(r, 20);
  await until('the signal', () => expired.length === 1);
  assert.deepEqual(socket.connects, [false, false], 'what is gone was recovered');
  t.diagnostic(r.history.assertExact('reader'));
});

test('what a client has subscribed to is recovered as soon as it is acknowledged', { timeout: 120_000 }, async (t) => {
  const r = await rig(t, `socketio: {${PATIENT}}\n`); // subscribed to nothing by itself
  const socket = reader(t, r);
  await connected(socket);
  await subscribe(socket, 'events.r.>');
  await r.jetway.kill(); // at once
  const writing = r.write(20);
  await r.jetway.start();
  await writing;
  await has(r, 20);
  assertRecovered(t, r, socket, 1);

  await ok(socket, 'jetway:off', 'events.r.>');
  await r.jetway.kill();
  await r.jetway.start();
  await until('it is back', () => socket.connects.length >= 3);
  const marks = collect(socket, 'events.mark');
  await r.write(5);
  await subscribe(socket, 'events.mark');
  await ok(socket, 'events.mark', 1);
  await until('the mark', () => marks.length === 1);
  assert.equal(r.history.delivered.length, 20, 'what was given up comes again');
});

test('a session is one socket\'s: who resumes it takes it over, once', { timeout: 120_000 }, async (t) => {
  const r = await rig(t, config(PATIENT));
  const first = reader(t, r);
  await connected(first);
  await r.write(10);
  await has(r, 10);
  // A copy of the page, as "duplicate tab" makes one of everything that the client keeps.
  const second = client(t, r.proxy.url, { auth: { pid: first._pid, offset: first._lastOffset } });
  second.on(SUBJECT, (v) => r.history.deliver(v));
  await connected(second);
  await until('the first one is told', () => first.closes.length === 1);
  assert.deepEqual(first.closes, ['io server disconnect'], 'it would come back, and take the session from the other');
  await r.write(10);
  await has(r, 20);
  assert.deepEqual([first.connected, second.connected], [false, true]);
  t.diagnostic(r.history.assertExact('both'));
});

test('messages that no longer exist: not recovered, and told so', { timeout: 120_000 }, async (t) => {
  for (const mode of ['trailing', 'event']) {
    const r = await rig(t, config(`recovery: ${mode}, ${PATIENT}`, 'streams: [{name: EVENTS, subjects: [events.>], max_bytes: 64KiB}]\n'));
    const socket = reader(t, r), expired = collect(socket, 'jetway:expired');
    await connected(socket);
    await r.write(3);
    await has(r, 3);
    const ports = r.proxy.ports;
    r.proxy.ports = [1]; // it finds nobody
    r.proxy.change();
    const lost = r.history.acked.size;
    await r.write(1);
    for (let i = 0; i < 20; i++) await r.writer.publish('events.r.filler', 'x'.repeat(8_000));
    r.proxy.ports = ports;
    await until('the signal', () => expired.length === 1);
    assert.deepEqual(socket.connects, [false, false]);
    await r.write(3);
    await has(r, 6);
    const found = r.history.check();
    assert.deepEqual([found.lost.length, found.duplicate, found.outOfOrder, found.unexpected], [1, [], [], []], `besides the one that was trimmed (w-${lost + 1})`);
  }
});

test('page reload: auth.offset and auth.serverOffset say what the page has', { timeout: 120_000 }, async (t) => {
  for (const mode of ['trailing', 'event']) {
    const r = await rig(t, config(`recovery: ${mode}, ${PATIENT}`));
    const first = reader(t, r), cursors = collect(first, 'jetway:cursor');
    let latest;
    first.onAny((event) => { latest = event; });
    await connected(first);
    await r.write(10);
    await has(r, 10);
    if (mode === 'event') await until('the cursor', () => latest === 'jetway:cursor'); // behind the tenth, as an event of its own
    const at = mode === 'trailing' ? first.extra[4][0] : cursors.at(-1)[0];
    first.disconnect();
    await r.write(5);
    for (const [auth, want] of [
      [{ offset: at }, mode === 'trailing' ? 10 : 5],
      [{ serverOffset: at }, mode === 'trailing' ? 10 : 5],
      [{ serverOffset: 0 }, 15],
      [{ offset: '0' }, 15],
      [{ offset: 'garbage' }, 0],
      [{ serverOffset: { no: 1 } }, 0],
      [{}, 0],
    ]) {
      const page = client(t, r.proxy.url, { auth }), got = collect(page, SUBJECT);
      await connected(page);
      const last = `${mode}-${JSON.stringify(auth)}`;
      const ends = collect(page, 'events.r.end');
      await ok(page, 'events.r.end', last);
      await until(`the end of ${last}`, () => ends.some(([v]) => v === last)); // behind all that was there before
      assert.deepEqual(got.map(([v]) => v), Array.from({ length: want }, (_, i) => `w-${16 - want + i}`), last);
      page.disconnect();
    }
  }
});

test('recovery off: nothing is kept, nothing is added', { timeout: 120_000 }, async (t) => {
  const r = await rig(t, config(`recovery: "off", ${PATIENT}`));
  const socket = reader(t, r);
  await connected(socket);
  assert.equal(socket._pid, undefined);
  await r.write(5);
  await has(r, 5);
  r.proxy.change();
  await until('it is back', () => socket.connects.length >= 2);
  await r.write(5);
  await has(r, 10);
  t.diagnostic(r.history.assertExact('recovery off'));
  assert.deepEqual(socket.connects.map(Boolean), [false, false]);
  assert.ok(socket.extra.every((e) => e.length === 0));
});
