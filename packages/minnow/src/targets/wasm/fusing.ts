// Whether relaxed multiply-adds are right and fused here, and what 8-bit products there are: small functions, and what
// they must answer. Code made ahead of time carries them, so that it can be asked itself.
import type { FunctionBuilder, ModuleBuilder } from "./assembler.js";
import type { Op } from "./opcodes.js";

export interface Fusing {
  readonly madd: (a: number, b: number, c: number) => number;
  readonly nmadd: (a: number, b: number, c: number) => number;
  /** Where it matters. */
  readonly fours?: () => number;
}

/** Adds the functions that `fuses` calls. */
export function addFusing(m: ModuleBuilder): void {
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
}

/** Adds the function that `sumsFours` calls: four products of 127 and a byte whose bits are all set. */
export function addFours(m: ModuleBuilder): void {
  m.func(
    [],
    ["i32"],
    (f) =>
      void f
        .i32x4(0x7f7f7f7f)
        .i32x4(-1)
        .i32x4(0)
        .op("i32x4.relaxed_dot_i8x16_i7x16_add_s")
        .lane("i32x4.extract_lane", 0),
    "fours",
  );
}

/** Four 8-bit products are summed in 32 bits ("usdot" or "sdot"), by which code made for others could be faster. */
export const sumsFours = ({ fours }: Fusing): boolean => [4 * 127 * 255, -4 * 127].includes(fours?.() ?? 0);

/** relaxed_madd multiplies and adds, and rounds once in every lane. */
export function fuses({ madd, nmadd }: Fusing): boolean {
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
