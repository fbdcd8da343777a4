// A small jetway.v1 server, for what a real one cannot be made to do on demand: fall silent, refuse, close with a
// given code, lose an answer. It knows `pub`, `sub`, `off` and `ping` on one stream, which it keeps in memory and,
// if it has a directory, in a file. Run as a program it takes the flags that lib/jetway.mjs passes to jetway.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const PAGE = fileURLToPath(new URL('../../examples/browser/index.html', import.meta.url));

export function matches(filter, subject) {
  const f = filter.split('.'), s = subject.split('.');
  for (let i = 0; i < f.length; i++) {
    if (f[i] === '>') return s.length > i;
    if (i >= s.length || (f[i] !== '*' && f[i] !== s[i])) return false;
  }
  return f.length === s.length;
}

export class FakeServer {
  constructor({ port = 0, dir = '', maxBytes = Infinity, hi = {}, delay = 0 } = {}) {
    Object.assign(this, { port, maxBytes, delay, hi: { ping: '30s', max_message_bytes: 1 << 20, dedupe: '1h', ...hi } });
    this.log = [];
    this.keys = new Map();
    this.first = 1; // the oldest sequence kept
    this.bytes = 0;
    this.clients = new Set();
    this.frames = []; // every frame received
    this.frozen = false; // silent: hears nothing, says nothing
    this.intercept = () => false; // (frame, client) → true: swallow it
    this.file = dir && path.join(dir, 'fake.jsonl');
    if (this.file && fs.existsSync(this.file)) for (const l of fs.readFileSync(this.file, 'utf8').split('\n')) if (l) this.#add(JSON.parse(l));
  }

  async start() {
    this.http = http.createServer((req, res) => {
      const url = new URL(req.url, 'http://x');
      if (url.pathname === '/') return res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(fs.readFileSync(PAGE));
      res.writeHead(['/livez', '/readyz'].includes(url.pathname) ? 200 : 404).end();
    });
    this.wss = new WebSocketServer({ server: this.http, path: '/ws' });
    this.wss.on('connection', (ws) => this.#accept(ws));
    await new Promise((ok, bad) => this.http.once('error', bad).listen(this.port, '127.0.0.1', ok));
    this.port = this.http.address().port;
    return this;
  }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  // Ends every connection without a word, as a kill does.
  async kill() {
    for (const c of this.clients) c.ws.terminate();
    this.http.closeAllConnections();
    await new Promise((ok) => this.http.close(ok));
  }

  // Says `bye`, if given, and closes every connection.
  close(code, why, bye) {
    for (const c of this.clients) {
      if (bye) this.send(c, bye);
      c.ws.close(code, why);
    }
  }

  trim(keep) { this.first = Math.max(this.first, this.log.length - keep + 1); }

  send(c, frame) { if (!this.frozen) c.ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame)); }

  publish(subject, data, key) {
    if (key && this.keys.has(key)) return { pos: this.keys.get(key), dup: true };
    const m = { subject, data: JSON.stringify(data), t: new Date().toISOString(), key };
    if (this.file) fs.appendFileSync(this.file, JSON.stringify(m) + '\n');
    const pos = this.#add(m);
    for (const c of this.clients) this.#pump(c);
    return { pos };
  }

  #add(m) {
    const pos = `fake1-${this.log.push(m)}`;
    if (m.key) this.keys.set(m.key, pos);
    m.size = m.data.length + 64;
    this.bytes += m.size;
    while (this.bytes > this.maxBytes) this.bytes -= this.log[this.first++ - 1].size;
    return pos;
  }

  #accept(ws) {
    const c = { ws, subs: new Map(), n: 0 };
    this.clients.add(c);
    ws.on('error', () => {});
    ws.on('close', () => this.clients.delete(c));
    ws.on('message', (text) => {
      if (this.frozen) return;
      const f = JSON.parse(text);
      this.frames.push(f);
      if (!this.intercept(f, c)) this.#handle(c, f);
    });
    this.send(c, { hi: 'jetway/1', session: 'fake', user: 'anonymous', ...this.hi });
  }

  #handle(c, f) {
    if ('ping' in f) return this.send(c, { pong: f.ping });
    if ('pub' in f) {
      if (!/^[^\s*>]+$/.test(f.pub)) return this.send(c, { err: f.id, code: 'bad_subject', msg: 'not a subject' });
      return this.send(c, { ok: f.id, ...this.publish(f.pub, f.data, f.key) });
    }
    if ('off' in f) { c.subs.delete(f.off); return f.id !== undefined && this.send(c, { ok: f.id }); }
    if ('sub' in f) return this.#subscribe(c, f);
    this.send(c, { err: f.id ?? null, code: 'unknown_verb', msg: 'the fake does not know it' });
  }

  #subscribe(c, f) {
    const last = this.log.length, from = f.from ?? 'new';
    let after = last, gap;
    if (from === 'first') after = this.first - 1;
    else if (/^last:/.test(from)) after = Math.max(this.first - 1, last - Number(from.slice(5)));
    else if (/^fake1-\d+$/.test(from)) after = Number(from.slice(6));
    else if (from !== 'new') return this.send(c, { err: f.id, code: 'bad_position', msg: 'not a position' });
    if (after < this.first - 1) {
      gap = { after: from, next: `fake1-${this.first}` };
      after = this.first - 1;
    }
    const sid = `s${++c.n}`;
    c.subs.set(sid, { filter: f.sub, after, live: false });
    this.send(c, { ok: f.id ?? 'sub', sid, from: `fake1-${after}`, behind: last - after, gap });
    this.#pump(c);
  }

  // Sends a portion and lets others run, as a server with many clients does.
  #pump(c) {
    if (c.pumping) return;
    c.pumping = true;
    const turn = () => {
      let more = false;
      for (const [sid, s] of c.subs) {
        for (let n = 0; s.after < this.log.length && n < 200; n++) {
          const m = this.log[s.after++];
          if (matches(s.filter, m.subject)) this.send(c, `{"msg":${JSON.stringify(m.subject)},"sid":"${sid}","pos":"fake1-${s.after}","t":"${m.t}","lag":${this.log.length - s.after},"data":${m.data}}`);
        }
        if (s.after < this.log.length) more = true;
        else if (!s.live) { s.live = true; this.send(c, { live: sid, pos: `fake1-${s.after}` }); }
      }
      if (more && c.ws.readyState === 1) return this.delay ? setTimeout(turn, this.delay) : setImmediate(turn);
      c.pumping = false;
    };
    turn();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flag = (name) => { const i = process.argv.indexOf(name); return i < 0 ? '' : process.argv[i + 1]; };
  const yaml = flag('--config') && fs.readFileSync(flag('--config'), 'utf8');
  const kib = /max_bytes: (\d+)KiB/.exec(yaml || '');
  const dir = flag('--nats.embedded.store_dir') || './jetway-data';
  fs.mkdirSync(dir, { recursive: true });
  await new FakeServer({ port: Number((flag('--listen') || '127.0.0.1:8080').split(':')[1]), dir, maxBytes: kib ? kib[1] * 1024 : Infinity }).start();
}
