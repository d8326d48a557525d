// What this engine can do and does fast, found by probes (probe.ts), as plain data.

export type Dot = "i16" | "relaxed" | "sdot" | "usdot";

export interface Tile {
  /** Rows × channels of the accumulator tile. */
  readonly mr: number;
  readonly nr: 8 | 16;
}

export interface Engine {
  /** relaxed_madd validates, fuses (or not) and gives right answers. */
  readonly fma: boolean;
  /** Tile for float32 GEMM-like kernels. */
  readonly f32: Tile;
  /** Tile for int8 GEMM-like kernels. */
  readonly i8: Tile;
  /**
   * How 8-bit products are made. By i32x4.relaxed_dot_add, four to a lane: "sdot" where the second operand's bytes are
   * signed (Arm; pairs of −128 · −128 may wrap in 16 bits, in V8's baseline tier and where the processor has no such
   * instruction), "usdot" where they are unsigned (x86 with AVX-VNNI). "relaxed": i16x8.relaxed_dot takes them as
   * unsigned and sums pairs into int16 with saturation (x86). Default "i16": by dot_i16x8 alone, exact everywhere.
   */
  readonly dot?: Dot;
  /** Pairs of v128 run as one 256-bit operation (--experimental-wasm-revectorize). */
  readonly wide: boolean;
  /** Weights may not grow for speed's sake: no Winograd, no Strassen. */
  readonly small?: boolean;
}

/** What every engine with SIMD runs right; no relaxed SIMD. Used under `deterministic`. */
export const baseline: Engine = { fma: false, f32: { mr: 4, nr: 8 }, i8: { mr: 4, nr: 8 }, wide: false };

/**
 * The engines that code is made for ahead of time. One that fuses gains or loses little by the other of its narrow
 * tiles (kernels/tiles.ts), so that nothing needs to be timed before the first answer. "arm" has registers for a
 * tile twice as wide.
 */
export const presets = {
  baseline,
  fma: { fma: true, f32: { mr: 6, nr: 8 }, i8: { mr: 4, nr: 8 }, dot: "i16", wide: false },
  arm: { fma: true, f32: { mr: 6, nr: 16 }, i8: { mr: 4, nr: 16 }, dot: "i16", wide: false },
  wide: { fma: true, f32: { mr: 6, nr: 16 }, i8: { mr: 5, nr: 16 }, dot: "i16", wide: true },
} as const satisfies Record<string, Engine>;
export type EngineName = keyof typeof presets;

export function nameOf(e: Engine): EngineName {
  if (e.wide || !e.fma) return e.wide ? "wide" : "baseline";
  return e.f32.nr === 16 ? "arm" : "fma";
}

let known: Engine | undefined;
/** What a probe found in this process, if there was one. */
export const knownEngine = (): Engine | undefined => known;
export const remember = (found: Engine): Engine => (known = found);
