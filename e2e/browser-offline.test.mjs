// A page is offline while a thousand events are published and the gateway is killed twice: nothing may be lost,
// nothing may come twice, everything comes in order.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, readAll } from './lib/client.mjs';
import { goOffline, goOnline, launch, open, publish, screenshot, state, stats } from './lib/browser.mjs';
import { History } from './lib/history.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

const EVENTS = 1000;
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const ways = {
  switch: { off: goOffline, on: goOnline },
  network: { off: (page) => page.context().setOffline(true), on: (page) => page.context().setOffline(false) },
};

for (const [name, way] of Object.entries(ways)) {
  test(`offline by ${name}, ${EVENTS} events, two kills`, { timeout: 120_000 }, async (t) => {
    const history = new History();
    const jetway = await new Jetway().start();
    t.after(() => jetway.stop());
    const page = await open(browser, jetway.url + '?record');
    t.after(() => page.context().close());
    await state(page, 'live');

    await publish(page, history.attempt('page-1'));
    await until('the page has its own event', async () => (await stats(page)).received.length === 1);
    history.ack('page-1');

    await way.off(page);
    const client = new Client(jetway.ws);
    t.after(() => client.close());
    let acked = 0;
    const all = Array.from({ length: EVENTS }, (_, i) => {
      const v = history.attempt(`node-${i + 1}`);
      return client.publish('events.demo', v, v).then(() => { acked++; history.ack(v); });
    });
    for (const at of [EVENTS * 0.3, EVENTS * 0.65]) {
      await until(`${at} acknowledged`, () => acked >= at, { every: 1 });
      assert.ok(acked < EVENTS, 'the kill came too late to hit anything');
      await jetway.kill();
      await jetway.start();
    }
    await Promise.all(all);
    const early = (await stats(page)).received.length - 1;
    if (name === 'switch') assert.equal(early, 0, 'the switch did not take the page offline');

    await way.on(page);
    await until('the page has everything', async () => (await stats(page)).received.length > EVENTS);
    await state(page, 'live');

    const s = await stats(page);
    history.deliver(...s.received);
    t.diagnostic(history.assertExact('page'));
    t.diagnostic(`kills ${jetway.kills}, connections of the writer ${client.connects}, retries already stored ${client.dups}, received before going back ${early}`);
    assert.deepEqual(s.received, ['page-1', ...Array.from({ length: EVENTS }, (_, i) => `node-${i + 1}`)]);
    assert.equal(new Set(s.positions).size, EVENTS + 1, 'positions are not unique');
    assert.equal(s.duplicates, 0);
    assert.deepEqual(s.gaps, []);
    assert.ok(client.connects >= 3, 'the kills did not hit the writer');
    assert.deepEqual((await readAll(jetway.ws, 'events.demo')).map((e) => e.data), s.received, 'the stream and the page differ');
    const newest = page.locator('#list > [data-kind=event]').first();
    await until('the list shows the newest event', async () => (await newest.locator('.pos').textContent()) === s.pos); // it is drawn a few times a second
    await screenshot(page, `offline-${name}`);

    const shown = await newest.textContent();
    await page.reload();
    await state(page, 'live');
    const r = await stats(page);
    assert.equal(r.pos, s.pos, 'the position was not kept');
    assert.equal(r.count, EVENTS + 1, 'the count was not kept');
    assert.equal(await newest.textContent(), shown, 'the list was not kept');
    await client.publish('events.demo', 'node-last', 'node-last');
    await until('the next event', async () => (await stats(page)).received.length > 0);
    assert.deepEqual((await stats(page)).received, ['node-last'], 'something was delivered again after the reload');
    assert.equal((await stats(page)).duplicates, 0);
    assert.deepEqual(page.errors, []);
  });
}
