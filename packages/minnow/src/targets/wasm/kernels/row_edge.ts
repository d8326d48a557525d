// Lines of a window that crosses the left or right edge of the image (row_windows.ts): each goes to a patch of its
// own, whole vectors at a time, with what lies outside filled. The lines of a window are cut alike, so they go side by
// side: a mask of what is inside is made once for all of them (10×4 over 49×10×1 by 2: 2.1 → 1.1 µs; calls of
// memory.copy and memory.fill took 4).
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";

/** How the outside of the image reads in patches: bytes of zero, or of the argument "fill". */
export interface Fill {
  readonly key: string;
  push(f: FunctionBuilder, layout: Layout<string>): void;
}
export const zeros: Fill = { key: "0", push: (f) => void f.i32(0) };
export const fillByte: Fill = { key: "byte", push: (f, layout) => void layout.push(f, args, "fill") };

/** Bytes of a patch of one line. */
export const patchBytes = (line: number): number => (line + 15) & -16;

const [args, entry, at, ix, iy, patch] = [0, 1, 2, 3, 4, 5];

/** (args, the pixel's entry of tap 0, address, column and row of the window's start, patch) → the next patch */
export function rowEdge(
  m: ModuleBuilder,
  mr: number,
  layout: Layout<string>,
  fill: Fill,
  family: string,
): number {
  return m.once(`row_edge_${mr}_${fill.key}_${family}`, () =>
    m.func(["i32", "i32", "i32", "i32", "i32", "i32"], ["i32"], (f) => emitEdge(f, mr, layout, fill)),
  );
}

function emitEdge(f: FunctionBuilder, mr: number, layout: Layout<string>, fill: Fill): void {
  const [n, lo, hi, pitch, row] = f.someLocals(5, "i32");
  const [xPitch, line] = [layout.local(f, args, "xPitch"), layout.local(f, args, "lineBytes")];
  layout.push(f, args, "dilationY");
  layout.push(f, args, "xRow").op("i32.mul").set(row);
  insideRows(f, mr, layout, row, n);
  // Bytes lo…hi−1 of a line are inside.
  f.i32(0).get(ix).op("i32.sub").get(xPitch).op("i32.mul").tee(lo);
  layout.push(f, args, "w").get(xPitch).op("i32.mul", "i32.add").set(hi);
  f.get(n).if();
  f.get(lo).i32(0).op("i32.gt_s").get(hi).get(line).op("i32.lt_s", "i32.or").if();
  f.get(line).i32(15).op("i32.add").i32(-16).op("i32.and").set(pitch);
  entries(f, mr, n, patch, pitch);
  lines(f, layout, fill, { n, pitch, row, lo, hi, line });
  f.get(n).get(pitch).op("i32.mul").get(patch).op("i32.add").set(patch).else();
  entries(f, mr, n, at, row);
  f.end().end().get(patch);
}

/** Kernel rows outside read zeros; `entry` and `at` go to the first one inside, `n` is how many are. */
function insideRows(f: FunctionBuilder, mr: number, layout: Layout<string>, row: Local, n: Local): void {
  const [p, y, k] = f.someLocals(3, "i32");
  layout.push(f, args, "kh").set(k).get(entry).set(p).get(iy).set(y).i32(0).set(n);
  f.repeat(k, () => {
    f.get(y);
    layout.push(f, args, "h").op("i32.lt_u").if();
    f.inc(n, 1).else();
    f.get(p);
    layout.push(f, args, "zero").store();
    // Before the first row inside, not behind the last one.
    f.get(n).op("i32.eqz").if();
    f.inc(entry, 4 * mr)
      .incBy(at, row)
      .end();
    f.end().inc(p, 4 * mr);
    f.get(y);
    layout.push(f, args, "dilationY").op("i32.add").set(y);
  });
  f.free("i32", p, y, k);
}

/** Entries of n rows: `from`, and on by `step`. */
function entries(f: FunctionBuilder, mr: number, n: Local, from: Local, step: Local): void {
  const [k, q, p] = f.someLocals(3, "i32");
  f.get(n).set(k).get(from).set(q).get(entry).set(p);
  f.repeat(k, () => {
    f.get(p).get(q).store();
    f.inc(p, 4 * mr).incBy(q, step);
  });
  f.free("i32", k, q, p);
}

interface Lines {
  readonly n: Local;
  /** Bytes from one patch to the next; from one line of the image to the next under the window. */
  readonly pitch: Local;
  readonly row: Local;
  /** Bytes of a line: inside are lo…hi−1. */
  readonly line: Local;
  readonly lo: Local;
  readonly hi: Local;
}

function lines(f: FunctionBuilder, layout: Layout<string>, fill: Fill, l: Lines): void {
  const { lo, hi } = l;
  const v = f.local();
  const [outside, mask, t] = f.someLocals(3, "v128");
  fill.push(f, layout);
  f.op("i8x16.splat").set(outside);
  /** Bytes of the vector at v that lie before `limit`, −128…127. */
  const before = (limit: Local): FunctionBuilder => {
    f.get(limit).get(v).op("i32.sub", "i32x4.splat").tee(t).get(t).op("i16x8.narrow_i32x4_s");
    return f.tee(t).get(t).op("i8x16.narrow_i16x8_s");
  };
  const iota = (): FunctionBuilder => f.i32x4(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  f.i32(0).set(v).loop();
  f.get(v).get(lo).op("i32.ge_s").get(v).i32(16).op("i32.add").get(hi).op("i32.le_s", "i32.and").if();
  each(f, l, v, (x) => f.get(x).vload());
  // Memory may end where a line does: what is all outside is not read.
  f.else().get(v).get(hi).op("i32.lt_s").get(v).i32(16).op("i32.add").get(lo).op("i32.gt_s", "i32.and").if();
  iota();
  before(lo).op("i8x16.ge_s");
  iota();
  before(hi).op("i8x16.lt_s", "v128.and").set(mask);
  each(f, l, v, (x) => f.get(x).vload().get(outside).get(mask).op("v128.bitselect"));
  f.else();
  each(f, l, v, () => f.get(outside));
  f.end().end().inc(v, 16).get(v).get(l.line).op("i32.lt_s").brIf(0).end();
}

/** The vectors at byte `v` of all patches. @param value pushes one, from where it is in the image */
function each(f: FunctionBuilder, l: Lines, v: Local, value: (x: Local) => FunctionBuilder): void {
  const [k, q, x] = f.someLocals(3, "i32");
  f.get(l.n).set(k).get(patch).get(v).op("i32.add").set(q).get(at).get(v).op("i32.add").set(x);
  f.repeat(k, () => {
    f.get(q);
    value(x).vstore().incBy(q, l.pitch).incBy(x, l.row);
  });
  f.free("i32", k, q, x);
}
