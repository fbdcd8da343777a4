// The README's quick start: no configuration at all. It needs the default ports, so it says so when they are taken.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { launch, open, publish, state, stats } from './lib/browser.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const taken = (port) => new Promise((ok) => {
  const s = net.createServer().once('error', () => ok(true)).listen(port, '127.0.0.1', () => s.close(() => ok(false)));
});

test('jetway without any configuration', { timeout: 120_000 }, async (t) => {
  for (const port of [8080, 8081, 4222]) assert.equal(await taken(port), false, `port ${port} is taken: the quick start cannot be tested here`);
  const jetway = await new Jetway({ bare: true }).start();
  t.after(() => jetway.stop());

  for (const path of ['livez', 'readyz']) assert.equal((await fetch(jetway.url + path)).status, 200, path);
  const res = await fetch(jetway.url);
  assert.equal(res.status, 200);
  assert.match(res.headers.get('content-type'), /^text\/html/);
  assert.match(await res.text(), /<title>Jetway<\/title>/);

  const page = await open(browser, jetway.url + '?record');
  t.after(() => page.context().close());
  await state(page, 'live');
  await publish(page, { hello: 'world' });
  await until('the event is back', async () => (await stats(page)).received.length === 1);
  assert.deepEqual((await stats(page)).received, [{ hello: 'world' }]);
  assert.ok(fs.existsSync(jetway.dir + '/jetway-data'), 'no store in the working directory');
  assert.deepEqual(page.errors, []);
});
