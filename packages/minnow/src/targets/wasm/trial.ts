// Which float32 tile is fastest here, and whether V8 joins pairs of vectors (--experimental-wasm-revectorize):
// the candidates' inner loops as one small function, so that the engine's optimising compiler is waited for
// once. The 16-wide one ends in the operations that epilogues use, and its numbers are compared: a wide
// engine is believed only where it is right. Nothing here depends on how fine the page's clock is.
import type { FunctionBuilder, Local, ModuleBuilder } from "./assembler.js";
import { dotTest, emitDots } from "./dots.js";
import type { Dot, Tile } from "./engine.js";
import { broadGain, levelGain, tileCandidates, wideGain } from "./kernels/tiles.js";

/** Steps of k in a turn; rows of x; floats of a weight row. */
const [depth, height, width] = [128, 6, 16];
const [dotAt, xAt, weightsAt, outAt] = [64, 1024, 4096, 12288];
/** (candidate, turns) */
export type Trial = (mode: number, turns: number) => void;

interface Found {
  /** The narrow tile, or the wide one. */
  readonly tile: Tile;
  readonly wide: boolean;
  /**
   * The fastest 8-bit products that are right in every lane and in every tier of the compiler (the baseline one of V8 11 is
   * wrong in relaxed_dot).
   */
  readonly dot: Dot;
  /** False: time ran out first, on a busy machine, so the rest is the safe guess. */
  readonly sure: boolean;
}

/** Adds the function that `tryTiles` runs. */
export const addTrial = (m: ModuleBuilder): number => m.func(["i32", "i32"], [], emitTrial, "trial");

/**
 * @param budget ms after which the first candidate is taken untried; some 3 are needed
 * @param x86 there the 16-wide tile is for pairs of vectors that are joined; others have registers for it
 */
export function tryTiles(run: Trial, memory: ArrayBuffer, budget: number, x86: boolean): Found {
  const floats = new Float32Array(memory);
  for (let i = 0; i < height * depth; i++) floats[xAt / 4 + i] = ((i * 7) % 13) - 6;
  for (let i = 0; i < width * depth; i++) floats[weightsAt / 4 + i] = ((i * 5) % 11) - 5;
  const [first = { mr: 6, nr: 8 }] = tileCandidates;
  let dots: readonly Dot[] = ["sdot", "usdot", "relaxed"];
  const test = dotTest(memory, dotAt);
  const times = time(
    (mode, turns) => {
      run(mode, turns);
      const right = test();
      dots = dots.filter((d) => right.includes(d));
    },
    budget,
    x86,
  );
  if (!times) return { tile: first, wide: false, dot: "i16", sure: false };
  const { best, broad } = pick(times.rounds, times.coarse, x86);
  run(tileCandidates.length - 1, 1);
  const is16 = broad === true && isRight(floats);
  const tile = (is16 ? tileCandidates.at(-1) : tileCandidates[best]) as Tile;
  return { tile, wide: x86 && is16, dot: dots[0] ?? "i16", sure: true };
}

/**
 * Operations a ms that no baseline code does (7–12 GFLOPS, optimised 30–60): another worker of this process has
 * run the trial, so its code is optimised from the start.
 */
const optimised = 18e6;

/**
 * Rounds of trials: enough, and the most, where another program's turns make them contradict each other or the narrow
 * tiles seem level. A neighbour on the same core levels them: 6×8 takes 0.943 of 4×8's time on Zen 4, and beside one,
 * in three or four of 24 processes, 0.96 to 1.2 by the best of 5, of which 20 leave one.
 */
const [fewest, most] = [5, 20];

/**
 * Whether times × gain of one are below the other's: by the best of each and in most rounds. A busy neighbour
 * slows some rounds, and rarely both the best and the most. Undefined where the two differ.
 */
export function isFaster(a: readonly number[], b: readonly number[], gain: number): boolean | undefined {
  const best = Math.min(...a) * gain < Math.min(...b);
  const rounds = a.filter((t, i) => t * gain < (b[i] as number)).length;
  return best === 2 * rounds > a.length ? best : undefined;
}

/**
 * The narrow tile, the first where it is unsure; and whether the wide one is faster.
 * @param coarse by a clock that cannot tell what is level, but what spills
 */
export function pick(
  times: readonly (readonly number[])[],
  coarse: boolean,
  x86: boolean,
): { best: number; broad: boolean | undefined } {
  const [first, second, broad] = times as readonly [readonly number[], readonly number[], readonly number[]];
  const best = isFaster(second, first, coarse ? 1.5 : levelGain) ? 1 : 0;
  return { best, broad: isFaster(broad, best ? second : first, x86 ? wideGain : broadGain) };
}

/** What the clock goes forward by, ms. */
function tickOf(): number {
  const start = performance.now();
  let now = start;
  while (now === start) now = performance.now();
  return now - start;
}

/** Pages see 5 µs where they are isolated, else 0.1 ms or more. */
const isCoarse = (tick: number): boolean => tick > 0.02;

/**
 * Turns that last twenty of the 5 µs that isolated pages see, as the narrow tiles differ by one of them: two or three
 * ticks found wide vectors in four of ten pages that had none. Pages that see 0.1 ms get three ticks, lest they wait.
 * A turn takes 0.43 µs on Zen 4.
 */
export const turnsFor = (tick: number): number => (isCoarse(tick) ? 600 : tick > 0.002 ? 240 : 60);

interface Times {
  /** Of each candidate, for the same work. */
  readonly rounds: readonly (readonly number[])[];
  readonly coarse: boolean;
}

/** Once the code is optimised; null when that took too long. */
function time(run: Trial, budget: number, x86: boolean): Times | null {
  const start = performance.now();
  const tick = tickOf();
  const [turns, coarse] = [turnsFor(tick), isCoarse(tick)];
  const trial = (mode: number): number => {
    const t = tileCandidates[mode] as Tile;
    const before = performance.now();
    run(mode, Math.round((turns * height * width) / (t.mr * t.nr)));
    return performance.now() - before;
  };
  run(0, 1); // compiles
  const slow = Math.min(trial(0), trial(0));
  const fast = Math.max(slow / 2, (2 * turns * depth * height * width) / optimised);
  while (trial(0) > fast) if (performance.now() - start > budget) return null;
  const times: number[][] = tileCandidates.map(() => []);
  for (let round = 1; round <= most; round++) {
    times.forEach((t, mode) => void t.push(trial(mode)));
    const level = !coarse && !isFaster(times[0] as number[], times[1] as number[], 1.03);
    if (round >= fewest && !level && pick(times, coarse, x86).broad !== undefined) break;
  }
  return { rounds: times, coarse };
}

function emitTrial(f: FunctionBuilder): void {
  const [mode, turns] = [0, 1];
  tileCandidates.forEach((t, i) => {
    f.get(mode).i32(i).op("i32.eq").if();
    f.repeat(turns, () => emitTile(f, t));
    f.end();
  });
  emitDots(f, dotAt);
}

function emitTile(f: FunctionBuilder, t: Tile): void {
  const acc = Array.from({ length: t.mr }, () => f.someLocals(t.nr / 4, "v128"));
  const weights = f.someLocals(t.nr / 4, "v128");
  const splat = f.local("v128");
  const [x, w, k] = f.someLocals(3, "i32");
  f.i32(xAt).set(x).i32(weightsAt).set(w).i32(depth).set(k);
  for (const a of acc.flat()) f.i32x4(0).set(a);
  const load = (l: Local, v: number): void =>
    void f
      .get(w)
      .vload(16 * v)
      .set(l);
  f.repeat(k, () => {
    weights.forEach(load);
    acc.forEach((row, r) => {
      f.get(x)
        .mem("v128.load32_splat", 4 * depth * r)
        .set(splat);
      row.forEach((a, v) => {
        f.get(splat)
          .get(weights[v] as Local)
          .get(a)
          .op("f32x4.relaxed_madd")
          .set(a);
      });
    });
    f.inc(x, 4).inc(w, 4 * width);
  });
  f.i32(outAt).set(x).i32(weightsAt).set(w);
  if (t.nr === 16) {
    weights.forEach(load);
    acc[0]?.forEach((a, v) => {
      emitEpilogue(f, a, weights[v] as Local);
    });
  }
  for (const row of acc) {
    for (let v = 0; v < row.length; v += 2)
      for (const i of [v + 1, v])
        f.get(x)
          .get(row[i] as Local)
          .vstore(16 * i);
    f.inc(x, 4 * width);
  }
  f.free("v128", ...acc.flat(), ...weights, splat);
  f.free("i32", x, w, k);
}

/** What epilogues are made of, on whole numbers, so that nothing is rounded. */
function emitEpilogue(f: FunctionBuilder, a: Local, w: Local): void {
  f.get(a).get(w).op("f32x4.pmax").set(a);
  f.get(a).get(a).op("f32x4.mul", "f32x4.sqrt", "f32x4.neg").get(w).op("f32x4.sub").set(a);
  f.get(a).get(w).get(a).get(w).op("f32x4.lt", "v128.bitselect", "f32x4.abs").get(w).op("f32x4.pmin");
  f.get(w).op("f32x4.add", "i32x4.trunc_sat_f32x4_s").i32(1).op("i32x4.shl", "f32x4.convert_i32x4_s").set(a);
}

/** The 16-wide tile's outputs by plain arithmetic; the first row has gone through the epilogue. */
function isRight(floats: Float32Array): boolean {
  const at = (i: number): number => floats[i] as number;
  for (let i = 0; i < height * width; i += i < width ? 1 : 5) {
    const [r, c] = [Math.floor(i / width), i % width];
    const w = at(weightsAt / 4 + c);
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += at(xAt / 4 + r * depth + k) * at(weightsAt / 4 + k * width + c);
    const a = -Math.abs(Math.max(sum, w)) - w;
    const want = r ? sum : 2 * (Math.min(Math.abs(Math.min(a, w)), w) + w);
    if (at(outAt / 4 + i) !== want) return false;
  }
  return true;
}
