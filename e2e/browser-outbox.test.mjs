// What a page publishes while it is offline is stored once, in order, whatever happens on the way.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readAll } from './lib/client.mjs';
import { goOffline, goOnline, launch, open, publish, screenshot, state, stats } from './lib/browser.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('the outbox goes out once after the return', { timeout: 120_000 }, async (t) => {
  const jetway = await new Jetway().start();
  t.after(() => jetway.stop());
  const page = await open(browser, jetway.url + '?record');
  t.after(() => page.context().close());
  await state(page, 'live');

  await goOffline(page);
  const sent = [];
  for (let i = 1; i <= 5; i++) {
    await publish(page, `page-${i}`);
    sent.push(`page-${i}`);
  }
  assert.equal((await stats(page)).outbox, 5);
  await jetway.kill();
  await jetway.start();
  assert.deepEqual(await readAll(jetway.ws, 'events.demo'), [], 'something went out while offline');
  await screenshot(page, 'outbox-offline');

  await page.reload(); // the outbox and the switch survive it
  await state(page, 'offline');
  await until('the outbox is back', async () => (await stats(page)).outbox === 5);

  await goOnline(page);
  await until('the outbox is empty', async () => (await stats(page)).outbox === 0);
  await until('the page has its events', async () => (await stats(page)).received.length >= 5);
  assert.deepEqual((await stats(page)).received, sent);

  await page.reload();
  await state(page, 'live');
  assert.equal((await stats(page)).outbox, 0);
  assert.deepEqual((await readAll(jetway.ws, 'events.demo')).map((e) => e.data), sent);
  assert.deepEqual((await stats(page)).received, []);
  assert.deepEqual(page.errors, []);
});

test('a kill in the middle of the outbox stores nothing twice', { timeout: 120_000 }, async (t) => {
  const copies = 1000; // as many as the form takes: the kill must not come too late
  const jetway = await new Jetway().start();
  t.after(() => jetway.stop());
  const page = await open(browser, jetway.url + '?record');
  t.after(() => page.context().close());
  await state(page, 'live');
  await goOffline(page);
  await publish(page, { from: 'page' }, copies);
  await goOnline(page);
  await until('some of it is stored', async () => (await stats(page)).stored >= 20, { every: 1 });
  await jetway.kill();
  const before = (await stats(page)).stored;
  assert.ok(before < copies, 'the kill came too late to hit anything');
  await jetway.start();
  await until('the outbox is empty', async () => (await stats(page)).outbox === 0);
  await until('the page has its events', async () => (await stats(page)).received.length >= copies);
  await state(page, 'live');
  const s = await stats(page);
  t.diagnostic(`stored before the kill ${before}, after it ${s.stored - before}, of those already stored ${s.storedAgain}`);
  assert.equal((await readAll(jetway.ws, 'events.demo')).length, copies);
  assert.equal(s.received.length, copies);
  assert.equal(s.duplicates, 0);
  assert.deepEqual(page.errors, []);
});
