// One network with one thread and with several, in turns; runs in Node and in a page.

/** FNV-1a over the bytes of an array. */
function hash(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let h = 2166136261;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 16777619);
  return h >>> 0;
}

/**
 * @param {{ load: Function, bytes: Uint8Array, counts: number[], rounds: number, worker: boolean }} task
 * `worker`: one thread lives in a worker too, as several do on a page
 * @returns per count { threads, times: ms a run, used, reason, hash }
 */
export async function measureThreads({ load, bytes, counts, rounds, worker }) {
  const models = [];
  for (const threads of counts)
    models.push({
      threads,
      times: [],
      model: await load(bytes.slice(), { threads, ...(worker && { worker }) }),
    });
  const [input] = models[0].model.inputs;
  const shape = input.shape.map((d) => (typeof d === "number" ? d : 1));
  const data = Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    (_, i) => ((i * 7919) % 1009) / 504.5 - 1,
  );
  const feed = { [input.name]: { data, shape } };
  const warm = 12; // code is optimised, and whether threads pay is decided
  for (let r = 0; r < warm + rounds; r++)
    for (const m of r % 2 ? models : [...models].reverse()) {
      const start = performance.now();
      m.out = await m.model.run(feed);
      if (r >= warm) m.times.push(performance.now() - start);
    }
  return Promise.all(
    models.map(async ({ threads, times, model, out }) => {
      const { used, reason } = model.report().threads;
      await model.dispose();
      return {
        threads,
        times,
        used,
        reason,
        hash: Object.values(out)
          .map((t) => hash(t.data))
          .join(),
      };
    }),
  );
}
