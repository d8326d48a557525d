// Minnow, from a converted .minnow file: what an app ships.
import { load as loadModel } from "minnow/run";

/** @param into whether answers go to arrays that are kept, as in a loop that needs each only until the next */
export async function load({ name, files, threads, options, into = false }) {
  const model = await loadModel(name ?? files.pop(), { threads, ...options });
  let own;
  const inputs = model.inputs.map(({ dtype, shape }) => ({
    dtype,
    shape: shape.map((d) => (d > 0 ? d : 1)),
  }));
  return {
    inputs,
    async run(x) {
      const out = await model.run(Object.fromEntries(model.inputs.map((t, i) => [t.name, x[i]])), own);
      const arrays = model.outputs.map((t) => out[t.name].data);
      if (into) own ??= { into: Object.fromEntries(model.outputs.map((t, i) => [t.name, arrays[i]])) };
      return arrays;
    },
    /** Bytes: weights, arena, scratch; and what ran. */
    async describe() {
      const { memory, arena, threads: used, notes } = await model.report();
      return { memory, bound: arena.bound, threads: used.used, reason: used.reason, notes };
    },
  };
}
