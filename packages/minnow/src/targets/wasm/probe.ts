// Finds out what this engine does right and does fast: are relaxed multiply-adds there, right and fused;
// which tile wins; are pairs of vectors run as one. All choices give right answers (tiles even equal
// bits), so timing noise can cost speed only. Takes some milliseconds once per process: V8 runs new code
// in its baseline tier first, and the tiles differ only in the optimising one.
import * as e from "../../compiler/expr.js";
import { ModuleBuilder, moduleImports } from "./assembler.js";
import { baseline, type Engine, type Tile } from "./engine.js";
import { Layout } from "./kernels/arguments.js";
import type { Epilogue } from "./kernels/epilogue.js";
import { gemmTile, gemmWords, type TileSpec } from "./kernels/gemm_tile.js";
import { int8Tile, plainTile, tileCandidates, wideGain } from "./kernels/tiles.js";

export interface ProbeOptions {
  /** Only what gives the same bits on every engine: no fused multiply-add. */
  deterministic?: boolean;
  /** Time limit of the tile trial in ms, default 25: it ends when all tiles run optimised (≈ 8 ms). */
  budget?: number;
}

let known: Engine | undefined;

/** The engine's abilities; found once per process. Never throws where SIMD is there at all. */
export function probeEngine(options: ProbeOptions = {}): Engine {
  known ??= probe(options.budget ?? 25);
  if (!options.deterministic) return known;
  return { ...known, fma: false, f32: plainTile(known.wide), dot: "i16" };
}

function probe(budget: number): Engine {
  // Without fused multiply-add the engine is old or has few registers: nothing to choose from.
  if (!fusesMultiplyAdd()) return baseline;
  const relaxed = relaxedDot();
  let right = relaxed();
  try {
    const { tile, wide } = fastestTile(budget, () => {
      right &&= relaxed();
    });
    return { fma: true, f32: tile, i8: int8Tile(wide), dot: right ? "relaxed" : "i16", wide };
  } catch {
    return { ...baseline, fma: true };
  }
}

type Exports = Record<string, (...args: number[]) => number>;

/** An instance of the module, or undefined where the engine refuses it. */
function instantiate(m: ModuleBuilder, memory: WebAssembly.Memory): Exports | undefined {
  const bytes = m.build();
  if (!WebAssembly.validate(bytes)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), moduleImports(memory));
  return exports as Exports;
}

/** relaxed_madd exists, multiplies and adds, and rounds once in every lane. */
export function fusesMultiplyAdd(): boolean {
  const m = new ModuleBuilder();
  const lanes = (f: Parameters<Parameters<ModuleBuilder["func"]>[2]>[0], negate: boolean): void => {
    for (let i = 0; i < 3; i++) f.get(i).op("f32x4.splat");
    f.op(negate ? "f32x4.relaxed_nmadd" : "f32x4.relaxed_madd");
    const v = f.local("v128");
    f.tee(v)
      .lane("f32x4.extract_lane", 0)
      .get(v)
      .lane("f32x4.extract_lane", 3)
      .op("f32.add")
      .f32(0.5)
      .op("f32.mul");
  };
  m.func(["f32", "f32", "f32"], ["f32"], (f) => lanes(f, false), "madd");
  m.func(["f32", "f32", "f32"], ["f32"], (f) => lanes(f, true), "nmadd");
  const exports = instantiate(m, new WebAssembly.Memory({ initial: 1 }));
  const { madd, nmadd } = exports ?? {};
  if (!madd || !nmadd) return false;
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

/**
 * A test whether i16x8.relaxed_dot takes the second operand as unsigned bytes and saturates, in every lane.
 * Called again and again, because an engine's tiers may differ (the baseline one of V8 11 is wrong).
 */
export function relaxedDot(): () => boolean {
  const m = new ModuleBuilder();
  const test = (f: Parameters<Parameters<ModuleBuilder["func"]>[2]>[0]): void => {
    f.i32(0).i32(0).vload().i32(0).vload(16).op("i16x8.relaxed_dot_i8x16_i7x16_s").vstore(32);
  };
  m.func([], [], test, "dot");
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { dot } = instantiate(m, memory) ?? {};
  if (!dot) return () => false;
  const w = [127, 127, -128, -128, 64, 64, -64, -64, 100, -100, -128, 0, 3, 125, 0, 127];
  const x = [255, 255, 255, 255, 255, 255, 255, 255, 200, 100, 255, 9, 128, 255, 7, 129];
  new Int8Array(memory.buffer, 0, 16).set(w);
  new Uint8Array(memory.buffer, 16, 16).set(x);
  const got = new Int16Array(memory.buffer, 32, 8);
  return () => {
    got.fill(1);
    dot();
    return got.every((v, i) => {
      const sum = [0, 1].reduce((s, j) => s + (w[2 * i + j] as number) * (x[2 * i + j] as number), 0);
      return v === Math.max(-32768, Math.min(32767, sum));
    });
  };
}

const bare: Epilogue = {
  key: "bare",
  expr: e.accumulator("f32"),
  operands: [],
  init: undefined,
  outType: "float32",
  outBytes: 4,
  outPitch: 16,
  outOffset: 0,
  numbers: [],
};

/** Trial size: rows fit every candidate height, two 8-wide panels, everything in the first-level cache. */
const rows = 24;
const depth = 128;
const channels = 16;

interface Trial {
  readonly tile: Tile;
  readonly run: () => void;
  readonly result: () => Float32Array;
  /** Milliseconds of each batch. */
  readonly times: number[];
  /** The figure it is judged by. */
  best: number;
}

function fastestTile(budget: number, between: () => void): { tile: Tile; wide: boolean } {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const trials = tileTrials(memory).filter((t) => rightAnswers(t, memory));
  time(trials, budget, between);
  const narrow = trials.filter((t) => t.tile.nr === 8);
  const [preferred] = narrow;
  if (!preferred) return { tile: baseline.f32, wide: false };
  // Later candidates must win clearly.
  const best = narrow.reduce((a, b) => (b.best < a.best * 0.96 ? b : a), preferred);
  const broad = trials.find((t) => t.tile.nr === 16);
  const wide = !!broad && broad.best * wideGain < best.best;
  return { tile: wide ? broad.tile : best.tile, wide };
}

const [argsAt, xAt, weightsAt, outAt, tableAt] = [64, 1024, 14336, 24576, 28672];

function tileTrials(memory: WebAssembly.Memory): Trial[] {
  const layout = new Layout<string>(gemmWords);
  const m = new ModuleBuilder();
  const candidates = tileCandidates;
  candidates.forEach(({ mr, nr }, i) => {
    const spec: TileSpec = {
      kind: "f32",
      fma: true,
      mr,
      channels: nr,
      unroll: 4,
      rest: 0,
      blocks: true,
      epilogue: bare,
    };
    m.exports.set(`k${i}`, gemmTile(m, spec, layout));
  });
  const exports = instantiate(m, memory);
  if (!exports) throw new Error("the engine lacks SIMD");
  const floats = new Float32Array(memory.buffer);
  for (let i = 0; i < rows * depth; i++) floats[xAt / 4 + i] = ((i * 7) % 13) - 6;
  for (let i = 0; i < channels * depth; i++) floats[weightsAt / 4 + i] = ((i * 5) % 11) - 5;
  const panelBytes = 32 * depth;
  const given: Record<string, number> = {
    out: outAt,
    outPitch: 4 * channels,
    steps: depth / 4,
    taps: 1,
    panelBytes,
  };
  new Int32Array(memory.buffer, argsAt, gemmWords.length).set(gemmWords.map((n) => given[n] ?? 0));
  return candidates.map((tile, i) => {
    const kernel = exports[`k${i}`] as Exports[string];
    const table = tableAt + i * 1024;
    writeTable(new Int32Array(memory.buffer), table / 4, tile.mr);
    const run = (): void => {
      for (let c = 0; c < channels; c += tile.nr)
        kernel(argsAt, table, rows, weightsAt + (c / 8) * panelBytes, c, c);
    };
    const result = () => new Float32Array(memory.buffer, outAt, rows * channels);
    return { tile, run, result, times: [], best: Number.POSITIVE_INFINITY };
  });
}

function writeTable(words: Int32Array, at: number, mr: number): void {
  for (let r = 0; r < rows; r++) {
    const entry = at + Math.floor(r / mr) * 2 * mr + (r % mr);
    words[entry] = xAt + r * depth * 4;
    words[entry + mr] = r;
  }
}

/** All numbers are small integers, so sums are exact. Every seventh output is enough: it meets each row and lane. */
function rightAnswers(t: Trial, memory: WebAssembly.Memory): boolean {
  t.result().fill(Number.NaN);
  t.run();
  const [x, w] = [xAt / 4, weightsAt / 4];
  const floats = new Float32Array(memory.buffer);
  return t.result().every((got, i) => {
    if (i % 7 !== 0) return true;
    const [r, c] = [Math.floor(i / channels), i % channels];
    let sum = 0;
    for (let k = 0; k < depth; k++)
      sum +=
        (floats[x + r * depth + k] as number) * (floats[w + ((c >> 3) * depth + k) * 8 + (c & 7)] as number);
    return got === sum;
  });
}

const median = (a: readonly number[]): number =>
  [...a].sort((x, y) => x - y)[a.length >> 1] ?? Number.POSITIVE_INFINITY;

/** Trials in turns, until each has become much faster than it began (or time is up). */
function time(trials: readonly Trial[], budget: number, between: () => void): void {
  const start = performance.now();
  const optimised = (t: Trial): boolean =>
    t.times.length > 12 &&
    median(t.times.slice(-5)) * (t.tile.nr === 16 ? 1.35 : 1.8) < median(t.times.slice(1, 6));
  while (performance.now() - start < budget && !trials.every(optimised))
    for (const t of trials) {
      const t0 = performance.now();
      for (let i = 0; i < 6; i++) t.run();
      t.times.push(performance.now() - t0);
      between();
    }
  for (const t of trials) t.best = median(t.times.slice(-5));
}
