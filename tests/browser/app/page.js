// The page under test: loads models by URL and says what came out, as bits and as distance from a golden.
import { convert, load } from "minnow";

const arrays = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

/** FNV-1a over the bytes of an array. */
export function hash(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let h = 2166136261;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 16777619);
  return h >>> 0;
}

/** Largest difference, over the largest wanted value for floats. */
export function distance(got, want) {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let [peak, worst] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [Number(got[i]), Number(want[i])];
    if (Number.isFinite(b)) peak = Math.max(peak, Math.abs(b));
    if (!(Object.is(a, b) || Math.abs(a - b) <= worst)) worst = Math.abs(a - b);
  }
  return got instanceof Float32Array ? worst / Math.max(peak, 1e-5) : worst;
}

const bytes = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
};

/** Runs one golden, { url, folder, meta }, `options.runs` times. */
export async function runGolden({ url, folder, meta }, options) {
  const read = async (t) => new arrays[t.dtype ?? t.dt](await bytes(`${folder}/${t.file}`));
  const { converted, precompile = false } = options;
  const source = converted ? await convert(new Uint8Array(await bytes(url)), { precompile }) : url;
  const model = await load(source, options);
  try {
    const feed = {};
    for (const [i, t] of meta.inputs.entries()) {
      const name = model.inputs.some((x) => x.name === t.name) ? t.name : model.inputs[i].name;
      feed[name] = { data: await read(t), shape: t.shape };
    }
    for (let i = 1; i < (options.runs ?? 1); i++) await model.run(feed);
    const out = await model.run(feed);
    const order = Object.values(out);
    const results = [];
    for (const [i, t] of meta.outputs.entries()) {
      const got = out[t.name] ?? order[i];
      results.push({ hash: hash(got.data), distance: distance(got.data, await read(t)) });
    }
    return { results, report: String(model.report()) };
  } finally {
    await model.dispose();
  }
}

globalThis.minnowTest = { runGolden, isolated: globalThis.crossOriginIsolated ?? false };
