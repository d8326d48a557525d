// Graph → Program: infer with bound dimensions, lower, fuse, place, plan.
import { count, isConcrete } from "../graph/dim.js";
import { byteSize, type DType } from "../graph/dtype.js";
import type { Graph } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type Binding, inferGraph, type Known } from "../ops/infer.js";
import { fuse } from "./fuse.js";
import { lower, type Takes, tooMuchWork } from "./lower.js";
import { type Lowered, type LoweredKernel, note, readsOf, type Value, writesOf } from "./lowered.js";
import type { Access, LoopNest } from "./nest.js";
import { assignOffsets, bound } from "./plan.js";
import { place, type Storage } from "./place.js";
import type { Buffer, Program, Step, View } from "./program.js";

export interface CompileOptions {
  /** false: every node its own step (compare, debugging). Default true. */
  fuse?: boolean;
  /** Refuse programs whose run takes more element operations than this. */
  maxOperations?: number;
  /** Refuse programs with a tensor of more bytes than this. */
  maxMemory?: number;
  /** Of the kernels that operators offer, those that the target has. Default none: loops run everywhere. */
  takes?: Takes;
}

/**
 * @throws ModelError bad_shape when dimensions stay unbound or do not fit, unsupported for operators
 * without an implementation, too_much_work
 */
export function compile(graph: Graph, binding: Binding = {}, options: CompileOptions = {}): Program {
  const known = inferGraph(graph, binding);
  checkShapes(known); // before tables are made as long as they are
  const lowered = lower(graph, known, options);
  if (options.fuse !== false) fuse(lowered);
  checkSizes(lowered.values);
  const operations = operationsOf(lowered);
  if (operations > (options.maxOperations ?? Number.POSITIVE_INFINITY))
    throw tooMuchWork(operations, options.maxOperations as number);
  const dynamic = graph.inputs.some((t) => !isConcrete(t.shape.slice(1)));
  return { ...finish(lowered, place(lowered), operations), dynamic };
}

/** Iterations of all loop nests; kernels without one count what they read and write. */
function operationsOf(lowered: Lowered): number {
  const size = (v: number): number => count(lowered.values[v]?.shape ?? []);
  let sum = 0;
  for (const k of lowered.kernels) {
    if (k.nest) sum += count(k.nest.loops) * Math.max(1, count(k.nest.reduce));
    else if (!k.alias) for (const v of [...readsOf(k), ...writesOf(k)]) sum += size(v);
  }
  return sum;
}

function checkShapes(known: Known): void {
  for (const [t, { dtype, shape }] of known) if (isConcrete(shape)) checkSize(t.name, dtype, shape);
}

function checkSizes(values: readonly Value[]): void {
  for (const v of values) checkSize(v.label, v.dtype, v.shape);
}

/** One long axis is too much even where another one is empty. */
function checkSize(name: string, dtype: DType, shape: readonly number[]): void {
  const bytes = byteSize(dtype, count(shape));
  if (!Number.isSafeInteger(bytes) || bytes > 2 ** 32 || shape.some((d) => d > 2 ** 32))
    throw new ModelError("out_of_memory", `tensor ${name} [${shape}] would take ${bytes} bytes`, {
      tensor: name,
    });
}

function finish(lowered: Lowered, storage: readonly Storage[], operations: number): Omit<Program, "dynamic"> {
  const kernels = lowered.kernels.filter((k) => !k.alias);
  const roots = new Map<number, Buffer>();
  const steps = kernels.length;
  const touch = (id: number, step: number): void => {
    const root = (storage[id] as Storage).root;
    const v = lowered.values[root] as Value;
    const known = roots.get(root);
    if (known) {
      known.first = Math.min(known.first, step);
      known.last = Math.max(known.last, step);
      return;
    }
    const constant = v.kind === "constant";
    roots.set(root, {
      space: constant ? "constant" : "arena",
      bytes: byteSize(v.dtype, elementsOf(v.shape, (storage[root] as Storage).strides)),
      offset: -1,
      first: step,
      last: step,
      label: v.label,
      ...(constant && v.data && { data: v.data }),
    });
  };
  for (const i of lowered.inputs) touch(i.value, -1);
  kernels.forEach((k, step) => {
    for (const v of [...readsOf(k), ...writesOf(k)]) touch(v, step);
  });
  for (const o of lowered.outputs) touch(o.value, steps);

  const owner = shareInPlace(kernels, lowered, storage, roots);
  const buffers = [...new Set(owner.values())];
  const numbers = new Map(buffers.map((b, i) => [b, i]));
  const view = (id: number): View => {
    const v = lowered.values[id] as Value;
    const s = storage[id] as Storage;
    const buffer = numbers.get(owner.get(s.root) as Buffer) as number;
    return {
      buffer,
      dtype: v.dtype,
      shape: v.shape,
      strides: s.strides,
      offset: s.offset,
      ...(v.quant && { quant: v.quant }),
    };
  };
  const arenaBytes = assignOffsets(buffers);
  return {
    buffers,
    steps: kernels.map((k) => step(k, view)),
    inputs: lowered.inputs.map((i) => ({ name: i.name, view: view(i.value) })),
    outputs: lowered.outputs.map((o) => ({ name: o.name, view: view(o.value) })),
    arenaBytes,
    boundBytes: bound(buffers),
    operations,
    fusions: lowered.fusions,
  };
}

/** Elements of a buffer: pixels may lie further apart than their channels take. */
const elementsOf = (shape: readonly number[], strides: readonly number[]): number =>
  Math.max(count(shape), (shape[0] ?? 1) * (strides[0] ?? 1));

/** Kernels that read an element (residual or operand) before writing the one at the same place. */
const inPlaceKernels = new Set(["nest", "conv2d", "dense", "matmul", "conv_transpose2d", "softmax"]);

/**
 * A kernel's output may take the buffer of an operand that dies there, when both are walked alike.
 * Returns the buffer of every root value.
 */
function shareInPlace(
  kernels: readonly LoweredKernel[],
  lowered: Lowered,
  storage: readonly Storage[],
  roots: ReadonlyMap<number, Buffer>,
): Map<number, Buffer> {
  const owner = new Map(roots);
  const owned = new Map<Buffer, number[]>();
  for (const [root, b] of roots) owned.set(b, [root]);
  kernels.forEach((k, step) => {
    if (!inPlaceKernels.has(k.name)) return;
    const { nest } = k;
    const [written] = writesOf(k) as [number];
    const out = storage[written] as Storage;
    const outBuffer = owner.get(out.root) as Buffer;
    if (out.root !== written || outBuffer.first !== step) return;
    const nestAllows = (nest: LoopNest, v: number): boolean => {
      const o = nest.operands.find((x) => x.value === v);
      const s = storage[v] as Storage;
      return !!o && walkedAlike(o, nest, s, out, lowered) && !readTwice(nest, o, storage, s.root);
    };
    // A second write to the output (pad: fill, then copy) would clobber what the first still reads.
    for (const v of readsOf(k)) {
      const s = storage[v] as Storage;
      const from = owner.get(s.root) as Buffer;
      if (
        from === outBuffer ||
        from.space !== "arena" ||
        from.last !== step ||
        from.bytes !== outBuffer.bytes
      )
        continue;
      if (!(nest ? nestAllows(nest, v) : s.offset === out.offset)) continue;
      from.last = outBuffer.last;
      const moved = owned.get(outBuffer) as number[];
      for (const root of moved) owner.set(root, from);
      owned.get(from)?.push(...moved);
      note(lowered.fusions, "in place");
      return;
    }
  });
  return owner;
}

function walkedAlike(o: Access, nest: LoopNest, s: Storage, out: Storage, lowered: Lowered): boolean {
  const [a, b] = [lowered.values[o.value] as Value, lowered.values[nest.out.value] as Value];
  if (byteSize(a.dtype, 1) !== byteSize(b.dtype, 1) || s.offset !== out.offset) return false;
  if (a.shape.join() !== b.shape.join() || s.strides.join() !== out.strides.join()) return false;
  return o.index.every((x, i) => {
    const y = nest.out.index[i];
    if (a.shape[i] === 1) return x.table === undefined && !x.guard;
    return (
      y !== undefined &&
      x.table === undefined &&
      !x.guard &&
      x.offset === y.offset &&
      JSON.stringify(x.terms) === JSON.stringify(y.terms)
    );
  });
}

/** Another operand in the same storage, read at other places. */
const readTwice = (nest: LoopNest, o: Access, storage: readonly Storage[], root: number): boolean =>
  nest.operands.some((p) => p !== o && (storage[p.value] as Storage).root === root);

/** Numbers the values of a kernel and refers to them by view. */
function step(k: LoweredKernel, view: (id: number) => View): Step {
  const ids: number[] = [];
  const local = (id: number): number => {
    const at = ids.indexOf(id);
    return at >= 0 ? at : ids.push(id) - 1;
  };
  const base = { kernel: k.name, params: k.params, op: k.op, node: k.node, fused: k.fused, macs: k.macs };
  if (k.nest) {
    const n = k.nest;
    const nest: LoopNest = {
      ...n,
      operands: n.operands.map((o) => ({ ...o, value: local(o.value) })),
      out: { ...n.out, value: local(n.out.value) },
    };
    return { ...base, values: ids.map(view), nest };
  }
  const reads = (k.reads ?? []).map(local);
  const writes = (k.writes ?? []).map(local);
  return { ...base, values: ids.map(view), reads, writes };
}
