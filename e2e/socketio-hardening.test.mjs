// J04: names of JavaScript's own are members like any other, for the stock client and for whoever reads the stream.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import parser from 'socket.io-msgpack-parser';
import { readAll } from './lib/client.mjs';
import { Jetway } from './lib/jetway.mjs';
import { TRANSPORTS, collect, connect, ok, subscribe } from './lib/socketio.mjs';
import { until } from './lib/until.mjs';

let jetway;
before(async () => {
  jetway = await new Jetway({ config: 'socketio: {recovery: event}\n' }).start();
});
after(() => jetway?.stop());

const TEXT = '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":1,"hasOwnProperty":null,"then":{"__proto__":null}}';

const variants = Object.entries(TRANSPORTS).map(([name, transports]) => [name, { transports }]);
variants.push(['websocket, msgpack', { transports: ['websocket'], parser }]);

for (const [name, options] of variants) {
  test(`J04 ${name}: __proto__ and constructor pass, and change nothing`, { timeout: 120_000 }, async (t) => {
    const at = `events.j04.${name.length}`;
    const a = await connect(t, jetway.url, options), b = await connect(t, jetway.url, options);
    await subscribe(b, at);
    const got = collect(b, at);
    await ok(a, at, JSON.parse(TEXT), 'x'); // JSON.parse makes __proto__ a member of its own
    await ok(a, 'jetway:pub', { pub: at, data: JSON.parse(TEXT), __proto__: null, constructor: 1 });
    await until('the events', () => got.length === 2);
    for (const [value] of got) {
      assert.equal({}.admin, undefined, 'all objects have been changed');
      assert.deepEqual(Object.keys(Object.prototype), []);
      if (options.parser) continue; // that parser assigns __proto__, to this one object: it is the client's own, and knows no better
      assert.equal(value.admin, undefined);
      assert.ok(Object.hasOwn(value, '__proto__'));
      assert.equal(JSON.stringify(value), TEXT);
    }
    assert.ok(a.connected && b.connected);
  });
}

for (const event of ['events.__proto__', 'events.constructor.prototype', 'events.toString']) {
  test(`J04 the event ${event} is one like any other`, { timeout: 120_000 }, async (t) => {
    const a = await connect(t, jetway.url);
    await subscribe(a, event);
    const got = collect(a, event);
    await ok(a, event, 1);
    await until('the event', () => got.length === 1);
    assert.equal((await readAll(jetway.ws, event)).length, 1);
  });
}

test('J04 the events __proto__ and constructor, of one token', { timeout: 120_000 }, async (t) => {
  const a = await connect(t, jetway.url);
  for (const event of ['__proto__', 'constructor', 'hasOwnProperty']) await ok(a, event, 1); // live only, and nobody there
  assert.ok(a.connected);
});
