// examples/socketio-chat: the page of the Socket.IO tutorial, unmodified, in two windows, without the tutorial's server.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, screenshot } from './lib/browser.mjs';
import { Client, readAll } from './lib/client.mjs';
import { History } from './lib/history.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

const CONFIG = fs.readFileSync(new URL('../examples/socketio-chat/jetway.yaml', import.meta.url), 'utf8');
const SUBJECT = 'events.chat.general';
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

// `socket` is a top-level const of the page, so that scripts see it, as a developer's console does.
const connected = (page) => until('the page is connected', () => page.evaluate('socket.connected'));
const shown = (page) => page.locator('#messages > li').allTextContents();
const holds = (page, n) => until(`the page shows ${n}`, async () => { const all = await shown(page); return all.length >= n && all; });

async function say(page, text) {
  await page.locator('#input').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

async function window_(t, jetway) {
  const page = await open(browser, jetway.url + 'chat');
  t.after(async () => {
    await page.context().close();
    assert.deepEqual(page.errors, []);
  });
  await connected(page);
  return page;
}

test('two windows, a service, a reload, and a kill while one writes', { timeout: 120_000 }, async (t) => {
  const history = new History();
  const jetway = await new Jetway({ config: CONFIG }).start();
  t.after(() => jetway.stop());
  assert.match(jetway.output, /chat +http:\/\/[^ ]+\/chat/, 'the program does not say where the page is');
  const one = await window_(t, jetway), two = await window_(t, jetway);
  const write = async (page, name, n) => { const v = history.attempt(`${name}-${n}`); await say(page, v); return v; };
  const settled = (n) => until(`${n} events are stored`, async () => (await readAll(jetway.ws, SUBJECT)).length === n);

  for (let n = 1; n <= 3; n++) {
    await write(one, 'one', n);
    await write(two, 'two', n);
  }
  const service = new Client(jetway.ws);
  t.after(() => service.close());
  await service.publish(SUBJECT, history.attempt('service-1'));
  assert.equal((await holds(one, 7)).length, 7);
  await holds(two, 7);

  const late = await window_(t, jetway);
  assert.deepEqual(await holds(late, 7), await shown(one), 'a new page has no history');

  const before = await one.evaluate('socket.id');
  await jetway.kill();
  // Into the client's own queue. One page alone: while it has no connection, the tutorial's clientOffset does not say
  // which page it is of ("undefined-3").
  for (let n = 4; n <= 9; n++) await write(one, 'one', n);
  await jetway.start();
  await settled(13);
  for (const page of [one, two, late]) await holds(page, 13);
  assert.equal(await one.evaluate('socket.recovered'), true, 'the session was not recovered');
  assert.equal(await one.evaluate('socket.id'), before);

  const stored = (await readAll(jetway.ws, SUBJECT)).map((e) => e.data);
  for (const v of stored) history.ack(v);
  for (const [name, page] of Object.entries({ one, two, late })) {
    const here = history.reader();
    here.deliver(...await shown(page));
    t.diagnostic(here.assertExact(name));
    assert.deepEqual(here.delivered, stored, `${name} and the stream differ`);
  }
  await screenshot(one, 'socketio-chat');

  await one.reload();
  await connected(one);
  assert.deepEqual(await holds(one, 13), stored, 'the reloaded page shows something else');
});

test('what is sent again after a lost acknowledgement is stored once', { timeout: 120_000 }, async (t) => {
  const jetway = await new Jetway({ config: CONFIG }).start();
  t.after(() => jetway.stop());
  const page = await window_(t, jetway);
  // The first answer never reaches the client: it closes, comes back and sends again.
  await page.evaluate(`(() => {
    const onack = socket.onack.bind(socket);
    window.lost = 0;
    socket.onack = (packet) => { if (window.lost++) return onack(packet); socket.io.engine.close(); };
  })()`);
  await say(page, 'once-1');
  await until('the answer was lost', () => page.evaluate('window.lost > 1'));
  await say(page, 'once-2');
  await holds(page, 2);
  assert.deepEqual(await shown(page), ['once-1', 'once-2']);
  assert.deepEqual((await readAll(jetway.ws, SUBJECT)).map((e) => e.data), ['once-1', 'once-2']);
});
