// When the stream no longer holds what a page has missed, the page says so.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, readAll } from './lib/client.mjs';
import { goOffline, goOnline, launch, open, publish, screenshot, state, stats } from './lib/browser.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

const config = `streams:
  - {name: EVENTS, subjects: [events.>], max_bytes: 64KiB}
`;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('messages trimmed while the page was offline are shown as a gap', { timeout: 120_000 }, async (t) => {
  const jetway = await new Jetway({ config }).start();
  t.after(() => jetway.stop());
  const page = await open(browser, jetway.url + '?record');
  t.after(() => page.context().close());
  await state(page, 'live');
  await publish(page, 'page-1');
  await until('the page has its own event', async () => (await stats(page)).received.length === 1);

  await goOffline(page);
  const client = new Client(jetway.ws);
  t.after(() => client.close());
  const filler = 'x'.repeat(1000);
  await Promise.all(Array.from({ length: 200 }, (_, i) => client.publish('events.demo', { n: i + 1, filler }, `gap-${i + 1}`)));
  const { pos } = await stats(page);
  await goOnline(page);
  await until('the newest event', async () => (await stats(page)).received.at(-1)?.n === 200);
  await state(page, 'live');

  const row = page.locator('#list > [data-kind=gap]');
  await row.scrollIntoViewIfNeeded(); // the browser does not render rows out of view
  await until('the gap is readable', async () => /messages between .+ and .+ no longer exist/.test(await row.innerText()));
  await page.getByRole('alert').getByText('Messages are missing').waitFor();
  await screenshot(page, 'gap');

  const s = await stats(page);
  assert.equal(s.gaps.length, 1);
  assert.equal(s.gaps[0].after, pos);
  const kept = (await readAll(jetway.ws, 'events.demo')).map((e) => e.data.n);
  assert.ok(kept.length > 0 && kept.length < 200, `nothing was trimmed: ${kept.length} kept`);
  assert.deepEqual(s.received.slice(1).map((d) => d.n), kept, 'what the stream still holds must arrive whole');
  assert.equal(s.duplicates, 0);

  // The gap is told once: a reload resumes after it.
  await page.reload();
  await state(page, 'live');
  assert.equal((await stats(page)).gaps.length, 1);
  assert.deepEqual((await stats(page)).received, []);
  assert.deepEqual(page.errors, []);
});
