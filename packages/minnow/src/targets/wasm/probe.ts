// Finds out what this engine does right and does fast: are relaxed multiply-adds there, right and fused;
// which tile wins; are pairs of vectors run as one (trial.ts). All choices give right answers, so timing
// noise can cost speed only. Takes some 3 ms once per process: V8 runs new code in
// its baseline tier first, and the tiles differ only in the optimising one.
import { isX86 } from "./arch.js";
import { ModuleBuilder } from "./assembler.js";
import { baseline, type Engine, remember, knownEngine } from "./engine.js";
import { addFusing, type Fusing, fuses } from "./fusing.js";
import { moduleImports } from "./imports.js";
import { int8Tile } from "./kernels/tiles.js";
import { addTrial, type Trial, tryTiles } from "./trial.js";

export interface ProbeOptions {
  /** What gives the same bits on every engine and in every run: the baseline. */
  deterministic?: boolean;
  /** Time limit of the tile trial in ms, default 30: it ends when the tiles run optimised (≈ 3 ms). */
  budget?: number;
  /** Look again: the engine's flags have changed. */
  again?: boolean;
}

/** Trials that ran out of time; where the machine is busy for long, the last one's guess stays. */
let unsure = 0;
const mostUnsure = 3;

/**
 * The engine's abilities; found once per process, or again by the next call where time ran out. Never throws where
 * SIMD is there at all.
 */
export function probeEngine(options: ProbeOptions = {}): Engine {
  let engine = options.again ? undefined : knownEngine();
  if (!engine) {
    const found = probe(options.budget ?? 30);
    engine = found.engine;
    if (found.sure || ++unsure >= mostUnsure) remember(engine);
  }
  // Nothing that was found counts: which form of a convolution is chosen follows from speeds, and gives its bits.
  return options.deterministic ? baseline : engine;
}

function probe(budget: number): { readonly engine: Engine; readonly sure: boolean } {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const exports = instantiate(memory);
  // Without fused multiply-add the engine is old or has few registers: nothing to choose from.
  if (!exports || !fuses(exports)) return { engine: baseline, sure: true };
  const x86 = isX86();
  const { tile, wide, dot, sure } = tryTiles(exports.trial, memory.buffer, budget, x86);
  return { engine: { fma: true, f32: tile, i8: int8Tile(wide, x86), dot, wide }, sure };
}

interface Exports extends Fusing {
  readonly trial: Trial;
}

/** Undefined where the engine refuses relaxed SIMD. */
function instantiate(memory: WebAssembly.Memory): Exports | undefined {
  const m = new ModuleBuilder();
  addFusing(m);
  addTrial(m);
  const bytes = m.build();
  if (!WebAssembly.validate(bytes)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), moduleImports(memory));
  return exports as unknown as Exports;
}

/** relaxed_madd exists, is right and rounds once. */
export function fusesMultiplyAdd(): boolean {
  const exports = instantiate(new WebAssembly.Memory({ initial: 1 }));
  return !!exports && fuses(exports);
}
