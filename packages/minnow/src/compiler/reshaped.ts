// Element-wise kernels behind a reshape move before it, where they fuse with what makes their input:
//
//   v = product(x, w) [S];  r = reshape(v) [T];  y = g(r, b) [T]   →   z = g(v, b′) [S];  y = reshape(z)
//
// b is a number, one per channel where S and T end in the same axis (b′ = b), or shaped as r: then b′ is another name
// of it with shape S. Readers write such reshapes around every product of transformers (ONNX's Gemm takes two axes).
import { classify, isElementwise, isLoop, moves } from "./accesses.js";
import { type Lowered, type LoweredKernel, readsOf, type Value } from "./lowered.js";
import { type Access, along, type LoopNest } from "./nest.js";

/** Whether `moved`, which reads `v`, would become a part of `p`, which makes it. */
export type Merges = (p: LoweredKernel, moved: LoweredKernel, v: Value) => boolean;

/** Moves what will fuse then. Returns how many kernels moved. */
export function moveBeforeReshapes(lowered: Lowered, merges: Merges): number {
  const makers = new Map<number, LoweredKernel>();
  const readers = new Map<number, LoweredKernel[]>();
  for (const k of lowered.kernels) {
    const made = k.alias?.to ?? k.nest?.out.value;
    if (made !== undefined) makers.set(made, k);
    for (const v of readsOf(k)) {
      const list = readers.get(v);
      if (list) list.push(k);
      else readers.set(v, [k]);
    }
  }
  /** The reshapes that `v` comes out of, last first, as far as nothing else reads what lies between. */
  const reshapesOf = (v: number): Reshape[] => {
    const k = makers.get(v);
    const single = readers.get(v)?.length === 1 && !(lowered.values[v] as Value).output;
    return k?.alias && single ? [k as Reshape, ...reshapesOf(k.alias.from)] : [];
  };
  let moved = 0;
  for (const k of [...lowered.kernels]) {
    if (!isElementwise(k)) continue;
    for (const r of readsOf(k)) {
      const reshapes = reshapesOf(r);
      const v = reshapes.at(-1)?.alias.from;
      const p = v === undefined || lowered.values[v]?.output ? undefined : makers.get(v);
      if (!p?.nest || readers.get(v as number)?.length !== 1) continue;
      if (!move(lowered, k, reshapes, (moved, before) => merges(p, moved, before))) continue;
      moved++;
      break;
    }
  }
  return moved;
}

type Reshape = LoweredKernel & Required<Pick<LoweredKernel, "alias">>;

/** Moves `k` before `reshapes`; false, and nothing done, where that cannot be or is of no use. */
function move(
  lowered: Lowered,
  k: LoweredKernel,
  reshapes: readonly Reshape[],
  merges: (moved: LoweredKernel, v: Value) => boolean,
): boolean {
  const { values } = lowered;
  const known = values.length;
  const nest = k.nest as LoopNest;
  const [last, first] = [reshapes[0], reshapes.at(-1)] as [Reshape, Reshape];
  const [v, r] = [values[first.alias.from], values[last.alias.to]] as [Value, Value];
  const out = values[nest.out.value] as Value;
  const same = [nest.loops, out.shape].every((s) => s.join() === r.shape.join());
  const operands = same && (out.quant?.scale.length ?? 1) === 1 ? operandsBefore(nest, r, v, values) : null;
  if (operands) {
    const value = renamed(values, out, v.shape);
    const to = { value, index: along(v.shape, v.shape.length) };
    const moved = { ...k, nest: { ...nest, loops: v.shape, operands, out: to } };
    if (merges(moved, v)) {
      const name = (from: number, to: number): LoweredKernel => ({ ...last, alias: { from, to } });
      const names = operands.flatMap((o, i) =>
        o.value < known ? [] : [name((nest.operands[i] as Access).value, o.value)],
      );
      k.nest = moved.nest;
      lowered.kernels = lowered.kernels.flatMap((x) =>
        reshapes.includes(x as Reshape) ? [] : x === k ? [...names, k, name(value, out.id)] : [x],
      );
      return true;
    }
  }
  values.length = known;
  return false;
}

/** What `nest` reads, as seen by loops over v's shape where it walks r's; null: it cannot be said. */
function operandsBefore(nest: LoopNest, r: Value, v: Value, values: Value[]): Access[] | null {
  const index = along(v.shape, v.shape.length);
  const channel = v.shape.at(-1) === r.shape.at(-1) ? index.at(-1) : undefined;
  const seen = (o: Access): Access | null => {
    if (moves(o)) return null;
    if (o.value === r.id)
      return o.index.every((a, i) => isLoop(a, i) || r.shape[i] === 1) ? { value: v.id, index } : null;
    const value = values[o.value] as Value;
    const kind = classify(o, value, r.shape);
    if (kind === "scalar") return o;
    if (kind === "full") return { value: renamed(values, value, v.shape), index };
    if (kind === "other" || !channel) return null;
    return { ...o, index: o.index.map((a) => (a.terms.length > 0 ? channel : a)) };
  };
  const operands = nest.operands.map(seen);
  return operands.every((o) => o !== null) ? operands : null;
}

/** Another name of a value, with another shape. */
function renamed(values: Value[], { label, dtype, quant }: Value, shape: readonly number[]): number {
  const id = values.length;
  values.push({ id, label, dtype, shape, kind: "value", output: false, ...(quant && { quant }) });
  return id;
}
