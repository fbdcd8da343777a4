// Starts jetway as a process of its own, on a free port, with a store of its own, and kills it for real.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { until } from './until.mjs';

const BIN = (process.env.JETWAY_BIN || '').split(' ').filter(Boolean);

export const tempDir = () => fs.mkdtempSync(path.join(os.tmpdir(), 'jetway-e2e-'));

export async function freePort() {
  const s = net.createServer();
  await new Promise((ok, bad) => s.once('error', bad).listen(0, '127.0.0.1', ok));
  const { port } = s.address();
  await new Promise((ok) => s.close(ok));
  return port;
}

export class Jetway {
  // `config`: the text of a jetway.yaml. `bare`: no flags and no file at all, as in the README's quick start.
  // `nats`: microservices can join, at `natsURL`. `join`: the URL of such a server, instead of one of its own.
  // `admin`: it has metrics.
  constructor({ config = '', port, bare = false, nats = false, join = '', admin = false } = {}) {
    this.dir = tempDir();
    this.port = port;
    this.config = config;
    this.bare = bare;
    this.nats = nats;
    this.join = join;
    this.admin = admin;
    this.output = '';
    this.kills = 0;
  }

  get host() { return `127.0.0.1:${this.port}`; }
  get url() { return `http://${this.host}/`; }
  get natsURL() { return `nats://127.0.0.1:${this.natsPort}`; }
  get ws() { return `ws://${this.host}/ws`; }

  // Starts it, on the same port and store as before if it ran before, and returns when it is ready.
  async start() {
    if (!BIN.length) throw new Error('JETWAY_BIN is not set: start the tests with run.sh');
    this.port ??= this.bare ? 8080 : await freePort();
    if (this.nats) this.natsPort ??= await freePort();
    if (this.admin) this.adminPort ??= await freePort();
    const broker = this.join ? ['--nats.url', this.join] : ['--nats.embedded.listen', this.nats ? `127.0.0.1:${this.natsPort}` : '', '--nats.embedded.store_dir', path.join(this.dir, 'store')];
    const args = this.bare ? [] : ['serve', '--listen', this.host, '--admin.listen', this.admin ? `127.0.0.1:${this.adminPort}` : '', ...broker];
    if (this.config) {
      fs.writeFileSync(path.join(this.dir, 'e2e.yaml'), this.config);
      args.push('--config', path.join(this.dir, 'e2e.yaml'));
    }
    const child = spawn(BIN[0], [...BIN.slice(1), ...args], { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.ended = new Promise((ok) => child.once('close', (code, signal) => { child.gone = signal || `exit ${code}`; ok(); }));
    child.on('error', (err) => { child.gone = err.message; });
    for (const s of [child.stdout, child.stderr]) s.on('data', (b) => { this.output = (this.output + b).slice(-16_384); });
    await until(`jetway ready on ${this.host}`, async () => {
      if (child.gone) throw new Error(`jetway is gone: ${child.gone}\n${this.output}`);
      return (await fetch(this.url + 'readyz')).status === 200;
    }).catch((err) => { throw new Error(`${err.message}\n${this.output}`); });
    return this;
  }

  // The sum of a metric over its labels.
  async metric(name) {
    const text = await (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map((m) => Number(m[1]));
    if (!values.length) throw new Error(`there is no metric ${name}`);
    return values.reduce((a, b) => a + b, 0);
  }

  // SIGKILL: nothing is flushed, nothing is said.
  async kill() {
    this.kills++;
    this.child.kill('SIGKILL');
    await this.ended;
  }

  // Ends it and forgets its store.
  async stop() {
    if (this.child && !this.child.gone) {
      this.child.kill('SIGKILL');
      await this.ended;
    }
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
