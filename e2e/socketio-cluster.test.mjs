// Several gateways on one NATS, and stock clients before a proxy that sends each connection to the next gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, readAll } from './lib/client.mjs';
import { History } from './lib/history.mjs';
import { Jetway } from './lib/jetway.mjs';
import { Proxy } from './lib/proxy.mjs';
import { HEARTBEAT, TRANSPORTS, client, connected, subscribe } from './lib/socketio.mjs';
import { until } from './lib/until.mjs';

const SUBJECT = 'events.r.x';
const config = (heartbeat) => `
socketio: {${heartbeat}}
bridge:
  connect: {subscribe: [events.r.>]}
  map: [{event: "log:{writer}", subject: "events.log.{writer}", key: 1}]
`;

// `gateways` that join a NATS server, which is another process, and a proxy before them.
async function cluster(t, gateways = 2, { heartbeat = HEARTBEAT } = {}) {
  const nats = await new Jetway({ nats: true }).start();
  const all = await Promise.all(Array.from({ length: gateways }, () => new Jetway({ config: config(heartbeat), join: nats.natsURL, admin: true }).start()));
  const proxy = await new Proxy(...all.map((g) => g.port)).start();
  t.after(async () => {
    await proxy.stop();
    await Promise.all([...all, nats].map((g) => g.stop()));
  });
  return { nats, gateways: all, proxy };
}

function writer(t, url, history) {
  const c = new Client(url);
  t.after(() => c.close());
  let n = 0;
  return (count) => Promise.all(Array.from({ length: count }, () => {
    const v = history.attempt(`w-${++n}`);
    return c.publish(SUBJECT, v, v).then(() => history.ack(v));
  }));
}

// Readers with a history each, of what one writer attempts.
function readers(t, url, history, ways) {
  return ways.map((transports) => {
    const socket = client(t, url, { transports });
    socket.history = history.reader();
    socket.on(SUBJECT, (v) => socket.history.deliver(v));
    return socket;
  });
}

test('#2140: polling without sticky sessions: each request may reach another gateway', { timeout: 120_000 }, async (t) => {
  const { gateways, proxy } = await cluster(t, 2, { heartbeat: '' }), history = new History(); // nothing breaks here
  const all = readers(t, proxy.url, history, Array(6).fill(TRANSPORTS.polling));
  await Promise.all(all.map((s) => connected(s)));
  const write = writer(t, gateways[0].ws, history);
  for (let round = 1; round <= 10; round++) {
    await write(20);
    for (const s of all) await until('it has all', () => s.history.delivered.length >= round * 20);
  }
  // And the other way.
  const log = new History();
  await Promise.all(all.map(async (s, i) => {
    for (let n = 1; n <= 10; n++) {
      const v = log.attempt(`s${i}-${n}`);
      const a = await s.timeout(30_000).emitWithAck(`log:s${i}`, v, v);
      assert.ok(a.ok, JSON.stringify(a));
      log.ack(v);
    }
  }));
  log.deliver(...(await readAll(gateways[1].ws, 'events.log.*')).map((e) => e.data));
  t.diagnostic(log.assertExact('emitted'));
  for (const s of all) {
    s.history.assertExact('reader');
    assert.deepEqual(s.closes, [], 'a connection was lost');
  }
  const shares = [...proxy.perTarget.values()];
  t.diagnostic(`requests by gateway: ${shares}`);
  assert.ok(shares.length === 2 && Math.min(...shares) > 30, 'the proxy was sticky');
});

test('upgrade without sticky sessions', { timeout: 120_000 }, async (t) => {
  const { gateways, proxy } = await cluster(t, 2, { heartbeat: '' }), history = new History(); // nothing breaks here
  const all = readers(t, proxy.url, history, Array(8).fill(TRANSPORTS.upgrade));
  await Promise.all(all.map((s) => connected(s)));
  await writer(t, gateways[0].ws, history)(50);
  for (const s of all) {
    await until('it has all', () => s.history.delivered.length >= 50);
    s.history.assertExact('reader');
    assert.deepEqual(s.closes, [], 'a connection was lost');
  }
});

test('#5413: rolling kills: sessions go on at the other gateway', { timeout: 120_000 }, async (t) => {
  const { nats, gateways, proxy } = await cluster(t), history = new History();
  const all = readers(t, proxy.url, history, Object.values(TRANSPORTS));
  await Promise.all(all.map((s) => connected(s)));
  const write = writer(t, nats.ws, history); // which is not killed
  for (let round = 0; round < 2; round++) {
    for (const gateway of gateways) {
      await write(20);
      const writing = write(100);
      await gateway.kill();
      proxy.ports = gateways.filter((g) => g !== gateway).map((g) => g.port);
      await writing;
      for (const s of all) await until('it has all', () => s.history.delivered.length >= history.acked.size);
      await gateway.start();
      proxy.ports = gateways.map((g) => g.port);
    }
  }
  let moved = 0;
  for (const s of all) {
    t.diagnostic(s.history.assertExact('reader'));
    assert.ok(s.connects.slice(1).every(Boolean), `recovered: ${s.connects}`);
    moved += s.connects.length - 1;
  }
  t.diagnostic(`recovered ${moved} times`);
  assert.ok(moved >= 6, 'the kills hit hardly anybody');
});

test('NATS is killed and comes back: clients with retries lose nothing, readers miss nothing', { timeout: 120_000 }, async (t) => {
  const EVENTS = 200, { nats, gateways, proxy } = await cluster(t, 1), history = new History(), log = new History();
  const [reader] = readers(t, proxy.url, history, [TRANSPORTS.websocket]);
  const socket = client(t, proxy.url, { retries: 1000, ackTimeout: 1000 });
  await Promise.all([connected(reader), connected(socket)]);
  await subscribe(socket, 'events.none');
  let answered = 0;
  const refused = [];
  for (let i = 1; i <= EVENTS; i++) {
    const v = log.attempt(`e-${i}`);
    socket.emit('log:w', v, v, (err, a) => { answered++; if (!err && a.ok) log.ack(v); else refused.push(`${v}: ${err ?? a.code}`); });
  }
  await until('some are stored', () => log.acked.size > EVENTS / 4);
  await nats.kill();
  await nats.start();
  await until('all are answered', () => answered === EVENTS);
  assert.deepEqual(refused, [], 'refused for a reason that passes, and a stock client does not send it again');
  log.deliver(...(await readAll(gateways[0].ws, 'events.log.w')).map((e) => e.data));
  t.diagnostic(log.assertExact('emitted'));
  await writer(t, gateways[0].ws, history)(20);
  await until('the reader goes on', () => reader.history.delivered.length >= 20);
  t.diagnostic(reader.history.assertExact('reader'));
});

// The reference's adapters send what is emitted to a room to every node, once for each room and emit. Here each gateway
// reads a stream once, which is what lets a client come back to any of them; more clients and rooms add nothing.
test('#5226: an event reaches each gateway once, whatever rooms and clients there are', { timeout: 120_000 }, async (t) => {
  const EVENTS = 200, ROOMS = 10, { nats, gateways } = await cluster(t, 3), history = new History();
  const [busy, quiet, empty] = gateways;
  const all = readers(t, busy.url, history, Array(20).fill(TRANSPORTS.websocket));
  all.push(...readers(t, quiet.url, history, [TRANSPORTS.websocket]));
  await Promise.all(all.map((s) => connected(s)));
  for (const [i, s] of all.entries()) for (let room = 0; room < ROOMS; room++) await subscribe(s, `events.room${(i + room) % 30}.>`);
  const received = () => Promise.all(gateways.map((g) => g.metric('jetway_events_received_total')));

  const before = await received();
  await writer(t, nats.ws, history)(EVENTS);
  for (const s of all) await until('it has all', () => s.history.delivered.length === EVENTS);
  for (const s of all) s.history.assertExact('reader');
  await until('the one without clients has read the stream, too', async () => (await received())[2] >= before[2] + EVENTS);
  const stored = (await received()).map((n, i) => n - before[i]);
  t.diagnostic(`${EVENTS} stored events, received by gateway: ${stored}`);
  assert.deepEqual(stored, [EVENTS, EVENTS, EVENTS]);
  assert.equal(await empty.metric('jetway_clients'), 0);
});
