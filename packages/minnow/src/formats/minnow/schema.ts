// The .minnow file, version 1: a FlatBuffer (identifier MNOW) of the tables below, then the weights, each
// at a multiple of 64 bytes. docs/minnow-format.md is the specification. Rules for later versions: slots and
// codes are only ever added, never reused; a reader ignores slots it does not know; what an old reader must
// not ignore is named in `needs`, with the version that knows it in `minVersion`.
import type { DType } from "../../graph/dtype.js";
import type { TensorKind } from "../../graph/graph.js";

export const version = 1;
export const identifier = "MNOW";
export const alignment = 64;
/** Names of features beyond version 1 that this reader knows. */
export const features: readonly string[] = [];

export const model = {
  /** u32: the version that wrote the file */
  version: 0,
  /** u32: the oldest version that can read it */
  minVersion: 1,
  /** [string]: features a reader must know */
  needs: 2,
  /** u64: where the weights begin */
  weights: 3,
  /** [string]: texts of symbolic dimensions */
  symbols: 4,
  /** [Tensor]: of all graphs */
  tensors: 5,
  graph: 6,
  /** string: Metadata as JSON */
  meta: 7,
  /** [Precompiled]: plans and code made ahead of time; whoever does not know them does without */
  precompiled: 8,
  /** [u8]: constants that those plans share */
  precompiledData: 9,
  /** u64: bytes of the file behind which only large constants lie: from there on it may be used as it comes */
  early: 10,
  /** u64: bytes of the file */
  size: 11,
} as const;

/** engine: string; abi: u32; plan: [u8], JSON; code: [u8], a WebAssembly module; check: u32 of plan and code. */
export const precompiled = { engine: 0, abi: 1, plan: 2, code: 3, check: 4 } as const;

export const tensor = {
  name: 0,
  /** u8: index into dtypes */
  dtype: 1,
  /** u8: index into kinds */
  kind: 2,
  /** [i64]: a dimension, or −1 − index into symbols */
  shape: 3,
  /** u8: 0 no data, 1 plain little-endian elements */
  storage: 4,
  /** u64: bytes from the start of the weights */
  offset: 5,
  /** u64: bytes */
  size: 6,
  /** [f64] */
  scale: 7,
  /** [i32], as many as scales; absent: all 0 */
  zeroPoint: 8,
  /** i32 */
  axis: 9,
  aliases: 10,
  /** [string]: elements of a string constant */
  strings: 11,
} as const;

/** Tensors are named by their index in the model. */
export const graph = { name: 0, inputs: 1, outputs: 2, nodes: 3 } as const;

/** inputs: [i32], −1 = not given; outputs: [i32]. */
export const node = { op: 0, name: 1, inputs: 2, outputs: 3, attrs: 4, graphs: 5 } as const;

/** type: index into attrTypes; numbers: [f64]; texts: [string]. */
export const attr = { name: 0, type: 1, numbers: 2, texts: 3 } as const;

/** Codes are places in these lists. */
export const attrTypes = ["number", "string", "boolean", "numbers", "strings"] as const;
export const kinds: readonly TensorKind[] = ["value", "input", "constant", "variable"];
export const dtypes: readonly DType[] = [
  "float32",
  "float16",
  "int8",
  "uint8",
  "int16",
  "int32",
  "int64",
  "bool",
  "int4",
  "string",
];
