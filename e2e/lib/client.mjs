// A small jetway.v1 client for Node: publishes until it is stored, over any number of lost connections.
import WebSocket from 'ws';

const again = ['unavailable', 'rate_limited', 'queue_full', 'timeout', 'internal'];

export class Client {
  constructor(url, { window = 16 } = {}) {
    this.url = url;
    this.window = window;
    this.waiting = new Map(); // id → publish, oldest first
    this.next = 1;
    this.connects = 0;
    this.dups = 0; // retries that had been stored already
    this.open();
  }

  open() {
    if (this.closed) return;
    const ws = this.ws = new WebSocket(this.url, 'jetway.v1');
    this.ready = false;
    ws.on('error', () => {}); // `close` follows
    ws.on('close', () => {
      this.ready = false;
      for (const p of this.waiting.values()) p.sent = false;
      if (!this.closed) this.timer = setTimeout(() => this.open(), 20);
    });
    ws.on('message', (text) => this.#frame(JSON.parse(text)));
  }

  // Resolves with the server's answer when it is stored. The order of the calls is the order of the events.
  publish(subject, data, key) {
    return new Promise((ok, bad) => {
      const id = this.next++;
      this.waiting.set(id, { id, subject, data, key, ok, bad, sent: false });
      this.#flush();
    });
  }

  #flush() {
    if (!this.ready) return;
    let n = 0;
    for (const p of this.waiting.values()) {
      if (n++ >= this.window) break;
      if (p.sent) continue;
      p.sent = true;
      this.ws.send(JSON.stringify({ pub: p.subject, data: p.data, key: p.key, id: p.id }));
    }
  }

  #frame(f) {
    if ('hi' in f) {
      this.ready = true;
      this.connects++;
    }
    const p = this.waiting.get(f.ok ?? f.err);
    if (p && 'ok' in f) {
      this.waiting.delete(p.id);
      if (f.dup) this.dups++;
      p.ok(f);
    } else if (p && again.includes(f.code)) {
      this.ws.terminate(); // a new connection sends all that is open again, in order
    } else if (p) {
      this.waiting.delete(p.id);
      p.bad(new Error(`${f.code}: ${f.msg}`));
    }
    this.#flush();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.ws.terminate();
  }
}

// Reads what the stream holds now.
export function readAll(url, filter) {
  return new Promise((ok, bad) => {
    const ws = new WebSocket(url, 'jetway.v1'), events = [];
    const done = (err) => { ws.terminate(); err ? bad(err) : ok(events); };
    ws.on('error', done);
    ws.on('close', () => bad(new Error('closed before the end')));
    ws.on('message', (text) => {
      const f = JSON.parse(text);
      if ('hi' in f) ws.send(JSON.stringify({ sub: filter, from: 'first', id: 1 }));
      else if ('err' in f) done(new Error(`${f.code}: ${f.msg}`)); // before `msg`, which is a field of it
      else if ('msg' in f) events.push(f);
      else if ('live' in f) done();
    });
  });
}
