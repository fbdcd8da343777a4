// Waits for a condition, never for a time: polls until it holds, and past the deadline fails with what was seen last.
export async function until(what, condition, { within = 60_000, every = 25 } = {}) {
  const end = performance.now() + within;
  for (let last; ;) {
    try {
      const v = await condition();
      if (v) return v;
      last = v;
    } catch (err) {
      last = err;
    }
    if (performance.now() > end) throw new Error(`waited ${within} ms in vain for: ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
    await new Promise((ok) => setTimeout(ok, every));
  }
}
