// The history checker: what was attempted, what was acknowledged, what was delivered, and whether they agree.
// Values are `writer-counter`; a writer's counters rise. The method is Jepsen's.
const writerOf = (v) => v.slice(0, v.lastIndexOf('-'));
const counterOf = (v) => Number(v.slice(v.lastIndexOf('-') + 1));

export class History {
  attempted = new Set();
  acked = new Set();
  delivered = [];

  // Another reader of what the same writers do.
  reader() {
    const h = new History();
    Object.assign(h, { attempted: this.attempted, acked: this.acked });
    return h;
  }

  attempt(v) { this.attempted.add(v); return v; }
  ack(v) { this.acked.add(v); }
  deliver(...vs) { this.delivered.push(...vs); }

  check() {
    const got = new Set(this.delivered);
    const r = { attempted: this.attempted.size, acked: this.acked.size, delivered: this.delivered.length, lost: [], unexpected: [], duplicate: [], outOfOrder: [], unknown: [], recovered: [] };
    for (const v of this.attempted) {
      if (got.has(v)) { if (!this.acked.has(v)) r.recovered.push(v); continue; }
      (this.acked.has(v) ? r.lost : r.unknown).push(v);
    }
    r.lost = r.lost.map((v) => `${v} (${this.#where(v, got)})`);
    const once = new Set(), highest = new Map();
    for (const v of this.delivered) {
      if (!this.attempted.has(v)) r.unexpected.push(v);
      if (once.has(v)) { r.duplicate.push(v); continue; }
      once.add(v);
      const w = writerOf(v);
      if (counterOf(v) < (highest.get(w) ?? -Infinity)) r.outOfOrder.push(v);
      else highest.set(w, counterOf(v));
    }
    return r;
  }

  // A lost prefix means a late start, a lost postfix an early end, a hole in the middle something worse.
  #where(v, got) {
    const same = [...got].filter((g) => writerOf(g) === writerOf(v)).map(counterOf);
    if (!same.length) return 'all';
    if (counterOf(v) < Math.min(...same)) return 'prefix';
    return counterOf(v) > Math.max(...same) ? 'postfix' : 'middle';
  }

  // Throws, with the sets, unless everything acknowledged was delivered once and in order, and nothing else was.
  assertExact(name) {
    const r = this.check(), text = History.format(r);
    if (r.lost.length || r.unexpected.length || r.duplicate.length || r.outOfOrder.length) throw new Error(`${name}: history is not exact\n${text}`);
    return text;
  }

  // The same where a delivery may come again, because it was not acknowledged before a kill: at most `most` times.
  assertAtLeastOnce(name, most) {
    const r = this.check(), text = History.format(r);
    if (r.lost.length || r.unexpected.length || r.duplicate.length > most) throw new Error(`${name}: lost, or more than ${most} came again\n${text}`);
    return text;
  }

  static format(r) {
    return Object.entries(r).map(([k, v]) => Array.isArray(v) ? `${k}: ${v.length}${v.length ? ` [${v.slice(0, 10).join(' ')}${v.length > 10 ? ' …' : ''}]` : ''}` : `${k}: ${v}`).join(', ');
  }
}
