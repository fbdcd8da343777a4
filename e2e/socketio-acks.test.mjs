// Acknowledgements in both directions: an event of the client that is sent until it is stored, once; events and jobs of
// the server that come again until the client has acknowledged them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, readAll } from './lib/client.mjs';
import { History } from './lib/history.mjs';
import { Jetway } from './lib/jetway.mjs';
import { HEARTBEAT, PATIENT, TRANSPORTS, client, collect, connect, connected, ok, subscribe } from './lib/socketio.mjs';
import { until } from './lib/until.mjs';

const config = (heartbeat, lease) => `
socketio: {${heartbeat}}
queues: {lease: ${lease}, max_tries: 3, backoff: [100ms]}
bridge:
  map:
    - {event: "log:{writer}", subject: "events.log.{writer}", key: 1}
`;

async function start(t, { heartbeat = HEARTBEAT, lease = '2s' } = {}) {
  const jetway = await new Jetway({ config: config(heartbeat, lease) }).start();
  t.after(() => jetway.stop());
  return jetway;
}

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  test(`${name}: retries through three kills: everything is stored once, in order`, { timeout: 120_000 }, async (t) => {
    const EVENTS = 400, history = new History();
    const jetway = await start(t);
    const socket = client(t, jetway.url, { transports, retries: 1000, ackTimeout: 2000 });
    await connected(socket);
    let acked = 0, dups = 0;
    for (let i = 1; i <= EVENTS; i++) {
      const v = history.attempt(`w-${i}`);
      socket.emit('log:w', v, v, (err, answer) => {
        if (err || !answer.ok) return void t.diagnostic(`${v}: ${err} ${JSON.stringify(answer)}`);
        acked++;
        if (answer.dup) dups++;
        history.ack(v);
      });
    }
    for (const at of [0.2, 0.5, 0.8]) {
      await until(`${at} of them acknowledged`, () => acked >= EVENTS * at, { every: 1 });
      assert.ok(acked < EVENTS, 'the kill came too late to hit anything');
      await jetway.kill();
      await jetway.start();
    }
    await until('all acknowledged', () => acked === EVENTS);
    history.deliver(...(await readAll(jetway.ws, 'events.log.w')).map((e) => e.data));
    t.diagnostic(history.assertExact(name));
    t.diagnostic(`kills ${jetway.kills}, connections ${socket.connects.length}, sent again though stored ${dups}`);
    assert.ok(socket.connects.length > 3, 'the kills did not hit the client');
  });
}

test('events that ask for an acknowledgement are recovered: a durable subscription through kills, at least once, in order; what is acknowledged never comes again', { timeout: 120_000 }, async (t) => {
  const EVENTS = 300, history = new History();
  const jetway = await start(t);
  const socket = client(t, jetway.url);
  const firsts = new Set(), confirmed = new Set();
  let again = 0, after = 0;
  // Acknowledges two thirds at once, the rest not at all before the first kill.
  socket.on('events.d.x', (v, ack) => {
    assert.equal(typeof ack, 'function', 'no acknowledgement is asked for');
    if (firsts.has(v)) again++;
    else history.deliver(v);
    if (confirmed.has(v)) after++;
    firsts.add(v);
    if (jetway.kills === 0 && firsts.size > 100) return;
    ack();
  });
  // A durable subscription is the socket's: with each connection it is asked for again.
  socket.on('connect', () => socket.emit('jetway:sub', { sub: 'events.d.x', as: 'desk', from: 'first' }, (a) => { if (!a.ok) t.diagnostic(JSON.stringify(a)); }));
  await connected(socket);
  const writer = new Client(jetway.ws);
  t.after(() => writer.close());
  const all = Array.from({ length: EVENTS }, (_, i) => {
    const v = history.attempt(`d-${i + 1}`);
    return writer.publish('events.d.x', v, v).then(() => history.ack(v));
  });
  await until('more than what is acknowledged', () => firsts.size > 150);
  await jetway.kill();
  await jetway.start();
  await until('the first that was not acknowledged again', () => again > 0);
  await Promise.all(all);
  await until('all', () => firsts.size === EVENTS);
  t.diagnostic(history.assertExact('first deliveries'));
  t.diagnostic(`came again: ${again}`);
  // All are acknowledged: the next to attach finds nothing.
  const pos = await ok(socket, 'events.d.x', 'd-last');
  await until('the last', () => firsts.has('d-last'));
  await ok(socket, 'jetway:ping', { ping: 1 }); // after the acknowledgement, on the same connection
  for (const v of firsts) confirmed.add(v);
  socket.disconnect();
  await connected(socket);
  await ok(socket, 'events.d.x', 'd-end');
  await until('the next one', () => firsts.has('d-end'));
  assert.equal(after, 0, `acknowledged and delivered again; the last was at ${pos.pos}`);
});

test('jobs: ack, ack({data}), nak with a delay, term, and none at all', { timeout: 120_000 }, async (t) => {
  const jetway = await start(t, { heartbeat: PATIENT, lease: '5s' }); // one lease ends, and no other
  const worker = await connect(t, jetway.url), boss = await connect(t, jetway.url);
  const tries = new Map(), whole = [];
  worker.on('jobs.resize', (job, info, ack) => {
    const n = (tries.get(job.name) ?? 0) + 1;
    tries.set(job.name, n);
    whole.push({ job, info });
    const first = n === 1;
    if (job.name === 'plain') ack();
    if (job.name === 'result') ack({ data: { size: 42 } });
    if (job.name === 'nak') ack(first ? { nak: true, delay: '300ms', why: 'not now' } : {});
    if (job.name === 'term') ack({ term: true, why: 'never' });
    if (job.name === 'silent' && !first) ack(); // the lease ends in between
    if (job.name === 'failing') ack({ nak: true });
  });
  const lost = collect(worker, 'jetway:lost');
  await ok(worker, 'jetway:work', { work: 'jobs.resize', max: 10 });

  const names = ['plain', 'result', 'nak', 'term', 'silent', 'failing'], watch = {}, at = Date.now();
  for (const name of names) watch[name] = (await ok(boss, 'jobs.resize', { name })).watch;
  const story = async (name) => (await readAll(jetway.ws, watch[name])).map((e) => e.data);
  const end = (name) => until(`the end of ${name}`, async () => (await story(name)).find((e) => ['done', 'dead'].includes(e.state)));

  assert.equal((await end('plain')).state, 'done');
  assert.deepEqual((await end('result')).data, { size: 42 });
  assert.equal((await end('nak')).try, 2);
  assert.ok(Date.now() - at >= 300, 'the delay was not kept');
  assert.deepEqual([(await end('term')).state, tries.get('term')], ['dead', 1]);
  assert.deepEqual([(await end('silent')).state, tries.get('silent')], ['done', 2]);
  assert.deepEqual([(await end('failing')).state, tries.get('failing')], ['dead', 3]);
  assert.equal(lost.length, 1, 'the silent job\'s lease');
  for (const { info } of whole) assert.deepEqual(Object.keys(info), ['lease', 'try', 'for']);
  const dead = (await readAll(jetway.ws, 'dead.jobs.resize')).map((e) => e.data.name);
  assert.deepEqual(dead.sort(), ['failing', 'term']);
});

test('events that ask for an acknowledgement are recovered: jobs through kills, each is done once', { timeout: 120_000 }, async (t) => {
  const JOBS = 150, history = new History();
  const jetway = await start(t);
  const socket = client(t, jetway.url);
  let done = 0, again = 0;
  socket.on('jobs.count', (v, { try: n }, ack) => {
    history.deliver(v);
    if (n > 1) again++;
    done++;
    ack({ data: v });
  });
  socket.on('connect', () => socket.emit('jetway:work', { work: 'jobs.count', max: 5 }, () => {}));
  await connected(socket);
  const boss = new Client(jetway.ws);
  t.after(() => boss.close());
  const watches = [];
  const all = Array.from({ length: JOBS }, (_, i) => {
    const v = history.attempt(`j-${i + 1}`);
    return boss.publish('jobs.count', v, v).then((a) => { history.ack(v); watches.push(a.watch); });
  });
  for (const at of [40, 90]) {
    await until(`${at} done`, () => done >= at);
    await jetway.kill();
    await jetway.start();
  }
  await Promise.all(all);
  const ended = await until('every job told its end', async () => {
    const events = (await readAll(jetway.ws, 'jobs.events.count.>')).filter((e) => e.data.state === 'done');
    return events.length >= JOBS && events;
  });
  assert.deepEqual(ended.map((e) => e.data.data).sort(), [...history.attempted].sort(), 'results: one for each job');
  // Done, but killed before that was known: at most what was in hand at a kill.
  t.diagnostic(history.assertAtLeastOnce('worker', 2 * 5));
  t.diagnostic(`tried again: ${again}`);
});
