// Work queues with real pages: one submits jobs and follows them, workers are browser tabs and a Go program. Whatever is
// reloaded, closed or killed, each job is done, once, and its page shows its whole story.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Client, readAll } from './lib/client.mjs';
import { launch, open, screenshot } from './lib/browser.mjs';
import { Jetway } from './lib/jetway.mjs';
import { until } from './lib/until.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

// Short leases: what a kill leaves behind comes back when its lease ends.
const QUICK = 'queues: {lease: 3s, backoff: [200ms]}\n';

async function start(t, { config = QUICK, nats = false } = {}) {
  const jetway = await new Jetway({ config, nats }).start();
  t.after(() => jetway.stop());
  const page = await tab(t, jetway.url + 'jobs');
  return { jetway, page };
}

async function tab(t, url, options) {
  const page = await open(browser, url, options);
  t.after(async () => {
    await page.context().close();
    assert.deepEqual(page.errors, []);
  });
  return page;
}

const worker = (t, jetway, how = 'well') => tab(t, `${jetway.url}jobs/worker?start&how=${how}`);
const jobs = (page) => page.evaluate(() => window.jetway.jobs.map((job) => ({ ...job, result: job.result && { ...job.result, image: job.result.image.length } })));
const all = (page, what, test, options) => until(what, async () => { const js = await jobs(page); return js.length > 0 && js.every(test) && js; }, options);
const some = (page, what, test) => until(what, async () => (await jobs(page)).find(test));
const how = (page, name) => page.getByRole('radio', { name }).evaluate((radio) => radio.click());

async function submit(page, n = 3) {
  const before = (await jobs(page)).length;
  await page.getByRole('button', { name: 'Make test images' }).click();
  await until('the images are made', async () => await page.locator('#chosen li').count() >= n);
  await page.getByRole('button', { name: /^Submit/ }).click();
  await until('the jobs are there', async () => (await jobs(page)).length === before + n);
}

// A program on the NATS side.
async function goWorker(t, jetway, ...args) {
  const child = spawn(process.env.JOBS_WORKER_BIN, ['--nats', jetway.natsURL, '--name', 'gopher', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.output = '';
  child.stderr.on('data', (b) => { child.output += b; });
  child.ended = new Promise((ok) => child.once('close', (code, signal) => ok(signal || code)));
  t.after(async () => { child.kill('SIGKILL'); await child.ended; });
  await until('the Go worker works', () => child.output.includes('msg=working'));
  return child;
}

// What the stream of job events says, by job.
async function stories(jetway) {
  const by = new Map();
  for (const e of await readAll(jetway.ws, 'jobs.events.>')) by.set(e.msg, [...(by.get(e.msg) ?? []), e.data]);
  return by;
}
const brief = (story) => JSON.stringify(story.map(({ data, ...e }) => ({ ...e, ...(data?.percent && { percent: data.percent }) })));
const count = (story, state) => story.filter((e) => e.state === state).length;

async function assertDoneOnce(jetway, page) {
  const told = await stories(jetway), js = await jobs(page);
  assert.deepEqual(js.map((job) => job.watch).sort(), [...told.keys()].sort(), 'the page has other jobs than the stream');
  for (const [watch, story] of told) {
    const whole = brief(story);
    assert.equal(count(story, 'queued'), 1, `${watch} is queued once: ${whole}`);
    assert.equal(count(story, 'done'), 1, `${watch} is done once: ${whole}`);
    assert.ok(['queued', 'active'].includes(story[0].state), `${watch} begins with ${story[0].state}`);
  }
  for (const job of js) {
    assert.equal(job.dones, 1, job.name);
    assert.deepEqual(job.size, { width: 320, height: 200 }, job.name);
  }
  await until('the results are shown', () => page.evaluate(() => [...document.querySelectorAll('.job img')].every((img) => img.alt.endsWith(', resized') && img.naturalWidth === 320)));
  assert.equal(await page.evaluate(() => window.jetway.following), 0, 'subscriptions are left over');
}

const midWay = (job) => job.state === 'active' && job.percent >= 20 && job.percent < 90;

test('a tab works, the page is reloaded mid-way', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t);
  await submit(page);
  await all(page, 'all are queued', (job) => job.state === 'queued');
  const w = await worker(t, jetway, 'slow');
  await some(page, 'one is mid-way', midWay);
  await screenshot(page, 'jobs-active');
  await screenshot(w, 'jobs-worker');
  await page.reload();
  const job = await some(page, 'it is mid-way after the reload, too', (j) => j.caught && midWay(j) && j.percents.length > 1);
  assert.deepEqual(job.states.slice(0, 3), ['queued', 'active', 'progress'], 'the story does not begin with its beginning');
  await how(w, 'Well');
  await all(page, 'all are done', (j) => j.state === 'done');
  await assertDoneOnce(jetway, page);
  await page.locator('.job summary').first().click();
  await page.locator('.job .life').first().getByText('done by anonymous').waitFor();
  await screenshot(page, 'jobs-done');

  // Closed and opened again: in a browser that was away for long, only the events are left to tell.
  const again = await page.context().newPage();
  await page.close();
  await again.goto(jetway.url + 'jobs');
  await all(again, 'all are shown as done', (j) => j.state === 'done' && j.dones === 1 && j.result);
  await w.getByRole('button', { name: 'Stop' }).click();
  await until('the worker has stopped', () => w.evaluate(() => window.jetway.state === 'stopped'));
  assert.deepEqual(await w.evaluate(() => window.jetway.counts), { done: 3, failed: 0, dead: 0, lost: 0 });
});

test('a Go program works, the page is reloaded mid-way', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t, { nats: true });
  await submit(page);
  const child = await goWorker(t, jetway, '--pause', '200ms');
  await some(page, 'one is mid-way', midWay);
  await page.reload();
  await some(page, 'it is mid-way after the reload, too', (j) => j.caught && midWay(j) && j.worker === 'gopher');
  await all(page, 'all are done', (j) => j.state === 'done');
  await assertDoneOnce(jetway, page);
  await screenshot(page, 'jobs-go');

  await submit(page);
  await some(page, 'one more is mid-way', midWay);
  child.kill('SIGTERM');
  assert.equal(await child.ended, 0, child.output);
  const js = await all(page, 'the one at hand is finished, the others wait', (j) => ['done', 'queued'].includes(j.state));
  assert.equal(js.filter((j) => j.state === 'queued').length, 2);
});

test('jetway is killed mid-way, and a job is submitted meanwhile', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t, { nats: true });
  await submit(page);
  const w = await worker(t, jetway, 'slow');
  await goWorker(t, jetway, '--pause', '200ms');
  await until('both are mid-way', async () => (await jobs(page)).filter(midWay).length === 2);
  await jetway.kill();
  await until('the page knows', () => page.evaluate(() => window.jetway.state === 'waiting'));
  await submit(page);
  assert.equal((await jobs(page)).filter((j) => j.state === 'outbox').length, 3);
  await screenshot(page, 'jobs-killed');
  await page.goto('about:blank'); // what was submitted is in the browser's storage alone
  await jetway.start();
  await page.goto(jetway.url + 'jobs');
  await how(w, 'Well');
  await all(page, 'all six are done', (j) => j.state === 'done');
  assert.equal((await jobs(page)).length, 6);
  await assertDoneOnce(jetway, page);
});

test('a worker tab is closed mid-job, another one gets the job', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t);
  await submit(page);
  const first = await worker(t, jetway, 'slow');
  const { watch } = await some(page, 'one is mid-way', midWay);
  await worker(t, jetway);
  await first.close();
  await all(page, 'all are done', (j) => j.state === 'done');
  await assertDoneOnce(jetway, page);
  const story = (await stories(jetway)).get(watch);
  const retry = story.find((e) => e.state === 'retry');
  assert.match(retry.why, /connection ended/);
  assert.deepEqual(story.filter((e) => e.state === 'active').map((e) => e.try), [1, 2]);
});

test('five failures make a dead letter; what is no image is one at once', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t, { nats: true });
  await submit(page);
  const w = await worker(t, jetway, 'fail');
  await some(page, 'one waits to be retried', (j) => j.state === 'retry');
  await screenshot(page, 'jobs-retry');
  await all(page, 'all are dead', (j) => j.state === 'dead');
  for (const job of await jobs(page)) {
    assert.equal(job.try, 5);
    assert.match(job.why, /failed on purpose/);
  }
  await screenshot(page, 'jobs-dead');
  await screenshot(w, 'jobs-worker-failed');
  const letters = await readAll(jetway.ws, 'dead.jobs.resize');
  assert.deepEqual(letters.map((l) => l.head['Jetway-Tries']), ['5', '5', '5']);

  const client = new Client(jetway.ws);
  t.after(() => client.close());
  for (const [i, image] of ['data:image/png;base64,AAAA', 'no image'].entries()) {
    if (i === 1) {
      await w.getByRole('button', { name: 'Stop' }).click();
      await until('the tab has stopped', () => w.evaluate(() => window.jetway.state === 'stopped'));
      await goWorker(t, jetway);
    }
    const { watch } = await client.publish('jobs.resize', { name: 'bad', width: 100, image });
    await until('it is dead', async () => count((await stories(jetway)).get(watch), 'dead') === 1);
    const letter = (await readAll(jetway.ws, 'dead.jobs.resize')).at(-1);
    assert.equal(letter.data.image, image);
    // The gateway may have asked for it before the tab stopped, and handed it back: that counts for others.
    assert.ok(letter.head['Jetway-Tries'] <= i + 1, brief((await stories(jetway)).get(watch)));
    assert.match(letter.head['Jetway-Reason'], /image/);
    assert.equal(letter.head['Jetway-Worker'], i === 1 ? 'gopher' : 'anonymous');
  }
});

test('a silent worker loses its lease, and stops', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t);
  await submit(page);
  const silent = await worker(t, jetway, 'silent');
  await until('it is silent', () => silent.evaluate(() => window.jetway.job?.silent));
  await how(silent, 'Well');
  await all(page, 'all are done', (j) => j.state === 'done');
  assert.equal((await silent.evaluate(() => window.jetway.counts)).lost, 1);
  await assertDoneOnce(jetway, page);
});

test('a full queue is waited for; a delayed job waits', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t, { config: 'queues: {lease: 3s, max_jobs: 2}\n' });
  await submit(page);
  await page.getByText('The queue is full; trying again.').waitFor();
  await page.getByRole('spinbutton', { name: 'Start in seconds' }).fill('10');
  const before = Date.now();
  await submit(page);
  await some(page, 'a job is for later', (j) => j.state === 'delayed');
  await screenshot(page, 'jobs-full');
  await worker(t, jetway);
  await all(page, 'all are done', (j) => j.state === 'done');
  await assertDoneOnce(jetway, page);
  assert.ok(Date.now() - before >= 10_000, 'the delay was not kept');
});

test('more jobs than subscriptions', { timeout: 120_000 }, async (t) => {
  const { jetway, page } = await start(t, { nats: true });
  const image = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 480, height: 300 });
    canvas.getContext('2d').fillRect(100, 100, 200, 100);
    return canvas.toDataURL().split(',')[1];
  });
  const n = 120;
  await page.locator('#files').setInputFiles(Array.from({ length: n }, (_, i) => ({ name: `file ${i}.png`, mimeType: 'image/png', buffer: Buffer.from(image, 'base64') })));
  await until('all are chosen', async () => await page.locator('#chosen li').count() === n);
  await page.getByRole('button', { name: `Submit ${n} jobs` }).click();
  await all(page, 'all are queued', (j) => j.watch);
  assert.ok(await page.evaluate(() => window.jetway.following) <= 50);
  await goWorker(t, jetway, '--pause', '0s');
  await all(page, 'all are done', (j) => j.state === 'done');
  await page.reload();
  await all(page, 'all are shown again', (j) => j.dones === 1 && j.result);
  await assertDoneOnce(jetway, page);
  await page.setViewportSize({ width: 390, height: 844 });
  await screenshot(page, 'jobs-many-narrow');
});
