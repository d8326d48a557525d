// Weights of strassen.ts: of 32 output channels, two pairs of panels of 8 (c and c+16, c+8 and c+24); of a pair its seven
// matrices [k/2][8], in the order in which they are read: B11 B21 T2 T1 B22 T3 −T4.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Packed } from "../kernel.js";
import { ownBytes } from "../packing.js";
import { dataId } from "./operands.js";
import type { Matrix } from "./pack.js";
import { argLocals, emitRows, type Source } from "./pack_code.js";

/** @param m k a multiple of 16, n of 32, k dense; a unit is 32 channels */
export function packStrassen(m: Matrix): Packed {
  const size = m.dtype === "float16" ? 2 : 4;
  const row = m.k * size;
  const type = m.dtype as Source;
  return {
    key: `strassen:${dataId(m.data)}:${m.offset}:${m.n}x${m.k}`,
    bytes: 7 * m.n * m.k,
    pack: {
      source: m.data,
      key: `pack_strassen_${type}`,
      emit: (b) => emitPack(b, type),
      extent: m.n / 32,
      begins: (unit) => m.offset * size + 32 * unit * row,
      words: (at) => [at, m.k, row],
    },
  };
}

function emitPack(m: ModuleBuilder, type: Source): number {
  const panels = emitRows(m, type, 8, 1);
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [unit, last] = [1, 2];
    const [source, out, k, row] = argLocals(f, 0, 1, 2, 3);
    const [to, plane, inner] = f.someLocals(3, "i32");
    const sums = sumsOf(f, plane);
    f.get(0).i32(ownBytes).op("i32.add").set(inner).get(k).i32(16).op("i32.mul").set(plane);
    // Of emitRows: one panel of whole rows.
    f.get(inner).i32(8).store(8).get(inner).i32(1).store(12);
    f.get(inner).get(k).store(16).get(inner).get(row).store(20);
    f.get(out).get(unit).get(plane).i32(14).op("i32.mul", "i32.mul", "i32.add").set(out);
    f.block().get(unit).get(last).op("i32.ge_u").brIf(0).loop();
    // c, c+8, c+16, c+24: B11 and B21, then B12 (where T1 goes) and B22.
    for (const first of [0, 7, 3, 10]) {
      f.get(inner).get(source).store();
      f.get(inner).get(out).get(plane).i32(first).op("i32.mul", "i32.add").store(4);
      f.get(inner).i32(0).i32(1).call(panels);
      f.get(source).get(row).i32(8).op("i32.mul", "i32.add").set(source);
    }
    f.i32(2).set(to);
    f.repeat(to, () => sums(out));
    f.inc(unit, 1).get(unit).get(last).op("i32.lt_u").brIf(0).end().end();
  });
}

/** Makes T1…T4 of a pair of panels, and moves on to the next pair. */
function sumsOf(f: FunctionBuilder, plane: Local): (out: Local) => void {
  const [n, at] = f.someLocals(2, "i32");
  const [b11, b12, b22, t2] = f.someLocals(4, "v128");
  return (out) => {
    const planeAt = (i: number): FunctionBuilder => {
      f.get(out);
      return i ? f.get(plane).i32(i).op("i32.mul", "i32.add") : f;
    };
    f.get(plane).i32(4).op("i32.shr_u").set(n);
    f.repeat(n, () => {
      planeAt(0).vload().set(b11);
      planeAt(3).tee(at).vload().set(b12);
      planeAt(4).vload().set(b22);
      f.get(at).get(b12).get(b11).op("f32x4.sub").tee(t2).vstore();
      planeAt(2).get(b22).get(t2).op("f32x4.sub").tee(t2).vstore();
      planeAt(5).get(b22).get(b12).op("f32x4.sub").vstore();
      planeAt(6);
      planeAt(1).vload().get(t2).op("f32x4.sub").vstore();
      f.inc(out, 16);
    });
    planeAt(6).set(out);
  };
}
