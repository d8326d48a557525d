// Generated code by which plans look at 8-bit weights, with a small memory of its own: it seeks pairs, and packs
// panels only to count what lists would hold.
import { ModuleBuilder } from "../assembler.js";
import { moduleImports } from "../imports.js";
import type { PackCode } from "../packing.js";
import { emitPackQuads } from "./quad_pack.js";
import { emitSearch, type Search } from "./quad_search.js";

export interface QuadModule {
  readonly search: Search;
  readonly int8: PackCode;
  readonly uint8: PackCode;
  readonly memory: WebAssembly.Memory;
}

let known: QuadModule | undefined;

/** Compiled once; its memory holds `bytes` at least. */
export function quadModule(bytes: number): QuadModule {
  known ??= compile();
  const missing = bytes - known.memory.buffer.byteLength;
  if (missing > 0) known.memory.grow(Math.ceil(missing / page));
  return known;
}

const page = 65536;

function compile(): QuadModule {
  const m = new ModuleBuilder();
  m.exports.set("search", emitSearch(m));
  for (const type of ["int8", "uint8"] as const) m.exports.set(type, emitPackQuads(m, type, false));
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  return { ...(exports as unknown as Omit<QuadModule, "memory">), memory };
}
