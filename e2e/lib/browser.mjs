// Real Chromium, driven by Playwright.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { until } from './until.mjs';

const OUT = fileURLToPath(new URL('../out/', import.meta.url));

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

// A page in a context of its own, that is, with storage of its own. `errors` collects what the page threw.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.errors = [];
  page.on('pageerror', (err) => page.errors.push(err.message));
  await page.goto(url);
  return page;
}

// The page's own numbers, see `window.jetway` in examples/browser/index.html.
export const stats = (page) => page.evaluate(() => ({ ...window.jetway, received: window.jetway.received, positions: window.jetway.positions }));

export const state = (page, want, options) => until(`page is ${want}`, async () => (await page.evaluate(() => window.jetway.state)) === want, options);

export const goOffline = async (page) => { await page.getByRole('switch', { name: 'Online' }).uncheck(); await state(page, 'offline'); };
export const goOnline = (page) => page.getByRole('switch', { name: 'Online' }).check();

export async function publish(page, data, copies = 1) {
  await page.getByRole('textbox', { name: 'Data' }).fill(JSON.stringify(data));
  await page.getByRole('spinbutton', { name: 'Copies' }).fill(String(copies));
  await page.getByRole('button', { name: 'Publish' }).click();
}

export async function screenshot(page, name) {
  fs.mkdirSync(OUT, { recursive: true });
  await page.screenshot({ path: OUT + name + '.png' });
}
