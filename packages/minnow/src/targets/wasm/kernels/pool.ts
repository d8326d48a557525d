// Max and average pooling by the tiles of depthwise_tile.ts: each column of inputs under a tile is folded
// over the kernel's rows once, then into every output that it meets. Outside the image reads the neutral
// value. Versions: f32_max_pool_…, f32_avg_pool_… (the epilogue divides), s8_max_pool_…, u8_max_pool_…
// (16 channels a vector; only where the result is stored as it is).
//
// NaN must win: pmax drops it, f32x4.max keeps it at eight instructions on x86; a mask of x ≠ x beside
// pmax takes three.
import type { Expr } from "../../../compiler/expr.js";
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import type { Op } from "../opcodes.js";
import { windowGeometry } from "./conv.js";
import { planWindow } from "./depthwise_plan.js";
import type { TapMath, TapTile } from "./depthwise_taps.js";
import { epilogueOf } from "./epilogue.js";
import { poolTile } from "./tiles.js";

export const pool: TunedKernel = { kernels: ["max_pool2d", "avg_pool2d"], plan: planPool };

function planPool(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const nest = step.nest;
  const max = step.kernel === "max_pool2d";
  const geometry = windowGeometry(step, 1);
  if (!nest || !geometry || nest.body?.k !== "in" || nest.body.i !== 0) return null;
  if (nest.combine !== (max ? "max" : "sum")) return null;
  const { x, channels, kernel } = geometry;
  const epilogue = epilogueOf(step, nest, program, { bias: !max });
  if (!epilogue) return null;
  const kind = ({ float32: "f32", int8: "s8", uint8: "u8" } as const)[x.dtype as "float32"];
  if (!kind || (kind !== "f32" && (!max || !isBare(nest.result) || epilogue.outType !== x.dtype)))
    return null;
  const tile = poolTile(kernel[1], max);
  const work = kernel[0] * kernel[1];
  if (kernel[0] * (kernel[1] + tile.columns) > 400) return null; // unrolled
  const vectors = channels > 4 ? 2 : 1;
  const math = kind !== "f32" ? byteMax(kind) : max ? floatMax(vectors) : floatSum(vectors);
  return planWindow({ geometry, nest, math, suffix: "", epilogue, channels, tile, work }, engine, program);
}

const isBare = (e: Expr): boolean => e.k === "in" && e.i < 0;

const floatMax = (vectors: number): TapMath => ({
  name: "f32_max_pool",
  lanes: 4,
  vectors,
  inputStep: 16 * vectors,
  weightStep: 0,
  outside: Number.NEGATIVE_INFINITY,
  start: (f) => f.f32x4(Number.NEGATIVE_INFINITY),
  begin: (f) => (t) => foldTile(f, t, "f32x4.pmax", true),
});

const floatSum = (vectors: number): TapMath => ({
  name: "f32_avg_pool",
  lanes: 4,
  vectors,
  inputStep: 16 * vectors,
  weightStep: 0,
  outside: 0,
  begin: (f) => (t) => foldTile(f, t, "f32x4.add"),
});

const byteMax = (kind: "s8" | "u8"): TapMath => ({
  name: `${kind}_max_pool`,
  lanes: 16,
  vectors: 1,
  inputStep: 16,
  weightStep: 0,
  outside: kind === "s8" ? -128 : 0,
  start: (f) => f.i32x4(kind === "s8" ? 0x80808080 | 0 : 0),
  begin: (f) => (t) => foldTile(f, t, kind === "s8" ? "i8x16.max_s" : "i8x16.max_u"),
});

/** @param masks carry NaN */
function foldTile(f: FunctionBuilder, t: TapTile, op: Op, masks = false): void {
  const outputs = t.acc[0] ?? [];
  const vectors = outputs[0]?.length ?? 0;
  const [column, x] = [f.someLocals(vectors, "v128"), f.someLocals(vectors, "v128")];
  const nan = masks ? f.someLocals(vectors, "v128") : [];
  const nans = outputs.map(() => (masks ? f.someLocals(vectors, "v128") : []));
  for (const n of nans.flat()) f.i32x4(0).set(n);
  const fold = (to: Local, from: Local, by: Op): void => void f.get(to).get(from).op(by).set(to);
  t.walk(
    Array.from({ length: t.kernel[0] }, (_, y) => y),
    [0, t.kernel[1]],
    (users, at) => {
      at.forEach((p, y) => {
        const to = y === 0 ? column : x;
        for (let v = 0; v < vectors; v++)
          f.get(p)
            .vload(16 * v)
            .set(to[v] as Local);
        for (let v = 0; v < vectors; v++) {
          if (y > 0) fold(column[v] as Local, x[v] as Local, op);
          if (!masks) continue;
          f.get(to[v] as Local)
            .get(to[v] as Local)
            .op("f32x4.ne");
          if (y > 0) f.get(nan[v] as Local).op("v128.or");
          f.set(nan[v] as Local);
        }
      });
      for (const { column: o } of users)
        for (let v = 0; v < vectors; v++) {
          fold(outputs[o]?.[v] as Local, column[v] as Local, op);
          if (masks) fold(nans[o]?.[v] as Local, nan[v] as Local, "v128.or");
        }
    },
  );
  // A NaN has all ones where the mask is set: or-ing them into the result makes it one.
  outputs.forEach((a, o) => a.forEach((to, v) => masks && fold(to, nans[o]?.[v] as Local, "v128.or")));
  f.free("v128", ...column, ...x, ...nan, ...nans.flat());
}
