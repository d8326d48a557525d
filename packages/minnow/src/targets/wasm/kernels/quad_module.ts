// Generated code by which plans look at 8-bit weights, with a small memory of its own: it seeks pairs, and packs
// panels only to count what lists would hold. Plans do not wait: a page's main thread compiles 4 KB at once everywhere.
import { ModuleBuilder } from "../assembler.js";
import { moduleImports } from "../imports.js";
import type { PackCode } from "../packing.js";
import { emitPackQuads } from "./quad_pack.js";
import { emitSearch, type Search } from "./quad_search.js";

interface Codes {
  readonly search: Search;
  readonly int8: PackCode;
  readonly uint8: PackCode;
  readonly int8_whole: PackCode;
  readonly uint8_whole: PackCode;
}

const emit: Record<keyof Codes, (m: ModuleBuilder) => number> = {
  search: emitSearch,
  int8: (m) => emitPackQuads(m, "int8", "pairs"),
  uint8: (m) => emitPackQuads(m, "uint8", "pairs"),
  int8_whole: (m) => emitPackQuads(m, "int8", "whole"),
  uint8_whole: (m) => emitPackQuads(m, "uint8", "whole"),
};

export function quadModule(name: keyof Codes): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.exports.set(name, emit[name](m));
  return m.build();
}

let memory: WebAssembly.Memory | undefined;
const codes: { -readonly [K in keyof Codes]?: Codes[K] } = {};
const page = 65536;

/** Code, compiled once, and the memory that it is for, of `bytes` at least. */
export function quadCode<K extends keyof Codes>(
  name: K,
  bytes: number,
): { readonly code: Codes[K]; readonly memory: ArrayBuffer } {
  memory ??= new WebAssembly.Memory({ initial: 1 });
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / page));
  if (!codes[name]) {
    const module = new WebAssembly.Module(quadModule(name));
    Object.assign(codes, new WebAssembly.Instance(module, moduleImports(memory)).exports);
  }
  return { code: codes[name] as Codes[K], memory: memory.buffer };
}
