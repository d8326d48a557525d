// Of a .minnow file that brings plans and code: those, and nothing of its graph. With them a start reads a few
// tables in place of thousands.
import type { Graph } from "../../graph/graph.js";
import type { Layout, PrecompiledFile, Rest } from "../../graph/precompiled.js";
import { isMinnow } from "../../graph/released.js";
import { FlatBuffer } from "../flatbuffer.js";
import { readMeta } from "./meta.js";
import * as schema from "./schema.js";
import { checkVersion } from "./version.js";

type Read = (bytes: Uint8Array) => Graph | Promise<Graph>;

/**
 * What a file has been given ahead of time; null where there is nothing.
 * @param read reads a graph, later
 * @param rest what of the bytes is still to come
 * @throws ModelError bad_file, unsupported
 */
export function readPrecompiled(bytes: Uint8Array, read: Read, rest?: Rest): PrecompiledFile | null {
  const file = new FlatBuffer(bytes, ".minnow file");
  const model = file.root();
  checkVersion(model);
  const list = model.tables(schema.model.precompiled).map((t) => ({
    engine: t.string(schema.precompiled.engine) ?? "",
    abi: t.num(schema.precompiled.abi, "u32"),
    plan: t.bytes(schema.precompiled.plan) ?? none,
    code: t.bytes(schema.precompiled.code) ?? none,
    check: t.num(schema.precompiled.check, "u32"),
  }));
  if (list.length === 0) return null;
  const data = model.bytes(schema.model.precompiledData) ?? none;
  const weights = model.num(schema.model.weights, "u64");
  file.range(weights, 0);
  const given = [data, ...list.flatMap((p) => [p.plan, p.code])];
  return {
    list,
    data,
    weights: bytes.subarray(weights),
    rest,
    meta: readMeta(model.string(schema.model.meta)),
    whole: async () => [await read(bytes), bytes.byteOffset + weights],
    keep: (ranges) => {
      const again = keep(bytes, weights, given, ranges);
      return async () => [await read(again()), weights];
    },
  };
}

/** How a file lies that begins so and brings any; files that do not say bring plans of an earlier form, if any. */
export function layoutOf(head: Uint8Array): Layout | undefined {
  try {
    if (!isMinnow(head)) return undefined;
    const model = new FlatBuffer(head, "").root();
    const [early, size] = [model.num(schema.model.early, "u64"), model.num(schema.model.size, "u64")];
    const brings = model.position(schema.model.precompiled, 4) > 0;
    return brings && 0 < early && early <= size ? { early, size } : undefined;
  } catch {
    return undefined; // too few bytes to tell
  }
}

const none = new Uint8Array();

/** Copies all but `given` and the weights that are not in `ranges`. */
function keep(
  bytes: Uint8Array,
  weights: number,
  given: readonly Uint8Array[],
  ranges: readonly (readonly [number, number])[],
): () => Uint8Array {
  const { length } = bytes;
  const parts: [number, Uint8Array][] = [];
  const add = (from: number, to: number): void => void parts.push([from, bytes.slice(from, to)]);
  let at = 0;
  const places = given.map((g) => [g.byteOffset - bytes.byteOffset, g.length] as const);
  for (const [from, size] of [...places].sort((a, b) => a[0] - b[0])) {
    if (size === 0) continue;
    add(at, from);
    at = from + size;
  }
  add(at, weights);
  for (const [from, size] of ranges) add(weights + from, weights + from + size);
  return () => {
    const again = new Uint8Array(length); // pages that nobody touches take no memory
    for (const [from, part] of parts) again.set(part, from);
    return again;
  };
}
