// One measurement of one peer, the same code in Node and in the page: cold start, warm-up until the times
// are steady, then timed runs. A run is typed arrays in → typed arrays out, outputs read back.
import { picture } from "./picture.mjs";

const now = () => performance.now();

/**
 * @param {(o: object) => Promise<object>} open imports the adapter and calls its load: all start-up is inside the clock
 * @param {{ seconds: number, plain?: boolean }} options plain: an even picture, which takes no script to draw
 * @param {() => Promise<number>} cpuTime ms of processor time this process has had
 * @returns times in ms: `load`, `calls` (the first three), `times` (steady, each the mean of `batch` calls);
 *   `cpu`: processors that the process had while it was timed, 1 for one thread that nobody disturbs
 */
export async function measure(open, { seconds, plain }, cpuTime) {
  const t0 = now();
  const session = await open();
  const load = now() - t0;
  const x = session.inputs.map(plain ? even : picture);
  const calls = [];
  let first;
  let out;
  for (let i = 0; i < (seconds ? 3 : 1); i++) {
    const t = now();
    out = await session.run(x);
    calls.push(now() - t);
    first ??= out.map((a) => a.slice());
  }
  const result = { info: session.info, load, calls, times: [], batch: 1 };
  if (seconds) {
    const ms = await warmUp(session, x, seconds);
    result.batch = Math.ceil(2 / Math.max(ms, 0.02)); // a batch outlasts the clock's grain, in which a run may take 0
    const [used, start] = [await cpuTime(), now()];
    while (now() < start + seconds * 1000 || result.times.length < 5) {
      const t = now();
      for (let i = 0; i < result.batch; i++) out = await session.run(x);
      result.times.push((now() - t) / result.batch);
    }
    result.cpu = ((await cpuTime()) - used) / (now() - start);
  }
  result.stable = first.every((a, i) => a.every((v, j) => Object.is(v, out[i][j])));
  if (!seconds) result.outputs = first.map((a) => ({ type: a.constructor.name, base64: encode(a) }));
  result.details = await session.describe?.();
  return result;
}

const even = ({ shape }) => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5);

/** Runs until the fastest call of the last third of the time is within 2 % of the fastest before it. */
async function warmUp(session, x, seconds) {
  const most = now() + Math.max(3, 4 * seconds) * 1000;
  let best = Number.POSITIVE_INFINITY;
  for (;;) {
    const before = best;
    let n = 0;
    for (const end = now() + Math.min(400, seconds * 500); now() < end || n < 4; n++) {
      const t = now();
      await session.run(x);
      best = Math.min(best, now() - t);
    }
    if (best > before * 0.98 || now() > most) return best;
  }
}

function encode(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** Remembers every wasm memory made from now on; returns a function that gives their bytes. */
export function watchMemories() {
  const memories = new Set();
  const note = (result) => {
    for (const v of Object.values((result.instance ?? result).exports))
      if (v instanceof WebAssembly.Memory) memories.add(v);
    return result;
  };
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, args) {
      const m = Reflect.construct(target, args);
      memories.add(m);
      return m;
    },
  });
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = (...args) => original.apply(WebAssembly, args).then(note);
  }
  return () => {
    const buffers = new Set([...memories].map((m) => m.buffer));
    return [...buffers].reduce((sum, b) => sum + b.byteLength, 0);
  };
}
