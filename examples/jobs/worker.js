'use strict';
// The part of worker.html that works: a thread of its own, because the browser slows down the timers of a hidden tab,
// and a lease must be extended in time. It speaks jetway.v1: `work` on the queue, one job at a time; `wip` while it
// works, `ack` with the result. It holds three rules:
//   - a lease that is lost ends the work on its job at once: somebody else has it now;
//   - a job that can never be done is `term`, one that failed this time is `nak`;
//   - who is told to stop finishes the job at hand, and takes no other.
//
// The page sends {do: 'start' | 'stop' | 'how', how}; it is sent what to show: {state, …}, {job}, {log}.

const QUEUE = 'jobs.resize';
const STEPS = 10;                                  // parts of a job, each with its own progress
const PAUSE = { well: 80, slow: 600, fail: 60, silent: 60 }; // ms per step, so that there is something to watch
const MIN_WIDTH = 8, MAX_WIDTH = 4096, MAX_PIXELS = 50_000_000;
const BACKOFF = { first: 300, max: 15_000 };
const HELLO_TIMEOUT = 10_000, PROBE_TIMEOUT = 4_000;
const again = ['unavailable', 'rate_limited', 'timeout', 'internal'];

let how = 'well';
let wanted = false;      // the switch
let conn = null;         // the connection, from its first attempt to its end
let attempt = 0, retryTimer = 0;
let job = null;          // the one at hand

const tell = (message) => postMessage(message);
const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));

// "1m30s" → 90000; what is not a duration → fallback.
function duration(s, fallback) {
  const unit = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 };
  if (typeof s !== 'string' || !/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(s)) return fallback;
  let ms = 0;
  for (const [, n, , u] of s.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) ms += n * unit[u];
  return ms;
}

// ---- connection

function connect() {
  clearTimeout(retryTimer);
  if (!wanted || conn) return;
  tell({ state: 'connecting' });
  const ws = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws', 'jetway.v1');
  const c = conn = { ws, hi: null, bye: null, sid: null, answers: new Map(), nextId: 1, opened: performance.now(), heard: performance.now(), probe: 0, ping: 30_000 };
  ws.onmessage = (e) => { if (conn === c) onFrame(c, JSON.parse(e.data)); };
  ws.onclose = (e) => { if (conn === c) onClose(c, e.code, e.reason); };
}

function abandon(c, code, why) {
  c.ws.onmessage = c.ws.onclose = null;
  try { c.ws.close(); } catch { /* never opened */ }
  onClose(c, code, why);
}

const forbids = (code) => (code >= 4400 && code <= 4409) || code === 4413 || code === 1009;

function onClose(c, closeCode, reason) {
  const code = c.bye?.code || closeCode, why = c.bye?.why || reason;
  conn = null;
  for (const answer of c.answers.values()) answer({ code: 'closed', msg: 'the connection ended' });
  if (job) lose(job, 'the connection ended');
  if (!wanted) return tell({ state: 'stopped' });
  if (forbids(code) || forbids(closeCode)) {
    wanted = false;
    return tell({ state: 'refused', why: `${code} ${why}`.trim() });
  }
  const own = Math.min(BACKOFF.max, BACKOFF.first * 2 ** attempt++) * (0.5 + Math.random() / 2);
  const wait = duration(c.bye?.retry, own);
  retryTimer = setTimeout(connect, wait);
  tell({ state: 'waiting', why, wait });
}

// Resolves with the error, undefined for `ok`.
function ask(c, frame, onOk = () => {}) {
  return new Promise((resolve) => {
    const id = c.nextId++;
    c.answers.set(id, (err, ok) => { c.answers.delete(id); if (ok) onOk(ok); resolve(err); });
    c.ws.send(JSON.stringify({ ...frame, id }));
  });
}

function onFrame(c, f) {
  c.heard = performance.now();
  c.probe = 0;
  // Answers first: an `err` has a field `msg`.
  if ('ok' in f) return c.answers.get(f.ok)?.(undefined, f);
  if ('err' in f) return c.answers.get(f.err)?.(f);
  if ('job' in f) return void work(c, f);
  if ('lost' in f) { if (job?.lease === f.lost) lose(job, f.why); return; }
  if ('bye' in f) { c.bye = f; return; }
  if ('hi' in f) return onHi(c, f);
}

function onHi(c, f) {
  c.hi = f;
  c.ping = duration(f.ping, 30_000);
  attempt = 0;
  become(c);
}

async function become(c) {
  if (!wanted) return;
  // The answer is handled in its own turn: the first job may be right behind it.
  const err = await ask(c, { work: QUEUE, max: 1 }, (ok) => { c.sid = ok.sid; tell({ state: 'ready' }); });
  if (conn !== c || !err) { if (!wanted && conn === c) stop(); return; }
  if (again.includes(err.code)) {
    await pause(duration(err.retry, 1_000 + Math.random() * 1_000));
    if (conn === c) become(c);
    return;
  }
  wanted = false;
  c.ws.close();
  tell({ state: 'refused', why: `${err.code}: ${err.msg}${err.hint ? ' (' + err.hint + ')' : ''}` });
  conn = null;
}

// `off` first: no more jobs come, and one that is here can still be settled.
async function stop() {
  wanted = false;
  clearTimeout(retryTimer);
  const c = conn;
  if (!c) return tell({ state: 'stopped' });
  tell({ state: 'stopping' });
  if (c.sid) {
    const sid = c.sid;
    c.sid = null;
    await ask(c, { off: sid });
  }
  leaveIfIdle(c);
}

function leaveIfIdle(c) {
  if (wanted || job || conn !== c || c.sid) return;
  conn = null;
  c.ws.close(1000);
  tell({ state: 'stopped' });
}

// A browser does not show the protocol's pings, and a dead network says nothing: after a silence the worker asks.
setInterval(() => {
  const c = conn, now = performance.now();
  if (!c) return;
  if (!c.hi) { if (now - c.opened > HELLO_TIMEOUT) abandon(c, 4000, 'no answer'); return; }
  if (c.probe && now - c.probe > PROBE_TIMEOUT) return abandon(c, 4000, 'the connection went silent');
  if (!c.probe && now - c.heard > c.ping * 1.5) { c.probe = now; c.ws.send('{"ping":1}'); }
}, 1_000);

// ---- a job

class Bad extends Error {}   // can never be done
class Lost extends Error {}  // is not ours any more

function lose(j, why) {
  if (j.lost) return;
  j.lost = why;
  j.losing(new Lost(why));
}

async function work(c, f) {
  const j = job = { conn: c, lease: f.lease, try: f.try, name: f.data?.name || f.pos, for: duration(f.for, 30_000), how };
  const lost = new Promise((_, bad) => { j.losing = bad; });
  lost.catch(() => {}); // it is only ever raced against
  const show = (more) => tell({ job: { name: j.name, try: j.try, lease: j.for, ...more } });
  show({ percent: 0, image: f.data?.image });
  const beat = setInterval(() => { if (!j.silent) extend(j); }, j.for / 3);
  const started = performance.now();
  let end;
  try {
    const result = await Promise.race([resize(j, f.data ?? {}, show), lost]);
    await Promise.race([settle(j, { ack: j.lease, data: result }), lost]);
    end = { how: 'done', image: result.image, text: `${result.width} × ${result.height}` };
  } catch (err) {
    end = await giveUp(j, err);
  }
  clearInterval(beat);
  job = null;
  tell({ job: null, log: { name: j.name, try: j.try, ms: performance.now() - started, ...end } });
  leaveIfIdle(c);
}

// What becomes of a job that could not be done.
async function giveUp(j, err) {
  if (!j.lost) {
    const frame = err instanceof Bad ? { term: j.lease, why: err.message } : { nak: j.lease, why: err.message };
    try {
      await settle(j, frame);
      return { how: frame.term ? 'dead' : 'failed', text: err.message };
    } catch (worse) { if (!(worse instanceof Lost)) return { how: 'failed', text: `${err.message}; ${worse.message}` }; }
  }
  return { how: 'lost', text: j.lost };
}

// Settles the job: again and again where that may help, for as long as the lease lasts.
async function settle(j, frame) {
  for (;;) {
    if (j.lost || conn !== j.conn) throw new Lost(j.lost || 'the connection ended');
    const err = await ask(j.conn, frame);
    if (!err) return;
    if (err.code === 'lease_lost' || err.code === 'closed') { lose(j, err.msg); throw new Lost(err.msg); }
    if (!again.includes(err.code)) throw new Error(`${err.code}: ${err.msg}`);
    await pause(duration(err.retry, 500));
  }
}

// Extends the lease and tells how far the job is. Progress that cannot be stored now is not worth waiting for.
function extend(j, percent) {
  if (j.lost || conn !== j.conn) return;
  ask(j.conn, percent === undefined ? { wip: j.lease } : { wip: j.lease, data: { percent } })
    .then((err) => { if (err?.code === 'lease_lost') lose(j, err.msg); });
}

async function resize(j, data, show) {
  const bitmap = await decode(data);
  const width = Math.min(data.width, bitmap.width), height = Math.max(1, Math.round(bitmap.height * width / bitmap.width));
  const small = await createImageBitmap(bitmap, { resizeWidth: width, resizeHeight: height, resizeQuality: 'high' });
  bitmap.close();
  // A real job has real steps. This one is over in a moment, so it is done in slices with pauses.
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  for (let step = 0; step < STEPS; step++) {
    const from = Math.floor(height * step / STEPS), to = Math.floor(height * (step + 1) / STEPS);
    if (to > from) context.drawImage(small, 0, from, width, to - from, 0, from, width, to - from);
    await pause(PAUSE[how]);
    if (j.lost) throw new Lost(j.lost);
    if (step === STEPS / 2) await misbehave(j);
    const percent = Math.round(100 * (step + 1) / STEPS);
    show({ percent });
    if (percent < 100) extend(j, percent); // 100 % is the result
  }
  small.close();
  return encode(j, canvas, /^data:image\/png/.test(data.image) ? 'image/png' : 'image/jpeg');
}

async function misbehave(j) {
  if (how === 'fail') throw new Error('failed on purpose');
  if (how !== 'silent') return;
  j.silent = true;
  tell({ job: { name: j.name, try: j.try, lease: j.for, silent: true } });
  await new Promise(() => {}); // until the lease is lost
}

async function decode(data) {
  const m = /^data:(image\/[\w.+-]+);base64,([\w+/]+=*)$/.exec(data.image);
  if (!m) throw new Bad('the job has no "image" that is a data: URL of an image');
  if (!Number.isInteger(data.width) || data.width < MIN_WIDTH || data.width > MAX_WIDTH) throw new Bad(`"width" is not an integer from ${MIN_WIDTH} to ${MAX_WIDTH}`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(m[2]), (c) => c.charCodeAt(0))], { type: m[1] }));
  } catch { throw new Bad(`this is no image, although it is called ${m[1]}`); }
  if (bitmap.width * bitmap.height > MAX_PIXELS) throw new Bad(`${bitmap.width} × ${bitmap.height} are too many pixels`);
  return bitmap;
}

async function encode(j, canvas, type) {
  const blob = await canvas.convertToBlob({ type, quality: 0.85 });
  const image = new FileReaderSync().readAsDataURL(blob);
  if (image.length + 1_024 > (j.conn.hi.max_message_bytes || Infinity)) throw new Bad('the result is larger than a message may be: choose a smaller width');
  return { image, width: canvas.width, height: canvas.height, bytes: blob.size };
}

onmessage = ({ data }) => {
  if (data.how) how = data.how;
  if (data.do === 'start' && !wanted) {
    wanted = true;
    attempt = 0;
    // Told to stop and to start again while a job was at hand: the connection is still there.
    if (conn) { if (conn.hi && !conn.sid) become(conn); } else connect();
  }
  if (data.do === 'stop') stop();
};
tell({ state: 'stopped' });
