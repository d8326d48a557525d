// 8-bit dot products of engines that this one is not: what kernels emit as i32x4.relaxed_dot_add becomes instructions
// that mean the same everywhere.
import { FunctionBuilder, type Local } from "../assembler.js";
import type { Op } from "../opcodes.js";

const name = "i32x4.relaxed_dot_i8x16_i7x16_add_s";

/** Runs `make`; what it emits takes bytes of x as int8 and wraps sums of pairs ("sdot"), or as uint8 ("usdot"). */
export function emulating<T>(dot: "sdot" | "usdot", make: () => T): T {
  const { op } = FunctionBuilder.prototype;
  FunctionBuilder.prototype.op = function (this: FunctionBuilder, ...names: Op[]) {
    for (const n of names) {
      if (n !== name) op.call(this, n);
      else (dot === "sdot" ? signed : unsigned)(this);
    }
    return this;
  };
  try {
    return make();
  } finally {
    FunctionBuilder.prototype.op = op;
  }
}

const lanes = (size: number, first: number): number[] =>
  Array.from({ length: 16 }, (_, i) => (i % size) + size * (first + 2 * Math.floor(i / size)));

/** Products of the low and the high halves of w and x on the stack, below sums. */
function products(f: FunctionBuilder, type: "s" | "u"): [low: Local, high: Local, acc: Local] {
  const [w, x, low, high, acc] = f.someLocals(5, "v128");
  f.set(acc).set(x).set(w);
  for (const half of ["low", "high"] as const)
    f.get(w)
      .op(`i16x8.extend_${half}_i8x16_s`)
      .get(x)
      .op(`i16x8.extend_${half}_i8x16_${type}`, "i16x8.mul")
      .set(half === "low" ? low : high);
  f.free("v128", w, x, low, high, acc);
  return [low, high, acc];
}

/** As Arm's baseline tier: pairs in 16 bits, which wrap. */
function signed(f: FunctionBuilder): void {
  const [low, high, acc] = products(f, "s");
  for (const first of [0, 1]) f.get(low).get(high).shuffle(lanes(2, first));
  f.op("i16x8.add", "i32x4.extadd_pairwise_i16x8_s").get(acc).op("i32x4.add");
}

function unsigned(f: FunctionBuilder): void {
  const [low, high, acc] = products(f, "u");
  for (const p of [low, high]) f.get(p).op("i32x4.extadd_pairwise_i16x8_s").set(p);
  for (const first of [0, 1]) f.get(low).get(high).shuffle(lanes(4, first));
  f.op("i32x4.add").get(acc).op("i32x4.add");
}
