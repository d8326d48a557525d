// Finds out what this engine does right and does fast: are relaxed multiply-adds there, right and fused;
// which tile wins; are pairs of vectors run as one (trial.ts). All choices give right answers, so timing
// noise can cost speed only. Takes some 3 ms once per process: V8 runs new code in
// its baseline tier first, and the tiles differ only in the optimising one.
import { type FunctionBuilder, ModuleBuilder, moduleImports } from "./assembler.js";
import { baseline, type Engine } from "./engine.js";
import { int8Tile } from "./kernels/tiles.js";
import type { Op } from "./opcodes.js";
import { addTrial, type Trial, tryTiles } from "./trial.js";

export interface ProbeOptions {
  /** What gives the same bits on every engine and in every run: the baseline. */
  deterministic?: boolean;
  /** Time limit of the tile trial in ms, default 30: it ends when the tiles run optimised (≈ 3 ms). */
  budget?: number;
  /** Look again: the engine's flags have changed. */
  again?: boolean;
}

let known: Engine | undefined;

/** The engine's abilities; found once per process. Never throws where SIMD is there at all. */
export function probeEngine(options: ProbeOptions = {}): Engine {
  if (options.again) known = undefined;
  known ??= probe(options.budget ?? 30);
  // Nothing that was found counts: which form of a convolution is chosen follows from speeds, and gives its bits.
  return options.deterministic ? baseline : known;
}

function probe(budget: number): Engine {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const exports = instantiate(memory);
  // Without fused multiply-add the engine is old or has few registers: nothing to choose from.
  if (!exports || !fuses(exports)) return baseline;
  // x86 makes NaN with the sign set. Others have registers for the wide tile and no wider vectors.
  const x86 = exports.nan(Number.POSITIVE_INFINITY) < 0;
  const { tile, wide, relaxed } = tryTiles(exports.trial, memory.buffer, budget, x86);
  return { fma: true, f32: tile, i8: int8Tile(wide), dot: relaxed ? "relaxed" : "i16", wide };
}

interface Exports {
  readonly madd: (a: number, b: number, c: number) => number;
  readonly nmadd: (a: number, b: number, c: number) => number;
  /** The bits of x − x. */
  readonly nan: (x: number) => number;
  readonly trial: Trial;
}

/** Undefined where the engine refuses relaxed SIMD. */
function instantiate(memory: WebAssembly.Memory): Exports | undefined {
  const m = new ModuleBuilder();
  const lanes = (f: FunctionBuilder, op: Op): void => {
    for (let i = 0; i < 3; i++) f.get(i).op("f32x4.splat");
    const v = f.local("v128");
    f.op(op)
      .tee(v)
      .lane("f32x4.extract_lane", 0)
      .get(v)
      .lane("f32x4.extract_lane", 3)
      .op("f32.add")
      .f32(0.5)
      .op("f32.mul");
  };
  m.func(["f32", "f32", "f32"], ["f32"], (f) => lanes(f, "f32x4.relaxed_madd"), "madd");
  m.func(["f32", "f32", "f32"], ["f32"], (f) => lanes(f, "f32x4.relaxed_nmadd"), "nmadd");
  m.func(
    ["f32"],
    ["i32"],
    (f) => f.get(0).op("f32x4.splat").get(0).op("f32x4.splat", "f32x4.sub").lane("i32x4.extract_lane", 0),
    "nan",
  );
  addTrial(m);
  const bytes = m.build();
  if (!WebAssembly.validate(bytes)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), moduleImports(memory));
  return exports as unknown as Exports;
}

/** relaxed_madd multiplies and adds, and rounds once in every lane. */
function fuses({ madd, nmadd }: Exports): boolean {
  const a = 1 + 2 ** -12;
  const square = 1 + 2 ** -11; // a² rounded; exactly 2⁻²⁴ less than a²
  return (
    madd(3, 4, 5) === 17 &&
    nmadd(3, 4, 5) === -7 &&
    madd(-0.5, 8, 1) === -3 &&
    madd(a, a, -square) === 2 ** -24 &&
    nmadd(a, a, square) === -(2 ** -24)
  );
}

/** relaxed_madd exists, is right and rounds once. */
export function fusesMultiplyAdd(): boolean {
  const exports = instantiate(new WebAssembly.Memory({ initial: 1 }));
  return !!exports && fuses(exports);
}
