// A TCP proxy that breaks connections in ways that a kill cannot.
import net from 'node:net';

export class Proxy {
  links = new Set();
  accepted = 0;
  rotate = 0;
  perTarget = new Map(); // connections by port

  // `ports`: where to, one connection after the other in turn.
  constructor(...ports) { this.ports = ports; }

  async start() {
    this.server = net.createServer((near) => this.#accept(near));
    await new Promise((ok, bad) => this.server.once('error', bad).listen(0, '127.0.0.1', ok));
    this.port = this.server.address().port;
    return this;
  }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  #accept(near) {
    const port = this.ports[this.rotate++ % this.ports.length];
    this.accepted++;
    this.perTarget.set(port, (this.perTarget.get(port) ?? 0) + 1);
    const far = net.connect(port, '127.0.0.1');
    const link = { near, far, dead: false };
    this.links.add(link);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.on('data', (b) => { if (!link.dead) to.write(b); });
      from.on('error', () => {}); // `close` follows
      from.on('close', () => {
        if (link.dead) return; // nobody is told
        to.destroy();
        this.links.delete(link);
      });
    }
  }

  // From now on the connections that there are carry nothing, and neither side is told: a cable is cut. New ones work.
  blackhole() {
    let n = 0;
    for (const link of this.links) if (!link.dead) { link.dead = true; n++; }
    return n;
  }

  // The client's side of a cut connection notices: it has a new address. The server's does not.
  change() {
    const n = this.blackhole();
    for (const link of this.links) link.near.destroy();
    return n;
  }

  // Connections whose server still believes in them.
  get believed() { return [...this.links].filter((l) => l.dead && !l.far.destroyed && !l.far.readableEnded).length; }

  async stop() {
    for (const { near, far } of this.links) { near.destroy(); far.destroy(); }
    await new Promise((ok) => this.server.close(ok));
  }
}
